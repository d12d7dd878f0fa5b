//! A small HTTP/1.1 client for tests: sends any bytes, reads answers as they are, tells a whole body from a cut one.

mod body;
mod event;

use std::{io, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub use body::BodyReader;
pub use event::Event;

use body::Length;

/// How long one read may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    host: String,
}

/// The status line and the headers of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
    /// Whether the body came to its proper end.
    pub complete: bool,
}

/// Asks with GET and reads the whole answer.
pub async fn get(url: &str, headers: &[(&str, &str)]) -> Reply {
    let (mut connection, path) = Connection::open(url).await;
    connection.ask("GET", &path, headers, b"").await;
    connection.reply().await
}

/// Asks with POST and a JSON document, and reads the whole answer.
pub async fn post(url: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let (mut connection, path) = Connection::open(url).await;
    connection.ask_json(&path, headers, body).await;
    connection.reply().await
}

impl Connection {
    /// Opens a connection to the server of a URL; gives the URL's path as well.
    pub async fn open(url: &str) -> (Self, String) {
        let rest = url.strip_prefix("http://").unwrap_or(url);
        let (host, path) =
            rest.split_once('/').map_or((rest, "/".to_owned()), |(host, path)| (host, format!("/{path}")));
        let stream = match timeout(PATIENCE, TcpStream::connect(host)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => panic!("cannot connect to {host}: {error}"),
            Err(_) => panic!("{host} does not accept connections"),
        };
        stream.set_nodelay(true).expect("a connected socket takes options");
        (Self { stream, buffer: Vec::new(), host: host.to_owned() }, path)
    }

    /// Sends bytes as they are. An error means that the server has closed the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await {
            Ok(sent) => sent,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not read")),
        }
    }

    /// Sends a request with the headers it needs (`host`, `content-length`) and those given.
    pub async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        // A server may answer and close before it has read everything; the answer says then why.
        let _ = self.send(bytes).await;
    }

    /// Sends a POST with a JSON document.
    pub async fn ask_json(&mut self, path: &str, headers: &[(&str, &str)], body: &Value) {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.ask("POST", path, &all, body.to_string().as_bytes()).await;
    }

    /// Reads a whole answer.
    pub async fn reply(&mut self) -> Reply {
        let (head, reader) = self.answer().await;
        let (body, complete) = reader.rest().await;
        Reply { status: head.status, headers: head.headers, body, complete }
    }

    /// Reads the head of an answer, and gives its body to be read piece by piece.
    pub async fn answer(&mut self) -> (Head, BodyReader<'_>) {
        let Some(head) = self.head().await else {
            panic!("the server closed the connection without an answer; it sent {:?}", self.leftover());
        };
        let length = head.length();
        (head, BodyReader::new(self, length))
    }

    /// Reads a status line and headers, passing over `100 Continue`; `None` if the connection ends before them.
    pub async fn head(&mut self) -> Option<Head> {
        loop {
            let end = loop {
                match find(&self.buffer, b"\r\n\r\n") {
                    Some(end) => break end,
                    None if self.read_more().await == 0 => return None,
                    None => {}
                }
            };
            let bytes: Vec<u8> = self.buffer.drain(..end + 4).collect();
            let head = Head::parse(&String::from_utf8_lossy(&bytes))?;
            if head.status >= 200 {
                return Some(head);
            }
        }
    }

    /// Whether the server has closed the connection; waits for it.
    pub async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && self.read_more().await == 0
    }

    /// What was received and not yet understood.
    pub fn leftover(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// Reads what is there; 0 at the end of the connection.
    async fn read_more(&mut self) -> usize {
        match timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(read)) => read,
            // A reset is an end too; what was lost shows in an incomplete body.
            Ok(Err(_)) => 0,
            Err(_) => panic!("the server was silent for {PATIENCE:?}; unread: {:?}", self.leftover()),
        }
    }
}

impl Head {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self { status, headers })
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    fn length(&self) -> Length {
        if matches!(self.status, 204 | 304) {
            return Length::Over;
        }
        if self.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            return Length::Chunked;
        }
        match self.header("content-length").and_then(|value| value.parse().ok()) {
            Some(length) => Length::Left(length),
            None => Length::UntilClose,
        }
    }
}

impl Reply {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(document) => document,
            Err(error) => panic!("status {} with a body that is no json ({error}): {}", self.status, self.text()),
        }
    }

    /// The body as events.
    pub fn events(&self) -> Vec<Event> {
        let mut text = self.body.clone();
        let mut events = Vec::new();
        while let Some(event) = event::take(&mut text) {
            events.push(event);
        }
        events
    }
}

/// Where a text begins in bytes.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn header<'headers>(headers: &'headers [(String, String)], name: &str) -> Option<&'headers str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
