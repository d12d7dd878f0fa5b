//! HTTP/1.1, HTTP/2, TLS, and the end of a server.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, rustls};
use tollgate_kit::{Answer, Place, SseItem, TempFolder};
use tollgate_server::TlsFiles;

use crate::world::{ONE_MODEL, World, error_of, hi, hi_streamed};

/// Less than the grace of a stop, more than a busy machine needs.
const SOON: Duration = Duration::from_secs(20);

fn authority(world: &World) -> &str {
    world.url.trim_start_matches("http://")
}

/// An HTTP/2 connection without an upgrade before it.
async fn http2(world: &World, tasks: &mut JoinSet<()>) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(authority(world)).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tasks.spawn(async move { drop(connection.await) });
    sender
}

fn post(world: &World, body: &serde_json::Value) -> Request<Full<Bytes>> {
    let uri = world.at("/v1/chat/completions");
    Request::builder().method(Method::POST).uri(uri).body(Full::new(Bytes::from(body.to_string()))).unwrap()
}

async fn text(response: http::Response<hyper::body::Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http2_is_spoken_without_being_asked_first() {
    let world = World::plain().await;
    let mut tasks = JoinSet::new();
    let mut sender = http2(&world, &mut tasks).await;
    let whole = sender.send_request(post(&world, &hi("gpt"))).await.unwrap();
    assert_eq!((whole.status(), whole.version()), (StatusCode::OK, http::Version::HTTP_2));
    assert!(text(whole).await.contains("chat.completion"));
    let streamed = sender.send_request(post(&world, &hi_streamed("gpt"))).await.unwrap();
    assert!(text(streamed).await.ends_with("data: [DONE]\n\n"));
    let refused = sender.send_request(post(&world, &serde_json::json!({}))).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    error_of(&serde_json::from_str(&text(refused).await).unwrap(), 400);
}

#[tokio::test]
async fn calls_on_one_http2_connection_do_not_wait_for_each_other() {
    let world = World::plain().await;
    world.provider.script([Answer::json(200, serde_json::json!({})).stall(Place::BeforeHead)]);
    let mut tasks = JoinSet::new();
    let mut sender = http2(&world, &mut tasks).await;
    let stalled = sender.send_request(post(&world, &hi("gpt")));
    world.provider.wait_for_calls(1).await;
    let other = timeout(SOON, sender.send_request(post(&world, &hi("gpt")))).await.unwrap().unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    drop(stalled);
}

#[tokio::test]
async fn a_reset_http2_stream_closes_its_upstream() {
    let world = World::plain().await;
    let word = SseItem::data(serde_json::json!({"choices": [{"index": 0, "delta": {"content": "x"}}]}));
    world.provider.script([Answer::sse([word.clone(), word]).stall(Place::AfterEvents(1))]);
    let mut tasks = JoinSet::new();
    let mut sender = http2(&world, &mut tasks).await;
    let mut response = sender.send_request(post(&world, &hi_streamed("gpt"))).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    world.provider.wait_until("the stream is closed", tollgate_kit::Call::client_left).await;
    world.settled(1).await;
    let other = sender.send_request(post(&world, &hi("gpt"))).await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn streams_of_one_http2_connection_are_bounded() {
    let world = World::of(ONE_MODEL).bounds(|bounds| bounds.http2_max_streams = 4).start().await;
    world.provider.always("*", Answer::json(200, serde_json::json!({})).stall(Place::BeforeHead));
    let mut tasks = JoinSet::new();
    let sender = http2(&world, &mut tasks).await;
    for _ in 0..10 {
        let (mut sender, request) = (sender.clone(), post(&world, &hi("gpt")));
        tasks.spawn(async move { drop(sender.send_request(request).await) });
    }
    world.provider.wait_for_calls(4).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.provider.calls().len(), 4);
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed() {
    let world =
        World::of(ONE_MODEL).bounds(|bounds| bounds.keepalive_timeout = Duration::from_millis(300)).start().await;
    let mut tasks = JoinSet::new();
    let mut sender = http2(&world, &mut tasks).await;
    assert_eq!(sender.send_request(post(&world, &hi("gpt"))).await.unwrap().status(), StatusCode::OK);
    timeout(SOON, tasks.join_next()).await.expect("the connection has ended");
}

struct Certified {
    _folder: TempFolder,
    files: TlsFiles,
    client: TlsConnector,
}

/// A certificate of our own, and a client that trusts it.
fn certified(protocol: &[u8]) -> Certified {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let folder = TempFolder::new();
    let certificate = folder.write("certificate.pem", made.cert.pem());
    let key = folder.write("key.pem", made.signing_key.serialize_pem());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let files = TlsFiles { certificate, key };
    Certified { _folder: folder, files, client: TlsConnector::from(Arc::new(config)) }
}

#[tokio::test]
async fn tls_is_spoken_with_the_certificate_of_the_files() {
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        let certified = certified(protocol);
        let world =
            World::of(ONE_MODEL).settings(|settings| settings.tls = Some(certified.files.clone())).start().await;
        let stream = TcpStream::connect(authority(&world)).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let stream = TokioIo::new(certified.client.connect(name, stream).await.unwrap());
        let mut tasks = JoinSet::new();
        let request = post(&world, &hi_streamed("gpt"));
        let response = if protocol == b"h2" {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tasks.spawn(async move { drop(connection.await) });
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            tasks.spawn(async move { drop(connection.await) });
            sender.send_request(request).await.unwrap()
        };
        assert!(text(response).await.ends_with("data: [DONE]\n\n"));
        // Who does not speak TLS gets no answer, and holds nobody up.
        let mut plain = world.connect().await;
        plain.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(timeout(SOON, plain.head()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_taken_port_and_a_broken_certificate_are_told() {
    let world = World::plain().await;
    let port = world.url.rsplit(':').next().unwrap().parse().unwrap();
    let folder = TempFolder::new();
    let file = folder.write("nonsense.pem", "nonsense");
    let mut settings = crate::world::settings();
    settings.port = port;
    let taken = tollgate_server::bind(settings.clone()).await.err().expect("a refusal").to_string();
    assert!(taken.contains(&format!("port {port} on 127.0.0.1 is taken")) && taken.contains("--port"), "{taken}");
    settings.tls = Some(TlsFiles { certificate: file.clone(), key: file });
    let broken = tollgate_server::bind(settings).await.err().expect("a refusal").to_string();
    assert!(broken.contains("nonsense.pem"), "{broken}");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_lets_running_calls_end() {
    let mut world = World::plain().await;
    let late = Answer::json(200, serde_json::json!({"object": "chat.completion", "choices": []}));
    world.provider.script([late.wait_before_head(Duration::from_millis(300))]);
    let (mut running, mut idle) = (world.connect().await, world.connect().await);
    idle.ask("GET", "/health/readiness", &[], b"").await;
    assert_eq!(idle.reply().await.status, 200);
    running.ask_json("/v1/chat/completions", &[], &hi("gpt")).await;
    world.provider.wait_for_calls(1).await;
    world.stop.send_modify(|signals| *signals += 1);
    assert!(timeout(SOON, idle.is_closed()).await.unwrap());
    assert_eq!(timeout(SOON, running.reply()).await.unwrap().status, 200);
    assert!(world.gateway.is_draining());
    assert!(timeout(SOON, world.serving.join_next()).await.unwrap().unwrap().is_ok());
    assert!(TcpStream::connect(authority(&world)).await.is_err());
}

#[tokio::test]
async fn a_handshake_that_hangs_does_not_hold_up_the_stop() {
    let certified = certified(b"http/1.1");
    let mut world =
        World::of(ONE_MODEL).settings(|settings| settings.tls = Some(certified.files.clone())).start().await;
    let _silent = TcpStream::connect(authority(&world)).await.unwrap();
    let mut greeted = TcpStream::connect(authority(&world)).await.unwrap();
    greeted.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    // Both are accepted when one that came later has its answer.
    let mut plain = world.connect().await;
    plain.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(timeout(SOON, plain.head()).await.unwrap().is_none());
    world.stop.send_modify(|signals| *signals += 1);
    assert!(timeout(SOON, world.serving.join_next()).await.unwrap().unwrap().is_ok());
}

/// The network may cut the preface anywhere.
#[tokio::test]
async fn http2_is_known_by_its_preface_however_it_is_cut() {
    let world = World::plain().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for cut in 1..6 {
        let mut stream = TcpStream::connect(authority(&world)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&preface[..cut]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        stream.write_all(&preface[cut..]).await.unwrap();
        let mut frame = [0; 9];
        timeout(SOON, stream.read_exact(&mut frame)).await.unwrap().unwrap();
        assert_eq!(frame[3], 4, "its settings, cut at {cut}");
    }
    let mut slow = world.connect().await;
    for piece in ["P", "OST /v1/nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"] {
        slow.send(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(timeout(SOON, slow.reply()).await.unwrap().status, 404);
}

#[tokio::test]
async fn readiness_fails_while_the_gateway_drains() {
    let world = World::plain().await;
    world.gateway.start_draining();
    let reply = world.get("/health/readiness").await;
    assert_eq!((reply.status, &reply.json()["status"]), (503, &serde_json::json!("stopping")));
    assert_eq!(world.get("/health/liveliness").await.status, 200);
}

#[tokio::test]
async fn streams_that_outlive_the_grace_end_in_band() {
    let word = || SseItem::data(serde_json::json!({"choices": [{"index": 0, "delta": {"content": "x"}}]}));
    let endless = || Answer::sse((0..100_000).map(|_| word()));
    for answer in
        [endless().stall(Place::AfterEvents(1)), endless().wait_between_chunks(Duration::from_millis(1)), endless()]
    {
        let mut world =
            World::of(ONE_MODEL).bounds(|bounds| bounds.shutdown_grace = Duration::from_millis(200)).start().await;
        world.provider.script([answer]);
        let mut connection = world.connect().await;
        connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
        let (_, mut body) = connection.answer().await;
        body.event().await.unwrap();
        world.stop.send_modify(|signals| *signals += 1);
        let mut last = None;
        while let Some(event) = timeout(SOON, body.event()).await.unwrap() {
            last = Some(event);
        }
        let last = last.unwrap();
        if last.data != "[DONE]" {
            error_of(&last.json(), 503);
        }
        assert!(body.is_complete());
        assert!(timeout(SOON, world.serving.join_next()).await.unwrap().unwrap().is_ok());
        world.settled(1).await;
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut world = World::plain().await;
    world.provider.script([Answer::json(200, serde_json::json!({})).stall(Place::BeforeHead)]);
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], &hi("gpt")).await;
    world.provider.wait_for_calls(1).await;
    world.stop.send_modify(|signals| *signals += 1);
    sleep(Duration::from_millis(50)).await;
    world.stop.send_modify(|signals| *signals += 1);
    assert!(timeout(SOON, world.serving.join_next()).await.unwrap().unwrap().is_ok());
}
