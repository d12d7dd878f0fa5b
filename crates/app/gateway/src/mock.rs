//! Answers that ask nobody (surface chapter 5.6): `mock_response` of a deployment or, where allowed, of a request.

use serde_json::Value;
use tollgate_providers::codec::{AnswerContext, ClientDialect};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatChunk, ChatResponse, Choice, Delta, Extras, Finish, Part},
};

/// `LiteLLM`'s usage of a mocked answer.
fn usage() -> Usage {
    Usage { input: 10, output: 20, ..Usage::default() }
}

/// The words of a mock, or the failure that it asks for.
pub(crate) fn words(mock: &Value) -> Result<String, Failure> {
    let text = match mock {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let kind = match text.as_str() {
        "litellm.RateLimitError" => FailureKind::RateLimited,
        "litellm.ContextWindowExceededError" => FailureKind::ContextWindowExceeded,
        "litellm.InternalServerError" => FailureKind::Internal,
        text if text.starts_with("Exception: content_filter_policy") => FailureKind::ContentPolicyViolation,
        text if text.starts_with("Exception: ") => FailureKind::Internal,
        _ => return Ok(text),
    };
    Err(Failure::new(kind, format!("Mock error: {text}")))
}

/// The whole answer.
pub(crate) fn whole(words: &str, client: &dyn ClientDialect, context: &AnswerContext) -> (Vec<u8>, Usage) {
    let choice = Choice {
        index: 0,
        parts: vec![Part::text(words)],
        finish: Finish::Stop,
        native_finish: None,
        extras: Extras::new(),
        message_extras: Extras::new(),
    };
    let response = ChatResponse { choices: vec![choice], usage: Some(usage()), ..ChatResponse::default() };
    (client.write(&response, context), usage())
}

/// The streamed answer, word by word.
pub(crate) fn streamed(words: &str, client: &dyn ClientDialect, context: &AnswerContext) -> (Vec<u8>, Usage) {
    let mut encoder = client.encoder(context);
    let mut out = Vec::new();
    encoder.encode(&ChatChunk::Start { id: String::new(), model: String::new() }, &mut out);
    for word in words.split_inclusive(' ') {
        encoder.encode(&ChatChunk::Delta { choice: 0, delta: Delta::Text(word.to_owned()) }, &mut out);
    }
    encoder.encode(&ChatChunk::Finish { choice: 0, finish: Finish::Stop, native: None }, &mut out);
    encoder.encode(&ChatChunk::Usage { usage: usage(), extras: Extras::new() }, &mut out);
    encoder.close(None, &mut out);
    (out, usage())
}
