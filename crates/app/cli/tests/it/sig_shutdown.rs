//! How the process ends: signals, the grace of running calls, and what their clients are told.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tollgate_kit::{
    Answer, FakeProvider, Gateway, Place, SseItem,
    http::{self, Connection},
};

const SOON: Duration = Duration::from_secs(10);

async fn started(provider: &FakeProvider, general: &str) -> Gateway {
    let file = format!(
        "model_list:\n  - model_name: gpt\n    litellm_params: {{model: openai/gpt-4o, api_base: '{}/v1', api_key: k}}\n\
         general_settings: {{{general}}}\nrouter_settings: {{num_retries: 0}}\n",
        provider.url()
    );
    Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file).start().await
}

fn chat(stream: bool) -> Value {
    json!({"model": "gpt", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

fn word() -> SseItem {
    SseItem::data(json!({"choices": [{"index": 0, "delta": {"content": "word "}}]}))
}

fn endless() -> Answer {
    Answer::sse((0..10_000).map(|_| word())).wait_between_chunks(Duration::from_millis(20))
}

/// Begins a call on a connection that then stays with the test.
async fn asking(gateway: &Gateway, stream: bool) -> Connection {
    let (mut connection, _) = Connection::open(gateway.url()).await;
    connection.ask_json("/v1/chat/completions", &[], &chat(stream)).await;
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_at_rest_ends_at_once_and_well() {
    for signal in ["TERM", "INT"] {
        let provider = FakeProvider::start().await;
        let gateway = started(&provider, "").await;
        assert_eq!(http::get(&gateway.at("/health/readiness"), &[]).await.status, 200);
        let (mut idle, _) = Connection::open(gateway.url()).await;
        idle.ask("GET", "/health/liveliness", &[], b"").await;
        assert_eq!(idle.reply().await.status, 200);
        let asked = Instant::now();
        gateway.signal(signal);
        let ended = gateway.wait().await;
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn running_calls_end_and_nobody_new_is_let_in() {
    let provider = FakeProvider::start().await;
    let gateway = started(&provider, "").await;
    let late = Answer::json(200, json!({"object": "chat.completion", "choices": []}));
    provider.script([late.wait_before_head(Duration::from_millis(700))]);
    let mut running = asking(&gateway, false).await;
    provider.wait_for_calls(1).await;
    gateway.signal("TERM");
    let address = gateway.url().trim_start_matches("http://").to_owned();
    let closed = async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, closed).await.expect("accepting stops");
    let reply = timeout(SOON, running.reply()).await.expect("an answer");
    assert_eq!((reply.status, reply.complete), (200, true));
    assert_eq!(gateway.wait().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_outlives_the_grace_ends_in_band() {
    let provider = FakeProvider::start().await;
    let gateway = started(&provider, "shutdown_grace: 0.4").await;
    provider.script([endless()]);
    let mut connection = asking(&gateway, true).await;
    let (head, mut body) = connection.answer().await;
    assert_eq!(head.status, 200);
    body.event().await.expect("an event");
    let asked = Instant::now();
    gateway.signal("TERM");
    let mut last = None;
    while let Some(event) = timeout(SOON, body.event()).await.expect("the stream goes on or ends") {
        last = Some(event);
    }
    assert!(asked.elapsed() >= Duration::from_millis(400), "{:?}", asked.elapsed());
    let last = last.expect("a last event").json();
    assert_eq!(last["error"]["code"], "503", "{last}");
    assert!(last["error"]["message"].as_str().is_some_and(|words| words.contains("shutting down")), "{last}");
    assert!(body.is_complete());
    let ended = gateway.wait().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    provider.wait_until("the upstream is closed", tollgate_kit::Call::client_left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let provider = FakeProvider::start().await;
    let gateway = started(&provider, "").await;
    provider.script([endless(), Answer::json(200, json!({})).stall(Place::BeforeHead)]);
    let mut streaming = asking(&gateway, true).await;
    let (_, mut body) = streaming.answer().await;
    body.event().await.expect("an event");
    let _waiting = asking(&gateway, false).await;
    provider.wait_for_calls(2).await;
    gateway.signal("TERM");
    sleep(Duration::from_millis(100)).await;
    let asked = Instant::now();
    gateway.signal("TERM");
    gateway.wait().await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}
