//! From a gateway's answer to HTTP.

use axum::{body::Body, response::Response};
use http::{HeaderValue, header};
use serde_json::Value;
use tollgate_gateway::{Answer, AnswerBody, client_at};
use tollgate_wire::Failure;

/// What we call ourselves.
pub(crate) const SERVER: &str = "tollgate";

/// The answer as a response.
pub(crate) fn response(answer: Answer) -> Response {
    let body = match answer.body {
        AnswerBody::Whole(bytes) => Body::from(bytes),
        AnswerBody::Stream(stream) => Body::new(*stream),
        AnswerBody::Bytes(stream) => Body::new(*stream),
        other => Body::new(other),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// A failure as a response.
pub(crate) fn failure(failure: &Failure) -> Response {
    response(Answer::failure(failure))
}

/// A failure as a response in the words of those who ask at this path.
pub(crate) fn failure_at(path: &str, failure: &Failure) -> Response {
    response(Answer::failure_to(client_at(path), failure))
}

/// The answer to a request whose body was not read to its end: what is left of it must not be taken for the next one.
pub(crate) fn closing(answer: Answer) -> Response {
    let mut response = response(answer);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A failure as the bytes of an HTTP/1.1 response that ends its connection, for what never became a request.
pub(crate) fn raw(failure: &Failure) -> Vec<u8> {
    let answer = Answer::failure(failure);
    let AnswerBody::Whole(body) = answer.body else { return Vec::new() };
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!(
        "HTTP/1.1 {} {reason}\r\nserver: {SERVER}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        answer.status.as_u16(),
        body.len(),
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

/// A JSON value as a response.
pub(crate) fn json(value: &Value) -> Response {
    response(Answer::value(value))
}

/// Text of this type as a response.
pub(crate) fn text(content_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
