//! The other side of a test: a socket that reads requests and writes whatever bytes it is told to.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tollgate_net::{Bounds, Client, ClientSettings, NetError, Response};
use tollgate_wire::{clock::Clock, http::Outgoing};

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The clock of tokio's timers, so that a paused test moves both.
struct TimerClock(Instant);

impl Clock for TimerClock {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn unix(&self) -> Duration {
        self.0.elapsed()
    }
}

pub(crate) fn client(settings: ClientSettings) -> Client {
    Client::new(settings, Arc::new(TimerClock(Instant::now()))).unwrap()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn bounds() -> Bounds {
    Bounds { first_byte: seconds(60), idle: seconds(60), total: None, max_body: 16 * 1024 * 1024 }
}

pub(crate) fn post(url: &str, body: &'static str) -> Outgoing {
    Outgoing {
        method: Method::POST,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
    }
}

/// Sends and reads the whole answer as text.
pub(crate) async fn ask(client: &Client, url: &str) -> Result<String, NetError> {
    let response = client.send(&post(url, "hello"), &bounds()).await?;
    let body = response.collect().await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// All chunks of a body, and how it ended.
pub(crate) async fn drain(mut response: Response) -> (Vec<u8>, Option<NetError>) {
    let mut seen = Vec::new();
    while let Some(chunk) = response.next().await {
        match chunk {
            Ok(bytes) => seen.extend_from_slice(&bytes),
            Err(error) => {
                assert!(response.next().await.is_none(), "nothing comes after an error");
                return (seen, Some(error));
            }
        }
    }
    (seen, None)
}

pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1/chat", self.authority())
    }

    pub(crate) fn authority(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    pub(crate) async fn accept(&self) -> Peer<TcpStream> {
        Peer { stream: self.listener.accept().await.unwrap().0 }
    }

    /// Nobody is waiting at the door.
    pub(crate) async fn assert_no_further_connection(&self) {
        let waiting = tokio::time::timeout(Duration::from_millis(20), self.listener.accept()).await;
        assert!(waiting.is_err(), "an unexpected connection");
    }

    /// One connection, one request, one answer.
    pub(crate) async fn answer(&self, answer: &str) -> (Peer<TcpStream>, String) {
        let mut peer = self.accept().await;
        let request = peer.request().await;
        peer.write(answer).await;
        (peer, request)
    }
}

pub(crate) struct Peer<S> {
    pub(crate) stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The bytes up to and with the empty line.
    pub(crate) async fn head(&mut self) -> String {
        self.try_head().await.unwrap()
    }

    /// A whole request: head and body.
    pub(crate) async fn request(&mut self) -> String {
        self.try_request().await.unwrap()
    }

    /// A whole request, unless the client has gone.
    pub(crate) async fn try_request(&mut self) -> Option<String> {
        let head = self.try_head().await?;
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(head + &String::from_utf8(body).unwrap())
    }

    async fn try_head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        Some(String::from_utf8(head).unwrap())
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Writes to a client that may have gone.
    pub(crate) async fn try_write(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.as_bytes()).await
    }

    /// Waits until the client has closed; fails on further bytes.
    pub(crate) async fn closed(&mut self) {
        let mut rest = [0; 16];
        match self.stream.read(&mut rest).await {
            Ok(0) | Err(_) => {}
            Ok(count) => panic!("{count} unexpected bytes"),
        }
    }
}
