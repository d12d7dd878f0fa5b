//! Models and credentials of the store over HTTP: added, used at once, changed, taken back; sealed where they lie.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;
use tollgate_gateway::KeyBounds;
use tollgate_kit::{
    Answer,
    http::{self, Reply},
};
use tollgate_store::{EpochMs, Page, Place, Store, StoreSettings};

use crate::world::{WITH_MASTER, World, hi, refused};

const CONFIG: &str = "
model_list:
  - model_name: of-file
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-of-file}
    model_info: {id: file-1}
credential_list:
  - credential_name: of-file
    credential_values: {api_key: sk-credential-of-file, api_base: '{provider}/v1'}
router_settings: {num_retries: 0}
general_settings: {master_key: '{master}', store_model_in_db: true}
";

async fn store() -> Arc<Store> {
    Arc::new(Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap())
}

async fn instance(store: &Arc<Store>, config: &str) -> World {
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    let world = World::of(config).store(Arc::clone(store), bounds).start().await;
    world.gateway.load_models().await.unwrap();
    world
}

async fn send(world: &World, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut connection = world.connect().await;
    let mut all = vec![WITH_MASTER, ("content-type", "application/json")];
    all.extend(headers);
    connection.ask(method, path, &all, body.to_string().as_bytes()).await;
    connection.reply().await
}

async fn post(world: &World, path: &str, body: &Value) -> Reply {
    send(world, "POST", path, &[], body).await
}

async fn get(world: &World, path: &str) -> Value {
    let reply = http::get(&world.at(path), &[WITH_MASTER]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Asks; the provider takes whatever key it gets.
async fn chat(world: &World, model: &str) -> Reply {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    world.provider.script([Answer::json(
        200,
        json!({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}),
    )]);
    world.chat_with(&[WITH_MASTER], &hi(model)).await
}

fn model(world: &World, name: &str, more: &Value) -> Value {
    let base = format!("{}/v1", world.provider.url());
    let mut params =
        json!({"model": "openai/gpt-4o", "api_base": base, "api_key": "sk-secret-of-store", "organization": null});
    params.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({"model_name": name, "litellm_params": params, "model_info": {"id": format!("id-{name}"), "mode": "chat"}})
}

async fn deployment(world: &World, id: &str) -> Option<Value> {
    let all = get(world, "/model/info").await;
    all["data"].as_array().unwrap().iter().find(|one| one["model_info"]["id"] == id).cloned()
}

#[tokio::test]
async fn a_model_is_added_used_changed_and_deleted() {
    let store = store().await;
    let world = instance(&store, CONFIG).await;
    let made = post(&world, "/model/new", &model(&world, "mine", &json!({"input_cost_per_token": 0.5}))).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let told = made.json();
    assert_eq!((told["model_id"].as_str(), told["version"].as_i64()), (Some("id-mine"), Some(1)), "{told}");
    assert!(!made.text().contains("sk-secret-of-store"), "{told}");

    assert_eq!(chat(&world, "mine").await.status, 200);
    assert_eq!(world.provider.calls()[0].header("authorization"), Some("Bearer sk-secret-of-store"));
    let shown = deployment(&world, "id-mine").await.unwrap();
    assert_eq!((&shown["model_info"]["db_model"], &shown["model_info"]["mode"]), (&json!(true), &json!("chat")));
    assert!(!shown.to_string().contains("sk-secret"), "{shown}");
    assert_eq!(shown["model_info"]["input_cost_per_token"], json!(0.5), "the price that holds");
    assert_eq!(deployment(&world, "file-1").await.unwrap()["model_info"]["db_model"], json!(false));

    let change = json!({"litellm_params": {"api_key": "sk-newer", "rpm": null}, "model_info": {"id": "id-mine"}});
    assert_eq!(post(&world, "/model/update", &change).await.json()["version"], 2);
    assert_eq!(chat(&world, "mine").await.status, 200);
    assert_eq!(world.provider.calls()[1].header("authorization"), Some("Bearer sk-newer"));

    let renamed = send(&world, "PATCH", "/model/id-mine/update", &[], &json!({"model_name": "ours"})).await;
    assert_eq!((renamed.status, renamed.json()["model_name"].as_str()), (200, Some("ours")));
    assert_eq!((chat(&world, "ours").await.status, chat(&world, "mine").await.status), (200, 400));
    assert_eq!(world.provider.calls()[2].header("authorization"), Some("Bearer sk-newer"));

    let gone = post(&world, "/model/delete", &json!({"id": "id-mine"})).await;
    assert_eq!(gone.json()["message"], "Model: id-mine deleted successfully");
    assert_eq!(chat(&world, "ours").await.status, 400);
    refused(&post(&world, "/model/delete", &json!({"id": "id-mine"})).await, 404);
}

#[tokio::test]
async fn models_are_told_in_pages() {
    let world = instance(&store().await, CONFIG).await;
    for name in ["a", "b", "c"] {
        assert_eq!(post(&world, "/model/new", &model(&world, name, &json!({}))).await.status, 200);
    }
    let names = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|one| one["model_name"].as_str().unwrap().to_owned()).collect()
    };
    let page = get(&world, "/v2/model/info?page=2&size=3").await;
    assert_eq!(
        (names(&page), &page["total_count"], &page["total_pages"]),
        (vec!["c".to_owned()], &json!(4), &json!(2))
    );
    assert_eq!(names(&get(&world, "/v2/model/info?search=OF-F").await), ["of-file"]);
    assert_eq!(names(&get(&world, "/v2/model/info?modelId=id-b").await), ["b"]);
    assert_eq!(names(&get(&world, "/v2/model/info?page=9").await), [""; 0]);
}

#[tokio::test]
async fn a_bad_model_is_refused_and_says_what_is_wrong() {
    let world = instance(&store().await, CONFIG).await;
    for (params, wrong) in [
        (json!({"model": "nosuchprovider/x"}), "nosuchprovider"),
        (json!({"api_key": "os.environ/NOT_SET"}), "NOT_SET is not set"),
        (json!({"litellm_credential_name": "gone"}), "gone"),
        (json!({"rpm": "many"}), "rpm"),
    ] {
        let said = refused(&post(&world, "/model/new", &model(&world, "bad", &params)).await, 400);
        assert!(said.contains(wrong), "{said}");
    }
    refused(&post(&world, "/model/new", &json!({"model_name": "x"})).await, 400);
    refused(&post(&world, "/model/new", &json!({"litellm_params": {"model": "openai/x"}})).await, 400);
    let of_file = json!({"model_info": {"id": "file-1"}, "litellm_params": {"rpm": 3}});
    assert!(refused(&post(&world, "/model/update", &of_file).await, 400).contains("configuration file"));
    // A good one becomes bad: refused as well, and it goes on.
    assert_eq!(post(&world, "/model/new", &model(&world, "good", &json!({}))).await.status, 200);
    let bad = json!({"litellm_params": {"model": "nosuchprovider/x"}, "model_info": {"id": "id-good"}});
    refused(&post(&world, "/model/update", &bad).await, 400);
    assert_eq!(chat(&world, "good").await.status, 200);
    refused(&post(&world, "/model/new", &model(&world, "good", &json!({}))).await, 400);
}

#[tokio::test]
async fn another_instance_has_a_model_within_a_second() {
    let store = store().await;
    let (one, other) = (instance(&store, CONFIG).await, instance(&store, CONFIG).await);
    assert_eq!(chat(&other, "mine").await.status, 400);
    assert_eq!(post(&one, "/model/new", &model(&other, "mine", &json!({}))).await.status, 200);
    let begun = Instant::now();
    while chat(&other, "mine").await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never comes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_reload_of_the_file_keeps_the_stores_models() {
    let world = instance(&store().await, CONFIG).await;
    assert_eq!(post(&world, "/model/new", &model(&world, "mine", &json!({}))).await.status, 200);
    world.reload(&CONFIG.replace("{master}", crate::world::MASTER).replace("of-file", "renamed"));
    assert_eq!((chat(&world, "renamed").await.status, chat(&world, "mine").await.status), (200, 200));
    assert_eq!(chat(&world, "of-file").await.status, 400);
}

#[tokio::test]
async fn what_the_store_has_is_sealed_and_opens_with_the_salt_alone() {
    let store = store().await;
    let world = instance(&store, CONFIG).await;
    assert_eq!(post(&world, "/model/new", &model(&world, "mine", &json!({}))).await.status, 200);
    let credential = json!({"credential_name": "c", "credential_values": {"api_key": "sk-secret-of-store"}});
    assert_eq!(post(&world, "/credentials", &credential).await.status, 200);
    let page = Page { offset: 0, limit: 10 };
    let models = store.list_models(page).await.unwrap().rows;
    let credentials = store.list_credentials(page).await.unwrap().rows;
    for sealed in [&models[0].0.params, &credentials[0].0.sealed] {
        assert!(!String::from_utf8_lossy(sealed).contains("secret"), "{sealed:?}");
    }
    // Another salt: the row is left out, everything else goes on.
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    let salted = |former: &str| {
        World::of(CONFIG)
            .environment("LITELLM_SALT_KEY", "sk-new-salt")
            .environment("TOLLGATE_FORMER_SALT_KEYS", former)
            .store(Arc::clone(&store), bounds)
    };
    let shut = salted("").start().await;
    shut.gateway.load_models().await.unwrap();
    assert_eq!((chat(&shut, "mine").await.status, chat(&shut, "of-file").await.status), (400, 200));
    let open = salted(crate::world::MASTER).start().await;
    open.gateway.load_models().await.unwrap();
    assert!(deployment(&open, "id-mine").await.is_some());
}

#[tokio::test]
async fn a_credential_is_used_by_its_name_and_told_masked() {
    let world = instance(&store().await, CONFIG).await;
    let base = format!("{}/v1", world.provider.url());
    let credential = json!({"credential_name": "team/x", "credential_values": {"api_key": "sk-of-credential-1", "api_base": base},
        "credential_info": {"description": "of x"}});
    assert_eq!(post(&world, "/credentials", &credential).await.json()["success"], true);
    refused(&post(&world, "/credentials", &credential).await, 400);
    let by = |name: &str, credential: &str| {
        json!({"model_name": name, "model_info": {"id": format!("id-{name}")},
            "litellm_params": {"model": "openai/gpt-4o", "litellm_credential_name": credential}})
    };
    for (name, credential) in [("by-store", "team/x"), ("by-file", "of-file")] {
        let made = post(&world, "/model/new", &by(name, credential)).await;
        assert_eq!(made.status, 200, "{}", made.text());
        assert_eq!(chat(&world, name).await.status, 200);
    }
    let keys: Vec<_> =
        world.provider.calls().iter().map(|call| call.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(keys, ["Bearer sk-of-credential-1", "Bearer sk-credential-of-file"]);

    let all = get(&world, "/credentials").await;
    assert_eq!(all["credentials"].as_array().unwrap().len(), 2, "{all}");
    for told in
        [all, get(&world, "/credentials/by_name/team/x").await, get(&world, "/credentials/by_model/id-by-store").await]
    {
        let text = told.to_string();
        assert!(
            text.contains(&base) && !text.contains("of-credential") && !text.contains("credential-of-file"),
            "{text}"
        );
    }
    let change = json!({"credential_values": {"api_key": "sk-of-credential-2"}});
    assert_eq!(send(&world, "PATCH", "/credentials/team/x", &[], &change).await.json()["success"], true);
    assert_eq!(chat(&world, "by-store").await.status, 200);
    assert_eq!(world.provider.calls()[2].header("authorization"), Some("Bearer sk-of-credential-2"));

    let said = refused(&send(&world, "DELETE", "/credentials/team/x", &[], &json!({})).await, 400);
    assert!(said.contains("id-by-store"), "{said}");
    post(&world, "/model/delete", &json!({"id": "id-by-store"})).await;
    assert_eq!(send(&world, "DELETE", "/credentials/team/x", &[], &json!({})).await.json()["success"], true);
    refused(&send(&world, "DELETE", "/credentials/team/x", &[], &json!({})).await, 404);
    refused(&send(&world, "DELETE", "/credentials/of-file", &[], &json!({})).await, 400);
}

#[tokio::test]
async fn a_credential_is_made_of_a_model() {
    let world = instance(&store().await, CONFIG).await;
    post(&world, "/model/new", &model(&world, "mine", &json!({"rpm": 7}))).await;
    let copied = json!({"credential_name": "copied", "model_id": "id-mine", "credential_values": {}});
    assert_eq!(post(&world, "/credentials", &copied).await.status, 200);
    let told = get(&world, "/credentials/by_name/copied").await;
    let values = told["credential_values"].as_object().unwrap();
    assert!(values.contains_key("api_key") && values.contains_key("api_base") && !values.contains_key("rpm"), "{told}");
}

#[tokio::test]
async fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let world = instance(&store().await, CONFIG).await;
    post(&world, "/model/new", &model(&world, "mine", &json!({}))).await;
    let change = json!({"litellm_params": {"rpm": 5}});
    let with = |version: &'static str| [("if-match", version)];
    assert_eq!(send(&world, "PATCH", "/model/id-mine/update", &with("1"), &change).await.status, 200);
    assert_eq!(send(&world, "PATCH", "/model/id-mine/update", &with("1"), &change).await.status, 412);
    assert_eq!(send(&world, "POST", "/model/delete", &with("1"), &json!({"id": "id-mine"})).await.status, 412);
    assert_eq!(send(&world, "POST", "/model/delete", &with("2"), &json!({"id": "id-mine"})).await.status, 200);
}

#[tokio::test]
async fn only_the_admin_may_and_only_where_it_is_allowed() {
    let world = instance(&store().await, CONFIG).await;
    let key = post(&world, "/key/generate", &json!({})).await.json()["key"].as_str().unwrap().to_owned();
    let auth = format!("Bearer {key}");
    for path in ["/model/new", "/model/update", "/model/delete", "/credentials"] {
        let reply = http::post(&world.at(path), &[("authorization", &auth)], &json!({})).await;
        assert!(matches!(reply.status, 401 | 403), "{path}: {}", reply.text());
    }
    let closed = instance(&store().await, &CONFIG.replace(", store_model_in_db: true", "")).await;
    let said = refused(&post(&closed, "/model/new", &model(&closed, "mine", &json!({}))).await, 400);
    assert!(said.contains("store_model_in_db"), "{said}");
}
