//! Which connections are kept, and what happens to a call whose connection is gone.

use std::time::Duration;

use tokio::{join, task::JoinSet, time::sleep};
use tollgate_net::{Client, ClientSettings, NetError};

use crate::peer::{OK, Server, ask, bounds, client, post, seconds};

/// Lets the runtime look at its sockets.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// A first call, after which its connection is idle and then closed by the server.
async fn leave_a_dead_connection(server: &Server, client: &Client) {
    let url = server.url();
    let ((peer, _), answer) = join!(server.answer(OK), ask(client, &url));
    answer.unwrap();
    drop(peer);
    settle().await;
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_the_framing_of_its_answers() {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(ClientSettings::default()));
    let answers = [
        (OK, "ok"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "abc"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", ""),
        (OK, "ok"),
    ];
    let serving = async {
        let mut peer = server.accept().await;
        for (answer, _) in answers {
            assert!(peer.request().await.ends_with("hello"));
            peer.write(answer).await;
        }
        peer
    };
    let asking = async {
        for (_, expected) in answers {
            assert_eq!(ask(&client, &url).await.unwrap(), expected);
        }
    };
    let _ = join!(serving, asking);
    server.assert_no_further_connection().await;
}

#[tokio::test]
async fn an_idle_connection_that_has_died_is_replaced_once() {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(ClientSettings::default()));
    leave_a_dead_connection(&server, &client).await;
    let ((_peer, second), answer) = join!(server.answer(OK), ask(&client, &url));
    assert_eq!(answer.unwrap(), "ok");
    assert!(second.ends_with("hello"), "the whole request is sent again: {second}");
    server.assert_no_further_connection().await;
}

#[tokio::test]
async fn the_replacement_is_not_replaced_in_turn() {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(ClientSettings::default()));
    leave_a_dead_connection(&server, &client).await;
    let serving = async { server.accept().await.request().await };
    let (_request, answer) = join!(serving, ask(&client, &url));
    assert!(matches!(answer, Err(NetError::Closed)));
    server.assert_no_further_connection().await;
}

#[tokio::test]
async fn a_request_that_may_have_been_seen_is_not_sent_again() {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(ClientSettings::default()));
    let serving = async {
        let (mut peer, _) = server.answer(OK).await;
        peer.request().await
    };
    let asking = async {
        ask(&client, &url).await.unwrap();
        assert!(matches!(ask(&client, &url).await, Err(NetError::Closed)));
    };
    join!(serving, asking);
    server.assert_no_further_connection().await;
}

#[tokio::test]
async fn a_connection_with_unasked_words_is_not_used() {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(ClientSettings::default()));
    let ((mut first, _), answer) = join!(server.answer(OK), ask(&client, &url));
    answer.unwrap();
    first.write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n").await;
    settle().await;
    let (_second, answer) = join!(server.answer(OK), ask(&client, &url));
    assert_eq!(answer.unwrap(), "ok");
}

#[tokio::test]
async fn an_answer_before_the_whole_request_was_read_costs_the_connection() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let mut outgoing = post(&server.url(), "");
    outgoing.body = vec![b'x'; 32 * 1024 * 1024].into();
    let serving = async {
        let mut first = server.accept().await;
        first.head().await;
        first.write("HTTP/1.1 413 Too Long\r\ncontent-length: 0\r\n\r\n").await;
        let second = server.answer(OK).await;
        (first, second)
    };
    let asking = async {
        assert_eq!(client.send(&outgoing, &bounds()).await.unwrap().status, 413);
        assert_eq!(ask(&client, &server.url()).await.unwrap(), "ok");
    };
    join!(serving, asking);
}

/// Two calls with `pause` between them; the number of connections they needed.
async fn connections_used(settings: ClientSettings, pause: Duration) -> usize {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(settings));
    let asking = async {
        ask(&client, &url).await.unwrap();
        sleep(pause).await;
        ask(&client, &url).await.unwrap();
    };
    let serving = async {
        let (mut first, _) = server.answer(OK).await;
        // Either the next request is to be seen here, or the end.
        if first.stream.peek(&mut [0]).await.unwrap() == 0 {
            server.answer(OK).await;
            return 2;
        }
        first.request().await;
        first.write(OK).await;
        1
    };
    join!(asking, serving).1
}

#[tokio::test(start_paused = true)]
async fn a_connection_past_its_age_takes_no_further_call() {
    let settings = ClientSettings { pool_max_age: seconds(10), ..ClientSettings::default() };
    assert_eq!(connections_used(settings.clone(), seconds(9)).await, 1);
    assert_eq!(connections_used(settings, seconds(11)).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_idle_for_too_long_takes_no_further_call() {
    let settings = ClientSettings { pool_idle_timeout: seconds(5), ..ClientSettings::default() };
    assert_eq!(connections_used(settings.clone(), seconds(4)).await, 1);
    assert_eq!(connections_used(settings, seconds(6)).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_closes_what_nobody_asks_for() {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(ClientSettings::default()));
    let ((mut peer, _), answer) = join!(server.answer(OK), ask(&client, &url));
    answer.unwrap();
    sleep(seconds(31)).await;
    client.sweep();
    peer.closed().await;
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_the_bound() {
    let server = Server::start().await;
    let settings = ClientSettings { pool_max_idle_per_host: 1, ..ClientSettings::default() };
    let (url, client) = (server.url(), client(settings));
    // Both are under way at once; the second is answered after the first is back.
    let asking = async {
        let (first, second) = join!(ask(&client, &url), ask(&client, &url));
        (first.unwrap(), second.unwrap())
    };
    let answering = async {
        let (mut first, mut second) = (server.accept().await, server.accept().await);
        first.request().await;
        second.request().await;
        first.write(OK).await;
        settle().await;
        second.write(OK).await;
        // The one that was idle for longer had to go.
        first.closed().await;
        second
    };
    let (mut second, _) = join!(answering, asking);
    let again = async {
        second.request().await;
        second.write(OK).await;
    };
    assert_eq!(join!(again, ask(&client, &url)).1.unwrap(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_at_once_each_get_their_own_answer_wherever_it_is_read() {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(ClientSettings::default()));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut peers = JoinSet::new();
        loop {
            let mut peer = server.accept().await;
            peers.spawn(async move {
                while let Some(request) = peer.try_request().await {
                    let name = request.lines().find_map(|line| line.strip_prefix("x-name: ")).unwrap();
                    peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                    tokio::task::yield_now().await;
                    peer.write(&format!("{:x}\r\n{name}\r\n", name.len())).await;
                    tokio::task::yield_now().await;
                    peer.write("0\r\n\r\n").await;
                }
            });
        }
    });
    let mut calls = JoinSet::new();
    for caller in 0..32 {
        let (client, url) = (client.clone(), url.clone());
        calls.spawn(async move {
            for turn in 0..20 {
                let name = format!("{caller}-{turn}");
                let mut outgoing = post(&url, "hello");
                outgoing.headers.insert("x-name", name.parse().unwrap());
                let mut response = client.send(&outgoing, &bounds()).await.unwrap();
                let first = response.next().await.unwrap().unwrap();
                // The rest is read by another task, perhaps on another thread.
                let mut reader = JoinSet::new();
                reader.spawn(async move { assert!(response.next().await.is_none()) });
                reader.join_next().await.unwrap().unwrap();
                assert_eq!(first, name);
            }
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_response_closes_its_connection_at_once() {
    let server = Server::start().await;
    let (url, client) = (server.url(), client(ClientSettings::default()));
    let serving = async {
        let (mut peer, _) = server.answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
        tokio::time::timeout(Duration::from_millis(100), peer.closed()).await.unwrap();
    };
    let asking = async {
        let mut response = client.send(&post(&url, ""), &bounds()).await.unwrap();
        assert_eq!(response.next().await.unwrap().unwrap(), "first");
        drop(response);
    };
    join!(serving, asking);
}

#[tokio::test]
async fn a_call_given_up_before_its_answer_closes_its_connection_at_once() {
    let server = Server::start().await;
    let (outgoing, bounds, client) = (post(&server.url(), "hello"), bounds(), client(ClientSettings::default()));
    let serving = async {
        let mut peer = server.accept().await;
        peer.request().await;
        peer
    };
    let mut peer = tokio::select! {
        peer = serving => peer,
        _ = client.send(&outgoing, &bounds) => panic!("answered"),
    };
    tokio::time::timeout(Duration::from_millis(100), peer.closed()).await.unwrap();
}
