//! The command against the gateway that the command started.

use serde_json::json;
use tollgate_kit::{
    Answer, FakeProvider, Gateway,
    gateway::{Start, free_port},
    provider::KEY,
};

use crate::world::World;

const FILE: &str = "model_list:\n  - model_name: gpt-3.5-turbo\n    litellm_params: {model: openai/a, mock_response: a short poem}\ngeneral_settings: {master_key: sk-mine}\n";

fn port_of(gateway: &Gateway) -> String {
    gateway.url().rsplit(':').next().unwrap_or_default().to_owned()
}

async fn started(file: &str) -> Gateway {
    Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(file).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn test_and_health_ask_the_gateway_that_runs() {
    let gateway = started(FILE).await;
    let port = port_of(&gateway);
    let world = World::new().file(".env", &format!("PORT={port}\nLITELLM_MASTER_KEY=sk-mine\n"));

    let test = world.run("--test");
    let health = world.run("-health");

    assert_eq!(test.went_well().out.matches("a short poem").count(), 2, "{}", test.out);
    let health: serde_json::Value = serde_json::from_str(&health.went_well().out).expect("JSON");
    assert!(health["healthy_endpoints"].is_array() && health["unhealthy_endpoints"].is_array(), "{health}");
    let stranger = World::new().run(&format!("--test --port {port}"));
    assert_eq!((stranger.code, stranger.err.lines().count()), (1, 1), "{}", stranger.err);
    assert!(stranger.err.contains("401"), "{}", stranger.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_in_one_line() {
    let gateway = started(FILE).await;
    let port = port_of(&gateway);
    let world = World::new().file("config.yaml", FILE);
    let ran = world.run(&format!("--config config.yaml --host 127.0.0.1 --port {port}"));
    ran.refused_with(&[&port, "--port"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_model_answers_every_name() {
    let provider = FakeProvider::start().await;
    let start = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).port(free_port());
    let start = ["--model", "openai/the-one", "--api_base", &provider.url()].into_iter().fold(start, Start::argument);
    let gateway = start.environment("OPENAI_API_KEY", KEY).start().await;

    World::new().run(&format!("--test --model whatever --port {}", port_of(&gateway))).went_well();

    let models: Vec<_> = provider.calls().iter().map(|call| call.json()["model"].clone()).collect();
    assert_eq!(models, ["the-one", "the-one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_shape_every_request() {
    let provider = FakeProvider::start().await;
    let file = format!(
        "model_list:\n  - model_name: a\n    litellm_params: {{model: openai/a, api_key: {KEY}, temperature: 1}}\n"
    );
    let start = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file);
    let flags = ["--temperature", "0.3", "--max_tokens", "2048", "--api_base", &provider.url()];
    let start = flags.into_iter().fold(start, Start::argument);
    let gateway = start.argument("--headers").argument(r#"{"x-mine": "yes"}"#).start().await;

    World::new().run(&format!("--test --port {}", port_of(&gateway))).went_well();

    let call = &provider.calls()[0];
    assert_eq!((call.json()["temperature"].clone(), call.json()["max_tokens"].clone()), (json!(0.3), json!(2048)));
    assert_eq!(call.header("x-mine"), Some("yes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_name_of_coheres_wants_its_key_and_nothing_else() {
    let provider = FakeProvider::start().await;
    let said = json!({"id": "c", "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "a short poem"}]},
        "usage": {"tokens": {"input_tokens": 3, "output_tokens": 3}}});
    provider.always("POST /v2/chat", Answer::json(200, said));
    let start = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).port(free_port());
    let start = ["--model", "command-nightly"].into_iter().fold(start, Start::argument);
    let start = start.environment("COHERE_API_BASE", &provider.url());
    let gateway = start.environment("COHERE_API_KEY", "co-fake").start().await;

    let body = json!({"model": "command-nightly", "messages": [{"role": "user", "content": "hi"}]});
    let reply = tollgate_kit::http::post(&gateway.at("/chat/completions"), &[], &body).await;

    assert_eq!(reply.json()["choices"][0]["message"]["content"], "a short poem", "{}", reply.text());
    let call = provider.only_call();
    assert_eq!(
        (call.header("authorization"), &call.json()["model"]),
        (Some("Bearer co-fake"), &json!("command-nightly"))
    );
}
