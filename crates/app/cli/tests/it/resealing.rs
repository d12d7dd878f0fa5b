//! `credentials reseal`: after the salt key has changed.

use serde_json::{Value, json};
use tollgate_kit::{Gateway, Postgres, Start, http};

use crate::world::World;

const MASTER: (&str, &str) = ("authorization", "Bearer sk-master-0f1e2d3c");
const CONFIG: &str = "model_list: []
general_settings: {master_key: sk-master-0f1e2d3c, store_model_in_db: true{database}}
";

fn with(config: &str, data: &str, salt: &str) -> Start {
    let binary = env!("CARGO_BIN_EXE_tollgate");
    let start = Gateway::with().binary(binary).config(config).argument("--data-dir").argument(data);
    start.environment("LITELLM_SALT_KEY", salt)
}

/// The names of models and credentials that a gateway has.
async fn has(gateway: &Gateway) -> (usize, usize) {
    let models = http::get(&gateway.at("/model/info"), &[MASTER]).await.json();
    let credentials = http::get(&gateway.at("/credentials"), &[MASTER]).await.json();
    let list = |document: &Value, name: &str| document.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let told = list(&credentials, "credentials");
    let open = told.iter().filter(|one| one.pointer("/credential_values/api_key").is_some_and(Value::is_string));
    (list(&models, "data").len(), open.count())
}

async fn a_salt_changes(config: &str) {
    let world = World::new().file("config.yaml", config);
    let data = world.path("data");
    let old = with(config, &data, "sk-old-salt").start().await;
    let credential = json!({"credential_name": "c", "credential_values": {"api_key": "sk-secret"}});
    let model =
        json!({"model_name": "m", "litellm_params": {"model": "openai/gpt-4o", "litellm_credential_name": "c"}});
    for (path, body) in [("/credentials", &credential), ("/model/new", &model)] {
        let reply = http::post(&old.at(path), &[MASTER], body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(has(&old).await, (1, 1));
    old.stop().await;

    let new = with(config, &data, "sk-new-salt").start().await;
    assert_eq!(has(&new).await, (0, 0));
    let said = new.output();
    assert!(said.contains("credentials/c") && said.contains("TOLLGATE_FORMER_SALT_KEYS"), "{said}");
    new.stop().await;

    let world = world.environment("LITELLM_SALT_KEY", "sk-new-salt").environment("OLD", "sk-old-salt");
    let command = format!("--data-dir {data} credentials reseal --from-salt-env OLD --config config.yaml");
    let ran = world.run(&command);
    assert!(ran.went_well().out.contains("2 rows are sealed anew, 0 were already; 0"), "{}{}", ran.out, ran.err);
    let ran = world.run(&command);
    assert!(ran.went_well().out.contains("0 rows are sealed anew, 2 were already; 0"), "{}{}", ran.out, ran.err);
    let new = with(config, &data, "sk-new-salt").start().await;
    assert_eq!(has(&new).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_is_sealed_anew_in_sqlite() {
    a_salt_changes(&CONFIG.replace("{database}", "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_is_sealed_anew_in_postgres() {
    let database = Postgres::shared().database();
    a_salt_changes(&CONFIG.replace("{database}", &format!(", database_url: '{database}'"))).await;
}

#[test]
fn a_former_key_must_be_named() {
    let world =
        World::new().file("config.yaml", &CONFIG.replace("{database}", "")).environment("LITELLM_SALT_KEY", "sk-new");
    world.run("credentials reseal --from-salt-env OLD --config config.yaml").refused_with(&["OLD is not set"]);
}
