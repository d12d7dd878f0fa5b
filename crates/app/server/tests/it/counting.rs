//! Providers that send no usage: what they were asked and answered is counted by its words.

use serde_json::{Value, json};
use tollgate_kit::{Answer, Place, SseItem};

use crate::world::{World, hi, hi_streamed};

/// Words of six tokens in both vocabularies.
const WORDS: [&str; 3] = ["Hello,", " how are", " you?"];
/// 3 for the message, 1 for its role, 1 for `hi`, 3 for the answer's beginning.
const ASKED: u64 = 8;

fn piece(text: &str) -> SseItem {
    SseItem::data(json!({"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

fn stream() -> impl Iterator<Item = SseItem> {
    WORDS.into_iter().map(piece)
}

fn completion(usage: &Value) -> Value {
    let message = json!({"role": "assistant", "content": WORDS.concat()});
    json!({"object": "chat.completion", "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
}

#[tokio::test]
async fn a_stream_without_usage_is_counted_by_its_words() {
    let world = World::plain().await;
    world.provider.script([Answer::sse(stream().chain([SseItem::done()]))]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert!(reply.complete && reply.text().contains("[DONE]"), "{}", reply.text());
    // Settled before the last byte: no waiting here.
    let totals = world.gateway.totals();
    assert_eq!((totals.settled, totals.unstated, totals.input, totals.output), (1, 1, ASKED, 6), "{totals:?}");
    assert!(totals.nanos > 0);
}

#[tokio::test]
async fn a_client_that_asks_for_usage_gets_ours_where_the_provider_has_none() {
    let world = World::plain().await;
    world.provider.script([Answer::sse(stream().chain([SseItem::done()]))]);
    let mut asked = hi_streamed("gpt");
    asked["stream_options"] = json!({"include_usage": true});
    let text = world.chat(&asked).await.text();
    let last = text.split("\n\n").filter_map(|event| event.strip_prefix("data: {")).last().expect("a chunk");
    let last: Value = serde_json::from_str(&format!("{{{last}")).expect("JSON");
    let usage = (&last["usage"]["prompt_tokens"], &last["usage"]["completion_tokens"], &last["usage"]["total_tokens"]);
    assert_eq!(usage, (&json!(ASKED), &json!(6), &json!(ASKED + 6)), "{text}");
}

#[tokio::test]
async fn a_whole_answer_without_usage_is_counted_by_its_words_and_zeros_are_no_usage() {
    let world = World::plain().await;
    let zeros = json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0});
    for (calls, usage) in [(1, Value::Null), (2, zeros)] {
        world.provider.script([Answer::json(200, completion(&usage))]);
        assert_eq!(world.chat(&hi("gpt")).await.status, 200);
        let totals = world.gateway.totals();
        // As many as of the same words in a stream.
        assert_eq!((totals.unstated, totals.input, totals.output), (calls, calls * ASKED, calls * 6), "{totals:?}");
    }
}

#[tokio::test]
async fn vectors_without_usage_count_what_was_asked_and_nothing_else() {
    let world = World::plain().await;
    let vectors = json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]});
    world.provider.script([Answer::json(200, vectors)]);
    let asked = json!({"model": "gpt", "input": ["Hello, how are you?", "Hello, how are you?"]});
    assert_eq!(world.post("/v1/embeddings", &asked).await.status, 200);
    let totals = world.gateway.totals();
    assert_eq!((totals.unstated, totals.input, totals.output), (1, 12, 0), "{totals:?}");
}

#[tokio::test]
async fn a_cut_stream_is_counted_over_what_was_received() {
    let world = World::plain().await;
    // The vocabulary is here after the first.
    world.provider.script([Answer::sse(stream().chain([SseItem::done()]))]);
    world.chat(&hi_streamed("gpt")).await;
    world.provider.script([Answer::sse(stream().chain(stream())).reset(Place::AfterEvents(3))]);
    world.chat(&hi_streamed("gpt")).await;
    let totals = world.settled(2).await;
    assert_eq!((totals.unstated, totals.output), (2, 12), "{totals:?}");
    assert!(totals.input.abs_diff(2 * ASKED) <= 3, "{totals:?}");
}

#[tokio::test]
async fn a_picture_in_the_message_is_not_counted_by_its_bytes() {
    let world = World::plain().await;
    world.provider.script([Answer::json(200, completion(&Value::Null))]);
    let url = format!("data:image/png;base64,{}", "iVBORw0KGgo0".repeat(20_000));
    let asked = json!({"model": "gpt", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": url}}]},
    ]});
    assert_eq!(world.chat(&asked).await.status, 200);
    let totals = world.gateway.totals();
    assert!(totals.input > 85 && totals.input < 1_000, "{totals:?}");
}
