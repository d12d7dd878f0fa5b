//! `--test` and `--health` against something that answers as a gateway would.

use serde_json::json;
use tollgate_kit::{Answer, FakeProvider, SseItem, gateway::free_port};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn test_prints_a_whole_and_a_streamed_answer() {
    let gateway = FakeProvider::start_on(0, None).await;
    let whole = Answer::json(200, json!({ "choices": [{ "message": { "content": "a short poem" } }] }));
    let piece = |text: &str| SseItem::data(json!({ "choices": [{ "delta": { "content": text } }] }));
    let streamed = Answer::sse([piece("stream"), piece("ed poem"), SseItem::done()]);
    gateway.script_for("POST /chat/completions", [whole, streamed]);

    let ran = World::new().run(&format!("--test --host 0.0.0.0 --port {}", gateway.port()));

    assert!(ran.went_well().out.contains("a short poem") && ran.out.contains("streamed poem"), "{}", ran.out);
    let calls = gateway.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.json()["model"] == "gpt-3.5-turbo"));
    assert_eq!((calls[0].json()["stream"].clone(), calls[1].json()["stream"].clone()), (json!(false), json!(true)));
    assert_eq!(calls[0].header("authorization"), Some("Bearer anything"));
}

#[tokio::test(flavor = "multi_thread")]
async fn test_may_name_a_url_and_a_model_and_sends_the_key() {
    let gateway = FakeProvider::start_on(0, None).await;
    let world = World::new().environment("LITELLM_MASTER_KEY", "sk-env");
    let ran = world.run(&format!("--test {}/ -m my-model", gateway.url()));
    ran.went_well();
    let calls = gateway.calls();
    assert!(calls.iter().all(|call| call.path == "/chat/completions" && call.json()["model"] == "my-model"));
    assert!(calls.iter().all(|call| call.header("authorization") == Some("Bearer sk-env")));
}

#[tokio::test(flavor = "multi_thread")]
async fn test_fails_with_the_gateways_words() {
    let gateway = FakeProvider::start_on(0, None).await;
    gateway.script([Answer::json(401, json!({ "error": { "message": "no such key" } }))]);

    let ran = World::new().run(&format!("--test --port {}", gateway.port()));

    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{}", ran.err);
    assert!(ran.err.contains("401") && ran.err.contains("no such key"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_fails_when_the_stream_ends_early() {
    let gateway = FakeProvider::start_on(0, None).await;
    let whole = Answer::json(200, json!({ "choices": [{ "message": { "content": "x" } }] }));
    let piece = SseItem::data(json!({ "choices": [{ "delta": { "content": "half" } }] }));
    gateway.script([whole, Answer::sse([piece])]);
    let ran = World::new().run(&format!("--test --port {}", gateway.port()));
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("without [DONE]"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_prints_json_and_sends_the_key_of_the_configuration() {
    let gateway = FakeProvider::start_on(0, None).await;
    gateway.script_for("GET /health", [Answer::json(200, json!({ "healthy_endpoints": [{ "model": "a" }] }))]);
    let file = "general_settings: {master_key: sk-file}\n";
    let world = World::new().file("config.yaml", file).environment("LITELLM_MASTER_KEY", "sk-env");

    let ran = world.run(&format!("-health --config config.yaml --port {}", gateway.port()));

    let printed: serde_json::Value = serde_json::from_str(&ran.went_well().out).expect("JSON");
    assert_eq!(printed["healthy_endpoints"][0]["model"], "a");
    assert!(ran.out.lines().count() > 3, "{}", ran.out);
    assert_eq!(gateway.only_call().header("authorization"), Some("Bearer sk-file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_that_is_refused_fails_and_prints_why() {
    let gateway = FakeProvider::start_on(0, None).await;
    gateway.script([Answer::json(401, json!({ "error": { "message": "no such key" } }))]);
    let ran = World::new().run(&format!("--health --port {}", gateway.port()));
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("no such key"), "{}", ran.out);
}

#[test]
fn a_gateway_that_is_not_there_is_named_in_one_line() {
    let port = free_port();
    for flag in ["--health", "--test"] {
        let ran = World::new().run(&format!("{flag} --port {port}"));
        assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{}", ran.err);
        assert!(ran.err.contains(&format!("nothing listens on http://127.0.0.1:{port}")), "{}", ran.err);
    }
}
