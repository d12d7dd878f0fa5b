//! What a provider was paid for is booked, however the attempt ends.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tollgate_kit::{Answer, Place, SseItem};

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
  - model_name: mouth
    litellm_params: {model: openai/tts-1, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
general_settings:
  pass_through_endpoints: [{path: /mine, target: '{provider}/theirs', auth: false, cost_per_request: 0.25}]
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
async fn each_request_is_signed_when_it_leaves() {
    let world = World::start(MODELS).await;
    world.provider.script([vector().wait_before_head(Duration::from_millis(1100)), vector()]);
    world.post("/v1/embeddings", &json!({"model": "vectors", "input": ["a", "b"]})).await;
    let calls = world.provider.calls();
    let dates: Vec<_> = calls.iter().map(|call| call.header("x-amz-date").expect("a signature")).collect();
    assert!(dates.len() == 2 && dates[0] < dates[1], "{dates:?}");
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
    let looks = [broken(), Answer::json(429, json!({"detail": "slow down"}))];
    let world = predicting(looks.into_iter().chain(std::iter::repeat_n(broken(), 8))).await;
    let mut body = hi("llama");
    // Whatever retries a client asks for, none may begin a second prediction, which would be paid too.
    body["num_retries"] = json!(3);
    body["timeout"] = json!(2.2);
    let reply = world.chat(&body).await;
    let begun = world.provider.calls().iter().filter(|call| call.method == "POST").count();
    assert_eq!((reply.status, begun, world.provider.calls().len()), (429, 1, 3), "{}", reply.text());
    let totals = world.settled(1).await;
    assert!(totals.input > 0 && totals.nanos > 0 && totals.unstated == 1, "{totals:?}");
}

#[tokio::test]
async fn a_look_that_is_cut_or_never_answered_begins_no_second_prediction() {
    let done = || Answer::json(200, json!({"id": "p", "status": "succeeded", "output": ["hello"]}));
    let cut = predicting([done().cut(Place::AfterBytes(5)), done()]).await;
    let mut body = hi("llama");
    body["num_retries"] = json!(3);
    let reply = cut.chat(&body).await;
    assert_eq!((reply.status, cut.provider.calls().len()), (200, 3), "{}", reply.text());
    let silent = predicting([done().stall(Place::BeforeHead)]).await;
    body["timeout"] = json!(0.7);
    let reply = silent.chat(&body).await;
    assert_eq!((reply.status, silent.provider.calls().len()), (408, 2), "{}", reply.text());
    assert!(silent.settled(1).await.nanos > 0);
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

/// Asks, reads the first piece of the answer, and leaves.
async fn leave(world: &World, path: &str, body: &Value) {
    let mut connection = world.connect().await;
    connection.ask_json(path, &[], body).await;
    let (head, mut body) = connection.answer().await;
    assert_eq!(head.status, 200);
    body.piece().await.expect("a piece");
}

#[tokio::test]
async fn sound_is_owed_whole_once_it_has_begun() {
    let world = World::start(MODELS).await;
    let sound = || Answer::raw(200, "audio/mpeg", vec![7; 1000]).chunked().split_every(100);
    world.provider.script([sound().stall(Place::AfterBytes(300)), sound().cut(Place::AfterBytes(300))]);
    let body = json!({"model": "mouth", "input": "Hello", "voice": "a"});
    leave(&world, "/v1/audio/speech", &body).await;
    // $15 a million characters.
    assert_eq!(world.settled(1).await.nanos, 75_000);
    assert!(!world.post("/v1/audio/speech", &body).await.complete);
    assert_eq!(world.settled(2).await.nanos, 150_000);
}

#[tokio::test]
async fn a_request_with_a_price_of_its_own_is_owed_whole_once_it_is_answered() {
    let world = World::start(MODELS).await;
    let answer = Answer::raw(200, "text/plain", vec![b'a'; 1000]).chunked().split_every(100);
    world.provider.script([answer.stall(Place::AfterBytes(300))]);
    leave(&world, "/mine", &json!({})).await;
    assert_eq!(world.settled(1).await.nanos, 250_000_000);
}

fn pieces() -> impl Iterator<Item = SseItem> {
    let piece =
        |_| SseItem::data(json!({"object": "chat.completion.chunk", "choices": [{"delta": {"content": "word "}}]}));
    (0..20).map(piece)
}

#[tokio::test]
async fn words_that_were_passed_on_are_counted_where_their_reader_leaves() {
    let world = World::start(MODELS).await;
    world.provider.script([Answer::sse(pieces()).stall(Place::AfterEvents(15))]);
    let mut connection = world.connect().await;
    connection.ask_json("/openai/v1/chat/completions", &[], &hi_streamed("gpt")).await;
    let (_, mut body) = connection.answer().await;
    for _ in 0..15 {
        body.event().await.expect("an event");
    }
    drop(connection);
    let totals = world.settled(1).await;
    assert!((10..=40).contains(&totals.output) && totals.input > 0 && totals.unstated == 1, "{totals:?}");
}

#[tokio::test]
async fn a_chat_that_is_passed_on_and_says_nothing_of_its_usage_is_counted() {
    let world = World::start(MODELS).await;
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "word ".repeat(20)}});
    let whole = Answer::json(200, json!({"object": "chat.completion", "choices": [choice]}));
    world.provider.script([Answer::sse(pieces().chain([SseItem::done()])), whole]);
    for (attempts, body) in [(1, hi_streamed("gpt")), (2, hi("gpt"))] {
        let before = world.gateway.totals();
        let reply = world.post("/openai/v1/chat/completions", &body).await;
        assert!(reply.complete && reply.text().contains("word "), "{}", reply.text());
        let totals = world.settled(attempts).await;
        let output = totals.output - before.output;
        assert!((18..=26).contains(&output) && totals.input > before.input, "{totals:?}");
        assert!(totals.nanos > before.nanos && totals.unpriced == 0 && totals.unstated == attempts, "{totals:?}");
    }
}
