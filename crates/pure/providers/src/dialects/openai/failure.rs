//! `OpenAI`'s refusals, and those of everyone who answers like it.

use http::StatusCode;
use serde_json::Value;
use std::time::Duration;
use tollgate_wire::{Failure, FailureKind, http::Reply};

use crate::{dialects::azure, target::Target};

/// Longest error text that is passed on, characters. A provider's HTML page tells nobody anything.
const LONGEST_MESSAGE: usize = 4000;

/// A refusal (status 400 and above) as a failure.
#[must_use]
pub fn failure(reply: &Reply, target: &Target) -> Failure {
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let error = body.as_ref().map(|body| body.get("error").unwrap_or(body));
    let message = error.and_then(words).unwrap_or_else(|| plain_text(reply));
    let code = error.and_then(|error| error.get("code")).and_then(Value::as_str).unwrap_or_default();
    let kind = kind_of(reply.status, &message, code);
    let mut failure = target.failure(kind, message);
    if reply.status.as_u16() != kind.status() {
        failure.status = Some(client_status(reply.status));
    }
    failure.param = error.and_then(|error| error.get("param")).and_then(Value::as_str).map(str::to_owned);
    failure.retry_after = retry_after(reply);
    failure.provider_fields = error.and_then(azure::filter_fields).map(Box::new);
    if failure.provider_fields.is_some() || kind == FailureKind::ContextWindowExceeded {
        // Azure blames `prompt`, a parameter of another endpoint; and where all is too long, no parameter is at fault.
        failure.param = None;
    }
    failure
}

/// The words of an error object in one of the forms that providers use.
fn words(error: &Value) -> Option<String> {
    let text = match error {
        Value::String(text) => text.clone(),
        Value::Object(members) => match members.get("message").or_else(|| members.get("detail"))? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    (!text.is_empty()).then(|| text.chars().take(LONGEST_MESSAGE).collect())
}

fn plain_text(reply: &Reply) -> String {
    let text: String = String::from_utf8_lossy(&reply.body).chars().take(LONGEST_MESSAGE).collect();
    if text.trim().is_empty() { format!("the provider answered {} without a body", reply.status) } else { text }
}

/// The status that a client sees for a provider's: the same, but for what is not an error status of HTTP.
fn client_status(status: StatusCode) -> u16 {
    match status.as_u16() {
        // Anthropic's «overloaded» is no registered status; clients retry on 503.
        529 => 503,
        status @ 400..=599 => status,
        _ => 500,
    }
}

/// Seconds or an HTTP date in `retry-after`; only seconds are read, dates are rare and need a clock.
fn retry_after(reply: &Reply) -> Option<Duration> {
    let millis = reply.headers.get("retry-after-ms").and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    let seconds = reply.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    let seconds = millis.map(|millis| millis / 1000.0).or(seconds)?;
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// Which row of the failure table: by the words first, as providers hide these two behind 400 and 500, then by status.
#[must_use]
pub fn kind_of(status: StatusCode, message: &str, code: &str) -> FailureKind {
    let low = message.to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| low.contains(text));
    if code == "context_length_exceeded" || (status != StatusCode::TOO_MANY_REQUESTS && says(CONTEXT_WINDOW)) {
        return FailureKind::ContextWindowExceeded;
    }
    if matches!(code, "content_policy_violation" | "content_filter")
        || (status.is_client_error() && says(CONTENT_POLICY))
    {
        return FailureKind::ContentPolicyViolation;
    }
    match status.as_u16() {
        400 | 413 => FailureKind::BadRequest,
        401 => FailureKind::Authentication,
        402 => FailureKind::PaymentRequired,
        403 => FailureKind::PermissionDenied,
        404 => FailureKind::NotFound,
        408 | 504 => FailureKind::Timeout,
        422 => FailureKind::Unprocessable,
        429 => FailureKind::RateLimited,
        500 => FailureKind::Internal,
        502 => FailureKind::BadGateway,
        503 | 529 => FailureKind::ServiceUnavailable,
        405..=499 => FailureKind::BadRequest,
        _ => FailureKind::Api,
    }
}

/// How providers say that the prompt is too long (collected by `LiteLLM`'s exception mapping).
const CONTEXT_WINDOW: &[&str] = &[
    "maximum context length",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "expected maxlength",
    "`inputs` tokens + `max_new_tokens` must be",
    "token count exceeds",
    "context_length_exceeded",
    "context window exceeds",
    "exceeds the context window",
    "exceed context limit",
    "input tokens exceed the configured limit",
    "is longer than the model's context length",
    "model's maximum context limit",
    "string too long. expected a string with maximum length",
];

/// How providers say that their safety system refused.
const CONTENT_POLICY: &[&str] = &[
    "content_policy_violation",
    "safety system",
    "violating our usage policy",
    "content filtering policy",
    "content management policy",
    "response was blocked",
    "responsibleaipolicyviolation",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, message: &str, code: &str, expected: FailureKind) {
        assert_eq!(kind_of(StatusCode::from_u16(status).unwrap(), message, code), expected, "{status} {message}");
    }

    #[test]
    fn words_win_over_the_status() {
        check(400, "This model's maximum context length is 8192 tokens", "", FailureKind::ContextWindowExceeded);
        check(500, "prompt is too long: 3 > 2", "", FailureKind::ContextWindowExceeded);
        check(400, "rejected as a result of our safety system", "", FailureKind::ContentPolicyViolation);
        check(400, "no", "content_filter", FailureKind::ContentPolicyViolation);
        check(429, "too many tokens per minute", "", FailureKind::RateLimited);
    }

    #[test]
    fn any_status_finds_a_row() {
        check(418, "", "", FailureKind::BadRequest);
        check(529, "", "", FailureKind::ServiceUnavailable);
        check(520, "", "", FailureKind::Api);
    }
}
