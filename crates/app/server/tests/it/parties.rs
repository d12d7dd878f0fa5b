//! Customers, budgets and tags: managed, and what holds for calls that are made for them.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_kit::http::{self, Reply};
use tollgate_store::{EpochMs, LogListing, Place, Store, StoreSettings};

use crate::world::{WITH_MASTER, World, hi, refused};

const CONFIG: &str = "
model_list:
  - {model_name: gpt, model_info: {id: far}, litellm_params: {model: openai/gpt-4o, api_base: '{provider}/far/v1', api_key: sk-fake-provider-key, order: 1}}
  - {model_name: gpt, model_info: {id: near}, litellm_params: {model: openai/gpt-4o, api_base: '{provider}/near/v1', api_key: sk-fake-provider-key, order: 2, region_name: eu-west-1}}
  - {model_name: only-far, litellm_params: {model: openai/gpt-4o, api_base: '{provider}/far/v1', api_key: sk-fake-provider-key, region_name: us-east-1}}
router_settings: {num_retries: 0}
litellm_settings: {max_end_user_budget_id: everybody}
general_settings: {master_key: '{master}', user_header_mappings: [{header_name: x-my-user, litellm_user_role: customer}]}
";

async fn store() -> Arc<Store> {
    Arc::new(Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap())
}

async fn at(store: &Arc<Store>) -> World {
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    World::of(CONFIG).store(Arc::clone(store), bounds).with_journal().start().await
}

async fn post(world: &World, path: &str, body: &Value) -> Reply {
    http::post(&world.at(path), &[WITH_MASTER], body).await
}

async fn done(world: &World, path: &str, body: &Value) -> Value {
    let reply = post(world, path, body).await;
    assert_eq!(reply.status, 200, "{path} {body} {}", reply.text());
    reply.json()
}

async fn get(world: &World, path: &str) -> Reply {
    http::get(&world.at(path), &[WITH_MASTER]).await
}

fn chat_of(customer: &str, model: &str) -> Value {
    let mut body = hi(model);
    body["user"] = json!(customer);
    body
}

async fn chat(world: &World, customer: &str) -> Reply {
    world.chat_with(&[WITH_MASTER], &chat_of(customer, "gpt")).await
}

#[tokio::test]
async fn a_customer_is_limited_through_its_budget_and_nobody_else_is() {
    let world = at(&store().await).await;
    let made = done(&world, "/customer/new", &json!({"user_id": "ann", "alias": "Ann", "rpm_limit": 2})).await;
    assert_eq!((&made["user_id"], &made["litellm_budget_table"]["rpm_limit"]), (&json!("ann"), &json!(2)), "{made}");
    for left in ["1", "0"] {
        let reply = chat(&world, "ann").await;
        assert_eq!((reply.status, reply.header("x-ratelimit-end_user-remaining-requests")), (200, Some(left)));
    }
    assert!(refused(&chat(&world, "ann").await, 429).contains("Rate limit exceeded for end_user: ann"));
    // By a header as well as in the body, which says somebody else.
    for header in ["x-litellm-customer-id", "x-my-user"] {
        let reply = world.chat_with(&[WITH_MASTER, (header, "ann")], &chat_of("bob", "gpt")).await;
        refused(&reply, 429);
    }
    assert_eq!(chat(&world, "bob").await.status, 200);
    let raised = done(&world, "/customer/update", &json!({"user_id": "ann", "rpm_limit": 3})).await;
    assert_eq!(raised["litellm_budget_table"]["rpm_limit"], 3);
    assert_eq!(chat(&world, "ann").await.status, 200);
    refused(&chat(&world, "ann").await, 429);
}

#[tokio::test]
async fn a_blocked_customer_is_refused_at_every_instance_within_a_second() {
    let store = store().await;
    let (world, other) = (at(&store).await, at(&store).await);
    for one in [&world, &other] {
        assert_eq!(chat(one, "eve").await.status, 200);
    }
    // Nobody has heard of her but in calls.
    let blocked = done(&world, "/end_user/block", &json!({"user_ids": ["eve"]})).await;
    assert_eq!(blocked["blocked_users"][0]["blocked"], true);
    let words = refused(&chat(&world, "eve").await, 403);
    assert_eq!(words, "User blocked from making LLM API Calls. User=eve");
    let begun = tokio::time::Instant::now();
    while chat(&other, "eve").await.status == 200 {
        assert!(begun.elapsed() < Duration::from_secs(5), "still let in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done(&world, "/customer/unblock", &json!({"user_ids": ["eve"]})).await;
    assert_eq!(chat(&world, "eve").await.status, 200);
}

#[tokio::test]
async fn a_customer_has_a_region_models_and_a_default() {
    let world = at(&store().await).await;
    done(&world, "/customer/new", &json!({"user_id": "eu", "allowed_model_region": "eu", "default_model": "gpt"}))
        .await;
    done(&world, "/customer/new", &json!({"user_id": "few", "models": ["gpt"]})).await;
    assert_eq!(chat(&world, "eu").await.header("x-litellm-model-id"), Some("near"));
    assert_eq!(chat(&world, "anybody").await.header("x-litellm-model-id"), Some("far"));
    let elsewhere = world.chat_with(&[WITH_MASTER], &chat_of("eu", "only-far")).await;
    assert_eq!((elsewhere.status, elsewhere.header("x-litellm-model-id")), (200, Some("near")), "{}", elsewhere.text());
    let mut body = chat_of("eu", "gpt");
    body["allowed_model_region"] = json!("us");
    refused(&world.chat_with(&[WITH_MASTER], &body).await, 403);
    assert_eq!(chat(&world, "few").await.status, 200);
    let words = refused(&world.chat_with(&[WITH_MASTER], &chat_of("few", "only-far")).await, 403);
    assert!(words.contains("customer not allowed to access model"), "{words}");
}

#[tokio::test]
async fn whoever_has_no_budget_has_the_one_for_everybody() {
    let world = at(&store().await).await;
    done(&world, "/budget/new", &json!({"budget_id": "everybody", "rpm_limit": 1})).await;
    done(&world, "/customer/new", &json!({"user_id": "rich", "rpm_limit": 10})).await;
    for customer in ["one", "other"] {
        assert_eq!(chat(&world, customer).await.status, 200);
        refused(&chat(&world, customer).await, 429);
    }
    assert_eq!((chat(&world, "rich").await.status, chat(&world, "rich").await.status), (200, 200));
    // Nobody is named.
    assert_eq!(world.chat_with(&[WITH_MASTER], &hi("gpt")).await.status, 200);
    done(&world, "/budget/update", &json!({"budget_id": "everybody", "rpm_limit": null})).await;
    assert_eq!(chat(&world, "one").await.status, 200);
}

#[tokio::test]
async fn tags_of_requests_keys_and_teams_have_limits() {
    let world = at(&store().await).await;
    let made = done(&world, "/tag/new", &json!({"name": "batch", "description": "at night", "rpm_limit": 2})).await;
    assert_eq!((&made["message"], &made["tag"]["name"]), (&json!("Tag batch created successfully"), &json!("batch")));
    let key = done(&world, "/key/generate", &json!({"tags": ["batch"]})).await;
    let auth = format!("Bearer {}", key["key"].as_str().unwrap());
    assert_eq!(world.chat_with(&[("authorization", &auth)], &hi("gpt")).await.status, 200);
    let named = [WITH_MASTER, ("x-litellm-tags", "batch,other")];
    assert_eq!(world.chat_with(&named, &hi("gpt")).await.status, 200);
    let mut body = hi("gpt");
    body["metadata"] = json!({"tags": ["batch"]});
    assert!(refused(&world.chat_with(&[WITH_MASTER], &body).await, 429).contains("Rate limit exceeded for tag: batch"));
    refused(&world.chat_with(&[("authorization", &auth)], &hi("gpt")).await, 429);
    assert_eq!(world.chat_with(&[WITH_MASTER], &hi("gpt")).await.status, 200);
    done(&world, "/tag/delete", &json!({"name": "batch"})).await;
    assert_eq!(world.chat_with(&named, &hi("gpt")).await.status, 200);
}

#[tokio::test]
async fn rows_say_for_whom_and_from_where_and_what_they_cost_is_shown() {
    let store = store().await;
    let world = at(&store).await;
    done(&world, "/tag/new", &json!({"name": "paid", "max_budget": 100})).await;
    let mut body = chat_of("ann", "gpt");
    body["metadata"] = json!({"tags": ["paid", "free"]});
    assert_eq!(world.chat_with(&[WITH_MASTER, ("x-forwarded-for", "203.0.113.9")], &body).await.status, 200);
    world.gateway.finish_books().await;
    let rows = store.spend_logs(&LogListing { limit: 10, ..LogListing::default() }).await.unwrap().rows;
    let row = &rows[0];
    assert_eq!((row.end_user.as_deref(), row.requester_ip_address.as_deref()), (Some("ann"), Some("127.0.0.1")));
    assert_eq!(row.request_tags.as_ref().map(|tags| tags.0.as_str()), Some(r#"["paid","free"]"#));
    let spend = row.spend.0;
    assert!(spend > 0);
    let shown = get(&world, "/customer/info?end_user_id=ann").await.json();
    assert_eq!(shown["spend"].as_f64(), Some(spend as f64 / 1e9), "{shown}");
    let tag = done(&world, "/tag/info", &json!({"names": ["paid"]})).await;
    assert_eq!(tag["paid"]["spend"].as_f64(), Some(spend as f64 / 1e9), "{tag}");
    // Behind proxies that are believed.
    world.reload(
        &CONFIG
            .replace("{master}", crate::world::MASTER)
            .replace("{master_key:", "{use_x_forwarded_for: true, master_key:"),
    );
    assert_eq!(
        world.chat_with(&[WITH_MASTER, ("x-forwarded-for", "203.0.113.9, 10.0.0.1")], &hi("gpt")).await.status,
        200
    );
    world.gateway.finish_books().await;
    let rows = store.spend_logs(&LogListing { limit: 10, ..LogListing::default() }).await.unwrap().rows;
    assert!(rows.iter().any(|row| row.requester_ip_address.as_deref() == Some("203.0.113.9")));
    assert_eq!(store.verify_totals().await.unwrap(), []);
}

#[tokio::test]
async fn customers_budgets_and_tags_are_managed_as_clients_expect() {
    let world = at(&store().await).await;
    let budget =
        done(&world, "/budget/new", &json!({"max_budget": 2.5, "budget_duration": "30d", "tpm_limit": 9})).await;
    let id = budget["budget_id"].as_str().unwrap().to_owned();
    let listed = get(&world, "/budget/list").await.json();
    assert_eq!((listed[0]["budget_id"].as_str(), listed[0]["max_budget"].as_f64()), (Some(&*id), Some(2.5)));
    assert_eq!(done(&world, "/budget/info", &json!({"budgets": [id, "nobody"]})).await.as_array().unwrap().len(), 1);
    let settings = get(&world, &format!("/budget/settings?budget_id={id}")).await.json();
    let tpm = settings.as_array().unwrap().iter().find(|one| one["field_name"] == "tpm_limit").unwrap();
    assert_eq!((&tpm["field_value"], &tpm["stored_in_db"]), (&json!(9), &json!(true)));

    let customer = done(&world, "/customer/new", &json!({"user_id": "ann", "budget_id": id, "own_word": 1})).await;
    assert_eq!((&customer["litellm_budget_table"]["budget_id"], &customer["own_word"]), (&json!(id), &json!(1)));
    assert_eq!(get(&world, "/end_user/info?end_user_id=ann").await.json(), customer);
    assert_eq!(get(&world, "/customer/list").await.json(), json!([customer]));
    // A limit of its own is a budget of its own; the one that others share stays as it is.
    let own = done(&world, "/customer/update", &json!({"user_id": "ann", "max_budget": 1})).await;
    assert_eq!(own["litellm_budget_table"]["budget_id"], "customer:ann");
    let shared = done(&world, "/budget/info", &json!({"budgets": [id]})).await;
    assert_eq!(shared[0]["max_budget"], 2.5);
    let deleted = done(&world, "/customer/delete", &json!({"user_ids": ["ann", "nobody"]})).await;
    assert_eq!(deleted["deleted_customers"], 1);
    assert_eq!(done(&world, "/budget/info", &json!({"budgets": ["customer:ann"]})).await, json!([]));

    let tag = done(&world, "/tag/new", &json!({"name": "t", "models": ["gpt"], "max_budget": 3})).await["tag"].clone();
    assert_eq!((&tag["models"], &tag["litellm_budget_table"]["max_budget"]), (&json!(["gpt"]), &json!(3.0)));
    let update = json!({"name": "t", "description": "now"});
    let reply = http::post(&world.at("/tag/update"), &[WITH_MASTER, ("if-match", "\"7\"")], &update).await;
    refused(&reply, 412);
    assert_eq!(done(&world, "/tag/update", &update).await["tag"]["description"], "now");
    assert_eq!(get(&world, "/tag/list").await.json().as_array().unwrap().len(), 1);
    done(&world, "/budget/delete", &json!({ "id": id })).await;
}

#[tokio::test]
async fn what_is_wrong_with_customers_budgets_and_tags_is_said() {
    let world = at(&store().await).await;
    let id = "shared";
    done(&world, "/budget/new", &json!({"budget_id": id, "max_budget": 2.5})).await;
    done(&world, "/tag/new", &json!({"name": "t"})).await;
    for (path, body, status) in [
        ("/customer/new", json!({}), 400),
        ("/customer/new", json!({"user_id": "x", "budget_id": id, "max_budget": 1}), 400),
        ("/customer/new", json!({"user_id": "x", "budget_id": "nowhere"}), 400),
        ("/customer/new", json!({"user_id": "x", "allowed_model_region": "mars"}), 400),
        ("/customer/new", json!({"user_id": "x", "default_model": "nothing"}), 422),
        ("/customer/new", json!({"user_id": "x", "rpm_limit": "many"}), 400),
        ("/customer/update", json!({"user_id": "x"}), 404),
        ("/customer/delete", json!({"user_ids": ["x"]}), 404),
        ("/customer/unblock", json!({"user_ids": ["x"]}), 404),
        ("/customer/block", json!({"user_ids": [""]}), 400),
        ("/budget/new", json!({"budget_id": id}), 400),
        ("/budget/update", json!({"budget_id": "x"}), 404),
        ("/budget/info", json!({"budgets": []}), 400),
        ("/budget/delete", json!({"id": "x"}), 404),
        ("/tag/new", json!({"name": "t"}), 400),
        ("/tag/update", json!({"name": "x"}), 404),
        ("/tag/info", json!({"names": ["x"]}), 404),
        ("/tag/delete", json!({"name": "x"}), 404),
    ] {
        refused(&post(&world, path, &body).await, status);
    }
    refused(&get(&world, "/customer/info?end_user_id=x").await, 404);
    refused(&get(&world, "/customer/info").await, 400);

    // Whoever is no admin manages none of it; who may look at everything, looks.
    let key = done(&world, "/key/generate", &json!({})).await["key"].as_str().unwrap().to_owned();
    let auth = format!("Bearer {key}");
    for path in ["/customer/new", "/budget/new", "/tag/new"] {
        refused(
            &http::post(&world.at(path), &[("authorization", &auth)], &json!({"user_id": "x", "name": "x"})).await,
            403,
        );
    }
    refused(&http::get(&world.at("/customer/list"), &[("authorization", &auth)]).await, 403);
}

#[tokio::test]
async fn a_write_that_is_sent_twice_is_done_once() {
    let store = store().await;
    let (world, other) = (at(&store).await, at(&store).await);
    let send = async |world: &World, name: &str, path: &str, body: &Value| {
        http::post(&world.at(path), &[WITH_MASTER, ("idempotency-key", name)], body).await
    };
    let body = json!({"key_alias": "once"});
    let first = send(&world, "a", "/key/generate", &body).await;
    assert_eq!(first.status, 200, "{}", first.text());
    // The same answer, with the key in it, wherever it is sent; and nothing is done again, or the alias would be taken.
    for one in [&world, &other] {
        let again = send(one, "a", "/key/generate", &body).await;
        assert_eq!((again.status, again.json()), (200, first.json()));
    }
    assert!(refused(&send(&world, "a", "/key/generate", &json!({})).await, 422).contains("another request"));
    refused(&send(&world, "a", "/customer/new", &body).await, 422);
    // It is the caller's own.
    let admin = first.json()["key"].as_str().unwrap().to_owned();
    let auth = format!("Bearer {admin}");
    let info =
        http::post(&world.at("/key/update"), &[("authorization", &auth), ("idempotency-key", "a")], &json!({})).await;
    assert_ne!(info.status, 422, "{}", info.text());
    // Two at once.
    let body = json!({"user_id": "twin"});
    let (one, two) = tokio::join!(send(&world, "b", "/customer/new", &body), send(&other, "b", "/customer/new", &body));
    assert_eq!((one.status, two.status, one.json()), (200, 200, two.json()), "{} {}", one.text(), two.text());
    // What was refused has done nothing, and may be sent again.
    refused(&send(&world, "c", "/customer/new", &body).await, 400);
    done(&world, "/customer/delete", &json!({"user_ids": ["twin"]})).await;
    assert_eq!(send(&world, "c", "/customer/new", &body).await.status, 200);
    refused(&send(&world, &"x".repeat(256), "/customer/new", &body).await, 400);
}

#[tokio::test]
async fn no_more_calls_run_at_one_time_than_the_whole_gateway_may_have() {
    let config = CONFIG.replace("general_settings: {", "general_settings: {global_max_parallel_requests: 1, ");
    let world = World::of(&config).with_keys().await.start().await;
    let body = json!({"choices": []});
    world.provider.script([tollgate_kit::Answer::json(200, body).wait_before_head(Duration::from_secs(2))]);
    let ask = async || world.chat_with(&[WITH_MASTER], &hi("gpt")).await;
    let (slow, quick) = tokio::join!(ask(), async {
        world.provider.wait_for_calls(1).await;
        ask().await
    });
    assert_eq!((slow.status, quick.header("retry-after")), (200, Some("1")));
    let words = refused(&quick, 429);
    assert_eq!(words, "Max parallel request limit reached Hit Global Limit: Limit=1, current: 1");
    assert_eq!(world.chat_with(&[WITH_MASTER], &hi("gpt")).await.status, 200);
}

#[tokio::test]
async fn what_counts_as_tokens_can_be_chosen() {
    for (counts, status) in [("total", 429), ("input", 429), ("output", 200)] {
        let settings = format!("general_settings: {{token_rate_limit_type: {counts}, ");
        let world = World::of(&CONFIG.replace("general_settings: {", &settings)).with_keys().await.start().await;
        let key = done(&world, "/key/generate", &json!({"tpm_limit": 50})).await["key"].as_str().unwrap().to_owned();
        let long = json!({"model": "gpt", "messages": [{"role": "user", "content": "word ".repeat(200)}]});
        let reply = world.chat_with(&[("authorization", &format!("Bearer {key}"))], &long).await;
        assert_eq!(reply.status, status, "{counts}: {}", reply.text());
    }
}

#[tokio::test]
async fn customers_and_tags_have_budgets_that_hold() {
    let store = store().await;
    let everybody = CONFIG.replace("max_end_user_budget_id: everybody", "max_end_user_budget: 0");
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    let world = World::of(&everybody).store(Arc::clone(&store), bounds).with_journal().start().await;
    let spent = |reply: Reply, whose: &str| {
        assert_eq!(
            (reply.status, &reply.json()["error"]["type"]),
            (400, &json!("budget_exceeded")),
            "{}",
            reply.text()
        );
        assert!(reply.text().contains(whose), "{}", reply.text());
    };
    // Nothing may be spent by customers without a budget of their own.
    spent(chat(&world, "poor").await, "poor");
    done(&world, "/customer/new", &json!({"user_id": "rich", "max_budget": 10, "budget_duration": "1d"})).await;
    assert_eq!(chat(&world, "rich").await.status, 200);
    done(&world, "/customer/update", &json!({"user_id": "rich", "max_budget": 0})).await;
    spent(chat(&world, "rich").await, "rich");
    done(&world, "/tag/new", &json!({"name": "free", "max_budget": 0})).await;
    spent(world.chat_with(&[WITH_MASTER, ("x-litellm-tags", "free")], &hi("gpt")).await, "free");
    assert_eq!(world.chat_with(&[WITH_MASTER], &hi("gpt")).await.status, 200);
    world.gateway.finish_books().await;
    assert_eq!(store.verify_totals().await.unwrap(), []);
}
