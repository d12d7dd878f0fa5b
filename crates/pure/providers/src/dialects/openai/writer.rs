//! Writes answers in `OpenAI`'s words: whole, streamed, and failures.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, Usage,
    chat::{ChatChunk, ChatResponse, Choice, Delta, Extras, Finish, Part},
};

use super::{message::write_call, usage};
use crate::codec::{AnswerContext, ChatEncoder};

/// A failure as `OpenAI`'s error object: four members, `code` a string (decision 8).
#[must_use]
pub fn error_body(failure: &Failure) -> Value {
    let mut error = Map::new();
    error.insert("message".to_owned(), failure.client_message().into());
    error.insert("type".to_owned(), failure.error_type().into());
    error.insert("param".to_owned(), failure.param.as_deref().map_or(Value::Null, Value::from));
    error.insert("code".to_owned(), failure.http_status().to_string().into());
    if let Some(fields) = &failure.provider_fields {
        error.insert("provider_specific_fields".to_owned(), (**fields).clone());
    }
    json!({ "error": error })
}

/// A whole chat answer.
pub(super) fn chat_answer(response: &ChatResponse, context: &AnswerContext) -> Vec<u8> {
    let mut out = head(&response.id, "chatcmpl-", response.created, "chat.completion", context);
    // The seeds' sample answers carry it as null (SEED-84).
    out.insert("system_fingerprint".to_owned(), Value::Null);
    out.insert("choices".to_owned(), response.choices.iter().map(choice).collect());
    if let Some(used) = &response.usage {
        out.insert("usage".to_owned(), usage_object(used, &response.usage_extras).into());
    }
    out.extend(response.extras.clone());
    Value::Object(out).to_string().into_bytes()
}

/// The members that begin every answer.
pub(super) fn head(
    id: &str,
    prefix: &str,
    created: Option<u64>,
    object: &str,
    context: &AnswerContext,
) -> Map<String, Value> {
    let id = if id.is_empty() { format!("{prefix}{}", context.id) } else { id.to_owned() };
    let mut out = Map::new();
    out.insert("id".to_owned(), id.into());
    out.insert("created".to_owned(), created.unwrap_or(context.now).into());
    out.insert("model".to_owned(), context.alias.as_str().into());
    out.insert("object".to_owned(), object.into());
    out
}

/// The three totals, and what the dialect adds to them.
pub(super) fn usage_object(used: &Usage, extras: &Extras) -> Map<String, Value> {
    let mut out = usage::write(used);
    out.extend(extras.clone());
    out
}

fn choice(choice: &Choice) -> Value {
    let mut out = Map::new();
    out.insert("finish_reason".to_owned(), choice.finish.as_str().into());
    out.insert("index".to_owned(), choice.index.into());
    out.insert("message".to_owned(), answer_message(choice));
    out.extend(choice.extras.clone());
    if let Some(native) = &choice.native_finish {
        out.insert("provider_specific_fields".to_owned(), json!({ "native_finish_reason": native }));
    }
    Value::Object(out)
}

fn answer_message(choice: &Choice) -> Value {
    let mut out = Map::new();
    out.insert("content".to_owned(), content_text(&choice.parts).map_or(Value::Null, Value::from));
    out.insert("role".to_owned(), "assistant".into());
    let calls: Vec<Value> = choice.parts.iter().filter_map(tool_call).collect();
    out.insert("tool_calls".to_owned(), if calls.is_empty() { Value::Null } else { calls.into() });
    out.insert("function_call".to_owned(), Value::Null);
    let thoughts: String = choice.parts.iter().filter_map(thought).collect();
    if !thoughts.is_empty() {
        out.insert("reasoning_content".to_owned(), thoughts.into());
    }
    let blocks: Vec<Value> = choice.parts.iter().filter_map(thinking_block).collect();
    if !blocks.is_empty() {
        out.insert("thinking_blocks".to_owned(), blocks.into());
    }
    for part in &choice.parts {
        if let Part::Refusal(text) = part {
            out.insert("refusal".to_owned(), text.as_str().into());
        }
    }
    out.extend(choice.message_extras.clone());
    Value::Object(out)
}

/// All words of an answer; `None` when it has none.
pub(super) fn content_text(parts: &[Part]) -> Option<String> {
    let mut texts =
        parts.iter().filter_map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None });
    let first = texts.next()?.to_owned();
    Some(texts.fold(first, |all, text| all + text))
}

fn tool_call(part: &Part) -> Option<Value> {
    if let Part::ToolCall(call) = part { Some(write_call(call)) } else { None }
}

fn thought(part: &Part) -> Option<&str> {
    if let Part::Thinking { text, .. } = part { Some(text) } else { None }
}

fn thinking_block(part: &Part) -> Option<Value> {
    match part {
        // Without a seal there is nothing that a later turn would have to return.
        Part::Thinking { text, signature: Some(signature) } => {
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        Part::RedactedThinking { data } => Some(json!({"type": "redacted_thinking", "data": data})),
        _ => None,
    }
}

/// Writes a chat stream.
pub(super) struct ChatWriter {
    context: AnswerContext,
    id: String,
    /// Choices whose first delta, which carries the role, is out.
    begun: Vec<u64>,
    finished: Vec<u64>,
    usage: Option<(Usage, Extras)>,
}

impl ChatWriter {
    pub(super) fn new(context: AnswerContext) -> Self {
        let id = format!("chatcmpl-{}", context.id);
        Self { context, id, begun: Vec::new(), finished: Vec::new(), usage: None }
    }

    fn chunk(&self, choices: Value) -> Map<String, Value> {
        let mut out = head(&self.id, "", Some(self.context.now), "chat.completion.chunk", &self.context);
        out.insert("choices".to_owned(), choices);
        out
    }

    fn emit_delta(&mut self, choice: u64, mut delta: Map<String, Value>, finish: &Value, out: &mut Vec<u8>) {
        if !self.begun.contains(&choice) {
            self.begun.push(choice);
            delta.insert("role".to_owned(), "assistant".into());
        }
        let choices = json!([{"index": choice, "delta": delta, "finish_reason": finish}]);
        event(&Value::Object(self.chunk(choices)), out);
    }
}

/// Writes one event.
pub(super) fn event(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(value.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// The event that ends every stream that did not fail.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

impl ChatEncoder for ChatWriter {
    fn encode(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        match chunk {
            ChatChunk::Start { id, .. } => {
                if !id.is_empty() {
                    self.id.clone_from(id);
                }
            }
            ChatChunk::Delta { choice, delta } => self.emit_delta(*choice, delta_members(delta), &Value::Null, out),
            ChatChunk::Finish { choice, finish, native } => {
                self.finished.push(*choice);
                self.emit_delta(*choice, Map::new(), &finish.as_str().into(), out);
                let _ = native; // whole answers carry it; LiteLLM's streams do not
            }
            ChatChunk::Usage { usage, extras } => self.usage = Some((*usage, extras.clone())),
        }
    }

    fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>) {
        // A stream that ends without a reason ended well: the provider closed it in order.
        let open: Vec<u64> = self.begun.iter().copied().filter(|choice| !self.finished.contains(choice)).collect();
        for choice in open {
            self.emit_delta(choice, Map::new(), &Finish::Stop.as_str().into(), out);
        }
        if self.context.include_usage
            && let Some((used, extras)) = &self.usage
        {
            let mut chunk = self.chunk(json!([{"index": 0, "delta": {}, "finish_reason": null}]));
            chunk.insert("usage".to_owned(), stream_usage(usage_object(used, extras), used, cost).into());
            event(&Value::Object(chunk), out);
        }
        out.extend_from_slice(DONE);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        event(&error_body(failure), out);
    }
}

/// The usage of a stream's last chunk: with the split of the output, and what it cost (as `LiteLLM` writes it).
pub(super) fn stream_usage(mut object: Map<String, Value>, used: &Usage, cost: Option<f64>) -> Map<String, Value> {
    object.entry("completion_tokens_details").or_insert_with(
        || json!({"reasoning_tokens": used.reasoning, "text_tokens": used.output.saturating_sub(used.reasoning)}),
    );
    // What costs nothing is not mentioned.
    if let Some(cost) = cost.filter(|cost| *cost > 0.0) {
        object.insert("cost".to_owned(), cost.into());
    }
    object
}

fn delta_members(delta: &Delta) -> Map<String, Value> {
    let value = match delta {
        Delta::Text(text) => json!({ "content": text }),
        Delta::Thinking(text) => thinking_delta(text, &json!([{"type": "thinking", "thinking": text}])),
        Delta::Signature(signature) => {
            thinking_delta("", &json!([{"type": "thinking", "thinking": "", "signature": signature}]))
        }
        Delta::RedactedThinking(data) => thinking_delta("", &json!([{"type": "redacted_thinking", "data": data}])),
        Delta::ToolStart { index, id, name } => json!({"tool_calls": [
            {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]}),
        Delta::ToolArguments { index, fragment } => {
            json!({"tool_calls": [{"index": index, "type": "function", "function": {"arguments": fragment}}]})
        }
        Delta::Refusal(text) => json!({ "refusal": text }),
        Delta::Extras(extras) => return extras.clone(),
    };
    if let Value::Object(members) = value { members } else { Map::new() }
}

fn thinking_delta(text: &str, blocks: &Value) -> Value {
    json!({"reasoning_content": text, "thinking_blocks": blocks, "provider_specific_fields": {"thinking_blocks": blocks}})
}
