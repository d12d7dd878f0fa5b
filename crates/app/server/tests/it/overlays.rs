//! Fallbacks of the form `{model, messages, …}`: what they say passes what a new call passes.

use serde_json::{Value, json};
use tollgate_kit::Answer;

use crate::world::{World, hi, refused};

const MODELS: &str = "
model_list:
  - {model_name: down, litellm_params: {model: openai/down, api_base: '{provider}/down', api_key: sk-fake-provider-key, rpm: 100}}
  - {model_name: one, litellm_params: {model: openai/one, api_base: '{provider}/v1', api_key: sk-fake-provider-key}}
  - {model_name: two, litellm_params: {model: openai/two, api_base: '{provider}/v1', api_key: sk-fake-provider-key}}
  - {model_name: small, model_info: {max_input_tokens: 50}, litellm_params: {model: openai/small, api_base: '{provider}/v1', api_key: sk-fake-provider-key}}
litellm_settings: {num_retries: 0}
router_settings: {enable_pre_call_checks: true}
";

async fn world() -> World {
    let world = World::start(MODELS).await;
    let down = Answer::json(503, json!({"error": {"message": "the first is down"}}));
    world.provider.always("/down/*", down);
    world
}

fn with_fallbacks(fallbacks: Value) -> Value {
    let mut body = hi("down");
    body["fallbacks"] = fallbacks;
    body
}

fn models_asked(world: &World) -> Vec<String> {
    world.provider.calls().iter().map(|call| call.json()["model"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn words_that_cannot_be_said_are_passed_over_for_the_next_fallback() {
    let world = world().await;
    for wrong in [json!({"messages": []}), json!({"timeout": "soon"}), json!({"callbacks": ["x"]})] {
        let mut one = json!({"model": "one"});
        one.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let reply = world.chat(&with_fallbacks(json!([one, "two"]))).await;
        assert_eq!((reply.status, &reply.json()["model"]), (200, &json!("two")), "{wrong}: {}", reply.text());
        let words = refused(&world.chat(&with_fallbacks(json!([one]))).await, 503);
        assert!(words.contains("the first is down") && words.contains("Received Model Group=down"), "{words}");
        let name = wrong.as_object().unwrap().keys().next().unwrap();
        let told = words.split("Error doing the fallback: ").nth(1).unwrap_or_default();
        assert!(told.contains(name.as_str()), "{words}");
    }
    assert!(models_asked(&world).iter().all(|model| model != "one"));
}

#[tokio::test]
async fn both_why_words_could_not_be_said_and_what_the_next_one_answered_are_told() {
    let world = world().await;
    world.provider.always("/v1/*", Answer::json(500, json!({"error": {"message": "the second is down"}})));
    let fallbacks = json!([{"model": "one", "messages": []}, "two"]);
    let words = refused(&world.chat(&with_fallbacks(fallbacks)).await, 503);
    for part in ["the first is down", "`messages` must not be empty", "the second is down"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[tokio::test]
async fn a_window_is_compared_with_what_the_fallback_says() {
    let world = world().await;
    let long = json!([{"role": "user", "content": "word ".repeat(1_000)}]);
    let short = json!([{"role": "user", "content": "word"}]);
    let mut body = with_fallbacks(json!([{"model": "small", "messages": short}]));
    body["messages"] = long.clone();
    let reply = world.chat(&body).await;
    assert_eq!((reply.status, &reply.json()["model"]), (200, &json!("small")), "{}", reply.text());
    let words = refused(&world.chat(&with_fallbacks(json!([{"model": "small", "messages": long}]))).await, 503);
    assert!(words.contains("longer than any deployment of 'small' takes"), "{words}");
    assert_eq!(models_asked(&world).iter().filter(|model| *model == "small").count(), 1);
}

#[tokio::test]
async fn tags_of_the_fallback_choose_its_deployments() {
    let world = World::start(
        "
model_list:
  - {model_name: down, litellm_params: {model: openai/down, api_base: '{provider}/down', api_key: sk-fake-provider-key, tags: [a, b]}}
  - {model_name: one, litellm_params: {model: openai/of-a, api_base: '{provider}/v1', api_key: sk-fake-provider-key, tags: [a]}}
  - {model_name: one, litellm_params: {model: openai/of-b, api_base: '{provider}/v1', api_key: sk-fake-provider-key, tags: [b]}}
litellm_settings: {num_retries: 0}
router_settings: {enable_tag_filtering: true}
",
    )
    .await;
    world.provider.always("/down/*", Answer::json(503, json!({"error": {"message": "down"}})));
    for _ in 0..8 {
        let mut body = with_fallbacks(json!([{"model": "one", "tags": ["b"]}]));
        body["tags"] = json!(["a"]);
        assert_eq!(world.chat(&body).await.json()["model"], "of-b");
    }
    let mut body = with_fallbacks(json!([{"model": "one", "tags": ["b"]}]));
    body["tags"] = json!(["a"]);
    let told = world.post("/router/explain", &body).await.json();
    let candidates = told["candidates"].as_array().unwrap().iter();
    let takes: Vec<_> = candidates.map(|one| (one["model"].as_str().unwrap(), one["takes_it"] == true)).collect();
    assert_eq!(takes, [("down", true), ("of-a", false), ("of-b", true)], "as the call goes: {told}");
}

#[tokio::test]
async fn an_answer_of_before_that_a_fallback_names_is_opened_and_goes_where_it_is_kept() {
    let world = world().await;
    let made = json!({"id": "resp_up1", "object": "response", "created_at": 1, "status": "completed", "model": "one",
        "output": [], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}});
    world.provider.always("/v1/responses", Answer::json(200, made));
    let first = world.post("/v1/responses", &json!({"model": "one", "input": "Hi"})).await;
    let id = first.json()["id"].clone();
    assert!(id.as_str().is_some_and(|id| id.starts_with("resp_") && id != "resp_up1"), "{}", first.text());
    let fallback = json!({"model": "one", "input": "again", "previous_response_id": id});
    let reply = world.post("/v1/responses", &json!({"model": "down", "input": "Hi", "fallbacks": [fallback]})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent = world.provider.calls().pop().unwrap().json();
    assert_eq!((&sent["previous_response_id"], &sent["input"]), (&json!("resp_up1"), &json!("again")));
}
