//! From a gateway's answer to HTTP.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use tollgate_gateway::{Answer, AnswerBody};
use tollgate_wire::Failure;

/// The answer as a response.
pub(crate) fn response(answer: Answer) -> Response {
    let body = match answer.body {
        AnswerBody::Whole(bytes) => Body::from(bytes),
        AnswerBody::Stream(stream) => Body::new(*stream),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// A failure as a response.
pub(crate) fn failure(failure: &Failure) -> Response {
    let mut response = response(Answer::failure(failure));
    // What is left of a body that was not read must not be taken for the next request.
    if matches!(response.status(), StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
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
