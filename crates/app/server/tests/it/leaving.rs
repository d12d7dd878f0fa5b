//! Clients that leave before their answer is there (decision 29).

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tollgate_kit::{Answer, Call, Place, SseItem};

use crate::world::{ONE_MODEL, World, hi, hi_streamed};

fn pieces(count: usize) -> Vec<SseItem> {
    let piece = |text: String| {
        SseItem::data(json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
    };
    let mut items: Vec<SseItem> = (0..count).map(|number| piece(format!("word {number} "))).collect();
    items.push(SseItem::data(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})));
    items.push(SseItem::data(
        json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}}),
    ));
    items.push(SseItem::done());
    items
}

fn whole() -> Answer {
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33});
    Answer::json(200, json!({"object": "chat.completion", "choices": [], "usage": usage}))
}

/// Begins a stream, reads its first event and leaves.
async fn leave_a_stream(world: &World) {
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
    let (head, mut body) = connection.answer().await;
    assert_eq!(head.status, 200);
    body.event().await.unwrap();
}

/// Asks, waits until the provider is at work, and leaves.
async fn leave_a_call(world: &World, body: &serde_json::Value) {
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], body).await;
    world.provider.wait_for_calls(1).await;
}

#[tokio::test]
async fn a_stream_whose_reader_left_is_closed_at_once_and_booked_as_counted() {
    let world = World::plain().await;
    world.provider.script([Answer::sse(pieces(1000)).wait_between_chunks(Duration::from_millis(20))]);
    leave_a_stream(&world).await;
    let left = Instant::now();
    world.provider.wait_until("the stream is closed", Call::client_left).await;
    assert!(left.elapsed() < Duration::from_millis(100), "{:?}", left.elapsed());
    let totals = world.settled(1).await;
    assert!(totals.unstated == 1 && totals.input > 0 && totals.output > 0, "{totals:?}");
}

#[tokio::test]
async fn a_stream_that_is_silent_is_closed_just_as_fast() {
    let world = World::plain().await;
    world.provider.script([Answer::sse(pieces(5)).stall(Place::AfterEvents(1))]);
    leave_a_stream(&world).await;
    let left = Instant::now();
    world.provider.wait_until("the stream is closed", Call::client_left).await;
    assert!(left.elapsed() < Duration::from_millis(100), "{:?}", left.elapsed());
}

#[tokio::test]
async fn a_stream_left_before_its_first_event_is_closed_too() {
    let world = World::plain().await;
    world.provider.script([Answer::sse(pieces(5)).stall(Place::AfterBytes(0))]);
    leave_a_call(&world, &hi_streamed("gpt")).await;
    world.provider.wait_until("the stream is closed", Call::client_left).await;
    world.settled(1).await;
}

#[tokio::test]
async fn a_whole_call_whose_client_left_is_read_to_its_end_and_booked_as_stated() {
    let world = World::plain().await;
    world.provider.script([whole().wait_before_head(Duration::from_millis(300))]);
    leave_a_call(&world, &hi("gpt")).await;
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.output, totals.unstated), (11, 22, 0));
    assert!(!world.provider.only_call().client_left());
    world.eventually("no work is left", || (world.gateway.workers().running() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_whole_call_left_behind_is_bounded_by_its_timeout() {
    let config = ONE_MODEL.replace("api_key:", "timeout: 0.2, api_key:");
    let world = World::start(&config).await;
    world.provider.script([whole().stall(Place::BeforeHead)]);
    leave_a_call(&world, &hi("gpt")).await;
    let totals = world.settled(1).await;
    assert_eq!(totals.unstated, 1);
    world.eventually("no work is left", || (world.gateway.workers().running() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_whole_call_may_be_cancelled_instead() {
    for config in [
        ONE_MODEL.replace("api_key:", "client_disconnect: cancel, api_key:"),
        format!("{ONE_MODEL}general_settings: {{client_disconnect: cancel}}\n"),
        format!("{ONE_MODEL}general_settings: {{max_draining_calls: 0}}\n"),
    ] {
        let world = World::start(&config).await;
        world.provider.script([whole().stall(Place::BeforeHead)]);
        leave_a_call(&world, &hi("gpt")).await;
        world.provider.wait_until("the call is closed", Call::client_left).await;
        let totals = world.settled(1).await;
        assert_eq!(totals.unstated, 1);
    }
}

#[tokio::test]
async fn a_stream_may_be_read_to_its_end_instead() {
    for config in [
        ONE_MODEL.replace("api_key:", "client_disconnect: drain, api_key:"),
        format!("{ONE_MODEL}general_settings: {{client_disconnect: drain}}\n"),
    ] {
        let world = World::start(&config).await;
        world.provider.script([Answer::sse(pieces(20)).wait_between_chunks(Duration::from_millis(10))]);
        leave_a_stream(&world).await;
        let totals = world.settled(1).await;
        assert_eq!((totals.input, totals.output, totals.unstated), (11, 22, 0));
        assert!(!world.provider.only_call().client_left());
    }
}

#[tokio::test]
async fn a_stream_left_before_its_headers_is_read_to_its_end_where_that_is_asked_for() {
    let config = format!("{ONE_MODEL}general_settings: {{client_disconnect: drain, stream_header_wait: 0.05}}\n");
    for wait in [20, 300] {
        let world = World::start(&config).await;
        world.provider.script([Answer::sse(pieces(5)).wait_before_head(Duration::from_millis(wait))]);
        leave_a_call(&world, &hi_streamed("gpt")).await;
        let totals = world.settled(1).await;
        assert_eq!((totals.input, totals.output, totals.unstated), (11, 22, 0), "{wait}");
    }
}

#[tokio::test]
async fn a_stream_that_is_drained_still_reaches_its_reader() {
    let world = World::start(&format!("{ONE_MODEL}general_settings: {{client_disconnect: drain}}\n")).await;
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert!(reply.complete && reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
}

#[tokio::test]
async fn over_the_bound_streams_are_not_drained() {
    let config = format!("{ONE_MODEL}general_settings: {{client_disconnect: drain, max_draining_calls: 0}}\n");
    let world = World::start(&config).await;
    world.provider.script([Answer::sse(pieces(1000)).wait_between_chunks(Duration::from_millis(20))]);
    leave_a_stream(&world).await;
    world.provider.wait_until("the stream is closed", Call::client_left).await;
    world.settled(1).await;
}

/// What is asked is read to its end for its usage; what was not asked yet is not asked for nobody.
#[tokio::test]
async fn nothing_more_is_asked_for_a_client_that_has_left() {
    let world = World::start(&ONE_MODEL.replace("num_retries: 0", "num_retries: 2")).await;
    world.provider.script([
        Answer::json(503, json!({"error": {"message": "down"}})).wait_before_head(Duration::from_millis(200))
    ]);
    leave_a_call(&world, &hi("gpt")).await;
    world.settled(1).await;
    // A retry would come within a second and a quarter.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(world.provider.calls().len(), 1);
    assert_eq!(world.gateway.workers().running(), 0);
}
