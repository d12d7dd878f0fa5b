//! What no client should send: refused at once, in `OpenAI`'s shape, and the gateway goes on.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tollgate_kit::http::{Connection, Reply};

use crate::world::{ONE_MODEL, World, hi, refused};

/// The bound is 5 ms on a machine at rest; tests share theirs.
/// What an answer may cost in computing, sending and reading it included.
const AT_ONCE: Duration = Duration::from_millis(150);
/// Less than any limit of the server's: whoever waits for one takes longer.
const NO_LIMIT: Duration = Duration::from_secs(8);

/// How long this thread, on which everything of a world runs, has computed so far: whatever else the machine has to do.
fn computed() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds"))
}

/// Sends bytes and reads the answer, which must come at once.
async fn told(connection: &mut Connection, bytes: impl AsRef<[u8]>) -> Reply {
    // A server that refuses may stop reading before the end.
    let _ = connection.send(bytes).await;
    let (sent, before) = (Instant::now(), computed());
    let reply = connection.reply().await;
    let (took, computing) = (sent.elapsed(), computed().saturating_sub(before));
    assert!(computing < AT_ONCE && took < NO_LIMIT, "answered after {computing:?} of computing in {took:?}");
    reply
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    request
}

async fn still_answers(world: &World) {
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
}

#[tokio::test]
async fn an_unknown_path_is_a_404_that_says_where_to_look() {
    let world = World::plain().await;
    for path in
        ["/nothing", "/v1/", "/v1/chat", "/v1/chat/completions/x", "//", "/engines/x/files", "/%00", "/v2/models"]
    {
        let words = refused(&world.post(path, &json!({})).await, 404);
        assert!(words.contains("Invalid URL (POST "), "{words}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_405_that_names_the_right_one() {
    let world = World::plain().await;
    for (method, path, allowed) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/embeddings", "POST"),
        ("PUT", "/engines/gpt/completions", "POST"),
        ("PUT", "/v1/responses/resp_1/cancel", "POST"),
        ("PATCH", "/v1/responses/resp_1", "DELETE"),
        ("POST", "/v1/models", "GET"),
        ("PATCH", "/health/readiness", "GET"),
        ("POST", "/", "GET"),
        ("OPTIONS", "/v1/models", "GET"),
        ("BREW", "/v1/completions", "POST"),
    ] {
        let mut connection = world.connect().await;
        connection.ask(method, path, &[], b"").await;
        let reply = connection.reply().await;
        let words = refused(&reply, 405);
        assert!(words.contains("Allow"), "{words}");
        assert!(
            reply.header("allow").is_some_and(|allow| allow.contains(allowed)),
            "{method} {path}: {:?}",
            reply.headers
        );
        connection.ask("GET", "/health/liveliness", &[], b"").await;
        assert_eq!(connection.reply().await.status, 200);
    }
}

#[tokio::test]
async fn members_of_a_wrong_type_are_refused_by_name() {
    let world = World::plain().await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    for (body, param) in [
        (json!({"model": 7, "messages": messages}), "model"),
        (json!({"model": ["gpt"], "messages": messages}), "model"),
        (json!({"model": "gpt"}), "messages"),
        (json!({"model": "gpt", "messages": null}), "messages"),
        (json!({"model": "gpt", "messages": "hi"}), "messages"),
        (json!({"model": "gpt", "messages": {}}), "messages"),
        (json!({"model": "gpt", "messages": []}), "messages"),
        (json!({"model": "gpt", "messages": messages, "stream": "yes"}), "stream"),
        (json!({"model": "gpt", "messages": messages, "stream": 1}), "stream"),
        (json!({"model": "gpt", "messages": messages, "stream": true, "stream_options": 3}), "stream_options"),
        (json!({"model": "gpt", "messages": messages, "max_tokens": -1}), "max_tokens"),
        (json!({"model": "gpt", "messages": messages, "timeout": -5}), "timeout"),
        (json!({"model": "gpt", "messages": messages, "timeout": "soon"}), "timeout"),
        (json!({"model": "gpt", "messages": messages, "num_retries": 1.5}), "num_retries"),
        (json!({"model": "gpt", "messages": messages, "num_retries": "many"}), "num_retries"),
        (json!({"model": "gpt", "messages": messages, "extra_headers": {"bad name": "x"}}), "extra_headers"),
        (json!({"model": "gpt", "messages": messages, "extra_headers": {"x": "a\nb"}}), "extra_headers"),
    ] {
        let reply = world.chat(&body).await;
        refused(&reply, 400);
        assert_eq!(reply.json()["error"]["param"], param, "{body}: {}", reply.text());
    }
    assert_eq!(
        refused(&world.post("/v1/completions", &json!({"model": "gpt"})).await, 400),
        "/completions: Missing required parameter: 'prompt'."
    );
    assert_eq!(
        refused(&world.post("/v1/embeddings", &json!({"model": "gpt"})).await, 400),
        "/embeddings: Missing required parameter: 'input'."
    );
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn absurd_numbers_are_refused() {
    let world = World::plain().await;
    for number in ["1e999", "-1e999", "-0.5"] {
        let body = format!(r#"{{"model":"gpt","messages":[{{"role":"user","content":"hi"}}],"max_tokens":{number}}}"#);
        let reply = world.chat_bytes(&[], body.as_bytes()).await;
        refused(&reply, 400);
        assert_eq!(reply.json()["error"]["param"], "max_tokens");
    }
    let digits =
        format!(r#"{{"model":"gpt","messages":[{{"role":"user","content":"hi"}}],"seed":1{}}}"#, "0".repeat(400));
    refused(&world.chat_bytes(&[], digits.as_bytes()).await, 400);
    for header in ["nan", "inf", "-1", "soon"] {
        refused(&world.chat_with(&[("x-litellm-timeout", header)], &hi("gpt")).await, 400);
        refused(&world.chat_with(&[("x-litellm-num-retries", header)], &hi("gpt")).await, 400);
    }
}

#[tokio::test]
async fn deep_nesting_is_refused_at_once() {
    let world = World::plain().await;
    let mut connection = world.connect().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [1_000, 100_000] {
            let nest = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for body in [
                nest.clone(),
                format!(r#"{{"model":"gpt","messages":{nest}}}"#),
                format!(r#"{{"model":"gpt","messages":[{{"role":"user","content":"hi"}}],"metadata":{nest}}}"#),
                format!(r#"{{"model":"gpt","messages":[{{"role":"user","content":"hi"}}],"x":{nest},}}"#),
                open.repeat(depth),
            ] {
                let reply = told(&mut connection, post("/v1/chat/completions", body.as_bytes())).await;
                refused(&reply, 400);
            }
        }
    }
    still_answers(&world).await;
}

#[tokio::test]
async fn broken_utf8_is_refused() {
    let world = World::plain().await;
    for body in [
        b"{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}".as_slice(),
        b"\xff\xfe{\x00}\x00",
        b"{\"mod\xc3\x28el\":\"gpt\"}",
    ] {
        let mut connection = world.connect().await;
        let words = refused(&told(&mut connection, post("/v1/chat/completions", body)).await, 400);
        assert!(words.starts_with("Invalid JSON payload"), "{words}");
        // The connection is as good as before.
        assert_eq!(
            told(&mut connection, post("/v1/chat/completions", hi("gpt").to_string().as_bytes())).await.status,
            200
        );
    }
}

#[tokio::test]
async fn a_connection_lives_on_after_a_refusal() {
    let world = World::locked().await;
    let mut connection = world.connect().await;
    for (path, body, status) in [
        ("/v1/chat/completions", "{", 401),
        ("/nothing", "{}", 404),
        ("/v1/models", "{}", 405),
        ("/v1/chat/completions", "{}", 401),
    ] {
        refused(&told(&mut connection, post(path, body.as_bytes())).await, status);
    }
    connection.ask_json("/v1/chat/completions", &[crate::world::WITH_MASTER], &hi("gpt")).await;
    assert_eq!(connection.reply().await.status, 200);
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_before_it_is_read() {
    let world = World::of(ONE_MODEL).bounds(|bounds| bounds.max_body_bytes = 10_000).start().await;
    let mut stated = world.connect().await;
    let reply =
        told(&mut stated, "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 10001\r\n\r\n").await;
    let words = refused(&reply, 413);
    assert!(words.contains("too large"), "{words}");

    let mut chunked = world.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    chunked.send(head).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(4096));
    refused(&told(&mut chunked, chunk.repeat(3)).await, 413);
    still_answers(&world).await;
}

#[tokio::test]
async fn a_body_as_large_as_the_bound_is_read() {
    let world = World::of(ONE_MODEL).bounds(|bounds| bounds.max_body_bytes = 300_000).start().await;
    let mut body = hi("gpt").to_string().into_bytes();
    body.resize(300_000, b' ');
    assert_eq!(world.chat_bytes(&[], &body).await.status, 200);
}

#[tokio::test]
async fn a_truncated_body_is_no_call() {
    let world = World::plain().await;
    for head in ["content-length: 500", "transfer-encoding: chunked"] {
        let mut connection = world.connect().await;
        let request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n3\r\n{{\"m");
        connection.send(request).await.unwrap();
        drop(connection);
    }
    still_answers(&world).await;
    assert_eq!(world.provider.calls().len(), 1);
}

#[tokio::test]
async fn a_garbled_chunk_is_refused() {
    let world = World::plain().await;
    let mut connection = world.connect().await;
    let request = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nxx\r\n";
    refused(&told(&mut connection, request).await, 400);
    still_answers(&world).await;
}

#[tokio::test]
async fn what_is_not_http_is_refused_in_our_shape() {
    let world = World::plain().await;
    for bytes in [
        "HELO mail\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nbad header name: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: cow\r\n\r\n",
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx: \u{0}\r\n\r\n",
    ] {
        let mut connection = world.connect().await;
        let reply = told(&mut connection, bytes).await;
        refused(&reply, 400);
        assert_eq!(reply.header("connection"), Some("close"), "{bytes:?}");
        assert!(connection.is_closed().await, "{bytes:?}");
    }
    still_answers(&world).await;
}

#[tokio::test]
async fn headers_over_the_bound_are_refused() {
    let world = World::of(ONE_MODEL).bounds(|bounds| bounds.max_header_bytes = 16_384).start().await;
    for request in [
        format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(20_000)),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-many: 1\r\n".repeat(150)),
    ] {
        let mut connection = world.connect().await;
        refused(&told(&mut connection, request).await, 431);
    }
    let mut connection = world.connect().await;
    refused(&told(&mut connection, format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000))).await, 431);
    let mut connection = world.connect().await;
    assert!(told(&mut connection, "GET /health/liveliness HTTP/1.1\r\nhost: x\r\n\r\n").await.status == 200);
    still_answers(&world).await;
}
