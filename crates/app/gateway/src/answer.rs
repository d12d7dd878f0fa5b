//! What a client gets.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::Frame;
use serde_json::Value;
use tollgate_providers::{codec::ClientDialect, dialects::openai::CHAT_CLIENT};
use tollgate_wire::Failure;

use crate::{byte_stream::ByteStream, drain::DrainedStream, event_stream::EventStream, late::LateStream};

/// An answer: head and body.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All headers but those of the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer.
pub enum AnswerBody {
    /// All of it.
    Whole(Bytes),
    /// Event by event.
    Stream(Box<EventStream>),
    /// Event by event, when there are some.
    Late(Box<LateStream>),
    /// As the provider sends it.
    Bytes(Box<ByteStream>),
    /// Event by event, and to its end even if nobody reads it.
    Drained(Box<DrainedStream>),
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream(stream) => Pin::new(stream.as_mut()).poll_frame(context),
            // Who can be told of a cut takes the stream itself; to others it is an end.
            Self::Bytes(stream) => {
                stream.poll_bytes(context).map(|piece| piece?.ok().map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Late(stream) => stream.poll_frame(context).map(|frame| frame.map(Ok)),
            Self::Drained(stream) => stream.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(stream) => stream.is_end_stream(),
            Self::Bytes(stream) => stream.is_over(),
            Self::Late(stream) => stream.is_over(),
            Self::Drained(stream) => stream.is_over(),
        }
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Stream(_) => "Stream",
            Self::Bytes(_) => "Bytes",
            Self::Late(_) => "Late",
            Self::Drained(_) => "Drained",
        })
    }
}

impl Answer {
    /// A JSON answer.
    #[must_use]
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::with_capacity(24);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { status, headers, body: AnswerBody::Whole(body.into()) }
    }

    /// A JSON answer of this value.
    #[must_use]
    pub fn value(value: &Value) -> Self {
        Self::json(StatusCode::OK, value.to_string())
    }

    /// A stream of server-sent events.
    #[must_use]
    pub fn events(body: AnswerBody) -> Self {
        let mut headers = HeaderMap::with_capacity(24);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // nginx would collect events until its buffer is full.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Self { status: StatusCode::OK, headers, body }
    }

    /// A failure in `OpenAI`'s shape.
    #[must_use]
    pub fn failure(failure: &Failure) -> Self {
        Self::failure_to(&CHAT_CLIENT, failure)
    }

    /// A failure in the client's shape, with `retry-after` where one is known.
    #[must_use]
    pub fn failure_to(client: &dyn ClientDialect, failure: &Failure) -> Self {
        let status = StatusCode::from_u16(failure.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Self::json(status, client.error(failure).to_string());
        if let Some(wait) = failure.retry_after {
            // Rounded up: who comes back a moment early is refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            answer.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
