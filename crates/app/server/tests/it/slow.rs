//! Clients that take their time: each silence has its bound.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::world::{ONE_MODEL, Plan, World, hi, refused};

const SHORT: Duration = Duration::from_millis(150);
const SOON: Duration = Duration::from_secs(5);

fn impatient() -> Plan {
    World::of(ONE_MODEL).bounds(|bounds| {
        bounds.header_read_timeout = SHORT;
        bounds.body_read_timeout = SHORT;
        bounds.keepalive_timeout = SHORT * 3;
    })
}

#[tokio::test]
async fn a_body_that_never_ends_is_a_408_at_its_bound() {
    let world = impatient().start().await;
    for head in ["content-length: 5000", "content-length: 500000", "transfer-encoding: chunked"] {
        let mut connection = world.connect().await;
        let request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n1\r\n{{\r\n");
        connection.send(request).await.unwrap();
        let sent = Instant::now();
        let reply = connection.reply().await;
        let words = refused(&reply, 408);
        assert!(words.contains("body did not end within"), "{words}");
        assert!(sent.elapsed() >= SHORT && sent.elapsed() < SOON);
        assert_eq!(reply.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn a_body_that_drips_is_bounded_as_a_whole() {
    let world = impatient().start().await;
    let mut connection = world.connect().await;
    connection.send("POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < SHORT * 2 && connection.send(" ").await.is_ok() {
        sleep(Duration::from_millis(20)).await;
    }
    refused(&connection.reply().await, 408);
}

#[tokio::test]
async fn a_head_that_never_ends_is_a_408_at_its_bound() {
    let world = impatient().start().await;
    let mut connection = world.connect().await;
    let begun = Instant::now();
    connection.send("GET /health HTTP/1.1\r\n").await.unwrap();
    // It drips on, and gains nothing by it.
    while begun.elapsed() < SHORT && connection.send("x: y\r\n").await.is_ok() {
        sleep(Duration::from_millis(20)).await;
    }
    let reply = timeout(SOON, connection.reply()).await.unwrap();
    refused(&reply, 408);
    assert!(begun.elapsed() < SHORT * 3, "{:?}", begun.elapsed());
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn a_second_head_that_never_ends_is_a_408_too() {
    let world = impatient().start().await;
    let mut connection = world.connect().await;
    connection.ask("GET", "/health/liveliness", &[], b"").await;
    assert_eq!(connection.reply().await.status, 200);
    connection.send("GET /heal").await.unwrap();
    refused(&timeout(SOON, connection.reply()).await.unwrap(), 408);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let world = impatient().start().await;
    let begun = Instant::now();
    let mut silent = world.connect().await;
    assert!(timeout(SOON, silent.is_closed()).await.unwrap());
    assert!(begun.elapsed() >= SHORT);
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let world = impatient().start().await;
    let mut connection = world.connect().await;
    for _ in 0..3 {
        connection.ask_json("/v1/chat/completions", &[], &hi("gpt")).await;
        assert_eq!(connection.reply().await.status, 200);
        sleep(SHORT * 2).await;
    }
    assert!(timeout(SOON, connection.is_closed()).await.unwrap());
}

#[tokio::test]
async fn a_call_may_take_longer_than_any_silence_between_calls() {
    let world = impatient().start().await;
    let answer = tollgate_kit::Answer::json(200, serde_json::json!({"choices": [], "object": "chat.completion"}));
    world.provider.script([answer.wait_before_head(SHORT * 6)]);
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], &hi("gpt")).await;
    assert_eq!(connection.reply().await.status, 200);
    connection.ask("GET", "/health/liveliness", &[], b"").await;
    assert_eq!(connection.reply().await.status, 200);
}

#[tokio::test]
async fn connections_over_the_bound_wait_their_turn() {
    let world = World::of(ONE_MODEL).bounds(|bounds| bounds.max_connections = 2).start().await;
    let (first, mut second, mut third) = (world.connect().await, world.connect().await, world.connect().await);
    second.ask("GET", "/health/liveliness", &[], b"").await;
    assert_eq!(second.reply().await.status, 200);
    third.ask("GET", "/health/liveliness", &[], b"").await;
    assert!(timeout(SHORT, third.reply()).await.is_err());
    drop(first);
    assert_eq!(timeout(SOON, third.reply()).await.unwrap().status, 200);
}
