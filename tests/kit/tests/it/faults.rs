//! Each fault, seen by a client.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tollgate_kit::{
    Answer, Ending, FakeProvider, Place, SseItem,
    http::{self, Connection, Reply},
};

async fn ask(answer: Answer) -> (FakeProvider, Reply) {
    let provider = FakeProvider::start().await;
    provider.script([answer]);
    let reply = http::post(&provider.url(), &[], &json!({})).await;
    (provider, reply)
}

fn three_events() -> Answer {
    Answer::sse([SseItem::data(json!({"n": 1})), SseItem::data(json!({"n": 2})), SseItem::done()])
}

#[tokio::test]
async fn a_whole_answer_arrives_as_scripted() {
    let (provider, reply) = ask(Answer::json(418, json!({"tea": true})).header("x-pot", "short")).await;

    assert_eq!((reply.status, reply.complete), (418, true));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("x-pot"), Some("short"));
    assert_eq!(reply.json(), json!({"tea": true}));
    assert_eq!(provider.only_call().ending, Ending::Answered);
}

#[tokio::test]
async fn a_stream_arrives_event_by_event() {
    let (_provider, reply) = ask(three_events()).await;

    assert!(reply.complete);
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    let data: Vec<String> = reply.events().into_iter().map(|event| event.data).collect();
    assert_eq!(data, [r#"{"n":1}"#, r#"{"n":2}"#, "[DONE]"]);
}

#[tokio::test]
async fn a_recorded_stream_is_replayed_as_it_was() {
    let recorded = "event: ping\ndata: {}\n\n: still here\n\ndata: [DONE]\n\n";

    let (_provider, reply) = ask(Answer::sse_text(recorded)).await;

    assert_eq!(reply.text(), recorded);
    assert_eq!(reply.events()[0].name.as_deref(), Some("ping"));
    assert_eq!(reply.events()[1].comments, ["still here"]);
}

#[tokio::test]
async fn a_cut_after_events_leaves_whole_events_and_no_end() {
    let (provider, reply) = ask(three_events().cut(Place::AfterEvents(2))).await;

    assert_eq!(reply.text(), "data: {\"n\":1}\n\ndata: {\"n\":2}\n\n");
    assert!(!reply.complete);
    assert_eq!(provider.only_call().ending, Ending::Cut);
}

#[tokio::test]
async fn a_cut_inside_an_event_leaves_its_first_half() {
    let (_provider, reply) = ask(three_events().cut(Place::InsideEvent(1))).await;

    assert_eq!(reply.text(), "data: {\"n\":1}\n\ndata: {");
    assert!(!reply.complete);
}

#[tokio::test]
async fn a_cut_at_the_last_byte_still_lacks_the_end() {
    let (_provider, reply) = ask(three_events().cut(Place::AfterEvents(3))).await;

    assert_eq!(reply.events().len(), 3);
    assert!(!reply.complete);
}

#[tokio::test]
async fn a_cut_after_bytes_leaves_a_short_body() {
    let (_provider, reply) = ask(Answer::text(200, "0123456789").cut(Place::AfterBytes(4))).await;

    assert_eq!((reply.text().as_str(), reply.complete), ("0123", false));
    assert_eq!(reply.header("content-length"), Some("10"));
}

#[tokio::test]
async fn a_cut_before_the_head_closes_without_a_word() {
    let provider = FakeProvider::start().await;
    provider.script([Answer::text(200, "never").cut(Place::BeforeHead)]);
    let (mut connection, path) = Connection::open(&provider.url()).await;

    connection.ask("GET", &path, &[], b"").await;

    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn a_reset_ends_the_connection_too() {
    let (provider, reply) = ask(three_events().wait_between_chunks(ms(20)).reset(Place::AfterEvents(1))).await;

    assert!(!reply.complete);
    assert_eq!(provider.only_call().ending, Ending::Cut);
}

#[tokio::test]
async fn a_stall_keeps_the_connection_open_and_notices_the_client_leaving() {
    let provider = FakeProvider::start().await;
    provider.script([three_events().stall(Place::AfterEvents(1))]);
    let (mut connection, path) = Connection::open(&provider.url()).await;
    connection.ask_json(&path, &[], &json!({})).await;
    let (_, mut body) = connection.answer().await;

    assert_eq!(body.event().await.expect("the first event").data, r#"{"n":1}"#);
    assert!(timeout(ms(150), body.event()).await.is_err(), "nothing more comes");
    assert_eq!(provider.only_call().ending, Ending::Running);
    drop(connection);

    let call = provider.wait_until("the client leaving", |call| call.client_left()).await;
    let Ending::ClientLeft { after, body_bytes } = call.ending else { panic!("{:?}", call.ending) };
    assert!(after >= ms(150), "{after:?}");
    assert_eq!(body_bytes, "data: {\"n\":1}\n\n".len());
}

#[tokio::test]
async fn a_client_that_leaves_during_a_silence_is_noticed() {
    let provider = FakeProvider::start().await;
    provider.script([Answer::text(200, "late").wait_before_head(Duration::from_secs(60))]);
    let (mut connection, path) = Connection::open(&provider.url()).await;
    connection.ask_json(&path, &[], &json!({})).await;
    provider.wait_for_calls(1).await;

    drop(connection);

    provider.wait_until("the client leaving", |call| call.client_left()).await;
}

#[tokio::test]
async fn waits_are_kept() {
    let start = Instant::now();

    let (_provider, reply) = ask(three_events().wait_before_head(ms(60)).wait_between_chunks(ms(40))).await;

    assert!(reply.complete);
    assert!(start.elapsed() >= ms(140), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_silence_in_the_script_holds_the_next_event_back() {
    let start = Instant::now();

    let (_provider, reply) =
        ask(Answer::sse([SseItem::Wait(ms(80)), SseItem::Comment("here".to_owned()), SseItem::done()])).await;

    assert_eq!(reply.text(), ": here\n\ndata: [DONE]\n\n");
    assert!(start.elapsed() >= ms(80));
}

#[tokio::test]
async fn a_split_body_arrives_in_pieces_of_that_size() {
    let provider = FakeProvider::start().await;
    provider.script([three_events().split_every(5)]);
    let (mut connection, path) = Connection::open(&provider.url()).await;
    connection.ask_json(&path, &[], &json!({})).await;

    let (_, mut body) = connection.answer().await;

    let first = body.piece().await.expect("a first piece");
    assert_eq!(first, b"data:");
    let (rest, complete) = body.rest().await;
    assert!(complete);
    assert!(String::from_utf8_lossy(&rest).ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_split_body_with_a_length_is_still_whole() {
    let (_provider, reply) = ask(Answer::json(200, json!({"text": "grüße"})).split_every(1)).await;

    assert_eq!(reply.json(), json!({"text": "grüße"}));
    assert!(reply.complete);
}

#[tokio::test]
async fn a_wrong_length_is_sent_as_claimed() {
    let (_provider, longer) = ask(Answer::text(200, "four").claim_length(9)).await;
    let (_other, shorter) = ask(Answer::text(200, "four").claim_length(2)).await;

    assert_eq!((longer.text().as_str(), longer.complete), ("four", false));
    assert_eq!((shorter.text().as_str(), shorter.complete), ("fo", true));
}

#[tokio::test]
async fn a_body_can_end_with_the_connection() {
    let (_provider, reply) = ask(three_events().until_close()).await;

    assert_eq!(reply.header("transfer-encoding"), None);
    assert_eq!(reply.header("content-length"), None);
    assert_eq!(reply.events().len(), 3);
}

#[tokio::test]
async fn garbage_is_sent_instead_of_an_answer() {
    let provider = FakeProvider::start().await;
    provider.script([Answer::garbage("\u{0}not http")]);
    let (mut connection, path) = Connection::open(&provider.url()).await;

    connection.ask("GET", &path, &[], b"").await;

    assert_eq!(connection.head().await, None);
    assert_eq!(connection.leftover(), "\u{0}not http");
}

#[tokio::test]
async fn a_gzip_answer_says_so_and_is_one() {
    let (_provider, reply) = ask(Answer::json(200, json!({"plain": 1})).gzip()).await;

    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.body[..3], [0x1f, 0x8b, 8]);
    assert!(reply.body.windows(11).any(|window| window == br#"{"plain":1}"#), "blocks are stored, not compressed");
}

#[tokio::test]
async fn a_dropped_provider_lets_go_of_its_port_and_its_clients() {
    let provider = FakeProvider::start().await;
    provider.script([three_events().stall(Place::AfterBytes(0))]);
    let port = provider.port();
    let (mut connection, path) = Connection::open(&provider.url()).await;
    connection.ask_json(&path, &[], &json!({})).await;
    connection.head().await;

    drop(provider);

    assert!(connection.is_closed().await);
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        sleep(ms(5)).await;
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
