//! Whole answers of the Responses API.

use http::StatusCode;
use serde_json::{Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatResponse, Choice, Extras, Finish, Part, ToolCall},
};

use crate::{dialects::openai, target::Target};

/// Reads an answer with status below 400.
///
/// # Errors
/// When it is not an answer, or holds an error.
pub fn read(body: &[u8], target: &Target) -> Result<ChatResponse, Failure> {
    let invalid = |text: String| target.failure(FailureKind::InvalidResponse, text);
    let body: Value =
        serde_json::from_slice(body).map_err(|error| invalid(format!("the answer is no JSON: {error}")))?;
    if let Some(failure) = failed(&body, target) {
        return Err(failure);
    }
    let Some(items) = body.get("output").and_then(Value::as_array) else {
        return Err(invalid("the answer has no output".to_owned()));
    };
    let said = read_output(items);
    let (finish, native_finish) = finish(&body, said.calls());
    let choice = Choice {
        index: 0,
        finish,
        native_finish,
        extras: listed("logprobs", said.logprobs.map(|list| json!({"content": list, "refusal": null}))),
        message_extras: listed("annotations", (!said.annotations.is_empty()).then(|| said.annotations.into())),
        parts: said.parts,
    };
    Ok(ChatResponse {
        id: text(&body, "id").to_owned(),
        model: text(&body, "model").to_owned(),
        created: body.get("created_at").and_then(seconds),
        choices: vec![choice],
        usage: used(&body),
        usage_extras: Extras::new(),
        extras: listed("service_tier", body.get("service_tier").filter(|tier| !tier.is_null()).cloned()),
    })
}

fn listed(name: &str, value: Option<Value>) -> Extras {
    value.map(|value| (name.to_owned(), value)).into_iter().collect()
}

/// Some servers write the second with a fraction.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.to_string().split('.').next()?.parse().ok())
}

/// What the items of an answer say.
#[derive(Debug, Default)]
pub struct Said {
    /// All of it, in order.
    pub parts: Vec<Part>,
    /// Sources of the words, as chat's clients read them.
    pub annotations: Vec<Value>,
    /// How likely the words were, if that was asked.
    pub logprobs: Option<Vec<Value>>,
}

impl Said {
    /// A tool of the client's is called.
    #[must_use]
    pub fn calls(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::ToolCall(_)))
    }

    fn message(&mut self, item: &Value) {
        for part in list(item, "content") {
            match text(part, "type") {
                "refusal" => self.parts.push(Part::Refusal(text(part, "refusal").to_owned())),
                _ => self.words(part),
            }
        }
    }

    fn words(&mut self, part: &Value) {
        self.parts.push(Part::text(text(part, "text")));
        self.annotations.extend(list(part, "annotations").filter_map(annotation));
        let logprobs: Vec<Value> = list(part, "logprobs").cloned().collect();
        if !logprobs.is_empty() {
            self.logprobs.get_or_insert_default().extend(logprobs);
        }
    }
}

/// Reads the items of an answer.
#[must_use]
pub fn read_output(items: &[Value]) -> Said {
    let mut said = Said::default();
    for item in items {
        match text(item, "type") {
            "message" => said.message(item),
            "reasoning" => said.parts.extend(read_thought(item)),
            "function_call" => said.parts.push(Part::ToolCall(ToolCall {
                id: call_id(item).to_owned(),
                name: text(item, "name").to_owned(),
                arguments: text(item, "arguments").to_owned(),
                extras: Extras::new(),
            })),
            _ => said.parts.push(Part::Opaque { dialect: "openai_responses", raw: item.clone() }),
        }
    }
    said
}

/// The id under which a call's result must be returned. The item's own id (`fc_…`) is another one.
#[must_use]
pub fn call_id(item: &Value) -> &str {
    match text(item, "call_id") {
        "" => text(item, "id"),
        id => id,
    }
}

/// Thoughts: in summary as `OpenAI` tells them, or in full as open models do. `None` when there is nothing to read and
/// nothing to return.
fn read_thought(item: &Value) -> Option<Part> {
    let texts: Vec<&str> = list(item, "summary").chain(list(item, "content")).map(|part| text(part, "text")).collect();
    let signature = seal(item);
    let text = texts.join("\n\n");
    (!text.is_empty() || signature.is_some()).then_some(Part::Thinking { text, signature })
}

/// The seal on thoughts, with which a later turn may return them.
#[must_use]
pub fn seal(item: &Value) -> Option<String> {
    Some(text(item, "encrypted_content")).filter(|seal| !seal.is_empty()).map(str::to_owned)
}

/// A source of words, as chat's clients read it: under its own name. Other annotations have no form in chat.
#[must_use]
pub fn annotation(annotation: &Value) -> Option<Value> {
    let mut members = annotation.as_object()?.clone();
    let kind = members.shift_remove("type")?;
    (kind == "url_citation").then(|| json!({"type": "url_citation", "url_citation": members}))
}

/// Why the model stopped; the provider's own word where we have none.
#[must_use]
pub fn finish(response: &Value, calls: bool) -> (Finish, Option<String>) {
    let reason = response.get("incomplete_details").map_or("", |details| text(details, "reason"));
    match (text(response, "status"), reason) {
        ("incomplete", "max_output_tokens" | "max_tokens") => (Finish::Length, None),
        ("incomplete", "content_filter") => (Finish::ContentFilter, None),
        ("incomplete", other) if !calls => (Finish::Stop, Some(other.to_owned()).filter(|word| !word.is_empty())),
        _ if calls => (Finish::ToolCalls, None),
        _ => (Finish::Stop, None),
    }
}

/// What a response used: its usage object, how it was served, and its searches of the web.
#[must_use]
pub fn used(response: &Value) -> Option<Usage> {
    let usage = response.get("usage").and_then(read_usage)?;
    let items = response.get("output").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let usage = usage.served(response.get("service_tier").and_then(Value::as_str));
    Some(Usage { web_searches: usage.web_searches.max(web_searches(items)), ..usage })
}

/// How often the web was searched: pages that were opened of what was found are not paid.
#[must_use]
pub fn web_searches(items: &[Value]) -> u64 {
    let is_search = |item: &&Value| {
        let action = item.pointer("/action/type").and_then(Value::as_str);
        text(item, "type") == "web_search_call" && action.is_none_or(|action| action == "search")
    };
    items.iter().filter(is_search).count() as u64
}

/// Reads a usage object; `None` when it is `null` or no usage.
#[must_use]
pub fn read_usage(usage: &Value) -> Option<Usage> {
    let count = |place: &str| usage.pointer(place).and_then(Value::as_u64);
    let input = count("/input_tokens")?;
    Some(Usage {
        input,
        output: count("/output_tokens").unwrap_or_default(),
        cache_read: count("/input_tokens_details/cached_tokens").unwrap_or_default(),
        reasoning: count("/output_tokens_details/reasoning_tokens").unwrap_or_default(),
        audio_input: count("/input_tokens_details/audio_tokens").unwrap_or_default(),
        audio_output: count("/output_tokens_details/audio_tokens").unwrap_or_default(),
        image_input: count("/input_tokens_details/image_tokens").unwrap_or_default(),
        image_output: count("/output_tokens_details/image_tokens").unwrap_or_default(),
        cache_write: count("/input_tokens_details/cache_creation_tokens").unwrap_or_default(),
        stated_cost_nanos: usage.get("cost").and_then(crate::dialects::openai::stated_nanos),
        ..Usage::default()
    })
}

/// The failure that an answer of status 200 tells of, if it does.
#[must_use]
pub fn failed(response: &Value, target: &Target) -> Option<Failure> {
    if let Some(error) = response.get("error").filter(|error| !error.is_null()) {
        return Some(in_band(error, target));
    }
    let ended = matches!(text(response, "status"), "failed" | "cancelled");
    ended.then(|| target.failure(FailureKind::Internal, format!("the answer was {}", text(response, "status"))))
}

/// An error object within an answer that began with status 200.
#[must_use]
pub fn in_band(error: &Value, target: &Target) -> Failure {
    let (code, kind) = (text(error, "code"), text(error, "type"));
    let message = match (error.as_str().unwrap_or_else(|| text(error, "message")), code) {
        ("", "") => "the answer failed",
        ("", code) => code,
        (message, _) => message,
    };
    let status = match code {
        "rate_limit_exceeded" | "insufficient_quota" => StatusCode::TOO_MANY_REQUESTS,
        "vector_store_timeout" => StatusCode::GATEWAY_TIMEOUT,
        // All that can be wrong with a picture is the client's.
        _ if code.starts_with("invalid_") || code.contains("image") || kind == "invalid_request_error" => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let code = if code.ends_with("content_policy_violation") { "content_policy_violation" } else { code };
    let mut failure = target.failure(openai::kind_of(status, message, code), message);
    failure.param = error.get("param").and_then(Value::as_str).map(str::to_owned);
    failure
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_become_those_of_chat() {
        let check = |status: &str, reason: &str, calls, expected: Finish, native: Option<&str>| {
            let response = json!({"status": status, "incomplete_details": {"reason": reason}});
            assert_eq!(finish(&response, calls), (expected, native.map(str::to_owned)), "{status} {reason}");
        };
        check("completed", "", false, Finish::Stop, None);
        check("completed", "", true, Finish::ToolCalls, None);
        check("incomplete", "max_output_tokens", false, Finish::Length, None);
        check("incomplete", "max_output_tokens", true, Finish::Length, None);
        check("incomplete", "content_filter", false, Finish::ContentFilter, None);
        check("incomplete", "tired", false, Finish::Stop, Some("tired"));
    }

    #[test]
    fn thoughts_are_read_where_there_is_anything_to_read_or_return() {
        let thinking =
            |text: &str, seal: Option<&str>| Part::Thinking { text: text.into(), signature: seal.map(str::to_owned) };
        let said = read_output(&[
            json!({"type": "reasoning", "id": "rs_1", "summary": []}),
            json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]}),
            json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "c"}]}),
            json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAAA1"}),
        ]);
        assert_eq!(said.parts, [thinking("a\n\nb", None), thinking("c", None), thinking("", Some("gAAAA1"))]);
    }

    #[test]
    fn what_is_no_usage_is_none() {
        assert_eq!(read_usage(&Value::Null), None);
        assert_eq!(read_usage(&json!({})), None);
        let usage = read_usage(&json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 5}}));
        assert_eq!(usage, Some(Usage { input: 9, output: 7, cache_read: 4, reasoning: 5, ..Usage::default() }));
    }

    #[test]
    fn a_second_may_have_a_fraction() {
        assert_eq!(seconds(&json!(1_760_000_000)), Some(1_760_000_000));
        assert_eq!(seconds(&json!(1_760_000_000.25)), Some(1_760_000_000));
        assert_eq!(seconds(&json!("x")), None);
    }
}
