//! What the fake provider says, and how badly it says it.
//!
//! An [`Answer`] is built by a test, handed to [`crate::FakeProvider::script`], and written to the socket by
//! `provider::delivery`.

use std::time::Duration;

use serde_json::Value;

use crate::gzip;

/// One canned answer: status, headers, body, and the faults of its delivery.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers beside those that the body brings (`content-type`, length or chunking).
    pub headers: Vec<(String, String)>,
    /// What is said.
    pub body: Body,
    /// How it is delivered.
    pub faults: Faults,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum Body {
    /// A JSON document with a content length.
    Json(Value),
    /// Plain text with a content length.
    Text(String),
    /// An event stream, chunked, one event to a chunk.
    Sse(Vec<SseItem>),
    /// Any bytes with a content length; the test sets `content-type`.
    Raw(Vec<u8>),
    /// Bytes written to the socket instead of an HTTP answer; the connection is closed after them.
    Garbage(Vec<u8>),
}

/// One piece of an event stream.
#[derive(Debug, Clone)]
pub enum SseItem {
    /// `data: <text>`, with an `event:` line before it if named.
    Event {
        /// The event's name, if it has one.
        name: Option<String>,
        /// The text after `data: `.
        data: String,
    },
    /// A `: comment` line, as providers send to keep a connection alive.
    Comment(String),
    /// Bytes as they are, for streams that no provider should send.
    Raw(Vec<u8>),
    /// A silence before the next piece.
    Wait(Duration),
}

/// Where in an answer something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the status line.
    BeforeHead,
    /// After so many bytes of the body (0: right after the head).
    AfterBytes(usize),
    /// After so many whole events of a stream.
    AfterEvents(usize),
    /// In the middle of the event with this index (from 0): its first half is sent.
    InsideEvent(usize),
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Finish {
    /// As it should.
    #[default]
    Whole,
    /// The connection is closed there.
    Cut(Place),
    /// The connection is reset there; what the client has not read yet may be lost.
    Reset(Place),
    /// Nothing more comes, and the connection stays open.
    Stall(Place),
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Chunked for streams, the true content length otherwise.
    #[default]
    Natural,
    /// Chunked, whatever the body.
    Chunked,
    /// This content length, true or not.
    Claimed(usize),
    /// Neither length nor chunks: the body ends with the connection.
    UntilClose,
}

/// Everything that can be wrong with a delivery.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    pub(crate) before_head: Duration,
    pub(crate) between_chunks: Duration,
    pub(crate) split_every: Option<usize>,
    pub(crate) framing: Framing,
    pub(crate) finish: Finish,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: Value) -> Self {
        Self::new(status, Body::Json(body))
    }

    /// A plain-text answer.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, Body::Text(body.into()))
    }

    /// An answer of any bytes with their content type.
    pub fn raw(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, Body::Raw(body.into())).header("content-type", content_type)
    }

    /// A 200 with an event stream.
    pub fn sse(items: impl IntoIterator<Item = SseItem>) -> Self {
        Self::new(200, Body::Sse(items.into_iter().collect()))
    }

    /// A 200 with a recorded event stream: text is cut into events at its blank lines.
    pub fn sse_text(text: &str) -> Self {
        let events = text.split_inclusive("\n\n").filter(|event| !event.trim().is_empty());
        Self::sse(events.map(|event| SseItem::Raw(event.as_bytes().to_vec())))
    }

    /// Bytes that are no HTTP answer, then the end of the connection.
    pub fn garbage(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Body::Garbage(bytes.into()))
    }

    fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body, faults: Faults::default() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Stays silent for so long before the status line.
    #[must_use]
    pub fn wait_before_head(mut self, wait: Duration) -> Self {
        self.faults.before_head = wait;
        self
    }

    /// Stays silent for so long between two pieces of the body.
    #[must_use]
    pub fn wait_between_chunks(mut self, wait: Duration) -> Self {
        self.faults.between_chunks = wait;
        self
    }

    /// Writes the body in pieces of so many bytes, wherever events or characters end.
    #[must_use]
    pub fn split_every(mut self, bytes: usize) -> Self {
        self.faults.split_every = Some(bytes.max(1));
        self
    }

    /// Closes the connection there.
    #[must_use]
    pub fn cut(mut self, place: Place) -> Self {
        self.faults.finish = Finish::Cut(place);
        self
    }

    /// Resets the connection there.
    #[must_use]
    pub fn reset(mut self, place: Place) -> Self {
        self.faults.finish = Finish::Reset(place);
        self
    }

    /// Goes silent there, for ever, with the connection open.
    #[must_use]
    pub fn stall(mut self, place: Place) -> Self {
        self.faults.finish = Finish::Stall(place);
        self
    }

    /// Claims this content length, true or not. A claim above the truth ends in a closed connection.
    #[must_use]
    pub fn claim_length(mut self, bytes: usize) -> Self {
        self.faults.framing = Framing::Claimed(bytes);
        self
    }

    /// Sends the body in chunks, also where a length is known.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.faults.framing = Framing::Chunked;
        self
    }

    /// Ends the body by closing the connection, with neither length nor chunks.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.faults.framing = Framing::UntilClose;
        self
    }

    /// Sends the body gzip-encoded and says so.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        let content_type = self.body.content_type();
        let plain: Vec<u8> = self.body.pieces().into_iter().flat_map(|piece| piece.bytes).collect();
        if let Some(content_type) = content_type {
            self = self.header("content-type", content_type);
        }
        self.body = Body::Raw(gzip::encode(&plain));
        self.header("content-encoding", "gzip")
    }
}

impl SseItem {
    /// An unnamed event with a JSON document.
    #[expect(clippy::needless_pass_by_value, reason = "tests write json!(…) in place")]
    pub fn data(document: Value) -> Self {
        Self::Event { name: None, data: document.to_string() }
    }

    /// A named event with a JSON document, as Anthropic writes them.
    #[expect(clippy::needless_pass_by_value, reason = "tests write json!(…) in place")]
    pub fn event(name: &str, document: Value) -> Self {
        Self::Event { name: Some(name.to_owned()), data: document.to_string() }
    }

    /// `data: [DONE]`, the end of OpenAI's streams.
    pub fn done() -> Self {
        Self::Event { name: None, data: "[DONE]".to_owned() }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Event { name: None, data } => format!("data: {data}\n\n").into_bytes(),
            Self::Event { name: Some(name), data } => format!("event: {name}\ndata: {data}\n\n").into_bytes(),
            Self::Comment(text) => format!(": {text}\n\n").into_bytes(),
            Self::Raw(bytes) => bytes.clone(),
            Self::Wait(_) => Vec::new(),
        }
    }
}

/// Bytes that are written in one go, after a silence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) wait: Duration,
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    /// The content type that the body brings, if it brings one.
    pub(crate) fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Json(_) => Some("application/json"),
            Self::Text(_) => Some("text/plain; charset=utf-8"),
            Self::Sse(_) => Some("text/event-stream; charset=utf-8"),
            Self::Raw(_) | Self::Garbage(_) => None,
        }
    }

    /// The body as it is written: one piece per event of a stream, one in all otherwise.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        match self {
            Self::Json(document) => vec![Piece::now(document.to_string().into_bytes())],
            Self::Text(text) => vec![Piece::now(text.clone().into_bytes())],
            Self::Raw(bytes) | Self::Garbage(bytes) => vec![Piece::now(bytes.clone())],
            Self::Sse(items) => pieces_of(items),
        }
    }
}

impl Piece {
    fn now(bytes: Vec<u8>) -> Self {
        Self { wait: Duration::ZERO, bytes }
    }
}

fn pieces_of(items: &[SseItem]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut wait = Duration::ZERO;
    for item in items {
        if let SseItem::Wait(silence) = item {
            wait += *silence;
            continue;
        }
        pieces.push(Piece { wait: std::mem::take(&mut wait), bytes: item.bytes() });
    }
    // A silence at the very end keeps the stream open before its last chunk.
    if !wait.is_zero() {
        pieces.push(Piece { wait, bytes: Vec::new() });
    }
    pieces
}
