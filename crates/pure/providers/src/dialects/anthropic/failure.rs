//! Anthropic's refusals, by status and in the midst of a stream.

use serde_json::Value;
use tollgate_wire::{Failure, FailureKind, http::Reply};

use crate::{dialects::openai, target::Target};

/// A refusal (status 400 and above) as a failure. The client is told Anthropic's whole body, which names the request's
/// id, as `LiteLLM` does.
#[must_use]
pub fn failure(reply: &Reply, target: &Target) -> Failure {
    let mut failure = openai::failure(reply, target);
    // An empty account is not the client's fault, though Anthropic calls it a bad request.
    if failure.kind == FailureKind::BadRequest && failure.message.contains("credit balance is too low") {
        failure.kind = FailureKind::PaymentRequired;
        failure.status = None;
    }
    if let Ok(text) = std::str::from_utf8(&reply.body)
        && text.starts_with('{')
        && text.len() <= LONGEST_BODY
    {
        text.clone_into(&mut failure.message);
    }
    failure
}

/// Longest body that is told in full, bytes.
const LONGEST_BODY: usize = 4000;

/// An error within an answer that began with status 200.
#[must_use]
pub fn in_band(error: &Value, target: &Target) -> Failure {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let message = text("message").map_or_else(|| error.to_string(), str::to_owned);
    let kind = match text("type").unwrap_or_default() {
        "invalid_request_error" | "request_too_large" => bad_request(&message),
        "authentication_error" => FailureKind::Authentication,
        "billing_error" => FailureKind::PaymentRequired,
        "permission_error" => FailureKind::PermissionDenied,
        "not_found_error" => FailureKind::NotFound,
        "rate_limit_error" => FailureKind::RateLimited,
        "timeout_error" => FailureKind::Timeout,
        // `overloaded_error` and `api_error`: LiteLLM's clients know 500 for both, once a stream has begun.
        _ => FailureKind::Internal,
    };
    target.failure(kind, message)
}

fn bad_request(message: &str) -> FailureKind {
    openai::kind_of(http::StatusCode::BAD_REQUEST, message, "")
}
