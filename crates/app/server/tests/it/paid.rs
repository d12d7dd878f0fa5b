//! What a provider was paid for is booked, however the attempt ends.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tollgate_kit::{Answer, Place};

use crate::world::{World, hi, hi_streamed};

const MODELS: &str = "
model_list:
  - model_name: vectors
    litellm_params: {model: bedrock/amazon.titan-embed-text-v2:0, api_base: '{provider}', aws_access_key_id: AKIAFAKE,
      aws_secret_access_key: fake, aws_region_name: us-east-1}
  - model_name: llama
    litellm_params: {model: replicate/meta/llama, api_base: '{provider}/v1', api_key: r8-fake, input_cost_per_token: 0.001}
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
router_settings: {num_retries: 0}
";

fn vector() -> Answer {
    Answer::json(200, json!({"embedding": [0.5], "inputTextTokenCount": 7}))
}

fn busy() -> Answer {
    Answer::json(429, json!({"message": "Too many requests"}))
}

#[tokio::test]
async fn what_was_answered_before_a_refusal_is_owed() {
    let world = World::start(MODELS).await;
    world.provider.script([vector(), vector(), busy()]);
    let reply = world.post("/v1/embeddings", &json!({"model": "vectors", "input": ["a", "b", "c", "d"]})).await;
    assert_eq!((reply.status, world.provider.calls().len()), (429, 3), "{}", reply.text());
    let totals = world.settled(1).await;
    assert!(totals.input == 14 && totals.nanos > 0, "{totals:?}");
}

#[tokio::test]
async fn a_refusal_of_the_first_request_costs_nothing() {
    let world = World::start(MODELS).await;
    world.provider.script([busy()]);
    let reply = world.post("/v1/embeddings", &json!({"model": "vectors", "input": ["a", "b"]})).await;
    assert_eq!(reply.status, 429);
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.nanos, totals.unstated), (0, 0, 0));
}

/// A world in which a prediction begins, and what is answered to looks at it.
async fn predicting(looks: impl IntoIterator<Item = Answer>) -> World {
    let world = World::start(MODELS).await;
    let get = format!("{}/v1/predictions/p", world.provider.url());
    let begun = Answer::json(201, json!({"id": "p", "status": "starting", "urls": {"get": get}}));
    world.provider.script_for("POST /v1/models/meta/llama/predictions", [begun]);
    world.provider.script_for("GET /v1/predictions/p", looks);
    world
}

fn broken() -> Answer {
    Answer::json(502, json!({"detail": "bad gateway"}))
}

#[tokio::test]
async fn a_look_that_fails_is_repeated_and_the_prediction_is_not() {
    let done: Value = json!({"id": "p", "status": "succeeded", "output": ["hello"]});
    let world = predicting([broken(), Answer::json(200, done)]).await;
    let reply = world.chat(&hi("llama")).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "hello", "{}", reply.text());
    assert_eq!(world.provider.calls().len(), 3);
    assert!(world.settled(1).await.nanos > 0);
}

#[tokio::test]
async fn a_prediction_that_nobody_could_look_at_is_owed() {
    let world = predicting([broken(), broken(), broken(), broken()]).await;
    let reply = world.chat(&hi("llama")).await;
    assert_eq!((reply.status, world.provider.calls().len()), (502, 5), "{}", reply.text());
    let totals = world.settled(1).await;
    assert!(totals.input > 0 && totals.nanos > 0 && totals.unstated == 1, "{totals:?}");
}

#[tokio::test]
async fn who_leaves_while_a_refusal_is_read_pays_nothing() {
    let world = World::start(MODELS).await;
    world.provider.script([busy().stall(Place::AfterBytes(5))]);
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
    assert!(timeout(Duration::from_millis(200), connection.reply()).await.is_err());
    drop(connection);
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.nanos, totals.unstated), (0, 0, 0));
}
