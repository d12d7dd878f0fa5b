//! What a client gets.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use tollgate_providers::dialects::openai::error_body;
use tollgate_wire::Failure;

use crate::event_stream::EventStream;

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
#[derive(Debug)]
pub enum AnswerBody {
    /// All of it.
    Whole(Bytes),
    /// Event by event.
    Stream(Box<EventStream>),
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

    /// A failure in `OpenAI`'s shape, with `retry-after` where one is known.
    #[must_use]
    pub fn failure(failure: &Failure) -> Self {
        let status = StatusCode::from_u16(failure.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Self::json(status, error_body(failure).to_string());
        if let Some(wait) = failure.retry_after {
            // Rounded up: who comes back a moment early is refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            answer.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
