//! Virtual keys over HTTP: made, used, changed, taken back.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_kit::{
    Answer,
    http::{self, Reply},
};
use tollgate_store::{EpochMs, Place, Store, StoreSettings};

use crate::world::{WITH_MASTER, World, hi, refused};

const TWO_MODELS: &str = "
model_list:
  - model_name: gpt-4
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
    model_info: {access_groups: [beta]}
  - model_name: my-free-tier
    litellm_params: {model: openai/gpt-4o-mini, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
router_settings: {num_retries: 0}
general_settings: {master_key: '{master}'}
";

async fn world() -> World {
    World::of(TWO_MODELS).with_keys().await.start().await
}

async fn manage(world: &World, path: &str, body: &Value) -> Reply {
    http::post(&world.at(path), &[WITH_MASTER], body).await
}

async fn made(world: &World, body: &Value) -> String {
    let reply = manage(world, "/key/generate", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["key"].as_str().unwrap().to_owned()
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

async fn chat(world: &World, key: &str, model: &str) -> Reply {
    world.chat_with(&[("authorization", &bearer(key))], &hi(model)).await
}

async fn get_as(world: &World, key: &str, path: &str) -> Reply {
    http::get(&world.at(path), &[("authorization", &bearer(key))]).await
}

#[tokio::test]
async fn a_key_is_made_used_looked_at_and_deleted() {
    let world = world().await;
    // SEED-133 and SEED-141.
    let body = json!({"models": ["gpt-4"], "duration": "20m", "metadata": {"user": "x@y.z"}});
    let reply = manage(&world, "/key/generate", &body).await.json();
    let key = reply["key"].as_str().unwrap();
    assert_eq!((key.len(), key.starts_with("sk-")), (25, true), "{key}");
    let expires: jiff::Timestamp = reply["expires"].as_str().unwrap().parse().unwrap();
    let left = expires.as_millisecond() - jiff::Timestamp::now().as_millisecond();
    assert!((1_100_000..=1_200_000).contains(&left), "{left}");
    assert_eq!(reply["key_name"], format!("sk-...{}", &key[key.len() - 4..]));

    assert_eq!(chat(&world, key, "gpt-4").await.status, 200);
    let denied = chat(&world, key, "my-free-tier").await;
    assert_eq!(denied.json()["error"]["type"], "key_model_access_denied");
    refused(&denied, 403);

    // SEED-139.
    for (asker, path) in [(WITH_MASTER.1, format!("/key/info?key={key}")), (&bearer(key), "/key/info".to_owned())] {
        let reply = http::get(&world.at(&path), &[("authorization", asker)]).await;
        let info = &reply.json()["info"];
        for member in ["token", "spend", "expires", "models", "aliases", "config"] {
            assert!(info.get(member).is_some(), "no {member} in {info}");
        }
        assert_eq!((&info["models"], &info["metadata"]), (&json!(["gpt-4"]), &json!({"user": "x@y.z"})));
        assert!(!reply.text().contains(&key[3..]) || path.contains(key), "the key itself is kept nowhere");
    }

    let deleted = manage(&world, "/key/delete", &json!({"keys": [key]})).await;
    assert_eq!(deleted.json(), json!({"deleted_keys": [key]}));
    refused(&chat(&world, key, "gpt-4").await, 401);
    refused(&manage(&world, "/key/delete", &json!({"keys": [key]})).await, 404);
}

#[tokio::test]
async fn an_alias_leads_to_another_model_until_it_is_changed() {
    let world = world().await;
    // SEED-138, with its own request.
    let body = json!({"models": ["my-free-tier"], "aliases": {"gpt-3.5-turbo": "my-free-tier"}, "duration": "30min"});
    let key = made(&world, &body).await;
    assert_eq!(chat(&world, &key, "gpt-3.5-turbo").await.status, 200);
    let up = json!({"key": key, "models": ["my-free-tier", "gpt-4"], "aliases": {"gpt-3.5-turbo": "gpt-4"}});
    assert_eq!(manage(&world, "/key/update", &up).await.status, 200);
    assert_eq!(chat(&world, &key, "gpt-3.5-turbo").await.status, 200);
    let models: Vec<Value> = world.provider.calls().iter().map(|call| call.json()["model"].clone()).collect();
    assert_eq!(models, ["gpt-4o-mini", "gpt-4o"]);
}

#[tokio::test]
async fn a_key_sees_the_models_that_it_may_use() {
    let world = world().await;
    let names = async |key: &str| -> Vec<String> {
        let reply = get_as(&world, key, "/v1/models").await.json();
        reply["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = made(&world, &json!({"models": null})).await;
    assert_eq!(names(&all).await, ["gpt-4", "my-free-tier"]);
    let by_group = made(&world, &json!({"models": ["beta"]})).await;
    assert_eq!(names(&by_group).await, ["gpt-4"]);
    let by_pattern = made(&world, &json!({"models": ["my-*"]})).await;
    assert_eq!(names(&by_pattern).await, ["my-free-tier"]);
    // What it may not use is not suggested either.
    let words = refused(&chat(&world, &by_pattern, "my-free-tie").await, 400);
    assert!(words.contains("Did you mean my-free-tier?"), "{words}");
    let fallback = json!({"model": "my-free-tier", "fallbacks": ["gpt-4"], "messages": hi("x")["messages"]});
    refused(&world.chat_with(&[("authorization", &bearer(&by_pattern))], &fallback).await, 403);
}

#[tokio::test]
async fn a_blocked_key_waits_and_an_expired_one_is_gone() {
    let world = world().await;
    let key = made(&world, &json!({})).await;
    assert_eq!(manage(&world, "/key/block", &json!({"key": key})).await.json()["blocked"], true);
    assert!(refused(&chat(&world, &key, "gpt-4").await, 401).contains("Key is blocked"));
    assert_eq!(manage(&world, "/key/unblock", &json!({"key": key})).await.status, 200);
    assert_eq!(chat(&world, &key, "gpt-4").await.status, 200);
    let short = made(&world, &json!({"duration": "1s"})).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let reply = chat(&world, &short, "gpt-4").await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (401, &json!("expired_key")));
}

#[tokio::test]
async fn a_regenerated_key_keeps_what_it_was_and_the_old_one_its_grace() {
    let world = world().await;
    let old = made(&world, &json!({"key_alias": "ci", "models": ["gpt-4"], "max_budget": 5})).await;
    let reply = manage(&world, &format!("/key/{old}/regenerate"), &json!({"grace_period": "1h"})).await.json();
    let new = reply["key"].as_str().unwrap();
    assert_ne!(new, old);
    assert_eq!((&reply["key_alias"], &reply["max_budget"]), (&json!("ci"), &json!(5.0)));
    assert_eq!(chat(&world, new, "gpt-4").await.status, 200);
    assert_eq!(chat(&world, &old, "gpt-4").await.status, 200);
    let newest = manage(&world, "/key/regenerate", &json!({"key": new})).await.json();
    refused(&chat(&world, new, "gpt-4").await, 401);
    let info = manage(&world, "/v2/key/info", &json!({"keys": [newest["key"]]})).await.json();
    assert_eq!(info["info"][0]["rotation_count"], 2);
}

#[tokio::test]
async fn keys_are_listed_by_pages_and_filters() {
    let world = world().await;
    for number in 0..5 {
        made(&world, &json!({"key_alias": format!("k{number}"), "user_id": if number < 2 { "ann" } else { "bob" }}))
            .await;
    }
    let list = async |query: &str| -> Value {
        http::get(&world.at(&format!("/key/list?{query}")), &[WITH_MASTER]).await.json()
    };
    let page = list("page=2&size=2").await;
    assert_eq!(
        (page["keys"].as_array().unwrap().len(), &page["total_count"], &page["total_pages"]),
        (2, &json!(5), &json!(3))
    );
    let anns = list("user_id=ann&return_full_object=true&sort_by=key_alias&sort_order=asc").await;
    let aliases: Vec<&Value> = anns["keys"].as_array().unwrap().iter().map(|key| &key["key_alias"]).collect();
    assert_eq!(aliases, ["k0", "k1"]);
    refused(&http::get(&world.at("/key/list?page=x"), &[WITH_MASTER]).await, 400);
    refused(&http::get(&world.at("/key/list?status=odd"), &[WITH_MASTER]).await, 400);
}

#[tokio::test]
async fn a_user_manages_his_own_keys_and_no_other() {
    let world = world().await;
    let own = made(&world, &json!({"user_id": "ann"})).await;
    let given = made(&world, &json!({"user_id": "ann", "max_budget": 1})).await;
    let others = made(&world, &json!({"user_id": "bob"})).await;
    let nobodys = made(&world, &json!({})).await;
    let auth = bearer(&own);
    let ask = async |path: &str, body: Value| http::post(&world.at(path), &[("authorization", &auth)], &body).await;
    let made = ask("/key/generate", json!({"key_alias": "hers"})).await;
    assert_eq!((made.status, &made.json()["user_id"]), (200, &json!("ann")));
    for (path, body, status) in [
        ("/key/generate", json!({"user_id": "bob"}), 403),
        ("/key/generate", json!({"team_id": "t"}), 403),
        ("/key/update", json!({"key": given, "max_budget": 1000}), 403),
        ("/key/update", json!({"key": given, "user_id": "bob"}), 403),
        ("/key/update", json!({"key": given, "metadata": {"a": 1}}), 200),
        ("/key/update", json!({"key": others, "metadata": {}}), 403),
        ("/key/delete", json!({"keys": [others]}), 403),
        ("/key/block", json!({"key": own}), 403),
        ("/key/bulk_update", json!({"keys": []}), 403),
        ("/config/reload", json!({}), 403),
    ] {
        let reply = ask(path, body.clone()).await;
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.text());
    }
    assert_eq!(get_as(&world, &own, "/key/list").await.json()["total_count"], 3);
    assert_eq!(get_as(&world, &nobodys, "/key/list").await.json()["total_count"], 1);
    let reply = http::post(&world.at("/key/generate"), &[("authorization", &bearer(&nobodys))], &json!({})).await;
    assert!(refused(&reply, 403).contains("Only proxy admin can be used to generate"));
}

#[tokio::test]
async fn routes_are_kept_to() {
    let world = world().await;
    let calls = made(&world, &json!({"key_type": "llm_api", "user_id": "ann"})).await;
    let reply = http::post(&world.at("/key/generate"), &[("authorization", &bearer(&calls))], &json!({})).await;
    refused(&reply, 403);
    let embeds = made(&world, &json!({"allowed_routes": ["/embeddings"]})).await;
    assert!(refused(&chat(&world, &embeds, "gpt-4").await, 403).contains("Only allowed to call routes"));
}

#[tokio::test]
async fn a_change_is_made_to_what_was_read() {
    let world = world().await;
    let key = made(&world, &json!({"key_alias": "one"})).await;
    let update = async |version: &str, alias: &str| {
        let headers = [WITH_MASTER, ("if-match", version)];
        http::post(&world.at("/key/update"), &headers, &json!({"key": key, "key_alias": alias})).await
    };
    let info = http::get(&world.at(&format!("/key/info?key={key}")), &[WITH_MASTER]).await.json();
    let version = info["info"]["version"].to_string();
    assert_eq!(update(&version, "two").await.status, 200);
    refused(&update(&version, "three").await, 412);
    made(&world, &json!({"key_alias": "taken"})).await;
    let reply = manage(&world, "/key/update", &json!({"key": key, "key_alias": "taken"})).await;
    assert_eq!(refused(&reply, 400), "Key with alias 'taken' already exists");
}

#[tokio::test]
async fn bad_requests_are_refused_by_name() {
    let world = world().await;
    for (path, body, status) in [
        ("/key/generate", json!({"models": "gpt-4"}), 400),
        ("/key/generate", json!({"key": "short"}), 400),
        ("/key/generate", json!({"key": "pk-1234567890123456"}), 400),
        ("/key/generate", json!({"duration": "soon"}), 400),
        ("/key/generate", json!([]), 400),
        ("/key/service-account/generate", json!({}), 400),
        ("/key/update", json!({}), 400),
        ("/key/update", json!({"key": "sk-unknown"}), 404),
        ("/key/delete", json!({}), 400),
        ("/key/delete", json!({"keys": [1]}), 400),
        ("/key/delete", json!({"key_aliases": ["nobody"]}), 404),
        ("/key/regenerate", json!({"key": "sk-unknown"}), 404),
        ("/key/regenerate", json!({"key": "sk-unknown", "new_master_key": "sk-x"}), 400),
        ("/v2/key/info", json!({"keys": "x"}), 400),
    ] {
        let reply = manage(&world, path, &body).await;
        refused(&reply, status);
    }
    refused(&http::get(&world.at("/key/info?key=sk-unknown"), &[WITH_MASTER]).await, 404);
    let chosen = json!({"key": "sk-my-own-key-123456"});
    assert_eq!(manage(&world, "/key/generate", &chosen).await.status, 200);
    refused(&manage(&world, "/key/generate", &chosen).await, 400);
    // Without a master key nobody manages (decision 4).
    let open = World::of(crate::world::ONE_MODEL).with_keys().await.start().await;
    assert!(refused(&open.post("/key/generate", &json!({})).await, 401).contains("LITELLM_MASTER_KEY"));
}

#[tokio::test]
async fn another_instance_hears_of_a_change_within_a_second() {
    let store = Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap();
    let store = Arc::new(store);
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    let one = World::of(TWO_MODELS).store(Arc::clone(&store), bounds).start().await;
    let other = World::of(TWO_MODELS).store(store, bounds).start().await;
    let key = made(&one, &json!({})).await;
    assert_eq!(chat(&other, &key, "gpt-4").await.status, 200);
    manage(&one, "/key/block", &json!({"key": key})).await;
    let blocked = tokio::time::Instant::now();
    while chat(&other, &key, "gpt-4").await.status == 200 {
        assert!(blocked.elapsed() < Duration::from_secs(5), "still let in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_limits_of_a_key_hold() {
    let world = world().await;
    // SEED-144 and SEED-145, with their own request.
    let body = json!({"max_parallel_requests": 10, "tpm_limit": 200, "rpm_limit": 4});
    let key = made(&world, &body).await;
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20});
    let answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "usage": usage,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    });
    world.provider.always("/v1/chat/completions", Answer::json(200, answer));
    for left in (0..4_u64).rev() {
        let reply = chat(&world, &key, "gpt-4").await;
        assert_eq!((reply.status, reply.header("x-ratelimit-remaining-requests")), (200, Some(&*left.to_string())));
        assert_eq!(reply.header("x-litellm-key-tpm-limit"), Some("200"));
    }
    let reply = chat(&world, &key, "gpt-4").await;
    let words = refused(&reply, 429);
    let hash =
        http::get(&world.at(&format!("/key/info?key={key}")), &[WITH_MASTER]).await.json()["info"]["token"].clone();
    let expected = format!(
        "Max parallel request limit reached Hit limit for api_key: {}. tpm_limit: 200, current_tpm 80 , rpm_limit: 4 current \
         rpm 4",
        hash.as_str().unwrap()
    );
    assert!(words.starts_with(&expected), "{words}");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
}

#[tokio::test]
async fn tokens_and_calls_at_one_time_are_limited_for_one_model_or_all() {
    let world = world().await;
    let key = made(&world, &json!({"tpm_limit": 5})).await;
    let long = json!({"model": "gpt-4", "messages": [{"role": "user", "content": "word ".repeat(200)}]});
    let reply = world.chat_with(&[("authorization", &bearer(&key))], &long).await;
    assert!(refused(&reply, 429).contains("tpm_limit: 5, current_tpm 0"));
    assert!(world.provider.calls().is_empty(), "nobody was asked");

    let key = made(&world, &json!({"model_rpm_limit": {"gpt-4": 1}})).await;
    assert_eq!(chat(&world, &key, "gpt-4").await.status, 200);
    assert!(refused(&chat(&world, &key, "gpt-4").await, 429).contains("model_per_key"));
    assert_eq!(chat(&world, &key, "my-free-tier").await.status, 200);

    let key = made(&world, &json!({"max_parallel_requests": 1})).await;
    world.provider.script([Answer::json(200, json!({"choices": []})).wait_before_head(Duration::from_secs(2))]);
    let calls = world.provider.calls().len();
    let auth = bearer(&key);
    let slow = async { world.chat_with(&[("authorization", &auth)], &hi("gpt-4")).await.status };
    let quick = async {
        world.provider.wait_for_calls(calls + 1).await;
        chat(&world, &key, "gpt-4").await
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert!(refused(&quick, 429).contains("max_parallel_requests: 1 current 1"));
    assert_eq!((slow, chat(&world, &key, "gpt-4").await.status), (200, 200));
}

#[tokio::test]
async fn a_key_has_fallbacks_of_its_own() {
    let world = world().await;
    let settings = json!({"router_settings": {"fallbacks": [{"gpt-4": ["my-free-tier"]}]}});
    let key = made(&world, &settings).await;
    let down = || Answer::json(500, json!({"error": {"message": "down"}}));
    world.provider.script([down()]);
    let reply = chat(&world, &key, "gpt-4").await;
    assert_eq!((reply.status, reply.header("x-litellm-attempted-fallbacks")), (200, Some("1")));
    // The request's own go before.
    world.provider.script([down()]);
    let body = json!({"model": "gpt-4", "messages": hi("x")["messages"], "fallbacks": []});
    assert_eq!(world.chat_with(&[("authorization", &bearer(&key))], &body).await.status, 500);
    // A key cannot fall back to what it may not use.
    let mut confined = settings.clone();
    confined["models"] = json!(["gpt-4"]);
    let key = made(&world, &confined).await;
    refused(&chat(&world, &key, "gpt-4").await, 403);
}

#[tokio::test]
async fn the_limits_of_a_model_hold_where_it_is_a_fallback() {
    let world = world().await;
    let key = made(&world, &json!({"model_rpm_limit": {"my-free-tier": 2}})).await;
    let down = || Answer::json(500, json!({"error": {"message": "down"}}));
    let words = json!([{"model": "my-free-tier", "messages": hi("x")["messages"]}]);
    for (fallbacks, status) in
        [(json!(["my-free-tier"]), 200), (words.clone(), 200), (json!(["my-free-tier"]), 500), (words, 500)]
    {
        world.provider.script([down()]);
        let body = json!({"model": "gpt-4", "messages": hi("x")["messages"], "fallbacks": fallbacks});
        let reply = world.chat_with(&[("authorization", &bearer(&key))], &body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    assert!(refused(&chat(&world, &key, "my-free-tier").await, 429).contains("model_per_key"));
    assert_eq!(chat(&world, &key, "gpt-4").await.status, 200);
}
