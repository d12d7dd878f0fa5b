//! Every wait has a bound, and says which it was.

use tokio::{join, time::Instant, time::sleep};
use tollgate_net::{Bounds, ClientSettings, NetError, Wait};

use crate::peer::{OK, Server, bounds, client, drain, post, seconds};

const STREAM: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn check(error: &NetError, expected: Wait, bound: u64) {
    match error {
        NetError::Timeout { which, after } => assert_eq!((*which, *after), (expected, seconds(bound))),
        other => panic!("not a timeout: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_is_a_connect_timeout() {
    let server = Server::start().await;
    let outgoing = post(&format!("https://{}/", server.authority()), "");
    let client = client(ClientSettings { connect_timeout: seconds(5), ..ClientSettings::default() });
    let patient = bounds();
    let (_peer, answer) = join!(server.accept(), client.send(&outgoing, &patient));
    check(&answer.unwrap_err(), Wait::Connect, 5);

    let hurried = Bounds { total: Some(seconds(2)), ..bounds() };
    let (_peer, answer) = join!(server.accept(), client.send(&outgoing, &hurried));
    check(&answer.unwrap_err(), Wait::Total, 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_a_first_byte_timeout() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let started = Instant::now();
    let serving = async {
        let mut peer = server.accept().await;
        peer.request().await;
        peer.closed().await;
    };
    let short = Bounds { first_byte: seconds(7), ..bounds() };
    let ((), answer) = join!(serving, async { client.send(&post(&server.url(), ""), &short).await });
    check(&answer.unwrap_err(), Wait::FirstByte, 7);
    assert_eq!(started.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_take_for_ever_but_not_pause() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let serving = async {
        let (mut peer, _) = server.answer(STREAM).await;
        for _ in 0..10 {
            sleep(seconds(25)).await;
            peer.write("1\r\nx\r\n").await;
        }
        peer.closed().await;
    };
    let asking = async {
        let short = Bounds { idle: seconds(30), first_byte: seconds(1), ..bounds() };
        let (seen, error) = drain(client.send(&post(&server.url(), ""), &short).await.unwrap()).await;
        assert_eq!(seen, b"xxxxxxxxxx");
        check(&error.unwrap(), Wait::Idle, 30);
    };
    let started = Instant::now();
    join!(serving, asking);
    assert_eq!(started.elapsed().as_secs(), 280);
}

#[tokio::test(start_paused = true)]
async fn the_total_bound_ends_a_stream_that_never_pauses() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let serving = async {
        let (mut peer, _) = server.answer(STREAM).await;
        for _ in 0..60 {
            sleep(seconds(1)).await;
            if peer.try_write("1\r\nx\r\n").await.is_err() {
                break;
            }
        }
    };
    let asking = async {
        let bounded = Bounds { total: Some(seconds(10)), ..bounds() };
        let (seen, error) = drain(client.send(&post(&server.url(), ""), &bounded).await.unwrap()).await;
        assert!((8..=10).contains(&seen.len()), "{}", seen.len());
        check(&error.unwrap(), Wait::Total, 10);
    };
    join!(serving, asking);
}

#[tokio::test(start_paused = true)]
async fn the_total_bound_covers_the_wait_for_the_head() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let bounded = Bounds { total: Some(seconds(3)), ..bounds() };
    let (_peer, answer) = join!(server.accept(), async { client.send(&post(&server.url(), ""), &bounded).await });
    check(&answer.unwrap_err(), Wait::Total, 3);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_bound_holds_on_a_connection_whose_timer_was_set_to_a_longer_one() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let serving = async {
        let mut peer = server.accept().await;
        peer.request().await;
        sleep(seconds(1)).await;
        peer.write(OK).await;
        peer.request().await;
        peer.closed().await;
    };
    let asking = async {
        let outgoing = post(&server.url(), "");
        client.send(&outgoing, &bounds()).await.unwrap().collect().await.unwrap();
        let started = Instant::now();
        let short = Bounds { first_byte: seconds(2), ..bounds() };
        check(&client.send(&outgoing, &short).await.unwrap_err(), Wait::FirstByte, 2);
        assert_eq!(started.elapsed().as_secs(), 2);
    };
    join!(serving, asking);
}

#[tokio::test(start_paused = true)]
async fn endless_bounds_do_not_overflow() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let serving = async {
        let mut peer = server.accept().await;
        peer.request().await;
        sleep(seconds(100_000)).await;
        peer.write(OK).await;
        peer
    };
    let endless = Bounds {
        first_byte: std::time::Duration::MAX,
        idle: std::time::Duration::MAX,
        total: Some(std::time::Duration::MAX),
        max_body: usize::MAX,
    };
    let asking = async { client.send(&post(&server.url(), ""), &endless).await.unwrap().collect().await.unwrap() };
    assert_eq!(join!(serving, asking).1, "ok");
}
