//! Which answer a call gets, and what is written down of it.

use serde_json::json;
use tollgate_kit::{
    Answer, FakeProvider,
    http::{self, Connection},
    provider::KEY,
};

async fn status(provider: &FakeProvider, path: &str) -> u16 {
    http::post(&format!("{}{path}", provider.url()), &[], &json!({"model": "a"})).await.status
}

#[tokio::test]
async fn answers_are_used_in_order_and_then_the_default_returns() {
    let provider = FakeProvider::start().await;
    provider.script([Answer::text(500, ""), Answer::text(503, "")]);

    assert_eq!(status(&provider, "/v1/chat/completions").await, 500);
    assert_eq!(status(&provider, "/v1/chat/completions").await, 503);
    assert_eq!(status(&provider, "/v1/chat/completions").await, 401, "no key was sent");
}

#[tokio::test]
async fn answers_for_a_route_wait_for_that_route() {
    let provider = FakeProvider::start().await;
    provider.script_for("POST /v1/emb*", [Answer::text(201, "")]);
    provider.script_when(|call| call.json()["model"] == "a", [Answer::text(202, "")]);

    assert_eq!(status(&provider, "/v1/other").await, 202);
    assert_eq!(status(&provider, "/v1/embeddings").await, 201);
}

#[tokio::test]
async fn an_answer_for_always_is_never_used_up() {
    let provider = FakeProvider::start().await;
    provider.always("*", Answer::text(429, ""));

    for _ in 0..3 {
        assert_eq!(status(&provider, "/any").await, 429);
    }
}

#[tokio::test]
async fn a_call_is_written_down_whole() {
    let provider = FakeProvider::start().await;
    let (mut connection, _) = Connection::open(&provider.url()).await;

    connection
        .ask_json(
            "/v1/embeddings?api-version=7",
            &[("Authorization", &format!("Bearer {KEY}"))],
            &json!({"input": "x"}),
        )
        .await;
    connection.reply().await;

    let call = provider.only_call();
    assert_eq!(
        (call.method.as_str(), call.path.as_str(), call.query.as_str()),
        ("POST", "/v1/embeddings", "api-version=7")
    );
    assert_eq!(call.header("Content-Type"), Some("application/json"));
    assert_eq!(call.json(), json!({"input": "x"}));
    assert_eq!(call.body, br#"{"input":"x"}"#);
}

#[tokio::test]
async fn a_connection_carries_several_calls_also_with_chunked_bodies() {
    let provider = FakeProvider::start().await;
    provider.always("*", Answer::text(200, "ok"));
    let (mut connection, _) = Connection::open(&provider.url()).await;
    let chunked = "POST /one HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let waiting = "POST /two HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi";

    connection.send(format!("{chunked}{waiting}")).await.expect("both requests are sent");
    assert_eq!(connection.reply().await.text(), "ok");
    assert_eq!(connection.reply().await.text(), "ok");

    let bodies: Vec<String> = provider.calls().iter().map(tollgate_kit::Call::text).collect();
    assert_eq!(bodies, ["abcde", "hi"]);
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_and_not_written_down() {
    let provider = FakeProvider::start().await;
    let (mut connection, _) = Connection::open(&provider.url()).await;

    connection.send("POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n").await.expect("the request is sent");

    assert_eq!(connection.reply().await.status, 400);
    assert!(provider.calls().is_empty());
}

#[tokio::test]
async fn calls_are_shown_to_clients_in_other_languages() {
    let provider = FakeProvider::start().await;
    status(&provider, "/v1/chat/completions").await;

    let shown = http::get(&format!("{}/_calls", provider.url()), &[]).await.json();

    assert_eq!(shown[0]["path"], "/v1/chat/completions");
    assert_eq!(shown[0]["json"], json!({"model": "a"}));
    assert_eq!(shown.as_array().map(Vec::len), Some(1));
}
