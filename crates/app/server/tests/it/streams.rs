//! Streams, from the first byte to the last, and everything that can happen between.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tollgate_kit::{Answer, Ending, Place, SseItem, http::Event};

use crate::world::{ONE_MODEL, World, error_of, hi_streamed, refused};

fn piece(text: &str) -> SseItem {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
    SseItem::data(
        json!({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [choice]}),
    )
}

fn last_piece() -> SseItem {
    let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    SseItem::data(
        json!({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [choice]}),
    )
}

fn usage_piece() -> SseItem {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8});
    SseItem::data(
        json!({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [], "usage": usage}),
    )
}

fn text_of(events: &[Event]) -> String {
    events
        .iter()
        .filter_map(|event| event.json()["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

fn with_usage() -> Value {
    let mut body = hi_streamed("gpt");
    body["stream_options"] = json!({"include_usage": true});
    body
}

#[tokio::test]
async fn a_stream_comes_in_order_and_ends_with_done() {
    let world = World::plain().await;
    let words: Vec<String> = (0..500).map(|number| format!("{number} ")).collect();
    let items = words.iter().map(|word| piece(word)).chain([last_piece(), usage_piece(), SseItem::done()]);
    world.provider.script([Answer::sse(items)]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert_eq!((reply.status, reply.complete), (200, true));
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = reply.events();
    assert_eq!(text_of(&events), words.concat());
    assert_eq!(events.last().unwrap().data, "[DONE]");
    assert!(!reply.text().contains("\"usage\":{"), "usage was not asked for");
    // It was asked of the provider all the same, for the books.
    assert_eq!(world.provider.only_call().json()["stream_options"]["include_usage"], true);
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.output, totals.unstated), (3, 5, 0));
}

#[tokio::test]
async fn usage_and_its_cost_come_in_the_stream_when_asked_for() {
    let world = World::plain().await;
    let events = world.chat(&with_usage()).await.events();
    let (last, usage) = (events.last().unwrap(), &events[events.len() - 2]);
    assert_eq!(last.data, "[DONE]");
    let usage = usage.json()["usage"].clone();
    assert!(usage["total_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{usage}");
    assert!(usage["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{usage}");
}

#[tokio::test]
async fn usage_may_always_be_sent() {
    let world = World::start(&format!("{ONE_MODEL}general_settings: {{always_include_stream_usage: true}}\n")).await;
    let text = world.chat(&hi_streamed("gpt")).await.text();
    assert!(text.contains("\"usage\":{"), "{text}");
}

#[tokio::test]
async fn comments_line_ends_and_a_missing_done_are_smoothed() {
    let world = World::plain().await;
    let raw = |text: &str| SseItem::Raw(text.as_bytes().to_vec());
    let chunk = |text: &str| {
        format!("{{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}")
    };
    world.provider.script([Answer::sse([
        raw(": OPENROUTER PROCESSING\r\n\r\n"),
        raw(&format!("data: {}\r\n\r\n", chunk("one "))),
        raw(&format!("id: 7\r\nretry: 10\r\ndata:{}\r\n\r\n", chunk("two "))),
        raw(&format!("\n\n\ndata: {}\n\n", chunk("three"))),
        raw("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n"),
    ])
    .split_every(7)]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert_eq!(text_of(&reply.events()), "one two three");
    assert!(reply.complete && reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    assert!(!reply.text().contains('\r') && !reply.text().contains("PROCESSING"), "{}", reply.text());
}

#[tokio::test]
async fn a_stream_cut_after_its_beginning_ends_with_an_error_in_band() {
    let world = World::plain().await;
    let items = || [piece("one "), piece("two "), piece("three"), last_piece(), SseItem::done()];
    for answer in [
        Answer::sse(items()).cut(Place::AfterEvents(2)),
        Answer::sse(items()).reset(Place::AfterEvents(2)),
        Answer::sse(items()).cut(Place::InsideEvent(2)),
        Answer::sse([piece("one "), SseItem::data(json!({"error": {"message": "boom", "type": "server_error"}}))]),
        Answer::sse([piece("one "), SseItem::Raw(b"data: {not json\n\n".to_vec()), piece("two")]),
        // A body without a length ends when its connection does, whatever the reason; and a proxy closes in order for a
        // server behind it that has died.
        Answer::sse([piece("one "), piece("two ")]).until_close(),
        Answer::sse([piece("one "), piece("two ")]).chunked(),
    ] {
        world.provider.script([answer.wait_between_chunks(Duration::from_millis(10))]);
        let reply = world.chat(&hi_streamed("gpt")).await;
        assert_eq!((reply.status, reply.complete), (200, true), "{}", reply.text());
        let events = reply.events();
        assert!(text_of(&events).starts_with("one "), "{}", reply.text());
        let status = events.last().unwrap().json()["error"]["code"].as_str().map(str::to_owned);
        let told = error_of(&events.last().unwrap().json(), status.unwrap().parse().unwrap());
        assert!(told.starts_with("litellm."), "{told}");
        assert!(!reply.text().contains("[DONE]"), "{}", reply.text());
    }
    let totals = world.settled(7).await;
    assert!(totals.output > 0 && totals.unstated == 7, "{totals:?}");
}

#[tokio::test]
async fn a_failure_before_the_first_content_is_a_real_status() {
    let world = World::plain().await;
    let role = SseItem::data(json!({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": null}]}));
    let overloaded = SseItem::data(json!({"error": {"message": "overloaded", "type": "server_error", "code": 503}}));
    for (answer, statuses) in [
        (Answer::sse([overloaded.clone()]), 500..600),
        (Answer::sse([SseItem::Comment("wait".to_owned()), overloaded.clone()]), 500..600),
        (Answer::sse([role.clone(), overloaded]), 500..600),
        (Answer::sse([role.clone(), piece("x")]).cut(Place::AfterEvents(1)), 500..501),
        (Answer::sse([]).cut(Place::BeforeHead), 500..501),
        (Answer::json(429, json!({"error": {"message": "slow down"}})).header("retry-after", "7"), 429..430),
        (Answer::json(401, json!({"error": {"message": "wrong key"}})), 401..402),
        (Answer::text(502, "<html>bad gateway</html>"), 502..503),
    ] {
        world.provider.script([answer]);
        let reply = world.chat(&hi_streamed("gpt")).await;
        assert!(statuses.contains(&reply.status), "{statuses:?}: {} {}", reply.status, reply.text());
        let status = reply.status;
        refused(&reply, status);
        if status == 429 {
            assert_eq!(reply.header("retry-after"), Some("7"));
        }
    }
    world.settled(8).await;
}

#[tokio::test]
async fn a_provider_that_is_slow_to_begin_does_not_hold_back_the_headers() {
    let world = World::start(&format!("{ONE_MODEL}general_settings: {{stream_header_wait: 0.1}}\n")).await;
    let wait = SseItem::Wait(Duration::from_millis(600));
    world.provider.script([Answer::sse([
        SseItem::Comment("thinking".to_owned()),
        wait,
        piece("late"),
        last_piece(),
        SseItem::done(),
    ])]);
    let mut connection = world.connect().await;
    let asked = Instant::now();
    connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
    let (head, mut body) = connection.answer().await;
    assert_eq!(head.status, 200);
    let first = body.event().await.unwrap();
    assert_eq!(first.comments, ["keep-alive"]);
    assert!(
        asked.elapsed() >= Duration::from_millis(100) && asked.elapsed() < Duration::from_millis(500),
        "{:?}",
        asked.elapsed()
    );
    let (rest, complete) = body.rest().await;
    assert!(complete && String::from_utf8(rest).unwrap().contains("late"));
}

#[tokio::test]
async fn a_head_that_is_slow_to_come_does_not_hold_back_the_headers_either() {
    let world = World::start(&format!("{ONE_MODEL}general_settings: {{stream_header_wait: 0.1}}\n")).await;
    let answer =
        || Answer::sse([piece("late"), last_piece(), SseItem::done()]).wait_before_head(Duration::from_millis(500));
    world.provider.script([answer()]);
    let asked = Instant::now();
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[("x-litellm-call-id", "mine")], &hi_streamed("gpt")).await;
    let (head, mut body) = connection.answer().await;
    assert_eq!((head.status, head.header("x-litellm-call-id")), (200, Some("mine")));
    assert_eq!(body.event().await.unwrap().comments, ["keep-alive"]);
    assert!(asked.elapsed() < Duration::from_millis(400), "{:?}", asked.elapsed());
    let (rest, complete) = body.rest().await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(complete && rest.contains("late") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    // Another deployment, or another attempt, may still answer after the headers.
    let failed = Answer::json(503, json!({"error": {"message": "down"}})).wait_before_head(Duration::from_millis(300));
    world.provider.script([failed.clone(), answer()]);
    let mut twice = hi_streamed("gpt");
    twice["num_retries"] = json!(1);
    let reply = world.chat(&twice).await;
    assert_eq!((reply.status, text_of(&reply.events()).as_str()), (200, "late"), "{}", reply.text());
    // If nobody does, the stream says so.
    world.provider.script([failed]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert_eq!(reply.status, 200);
    let told = error_of(&reply.events().last().unwrap().json(), 503);
    assert!(told.contains("down") && !reply.text().contains("[DONE]"), "{told}");
}

#[tokio::test]
async fn a_stream_that_stands_still_ends_with_a_timeout_in_band() {
    let config = ONE_MODEL.replace("api_key:", "stream_timeout: 0.2, api_key:");
    let world = World::start(&config).await;
    world.provider.script([Answer::sse([piece("one "), piece("two"), last_piece()]).stall(Place::AfterEvents(1))]);
    let reply = timeout(Duration::from_secs(5), world.chat(&hi_streamed("gpt"))).await.unwrap();
    assert_eq!((reply.status, reply.complete), (200, true));
    let events = reply.events();
    assert_eq!(text_of(&events), "one ");
    let told = error_of(&events.last().unwrap().json(), 408);
    assert!(told.starts_with("litellm.Timeout: "), "{told}");
    world.provider.wait_until("we have left", |call| call.client_left()).await;
    // Standing still before the first word is a status.
    world.provider.script([Answer::sse([piece("one ")]).stall(Place::AfterBytes(0))]);
    refused(&timeout(Duration::from_secs(5), world.chat(&hi_streamed("gpt"))).await.unwrap(), 408);
}

#[tokio::test]
async fn a_stream_stays_alive_while_its_provider_thinks() {
    let world = World::plain().await;
    world.provider.script([Answer::sse([piece("one "), piece("two"), last_piece()]).stall(Place::AfterEvents(1))]);
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
    let (_, mut body) = connection.answer().await;
    assert_eq!(body.event().await.unwrap().json()["choices"][0]["delta"]["content"], "one ");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(16)).await;
    tokio::time::resume();
    assert_eq!(body.event().await.unwrap().comments, ["keep-alive"]);
}

#[tokio::test]
async fn a_whole_answer_to_a_streamed_call_becomes_a_stream() {
    let world = World::plain().await;
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8});
    let message = json!({"role": "assistant", "content": "all at once"});
    let whole = json!({"id": "c-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    world.provider.script([Answer::json(200, whole.clone()), Answer::json(200, whole)]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    let events = reply.events();
    assert_eq!(text_of(&events), "all at once", "{}", reply.text());
    assert!(
        reply.text().contains("\"finish_reason\":\"stop\"") && !reply.text().contains("\"usage\":{"),
        "{}",
        reply.text()
    );
    assert!(events[0].json()["object"] == "chat.completion.chunk" && events.last().unwrap().data == "[DONE]");
    let with_usage = world.chat(&with_usage()).await.text();
    assert!(with_usage.contains("\"total_tokens\":8"), "{with_usage}");
    // Events that call themselves a document are events.
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hm\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    world.provider.script([Answer::raw(200, "application/json", text)]);
    assert_eq!(text_of(&world.chat(&hi_streamed("gpt")).await.events()), "hm");
    let totals = world.settled(3).await;
    assert_eq!(totals.unstated, 1);
}

#[tokio::test]
async fn an_error_document_with_status_200_to_a_streamed_call_is_an_error() {
    let world = World::plain().await;
    world.provider.script([
        Answer::json(200, json!({"error": {"message": "no credits", "type": "server_error", "code": 500}})),
        Answer::json(200, json!({"detail": "what?"})),
        Answer::raw(200, "text/html", "<html>login</html>"),
        Answer::json(200, json!({"object": "chat.completion"})).claim_length(9999),
    ]);
    for _ in 0..4 {
        let reply = world.chat(&hi_streamed("gpt")).await;
        assert!(reply.status >= 400, "{}", reply.text());
        let status = reply.status;
        refused(&reply, status);
    }
    world.settled(4).await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_stops_the_provider() {
    let world = World::plain().await;
    let big = "x".repeat(4000);
    let items: Vec<SseItem> = (0..10_000).map(|_| piece(&big)).collect();
    world.provider.script([Answer::sse(items)]);
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
    let (_, mut body) = connection.answer().await;
    body.event().await.unwrap();
    // Forty megabytes wait. The kernel's buffers on both ways take some of them, as much as its settings allow.
    tokio::time::sleep(Duration::from_millis(700)).await;
    drop(body);
    drop(connection);
    let call = world.provider.wait_until("it has noticed", |call| call.client_left()).await;
    let Ending::ClientLeft { body_bytes, .. } = call.ending else { panic!("{call:?}") };
    assert!(body_bytes < 24 << 20, "{body_bytes} bytes were taken from the provider");
    world.settled(1).await;
}

#[tokio::test]
async fn an_event_over_the_bound_is_refused() {
    let world = World::start(&format!("{ONE_MODEL}general_settings: {{stream_buffer_bytes: 10000}}\n")).await;
    world.provider.script([Answer::sse([piece("one "), piece(&"x".repeat(400_000)), last_piece()])]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert!(!reply.text().contains("[DONE]") && reply.text().contains("\"error\""), "{}", reply.text());
}

#[tokio::test]
async fn a_mocked_stream_comes_word_by_word() {
    let world = World::start(
        "model_list: [{model_name: gpt, litellm_params: {model: openai/x, mock_response: one two three}}]",
    )
    .await;
    let events = world.chat(&hi_streamed("gpt")).await.events();
    assert_eq!(text_of(&events), "one two three");
    assert_eq!(events.last().unwrap().data, "[DONE]");
}
