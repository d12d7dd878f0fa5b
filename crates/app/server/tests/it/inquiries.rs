//! `/utils/…`: tokens, parameters and the provider's request, asked before a call.

use serde_json::{Value, json};
use tollgate_kit::http;

use crate::world::{WITH_MASTER, World, refused};

const CONFIG: &str = "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-a-provider-key-of-length}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: '{provider}', api_key: k}}
  - {model_name: 'any/*', litellm_params: {model: 'openai/*', api_base: '{provider}/v1', api_key: k}}
";

#[tokio::test]
async fn tokens_are_counted_without_a_call() {
    let world = World::start(CONFIG).await;
    let hello = json!([{"role": "user", "content": "Hello, how are you?"}]);
    let tool = json!({"name": "now", "description": "The time", "input_schema": {"type": "object", "properties": {}}});
    let function =
        json!({"type": "function", "function": {"name": "now", "description": "The time", "parameters": {}}});
    let count = async |body: Value| {
        let reply = world.post("/utils/token_counter?call_endpoint=true", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    };
    let told = count(json!({"model": "gpt", "messages": hello})).await;
    assert_eq!((&told["total_tokens"], &told["request_model"]), (&json!(13), &json!("gpt")), "{told}");
    assert_eq!((&told["model_used"], &told["tokenizer_type"]), (&json!("gpt-4o"), &json!("openai_tokenizer")));
    assert_eq!((&told["error"], &told["count_source"]), (&json!(false), &json!("local_estimate")));
    assert_eq!(count(json!({"model": "gpt", "prompt": "Hello, how are you?"})).await["total_tokens"], 6);
    let gemini = json!([{"role": "user", "parts": [{"text": "Hello, how are you?"}]}]);
    assert_eq!(count(json!({"model": "gemini-pro", "contents": gemini})).await["total_tokens"], 10);
    let anthropic = count(json!({"model": "gpt", "messages": hello, "tools": [tool], "system": "Be terse."})).await;
    let system =
        json!([{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Hello, how are you?"}]);
    let openai = count(json!({"model": "gpt", "messages": system, "tools": [function]})).await;
    assert_eq!(anthropic["total_tokens"], openai["total_tokens"]);
    assert!(world.provider.calls().is_empty() && world.gateway.totals().opened == 0);
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused() {
    let world = World::start(CONFIG).await;
    for body in [
        json!({"model": "gpt"}),
        json!({"model": "gpt", "prompt": null, "messages": null}),
        json!({"messages": []}),
        json!({"model": "gpt", "messages": 3}),
        json!({"model": "gpt", "contents": "x"}),
        json!([]),
    ] {
        refused(&world.post("/utils/token_counter", &body).await, 400);
    }
}

#[tokio::test]
async fn the_parameters_of_a_model_are_listed() {
    let world = World::start(CONFIG).await;
    let of = async |model: &str| {
        let listed = world.get(&format!("/utils/supported_openai_params?model={model}")).await.json();
        let names = listed["supported_openai_params"].as_array().cloned().expect("a list");
        names.into_iter().map(|name| name.as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert!(of("gpt").await.contains(&"logit_bias".to_owned()));
    let claude = of("claude").await;
    assert!(claude.contains(&"tools".to_owned()) && !claude.contains(&"logit_bias".to_owned()), "{claude:?}");
    assert!(!of("any/o3-mini").await.is_empty());
    let words = refused(&world.get("/utils/supported_openai_params?model=nobody").await, 400);
    assert!(words.contains("Could not map model=nobody"), "{words}");
    refused(&world.get("/utils/supported_openai_params").await, 400);
}

#[tokio::test]
async fn the_providers_request_is_shown_with_its_key_masked() {
    let world = World::start(CONFIG).await;
    let messages = json!([{"role": "system", "content": "Be terse."}, {"role": "user", "content": "hi"}]);
    let body = json!({"model": "claude", "messages": messages, "max_tokens": 5});
    let asked = json!({"call_type": "completion", "request_body": body});
    let raw = world.post("/utils/transform_request", &asked).await.json();
    assert_eq!(raw["raw_request_api_base"], format!("{}/v1/messages", world.provider.url()));
    assert_eq!(raw["raw_request_body"]["system"][0]["text"], "Be terse.", "{raw}");
    let asked = json!({"call_type": "aembedding", "request_body": {"model": "gpt", "input": "hi"}});
    let reply = world.post("/utils/transform_request", &asked).await;
    assert_eq!(reply.json()["raw_request_body"]["model"], "gpt-4o");
    let key = reply.json()["raw_request_headers"]["authorization"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("Bearer ") && !reply.text().contains("sk-a-provider-key-of-length"), "{key}");
    let impossible = json!({"call_type": "completion", "request_body": {"model": "claude", "messages": 3}});
    assert!(world.post("/utils/transform_request", &impossible).await.json()["error"].is_string());
    for wrong in [
        json!({"call_type": "dance", "request_body": {"model": "gpt"}}),
        json!({"call_type": "completion", "request_body": {"model": "nobody"}}),
        json!({"call_type": "completion"}),
    ] {
        refused(&world.post("/utils/transform_request", &wrong).await, 400);
    }
    assert!(world.provider.calls().is_empty());
}

const CONFIDES: &str = "
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_base: 'http://user:login-secret@127.0.0.1:9/v1?sig=query-secret'
      api_key: sk-secret-of-ours
      extra_headers: {x-team: header-secret-1, x-api-token: header-secret-2}
      headers: {api-key: header-secret-3}
      extra_body: {api_key: body-secret-1, options: {webhook_token: body-secret-2, mode: fast}, pin: {secret: abc}}
";

#[tokio::test]
async fn the_providers_request_hides_what_the_configuration_confides() {
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "is it body-secret-1?"}]});
    let asked = json!({"call_type": "completion", "request_body": body});
    let shown = async |config: &str| {
        let world = World::start(config).await;
        let reply = http::post(&world.at("/utils/transform_request"), &[WITH_MASTER], &asked).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    };
    let anyone = shown(CONFIDES).await;
    for secret in ["secret-", "-secret", "abc"] {
        assert!(!anyone.to_string().contains(secret), "{secret} in {anyone}");
    }
    assert_eq!(anyone["raw_request_headers"]["x-team"], "[hidden]");
    assert_eq!(anyone["raw_request_body"]["options"], json!({"webhook_token": "[hidden]", "mode": "fast"}), "{anyone}");
    let address = anyone["raw_request_api_base"].as_str().unwrap();
    assert!(address.contains("@127.0.0.1:9/v1"), "{address}");
    // The admin wrote the headers; their secrets are masked all the same.
    let admin = shown(&format!("{CONFIDES}general_settings: {{master_key: '{{master}}'}}\n")).await;
    assert_eq!(admin["raw_request_headers"]["x-team"], "header-secret-1");
    let rest = admin.to_string().replace("header-secret-1", "");
    assert!(
        !rest.contains("header-secret") && !rest.contains("body-secret") && !rest.contains("login-secret"),
        "{rest}"
    );
}

#[tokio::test]
async fn inquiries_need_a_key_like_calls() {
    let world = World::locked().await;
    let body = json!({"model": "gpt", "prompt": "hi", "call_type": "completion", "request_body": {"model": "gpt"}});
    for path in ["/utils/token_counter", "/utils/transform_request"] {
        refused(&world.post(path, &body).await, 401);
        assert_eq!(http::post(&world.at(path), &[WITH_MASTER], &body).await.status, 200);
    }
    refused(&world.get("/utils/supported_openai_params?model=gpt").await, 401);
}
