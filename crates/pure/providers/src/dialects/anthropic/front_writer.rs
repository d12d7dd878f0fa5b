//! Writes answers and failures in Anthropic's words.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, Usage,
    chat::{ChatResponse, Finish, Part, ToolCall},
};

use crate::codec::AnswerContext;

/// A whole answer. Clients of these words are told one, the first.
pub(super) fn message(response: &ChatResponse, context: &AnswerContext) -> Value {
    let choice = response.choices.first();
    let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let finish = choice.map_or(Finish::Stop, |choice| choice.finish);
    let content: Vec<Value> = parts.iter().filter_map(block).collect();
    let id = match response.id.as_str() {
        // `LiteLLM`'s clients know these beginnings.
        "" => format!("chatcmpl-{}", context.id),
        // The name of something that lies at the provider's, and that is not the client's.
        id if id.starts_with("resp_") => format!("resp_{}", context.id),
        id => id.to_owned(),
    };
    json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": context.alias,
        "content": content,
        "stop_reason": stop_reason(finish),
        "stop_sequence": null,
        "usage": usage(&response.usage.unwrap_or_default()),
    })
}

/// The id of a streamed answer.
pub(super) fn own_id(context: &AnswerContext) -> String {
    format!("msg_{}", context.id)
}

fn block(part: &Part) -> Option<Value> {
    Some(match part {
        Part::Text { text, .. } if text.is_empty() => return None,
        Part::Text { text, extras } => {
            let mut out = json!({"type": "text", "text": text});
            if let (Some(citations), Some(members)) = (extras.get("citations"), out.as_object_mut()) {
                members.insert("citations".to_owned(), citations.clone());
            }
            out
        }
        Part::Refusal(text) => json!({"type": "text", "text": text}),
        // Clients insist on the member.
        Part::Thinking { text, signature } => {
            json!({"type": "thinking", "thinking": text, "signature": signature.as_deref().unwrap_or_default()})
        }
        Part::RedactedThinking { data } => json!({"type": "redacted_thinking", "data": data}),
        Part::ToolCall(call) => tool_use(call),
        Part::Opaque { dialect, raw } if *dialect == super::front_blocks::DIALECT => raw.clone(),
        _ => return None,
    })
}

fn tool_use(call: &ToolCall) -> Value {
    let input = match serde_json::from_str(&call.arguments) {
        Ok(Value::Object(members)) => Value::Object(members),
        _ if call.arguments.trim().is_empty() => json!({}),
        Ok(Value::Null) => json!({}),
        // What is no object is shown as the model wrote it.
        _ => json!({"arguments": call.arguments}),
    };
    let kind = if call.id.starts_with("srvtoolu_") { "server_tool_use" } else { "tool_use" };
    let mut out = json!({"type": kind, "id": call.id, "name": call.name, "input": input});
    // Seals on a call travel here; a client that returns the block returns them.
    if let (Some(fields), Some(members)) = (call.extras.get("provider_specific_fields"), out.as_object_mut()) {
        members.insert("provider_specific_fields".to_owned(), fields.clone());
    }
    out
}

/// Anthropic's word for an ending.
pub(super) const fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls | Finish::FunctionCall => "tool_use",
        Finish::ContentFilter => "refusal",
    }
}

/// The counts by Anthropic's convention: what the cache gave or took is not part of the input.
pub(super) fn usage(used: &Usage) -> Value {
    let written = used.cache_write.saturating_add(used.cache_write_1h);
    let mut out = Map::new();
    let uncached = used.input.saturating_sub(used.cache_read).saturating_sub(written);
    out.insert("input_tokens".to_owned(), uncached.into());
    out.insert("output_tokens".to_owned(), used.output.into());
    if written > 0 {
        out.insert("cache_creation_input_tokens".to_owned(), written.into());
    }
    if used.cache_read > 0 {
        out.insert("cache_read_input_tokens".to_owned(), used.cache_read.into());
    }
    if used.cache_write_1h > 0 {
        let lives =
            json!({"ephemeral_5m_input_tokens": used.cache_write, "ephemeral_1h_input_tokens": used.cache_write_1h});
        out.insert("cache_creation".to_owned(), lives);
    }
    out.into()
}

/// A failure in Anthropic's envelope.
pub(super) fn error(failure: &Failure) -> Value {
    envelope(kind_of_status(failure.http_status()), &failure.client_message())
}

pub(super) fn envelope(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

/// Anthropic's names of errors («Errors» in its API reference).
fn kind_of_status(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// Writes one event.
pub(super) fn event(value: &Value, out: &mut Vec<u8>) {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    out.extend_from_slice(format!("event: {kind}\ndata: {value}\n\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use tollgate_wire::FailureKind;

    use super::*;

    #[test]
    fn the_cache_is_counted_apart() {
        let used =
            Usage { input: 100, output: 5, cache_read: 60, cache_write: 10, cache_write_1h: 20, ..Usage::default() };
        assert_eq!(
            usage(&used),
            json!({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 60,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}})
        );
        assert_eq!(
            usage(&Usage { input: 3, output: 4, ..Usage::default() }),
            json!({"input_tokens": 3, "output_tokens": 4})
        );
    }

    #[test]
    fn a_failure_has_the_name_of_its_status() {
        let check = |kind: FailureKind, expected: &str| {
            let body = error(&Failure::new(kind, "words"));
            assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(expected)), "{kind:?}");
        };
        check(FailureKind::InvalidRequest, "invalid_request_error");
        check(FailureKind::InvalidKey, "authentication_error");
        check(FailureKind::RouteDenied, "permission_error");
        check(FailureKind::NotFound, "not_found_error");
        check(FailureKind::TooLarge, "request_too_large");
        check(FailureKind::RateLimited, "rate_limit_error");
        check(FailureKind::Overloaded, "overloaded_error");
        check(FailureKind::Internal, "api_error");
        check(FailureKind::MethodNotAllowed, "invalid_request_error");
    }
}
