//! Google's refusals: `{"error": {"code", "message", "status", "details"}}`, alone or in a list.

use std::time::Duration;

use serde_json::Value;
use tollgate_wire::{Failure, FailureKind, http::Reply};

use crate::{dialects::openai, target::Target};

/// Longest body that is told in full, bytes.
const LONGEST_BODY: usize = 4000;
/// Longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// A refusal (status 400 and above) as a failure; the client is told Google's whole body, as `LiteLLM` does.
#[must_use]
pub fn failure(reply: &Reply, target: &Target) -> Failure {
    let mut failure = openai::failure(reply, target);
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    if let Some(error) = body.as_ref().and_then(error_of) {
        let words = error.get("message").and_then(Value::as_str).unwrap_or_default();
        refine(&mut failure, error, words);
        failure.retry_after = failure.retry_after.or_else(|| wait(error));
    }
    if let Ok(text) = std::str::from_utf8(&reply.body)
        && text.trim_start().starts_with(['{', '['])
        && text.len() <= LONGEST_BODY
    {
        text.clone_into(&mut failure.message);
    }
    failure
}

/// The error of a body, which streams that fail at once send in a list.
pub(super) fn error_of(body: &Value) -> Option<&Value> {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    body.get("error").filter(|error| error.is_object())
}

/// An error within an answer that began with status 200.
#[must_use]
pub fn in_band(error: &Value, target: &Target) -> Failure {
    let message = error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
    let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = status.and_then(|code| http::StatusCode::from_u16(code).ok());
    let status = status.filter(|status| status.as_u16() >= 400).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut failure = target.failure(openai::kind_of(status, &message, ""), message.clone());
    refine(&mut failure, error, &message);
    failure.retry_after = wait(error);
    failure
}

/// What Google hides behind 400.
fn refine(failure: &mut Failure, error: &Value, words: &str) {
    let low = words.to_ascii_lowercase();
    let too_long = low.contains("exceeds the maximum number of tokens") || low.contains("request payload size exceeds");
    let kind = if too_long {
        FailureKind::ContextWindowExceeded
    } else if low.contains("api key not valid") || reason(error) == Some("API_KEY_INVALID") {
        FailureKind::Authentication
    } else {
        return;
    };
    failure.kind = kind;
    failure.status = None;
}

fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error.get("details").and_then(Value::as_array).into_iter().flatten()
}

fn reason(error: &Value) -> Option<&str> {
    details(error).find_map(|detail| detail.get("reason")?.as_str())
}

/// `retryDelay` of google.rpc.RetryInfo: seconds with an `s`.
fn wait(error: &Value) -> Option<Duration> {
    let delay = details(error).find_map(|detail| detail.get("retryDelay")?.as_str())?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    (wait <= LONGEST_WAIT).then_some(wait)
}
