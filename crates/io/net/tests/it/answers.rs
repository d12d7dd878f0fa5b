//! What is made of the bytes that come back, and which bytes go out.

use std::time::Duration;

use http::HeaderValue;
use tokio::{io::AsyncWriteExt, join};
use tollgate_net::{Bounds, ClientSettings, NetError};

use crate::peer::{OK, Server, bounds, client, drain, post};

/// One call answered with `answer`, after which the server closes.
async fn outcome(answer: &str, bounds: Bounds) -> Result<(u16, Vec<u8>, Option<NetError>), NetError> {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let asking = async {
        let response = client.send(&post(&server.url(), "hello"), &bounds).await?;
        let status = response.status.as_u16();
        let (seen, error) = drain(response).await;
        Ok((status, seen, error))
    };
    join!(async { drop(server.answer(answer).await) }, asking).1
}

async fn body_error(answer: &str) -> (Vec<u8>, NetError) {
    let (_, seen, error) = outcome(answer, bounds()).await.unwrap();
    (seen, error.expect("the body ended as if it were whole"))
}

#[tokio::test]
async fn a_cut_body_is_not_a_clean_end() {
    let (seen, error) = body_error("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    assert!(matches!((seen.as_slice(), error), (b"half", NetError::Cut)));

    let (seen, error) = body_error("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    assert!(matches!((seen.as_slice(), error), (b"half", NetError::Cut)));

    let (_, error) = body_error("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf").await;
    assert!(matches!(error, NetError::Cut));
}

#[tokio::test]
async fn garbled_chunks_are_told_apart_from_a_cut() {
    let (_, error) = body_error("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n").await;
    assert!(matches!(error, NetError::Invalid(_)), "{error}");
}

#[tokio::test]
async fn a_body_without_a_stated_end_ends_with_its_connection() {
    let (_, seen, error) = outcome("HTTP/1.1 200 OK\r\n\r\neverything", bounds()).await.unwrap();
    assert_eq!(seen, b"everything");
    assert!(error.is_none());
}

#[tokio::test]
async fn what_is_not_http_is_said_to_be_so() {
    for garbage in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 2000 Oh\r\n\r\n"] {
        assert!(matches!(outcome(garbage, bounds()).await, Err(NetError::Invalid(_))), "{garbage}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(200_000));
    assert!(matches!(outcome(&endless, bounds()).await, Err(NetError::Invalid(_))));
}

#[tokio::test]
async fn a_head_that_breaks_off_is_a_closed_connection() {
    assert!(matches!(outcome("HTTP/1.1 200 OK\r\ncontent-le", bounds()).await, Err(NetError::Closed)));
    assert!(matches!(outcome("", bounds()).await, Err(NetError::Closed)));
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_and_one_at_the_bound_is_not() {
    let bounds = Bounds { max_body: 5, ..bounds() };
    let (_, seen, error) = outcome("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsixsix", bounds).await.unwrap();
    assert!(seen.is_empty() && matches!(error, Some(NetError::TooLarge { limit: 5 })));

    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    let (_, seen, error) = outcome(chunked, bounds).await.unwrap();
    assert!(seen == b"abc" && matches!(error, Some(NetError::TooLarge { limit: 5 })));

    let (_, seen, error) = outcome("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfives", bounds).await.unwrap();
    assert!(seen == b"fives" && error.is_none());
}

#[tokio::test]
async fn a_compressed_answer_is_refused_with_its_status() {
    let answer = "HTTP/1.1 401 No\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x0b";
    match outcome(answer, bounds()).await {
        Err(NetError::Encoding { status: 401, encoding }) => assert_eq!(encoding, "gzip"),
        other => panic!("{other:?}"),
    }
    let plain = "HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!(outcome(plain, bounds()).await.unwrap().1, b"ok");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let answer = "HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/elsewhere\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(outcome(answer, bounds()).await.unwrap().0, 307);
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let answer = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{OK}");
    let (status, seen, error) = outcome(&answer, bounds()).await.unwrap();
    assert!((status, seen.as_slice()) == (200, b"ok") && error.is_none());

    let switching = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    assert!(matches!(outcome(switching, bounds()).await, Err(NetError::Invalid(_))));
}

#[tokio::test]
async fn the_request_on_the_wire_is_what_was_wished() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let mut outgoing = post(&format!("http://me:pass@{}/v1/a?b=c#d", server.authority()), "body");
    for (name, value) in
        [("x-one", "1"), ("accept-encoding", "gzip"), ("content-length", "999"), ("transfer-encoding", "chunked")]
    {
        outgoing.headers.insert(name, HeaderValue::from_static(value));
    }
    let ((_peer, request), answer) = join!(server.answer(OK), async { client.send(&outgoing, &bounds()).await });
    answer.unwrap();
    let mut lines: Vec<&str> = request.split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /v1/a?b=c HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", server.authority());
    let expected = ["", "authorization: Basic bWU6cGFzcw==", "body", "content-length: 4", host.as_str(), "x-one: 1"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let length = 5_000_000;
    let serving = async {
        let (mut peer, _) = server.answer(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")).await;
        let body: Vec<u8> = (0..length).map(|position| (position % 251) as u8).collect();
        peer.stream.write_all(&body).await.unwrap();
        peer
    };
    let asking = async { client.send(&post(&server.url(), ""), &bounds()).await.unwrap().collect().await.unwrap() };
    let (_peer, body) = join!(serving, asking);
    assert_eq!(body.len(), length);
    assert!(body.iter().enumerate().all(|(position, byte)| *byte == (position % 251) as u8));
}

#[tokio::test]
async fn a_response_that_nobody_reads_slows_its_server_down() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let serving = async {
        let (mut peer, _) = server.answer("HTTP/1.1 200 OK\r\n\r\n").await;
        let (block, mut written) = (vec![0; 64 * 1024], 0_usize);
        while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_millis(100), peer.stream.write(&block)).await {
            written += count;
            assert!(written < 64 * 1024 * 1024, "nothing holds the server back");
        }
        peer
    };
    let (_peer, response) = join!(serving, async { client.send(&post(&server.url(), ""), &bounds()).await });
    response.unwrap();
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_refused_before_anything_is_sent() {
    let client = client(ClientSettings::default());
    for url in ["localhost/v1", "ftp://localhost/", "http://", "http://a b/"] {
        assert!(matches!(client.send(&post(url, ""), &bounds()).await, Err(NetError::Setting(_))), "{url}");
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let server = Server::start().await;
    let url = server.url();
    drop(server);
    let error = client(ClientSettings::default()).send(&post(&url, ""), &bounds()).await.unwrap_err();
    let failure = error.into_failure("OpenAI", "127.0.0.1");
    assert!(failure.message.contains("127.0.0.1: could not connect: Connection refused"), "{}", failure.message);
}
