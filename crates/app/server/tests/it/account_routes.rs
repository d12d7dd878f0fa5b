//! Users, teams, members and organizations over HTTP: managed, and what is set of them holds for calls of their keys.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_kit::{
    Answer, Postgres,
    http::{self, Reply},
};
use tollgate_store::{EpochMs, Place, Store, StoreSettings};
use tollgate_wire::Secret;

use crate::world::{WITH_MASTER, World, hi, refused};

/// An answer of 40 tokens costs two cents.
const CONFIG: &str = "
model_list:
  - model_name: gpt
    litellm_params: &dear
      model: hosted_vllm/gpt-4o
      api_base: '{provider}/v1'
      api_key: sk-fake-provider-key
      input_cost_per_token: 0.00001
      output_cost_per_token: 0.0005
  - model_name: other
    litellm_params: *dear
router_settings: {num_retries: 0}
general_settings: {master_key: '{master}'}
";
const CHAT: &str = "/v1/chat/completions";

/// Tests run beside one another, and what is slow is not away.
async fn store_at(place: Place) -> Arc<Store> {
    let long = Duration::from_secs(20);
    let settings = StoreSettings { acquire_timeout: long, statement_timeout: long, ..StoreSettings::at(place) };
    Arc::new(Store::open(&settings, EpochMs::default()).await.unwrap())
}

async fn world_of(store: &Arc<Store>, instance: u128) -> World {
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    let config = format!("{CONFIG}litellm_settings: {{store_audit_logs: true}}\n");
    let world = World::of(&config).store(Arc::clone(store), bounds).with_journal_of(instance).start().await;
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 40, "total_tokens": 50});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice], "usage": usage,
    });
    world.provider.always(CHAT, Answer::json(200, answer));
    world
}

async fn world() -> World {
    world_of(&store_at(Place::Memory).await, 1).await
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

async fn post(world: &World, path: &str, body: &Value) -> Reply {
    http::post(&world.at(path), &[WITH_MASTER], body).await
}

async fn done(world: &World, path: &str, body: &Value) -> Value {
    let reply = post(world, path, body).await;
    assert_eq!(reply.status, 200, "{path} {body} {}", reply.text());
    reply.json()
}

async fn get(world: &World, path: &str) -> Value {
    let reply = http::get(&world.at(path), &[WITH_MASTER]).await;
    assert_eq!(reply.status, 200, "{path} {}", reply.text());
    reply.json()
}

async fn ask(world: &World, method: &str, path: &str, body: &Value) -> Reply {
    let mut connection = world.connect().await;
    connection.ask(method, path, &[WITH_MASTER], body.to_string().as_bytes()).await;
    connection.reply().await
}

async fn post_as(world: &World, key: &str, path: &str, body: &Value) -> Reply {
    http::post(&world.at(path), &[("authorization", &bearer(key))], body).await
}

async fn get_as(world: &World, key: &str, path: &str) -> Reply {
    http::get(&world.at(path), &[("authorization", &bearer(key))]).await
}

async fn key_of(world: &World, body: &Value) -> String {
    done(world, "/key/generate", body).await["key"].as_str().unwrap().to_owned()
}

async fn chat(world: &World, key: &str, model: &str) -> Reply {
    let mut body = hi(model);
    body["max_tokens"] = json!(40);
    world.chat_with(&[("authorization", &bearer(key))], &body).await
}

/// Waits until a call of this key is refused with this status.
async fn until(world: &World, key: &str, status: u16) {
    let begun = tokio::time::Instant::now();
    while chat(world, key, "gpt").await.status != status {
        assert!(begun.elapsed() < Duration::from_secs(5), "no {status} in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_user_is_made_with_a_key_looked_at_changed_and_deleted() {
    let world = world().await;
    let body = json!({
        "user_id": "ann", "user_email": "Ann@x.y", "user_role": "internal_user", "models": ["gpt"], "max_budget": 5,
        "budget_duration": "30d", "key_alias": "anns", "own_word": 1,
    });
    let made = done(&world, "/user/new", &body).await;
    let key = made["key"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made["user_id"], &made["key_alias"], &made["max_budget"]),
        (&json!("ann"), &json!("anns"), &json!(5.0))
    );
    assert!(key.starts_with("sk-") && made["token"].is_string(), "{made}");
    assert_eq!(chat(&world, &key, "gpt").await.status, 200);
    refused(&chat(&world, &key, "other").await, 403);
    world.gateway.finish_books().await;

    let info = get(&world, "/user/info?user_id=ann").await;
    let shown = &info["user_info"];
    assert_eq!((&shown["own_word"], &shown["user_email"]), (&json!(1), &json!("Ann@x.y")));
    assert!(shown["spend"].as_f64().unwrap() > 0.0 && shown["budget_reset_at"].is_string(), "{shown}");
    assert_eq!((info["keys"].as_array().unwrap().len(), &info["keys"][0]["key_alias"]), (1, &json!("anns")));
    assert_eq!(get(&world, "/v2/user/info?user_id=ann").await["spend"], shown["spend"]);

    let by_address = done(&world, "/user/update", &json!({"user_email": "ann@X.Y", "user_alias": "Ann"})).await;
    assert_eq!((&by_address["user_id"], &by_address["data"]["user_alias"]), (&json!("ann"), &json!("Ann")));
    let listed = get(&world, "/user/list?role=internal_user&page_size=5").await;
    assert_eq!((&listed["total"], &listed["users"][0]["key_count"]), (&json!(1), &json!(1)), "{listed}");
    let many = json!({"users": [{"user_id": "ann", "rpm_limit": 100}, {"user_id": "nobody", "rpm_limit": 1}]});
    let many = done(&world, "/user/bulk_update", &many).await;
    assert_eq!((&many["successful_updates"], &many["failed_updates"]), (&json!(1), &json!(1)), "{many}");
    let all = done(&world, "/user/bulk_update", &json!({"all_users": true, "user_updates": {"tpm_limit": 9000}})).await;
    assert_eq!(all["results"][0]["updated_user"]["tpm_limit"], 9000, "{all}");
    assert!(get(&world, "/user/available_roles").await["proxy_admin"]["ui_label"].is_string());

    assert_eq!(done(&world, "/user/delete", &json!({"user_ids": ["ann"]})).await, json!(1));
    refused(&chat(&world, &key, "gpt").await, 401);
}

#[tokio::test]
async fn bad_requests_name_what_is_wrong() {
    let world = world().await;
    done(&world, "/user/new", &json!({"user_id": "ann", "user_email": "ann@x.y", "auto_create_key": false})).await;
    done(&world, "/team/new", &json!({"team_id": "red", "members_with_roles": [{"user_id": "ann", "role": "user"}]}))
        .await;
    done(&world, "/organization/new", &json!({"organization_id": "org", "organization_alias": "Org"})).await;
    for (path, body, status, param) in [
        ("/user/new", json!({"user_id": "ann"}), 400, "user_id"),
        ("/user/new", json!({"user_email": "ANN@x.y"}), 400, "user_email"),
        ("/user/new", json!({"user_role": "root"}), 400, "user_role"),
        ("/user/new", json!({"user_id": "bob", "budget_duration": "often"}), 400, "budget_duration"),
        ("/user/new", json!({"user_id": "bob", "teams": ["nowhere"]}), 404, "team_id"),
        ("/user/new", json!({"user_id": "bob", "aliases": 1}), 400, "aliases"),
        ("/user/update", json!({"user_id": "nobody"}), 404, "user_id"),
        ("/user/update", json!({"user_email": "no@body"}), 404, "user_email"),
        ("/user/delete", json!({"user_ids": ["ann", "nobody"]}), 404, "user_ids"),
        ("/team/new", json!({"team_id": "red"}), 400, "team_id"),
        ("/team/new", json!({"team_id": "x", "organization_id": "nowhere"}), 404, "organization_id"),
        ("/team/new", json!({"team_id": "x", "team_member_budget": -1}), 400, "team_member_budget"),
        ("/team/update", json!({"team_id": "nowhere"}), 404, "team_id"),
        ("/team/update", json!({"max_budget": 1}), 400, "team_id"),
        ("/team/update", json!({"team_id": "red", "budget_duration": "often"}), 400, "budget_duration"),
        ("/team/delete", json!({"team_ids": ["red", "nowhere"]}), 404, "team_ids"),
        ("/team/block", json!({"team_id": "nowhere"}), 404, "team_id"),
        ("/team/model/add", json!({"team_id": "red", "models": "gpt"}), 400, "models"),
        ("/team/member_add", json!({"team_id": "red", "member": {"role": "user", "user_id": "ann"}}), 400, "member"),
        ("/team/member_add", json!({"team_id": "red", "member": {"role": "root", "user_id": "x"}}), 400, "member"),
        ("/team/member_add", json!({"team_id": "red"}), 400, "member"),
        (
            "/team/member_add",
            json!({"team_id": "red", "member": {"role": "user", "user_id": "x"}, "max_budget_in_team": "much"}),
            400,
            "max_budget_in_team",
        ),
        ("/team/member_update", json!({"team_id": "red", "user_id": "nobody"}), 404, "user_id"),
        ("/team/member_update", json!({"team_id": "red", "user_id": "ann", "role": "root"}), 400, "role"),
        ("/team/member_delete", json!({"team_id": "red"}), 400, "user_id"),
        ("/organization/new", json!({}), 400, "organization_alias"),
        ("/organization/new", json!({"organization_id": "org", "organization_alias": "x"}), 400, "organization_id"),
        ("/organization/new", json!({"organization_alias": "x", "max_budget": -1}), 400, "max_budget"),
        ("/organization/member_add", json!({"organization_id": "org", "member": []}), 200, ""),
        (
            "/organization/member_add",
            json!({"organization_id": "org", "member": {"role": "x", "user_id": "u"}}),
            400,
            "member",
        ),
    ] {
        let reply = post(&world, path, &body).await;
        assert_eq!(reply.status, status, "{path} {body} {}", reply.text());
        if status != 200 {
            refused(&reply, status);
            assert_eq!(reply.json()["error"]["param"], param, "{path} {body} {}", reply.text());
        }
    }
    // Nothing of what was refused is there.
    let users = get(&world, "/user/list").await;
    let ids: Vec<&str> =
        users["users"].as_array().unwrap().iter().map(|user| user["user_id"].as_str().unwrap()).collect();
    assert!(!ids.contains(&"bob"), "{ids:?}");
}

#[tokio::test]
async fn a_team_is_made_changed_listed_and_deleted_with_its_keys() {
    let world = world().await;
    let body = json!({
        "team_id": "red", "team_alias": "Red", "models": ["gpt"], "max_budget": 3, "own_word": 1,
        "members_with_roles": [{"role": "admin", "user_id": "ann"}, {"role": "user", "user_email": "bob@x.y"}],
    });
    let made = done(&world, "/team/new", &body).await;
    assert_eq!((&made["own_word"], made["members_with_roles"].as_array().unwrap().len()), (&json!(1), 2), "{made}");
    let key = key_of(&world, &json!({"team_id": "red"})).await;
    assert_eq!(chat(&world, &key, "gpt").await.status, 200);
    refused(&chat(&world, &key, "other").await, 403);
    done(&world, "/team/model/add", &json!({"team_id": "red", "models": ["other", "gpt"]})).await;
    assert_eq!(chat(&world, &key, "other").await.status, 200);
    let left = done(&world, "/team/model/delete", &json!({"team_id": "red", "models": ["gpt"]})).await;
    assert_eq!(left["models"], json!(["other"]));
    refused(&chat(&world, &key, "gpt").await, 403);
    refused(&post(&world, "/team/model/delete", &json!({"team_id": "red", "models": ["other"]})).await, 400);

    let updated =
        done(&world, "/team/update", &json!({"team_id": "red", "models": null, "team_alias": "Redder"})).await;
    assert_eq!((&updated["team_id"], &updated["data"]["team_alias"]), (&json!("red"), &json!("Redder")));
    assert_eq!(chat(&world, &key, "gpt").await.status, 200);
    assert_eq!(done(&world, "/team/block", &json!({"team_id": "red"})).await["blocked"], true);
    assert_ne!(chat(&world, &key, "gpt").await.status, 200);
    assert_eq!(done(&world, "/team/unblock", &json!({"team_id": "red"})).await["blocked"], false);
    assert_eq!(chat(&world, &key, "gpt").await.status, 200);
    world.gateway.finish_books().await;

    let info = get(&world, "/team/info?team_id=red").await;
    assert!(info["team_info"]["spend"].as_f64().unwrap() > 0.0, "{info}");
    assert_eq!((info["keys"].as_array().unwrap().len(), info["team_memberships"].as_array().unwrap().len()), (1, 2));
    done(&world, "/team/new", &json!({"team_id": "blue"})).await;
    assert_eq!(get(&world, "/team/list").await.as_array().unwrap().len(), 2);
    assert_eq!(get(&world, "/team/list?user_id=ann").await[0]["team_id"], "red");
    let paged = get(&world, "/v2/team/list?page_size=1&sort_by=team_id&page=2").await;
    assert_eq!(
        (&paged["teams"][0]["team_id"], &paged["total"], &paged["total_pages"]),
        (&json!("red"), &json!(2), &json!(2))
    );

    // What was read before somebody else's change is not written over it.
    let version = info["team_info"]["version"].as_i64().unwrap() - 1;
    let headers = [WITH_MASTER, ("if-match", &*version.to_string())];
    let stale = http::post(&world.at("/team/update"), &headers, &json!({"team_id": "red", "max_budget": 1})).await;
    refused(&stale, 412);

    done(&world, "/team/delete", &json!({"team_ids": ["red"]})).await;
    refused(&chat(&world, &key, "gpt").await, 401);
    refused(&http::get(&world.at("/team/info?team_id=red"), &[WITH_MASTER]).await, 404);
}

#[tokio::test]
async fn members_come_go_and_have_budgets_of_their_own() {
    let world = world().await;
    done(&world, "/team/new", &json!({"team_id": "red", "team_member_budget": 0.05})).await;
    let added = json!({
        "team_id": "red", "max_budget_in_team": 0.03,
        "member": [{"role": "user", "user_id": "ann"}, {"role": "user", "user_email": "bob@x.y"}],
    });
    let added = done(&world, "/team/member_add", &added).await;
    assert_eq!((added["updated_users"].as_array().unwrap().len(), &added["team_id"]), (2, &json!("red")), "{added}");
    let own = &added["updated_team_memberships"][0];
    assert_eq!((&own["user_id"], &own["litellm_budget_table"]["max_budget"]), (&json!("ann"), &json!(0.03)), "{own}");
    let key = key_of(&world, &json!({"team_id": "red", "user_id": "ann"})).await;
    assert_eq!(chat(&world, &key, "gpt").await.status, 200);
    // Less than a cent is left.
    until(&world, &key, 400).await;
    let raised =
        json!({"team_id": "red", "user_id": "ann", "max_budget_in_team": 1, "rpm_limit": 100, "role": "admin"});
    let raised = done(&world, "/team/member_update", &raised).await;
    assert_eq!(
        (&raised["max_budget_in_team"], &raised["rpm_limit"], &raised["role"]),
        (&json!(1.0), &json!(100), &json!("admin"))
    );
    assert_eq!(chat(&world, &key, "gpt").await.status, 200);
    let few = json!({"team_id": "red", "user_id": "ann", "allowed_models": ["other"]});
    done(&world, "/team/member_update", &few).await;
    refused(&chat(&world, &key, "gpt").await, 403);
    assert_eq!(chat(&world, &key, "other").await.status, 200);

    let many =
        json!({"team_id": "red", "members": [{"role": "user", "user_id": "eve"}, {"role": "user", "user_id": "ann"}]});
    let many = done(&world, "/team/bulk_member_add", &many).await;
    assert_eq!((&many["successful_additions"], &many["failed_additions"]), (&json!(1), &json!(1)), "{many}");
    // Who has no budget of his own has the one of all members, and keeps what it says when he gets one.
    let eve = &many["results"][0]["updated_team_membership"];
    assert_eq!(eve["litellm_budget_table"]["max_budget"], 0.05, "{eve}");
    let limited =
        done(&world, "/team/member_update", &json!({"team_id": "red", "user_id": "eve", "rpm_limit": 7})).await;
    assert_eq!((&limited["max_budget_in_team"], &limited["rpm_limit"]), (&json!(0.05), &json!(7)), "{limited}");
    let raised = done(&world, "/team/update", &json!({"team_id": "red", "team_member_budget": 9})).await;
    assert_eq!(raised["data"]["team_member_budget_table"]["max_budget"], 9.0);

    done(&world, "/team/member_delete", &json!({"team_id": "red", "user_email": "bob@x.y"})).await;
    let left = done(&world, "/team/member_delete", &json!({"team_id": "red", "user_id": "ann"})).await;
    assert_eq!(left["members_with_roles"].as_array().unwrap().len(), 1, "{left}");
    refused(&chat(&world, &key, "gpt").await, 401);
}

#[tokio::test]
async fn an_organization_is_made_changed_and_deleted_with_what_is_in_it() {
    let world = world().await;
    let body = json!({"organization_id": "org", "organization_alias": "Org", "max_budget": 0.05, "models": ["gpt"], "own_word": 1});
    let made = done(&world, "/organization/new", &body).await;
    assert_eq!((&made["litellm_budget_table"]["max_budget"], &made["own_word"]), (&json!(0.05), &json!(1)), "{made}");
    done(&world, "/team/new", &json!({"team_id": "red", "organization_id": "org"})).await;
    let key = key_of(&world, &json!({"team_id": "red"})).await;
    refused(&chat(&world, &key, "other").await, 403);
    assert_eq!(chat(&world, &key, "gpt").await.status, 200);
    until(&world, &key, 400).await;
    let updated = ask(
        &world,
        "PATCH",
        "/organization/update",
        &json!({"organization_id": "org", "max_budget": 9, "models": null}),
    )
    .await;
    assert_eq!((updated.status, &updated.json()["litellm_budget_table"]["max_budget"]), (200, &json!(9.0)));
    assert_eq!(chat(&world, &key, "other").await.status, 200);
    world.gateway.finish_books().await;

    let member = json!({"organization_id": "org", "member": {"role": "org_admin", "user_id": "ann"}, "max_budget_in_organization": 2});
    let added = done(&world, "/organization/member_add", &member).await;
    assert_eq!(added["updated_organization_memberships"][0]["user_role"], "org_admin", "{added}");
    refused(&post(&world, "/organization/member_add", &member).await, 400);
    let changed = json!({"organization_id": "org", "user_id": "ann", "role": "internal_user"});
    let changed = ask(&world, "PATCH", "/organization/member_update", &changed).await;
    assert_eq!((changed.status, &changed.json()["user_role"]), (200, &json!("internal_user")));
    let info = get(&world, "/organization/info?organization_id=org").await;
    assert!(info["spend"].as_f64().unwrap() > 0.0, "{info}");
    assert_eq!((&info["teams"][0]["team_id"], &info["members"][0]["user_id"]), (&json!("red"), &json!("ann")));
    assert_eq!(get(&world, "/organization/list?org_alias=or").await.as_array().unwrap().len(), 1);
    let left =
        ask(&world, "DELETE", "/organization/member_delete", &json!({"organization_id": "org", "user_id": "ann"}))
            .await;
    assert_eq!(left.status, 200, "{}", left.text());
    let gone = ask(&world, "DELETE", "/organization/delete", &json!({"organization_ids": ["org"]})).await;
    assert_eq!((gone.status, &gone.json()[0]["organization_id"]), (200, &json!("org")), "{}", gone.text());
    refused(&chat(&world, &key, "gpt").await, 401);
    refused(&ask(&world, "DELETE", "/organization/delete", &json!({"organization_ids": ["org"]})).await, 404);
}

/// A key of a user with this role.
async fn user(world: &World, id: &str, role: &str) -> String {
    let made = done(world, "/user/new", &json!({"user_id": id, "user_role": role})).await;
    made["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn everybody_sees_and_changes_what_his_role_lets_him() {
    let world = world().await;
    let (admin, viewer) = (user(&world, "root", "proxy_admin").await, user(&world, "eye", "proxy_admin_viewer").await);
    let (lead, member) = (user(&world, "ann", "internal_user").await, user(&world, "bob", "internal_user").await);
    let stranger = user(&world, "eve", "internal_user").await;
    let members = json!([{"role": "admin", "user_id": "ann"}, {"role": "user", "user_id": "bob"}]);
    let made = post_as(&world, &admin, "/team/new", &json!({"team_id": "red", "members_with_roles": members})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    done(&world, "/organization/new", &json!({"organization_id": "org", "organization_alias": "Org"})).await;
    done(&world, "/organization/member_add", &json!({"organization_id": "org", "member": {"user_id": "bob"}})).await;

    for (key, path, status) in [
        (&viewer, "/user/info?user_id=ann", 200),
        (&viewer, "/user/list", 200),
        (&viewer, "/team/info?team_id=red", 200),
        (&viewer, "/organization/info?organization_id=org", 200),
        (&lead, "/user/info", 200),
        (&lead, "/user/info?user_id=ann", 200),
        (&lead, "/user/info?user_id=bob", 403),
        (&lead, "/v2/user/info?user_id=bob", 403),
        (&lead, "/user/list", 403),
        (&lead, "/team/info?team_id=red", 200),
        (&member, "/team/info?team_id=red", 200),
        (&stranger, "/team/info?team_id=red", 403),
        (&stranger, "/team/list", 200),
        (&stranger, "/team/list?user_id=ann", 403),
        (&stranger, "/v2/team/list", 200),
        (&stranger, "/user/available_roles", 200),
        (&member, "/organization/info?organization_id=org", 200),
        (&stranger, "/organization/info?organization_id=org", 403),
    ] {
        assert_eq!(get_as(&world, key, path).await.status, status, "{path}");
    }
    assert_eq!(get_as(&world, &stranger, "/team/list").await.json(), json!([]));
    assert_eq!(get_as(&world, &member, "/organization/list").await.json()[0]["organization_id"], "org");

    let add = |id: &str| json!({"team_id": "red", "member": {"role": "user", "user_id": id}});
    for (key, path, body, status) in [
        (&viewer, "/team/member_add", add("x"), 403),
        (&member, "/team/member_add", add("x"), 403),
        (&stranger, "/team/member_add", add("eve"), 403),
        (&lead, "/team/member_add", add("new"), 200),
        (&lead, "/team/member_update", json!({"team_id": "red", "user_id": "new", "rpm_limit": 3}), 200),
        (&lead, "/team/member_delete", json!({"team_id": "red", "user_id": "new"}), 200),
        (&lead, "/team/update", json!({"team_id": "red", "max_budget": 1000}), 403),
        (&lead, "/team/new", json!({}), 403),
        (&lead, "/user/update", json!({"user_id": "ann", "user_role": "proxy_admin"}), 403),
        (&lead, "/user/new", json!({}), 403),
        (&viewer, "/user/update", json!({"user_id": "ann", "rpm_limit": 1}), 403),
        (&stranger, "/organization/new", json!({"organization_alias": "x"}), 403),
        (&admin, "/user/update", json!({"user_id": "ann", "rpm_limit": 1000}), 200),
    ] {
        let reply = post_as(&world, key, path, &body).await;
        assert_eq!(reply.status, status, "{path} {body} {}", reply.text());
    }
}

#[tokio::test]
async fn admins_of_a_team_manage_its_keys_and_no_others() {
    let world = world().await;
    let (lead, bob) = (user(&world, "ann", "internal_user").await, user(&world, "bob", "internal_user").await);
    user(&world, "root", "proxy_admin").await;
    let members = json!([
        {"role": "admin", "user_id": "ann"}, {"role": "user", "user_id": "bob"}, {"role": "user", "user_id": "root"},
    ]);
    done(&world, "/team/new", &json!({"team_id": "red", "members_with_roles": members})).await;
    done(&world, "/team/new", &json!({"team_id": "blue"})).await;
    let of_root = key_of(&world, &json!({"team_id": "red", "user_id": "root"})).await;
    let of_blue = key_of(&world, &json!({"team_id": "blue"})).await;

    let made = post_as(&world, &lead, "/key/generate", &json!({"team_id": "red", "user_id": "bob"})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(chat(&world, &made, "gpt").await.status, 200);
    for (key, path, body, status) in [
        (&lead, "/key/generate", json!({"team_id": "red"}), 200),
        // With a key of his he would be whoever it belongs to.
        (&lead, "/key/generate", json!({"team_id": "red", "user_id": "root"}), 403),
        (&lead, "/key/regenerate", json!({"key": of_root}), 403),
        (&lead, "/key/generate", json!({"team_id": "red", "user_id": "stranger"}), 403),
        (&lead, "/key/generate", json!({"team_id": "red", "organization_id": "org"}), 403),
        (&lead, "/key/generate", json!({"team_id": "blue"}), 403),
        (&bob, "/key/generate", json!({"team_id": "red"}), 403),
        (&lead, "/key/update", json!({"key": made, "rpm_limit": 50}), 200),
        (&lead, "/key/update", json!({"key": made, "team_id": "blue"}), 403),
        (&lead, "/key/update", json!({"key": of_blue, "rpm_limit": 50}), 403),
        (&lead, "/key/block", json!({"key": made}), 200),
        (&lead, "/key/unblock", json!({"key": made}), 200),
        (&lead, "/key/block", json!({"key": of_blue}), 403),
        (&lead, "/key/delete", json!({"keys": [of_blue]}), 403),
        (&lead, "/key/delete", json!({"keys": [made]}), 200),
    ] {
        let reply = post_as(&world, key, path, &body).await;
        assert_eq!(reply.status, status, "{path} {body} {}", reply.text());
    }
    let listed = get_as(&world, &lead, "/key/list?team_id=red").await.json();
    assert_eq!(listed["total_count"], 2, "{listed}");
    assert_eq!(get_as(&world, &bob, "/key/list?team_id=red").await.json()["total_count"], 0);
    assert_eq!(get_as(&world, &lead, "/key/list?team_id=blue").await.json()["total_count"], 0);
}

/// What is set at one instance of a user, a team, a member and an organization holds for calls of their keys at another within a
/// second, and no longer once it is taken back.
async fn holds_everywhere(place: Place) {
    let store = store_at(place).await;
    let (one, other) = (world_of(&store, 1).await, world_of(&store, 2).await);
    let body = json!({"organization_id": "org", "organization_alias": "Org"});
    done(&one, "/organization/new", &body).await;
    done(&one, "/team/new", &json!({"team_id": "red", "organization_id": "org"})).await;
    let ann =
        done(&one, "/user/new", &json!({"user_id": "ann", "teams": ["red"]})).await["key"].as_str().unwrap().to_owned();
    let in_team = key_of(&one, &json!({"user_id": "ann", "team_id": "red"})).await;
    let team = |body: Value| ("POST", "/team/update", with(body, &json!({"team_id": "red"})));
    let user = |body: Value| ("POST", "/user/update", with(body, &json!({"user_id": "ann"})));
    let member =
        |body: Value| ("POST", "/team/member_update", with(body, &json!({"team_id": "red", "user_id": "ann"})));
    let organization = |body: Value| ("PATCH", "/organization/update", with(body, &json!({"organization_id": "org"})));
    // Each: who is asked, what is set, what calls get for it, what takes it back.
    let changes = [
        (&ann, user(json!({"blocked": true})), user(json!({"blocked": false})), None),
        (&ann, user(json!({"models": ["other"]})), user(json!({"models": null})), Some(403)),
        (&ann, user(json!({"rpm_limit": 0})), user(json!({"rpm_limit": null})), Some(429)),
        (&ann, user(json!({"max_budget": 0.001})), user(json!({"max_budget": null})), Some(400)),
        (&in_team, team(json!({"blocked": true})), team(json!({"blocked": false})), None),
        (&in_team, team(json!({"models": ["other"]})), team(json!({"models": null})), Some(403)),
        (&in_team, team(json!({"rpm_limit": 0})), team(json!({"rpm_limit": null})), Some(429)),
        (&in_team, team(json!({"max_budget": 0.001})), team(json!({"max_budget": null})), Some(400)),
        (&in_team, team(json!({"team_member_budget": 0.001})), team(json!({"team_member_budget": null})), Some(400)),
        (&in_team, member(json!({"allowed_models": ["other"]})), member(json!({"allowed_models": null})), Some(403)),
        (&in_team, member(json!({"rpm_limit": 0})), member(json!({"rpm_limit": null})), Some(429)),
        (
            &in_team,
            member(json!({"max_budget_in_team": 0.001})),
            member(json!({"max_budget_in_team": null})),
            Some(400),
        ),
        (&in_team, organization(json!({"models": ["other"]})), organization(json!({"models": null})), Some(403)),
        (&in_team, organization(json!({"rpm_limit": 0})), organization(json!({"rpm_limit": null})), Some(429)),
        (&in_team, organization(json!({"max_budget": 0.001})), organization(json!({"max_budget": null})), Some(400)),
    ];
    for (key, set, back, status) in changes {
        for (change, refused) in [(set, true), (back, false)] {
            let (method, path, body) = change;
            assert_eq!(chat_until(&other, key, refused, None, &body).await, refused);
            let reply = ask(&one, method, path, &body).await;
            assert_eq!(reply.status, 200, "{path} {body} {}", reply.text());
            // Here at once, there soon.
            let here = chat(&one, key, "gpt").await;
            assert_eq!(here.status != 200, refused, "{path} {body} {}", here.text());
            assert_eq!(chat_until(&other, key, !refused, status.filter(|_| refused), &body).await, !refused);
        }
    }
    listed_and_deleted(&one, &other, [&ann, &in_team]).await;
}

/// What is made at one instance is listed at another; what is deleted there takes its keys along.
async fn listed_and_deleted(one: &World, other: &World, keys: [&str; 2]) {
    let listed = get(other, "/user/list?sort_by=user_id&user_email=&team=red").await;
    assert_eq!(
        (&listed["users"][0]["user_id"], &listed["users"][0]["key_count"]),
        (&json!("ann"), &json!(2)),
        "{listed}"
    );
    assert_eq!(get(other, "/v2/team/list?sort_by=team_id&organization_id=org").await["total"], 1);
    assert_eq!(get(other, "/organization/info?organization_id=org").await["teams"][0]["team_id"], "red");
    assert_eq!(done(one, "/user/delete", &json!({"user_ids": ["ann"]})).await, 1);
    let gone = ask(one, "DELETE", "/organization/delete", &json!({"organization_ids": ["org"]})).await;
    assert_eq!(gone.status, 200, "{}", gone.text());
    for key in keys {
        chat_until(other, key, false, Some(401), &json!("deleted")).await;
    }
}

fn with(mut body: Value, more: &Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Waits until calls of this key come through, or do not, with this status; says whether they do.
async fn chat_until(world: &World, key: &str, comes: bool, status: Option<u16>, what: &Value) -> bool {
    let begun = tokio::time::Instant::now();
    loop {
        let reply = chat(world, key, "gpt").await;
        if (reply.status == 200) == comes {
            assert!(status.is_none_or(|status| reply.status == status), "{what} {} {}", reply.status, reply.text());
            return comes;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "in vain: {what} {} {}", reply.status, reply.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_set_of_those_above_keys_holds_at_every_instance() {
    holds_everywhere(Place::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_of_those_above_keys_holds_at_every_instance_over_postgres() {
    let postgres = Postgres::shared();
    holds_everywhere(Place::Postgres(Secret::new(postgres.database()))).await;
}

#[tokio::test]
async fn every_change_is_in_the_audit_log() {
    let world = world().await;
    done(&world, "/user/new", &json!({"user_id": "ann", "auto_create_key": false})).await;
    done(&world, "/user/update", &json!({"user_id": "ann", "rpm_limit": 5})).await;
    done(&world, "/organization/new", &json!({"organization_id": "org", "organization_alias": "Org"})).await;
    done(&world, "/team/new", &json!({"team_id": "red"})).await;
    done(&world, "/team/block", &json!({"team_id": "red"})).await;
    done(&world, "/team/member_add", &json!({"team_id": "red", "member": {"user_id": "ann"}})).await;
    done(&world, "/user/delete", &json!({"user_ids": ["ann"]})).await;
    done(&world, "/team/delete", &json!({"team_ids": ["red"]})).await;
    let log = get(&world, "/audit?page_size=100&sort_order=asc").await;
    let entries = log["audit_logs"].as_array().unwrap();
    let mut told: Vec<String> = entries
        .iter()
        .map(|entry| format!("{} {}", entry["action"].as_str().unwrap(), entry["object_id"].as_str().unwrap()))
        .collect();
    told.sort();
    let expected = [
        "blocked red",
        "created ann",
        "created org",
        "created red",
        "created red:ann",
        "deleted ann",
        "deleted red",
        "updated ann",
    ];
    assert_eq!(told, expected);
    let updated = entries.iter().find(|entry| entry["action"] == "updated").unwrap();
    assert_eq!(
        (&updated["before_value"]["rpm_limit"], &updated["updated_values"]["rpm_limit"]),
        (&json!(null), &json!(5))
    );
}
