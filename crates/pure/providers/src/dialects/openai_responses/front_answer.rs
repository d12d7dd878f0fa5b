//! Whole answers for clients of the Responses API: what was said, thought and called as items, and what was asked again.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatResponse, Extras, Finish, Part},
};

use super::{front_items::REDACTED, front_tools::Called};
use crate::codec::AnswerContext;

/// An answer of the hub as a response.
pub(super) fn whole(answer: &ChatResponse, context: &AnswerContext) -> Value {
    let mut items = Items::new(context);
    let choice = answer.choices.first();
    let finish = choice.map_or(Finish::Stop, |choice| choice.finish);
    items.status = Ending::of(finish).item_status();
    for part in choice.iter().flat_map(|choice| &choice.parts) {
        items.add(part);
    }
    let annotations = choice.and_then(|choice| choice.message_extras.get("annotations"));
    items.cite(annotations);
    let mut out = head(&context.responses.id("", &context.id), answer.created.unwrap_or(context.now), context);
    set(&mut out, "output", items.finish().into());
    end(&mut out, Ending::of(finish));
    if let Some(usage) = &answer.usage {
        set(&mut out, "usage", write_usage(usage, &answer.usage_extras));
    }
    Value::Object(out)
}

/// The members that every response has; its output is empty, and it is still being made.
pub(super) fn head(id: &str, created: u64, context: &AnswerContext) -> Map<String, Value> {
    let asked = |name: &str| context.responses.asked(name).clone();
    let or = |name: &str, other: Value| Some(asked(name)).filter(|value| !value.is_null()).unwrap_or(other);
    let Value::Object(mut out) = json!({
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": null,
        "incomplete_details": null,
        "instructions": asked("instructions"),
        "max_output_tokens": asked("max_output_tokens"),
        "model": context.alias,
        "output": [],
        // What LiteLLM answers where nobody asked.
        "parallel_tool_calls": or("parallel_tool_calls", false.into()),
        "previous_response_id": asked("previous_response_id"),
        "reasoning": asked("reasoning"),
        "store": asked("store"),
        "temperature": asked("temperature"),
        "text": or("text", json!({})),
        "tool_choice": or("tool_choice", "auto".into()),
        "tools": or("tools", json!([])),
        "top_p": asked("top_p"),
        "truncation": asked("truncation"),
        "usage": null,
        "user": asked("user"),
        "metadata": or("metadata", json!({})),
    }) else {
        return Map::new();
    };
    for (name, value) in context.responses.echo.iter() {
        out.entry(name.as_str()).or_insert_with(|| value.clone());
    }
    out
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    Longest,
    Filtered,
}

impl Ending {
    pub(super) const fn of(finish: Finish) -> Self {
        match finish {
            Finish::Length => Self::Longest,
            Finish::ContentFilter => Self::Filtered,
            Finish::Stop | Finish::ToolCalls | Finish::FunctionCall => Self::Completed,
        }
    }

    /// The word for it, of responses and of events.
    pub(super) const fn status(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Longest | Self::Filtered => "incomplete",
        }
    }

    pub(super) const fn item_status(self) -> &'static str {
        self.status()
    }
}

/// Says how a response ended.
pub(super) fn end(response: &mut Map<String, Value>, ending: Ending) {
    set(response, "status", ending.status().into());
    let reason = match ending {
        Ending::Completed => return,
        Ending::Longest => "max_output_tokens",
        Ending::Filtered => "content_filter",
    };
    set(response, "incomplete_details", json!({ "reason": reason }));
}

/// Says that a response failed.
pub(super) fn fail(response: &mut Map<String, Value>, failure: &Failure) {
    set(response, "status", "failed".into());
    set(response, "error", json!({"code": code(failure), "message": failure.client_message()}));
}

/// The code of a failure within a response: clients of this API decide by it whether to come again.
pub(super) fn code(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::RateLimited | FailureKind::LimitExceeded | FailureKind::NoDeployment => "rate_limit_exceeded",
        FailureKind::ContextWindowExceeded => "context_length_exceeded",
        FailureKind::ContentPolicyViolation => "content_policy_violation",
        FailureKind::BadRequest | FailureKind::InvalidRequest | FailureKind::Unprocessable => "invalid_prompt",
        _ => "server_error",
    }
}

/// The parts of an answer as items.
pub(super) struct Items<'a> {
    context: &'a AnswerContext,
    status: &'static str,
    done: Vec<Value>,
    /// What is being said.
    content: Vec<Value>,
}

impl<'a> Items<'a> {
    fn new(context: &'a AnswerContext) -> Self {
        Self { context, status: "completed", done: Vec::new(), content: Vec::new() }
    }

    fn add(&mut self, part: &Part) {
        match part {
            Part::Text { text, .. } => self.say(text),
            Part::Refusal(text) => self.content.push(json!({"type": "refusal", "refusal": text})),
            other => {
                let place = self.done.len() + usize::from(!self.content.is_empty());
                if let Some(item) = item_of(other, place, self.context) {
                    self.close();
                    self.done.push(item);
                }
            }
        }
    }

    fn say(&mut self, text: &str) {
        if let Some(Value::Object(last)) = self.content.last_mut()
            && let Some(Value::String(said)) = last.get_mut("text")
        {
            said.push_str(text);
        } else if !text.is_empty() {
            self.content.push(output_text(text, &[]));
        }
    }

    /// Gives the sources to the last words.
    fn cite(&mut self, annotations: Option<&Value>) {
        let Some(Value::Array(annotations)) = annotations else { return };
        let open = self.content.last_mut();
        let words = open.or_else(|| self.done.iter_mut().rev().find_map(|item| item.pointer_mut("/content/0")));
        if let Some(Value::Object(words)) = words.filter(|words| words.get("text").is_some()) {
            words.insert("annotations".to_owned(), annotations.iter().map(annotation).collect());
        }
    }

    fn close(&mut self) {
        if !self.content.is_empty() {
            let content = std::mem::take(&mut self.content);
            let id = item_id("msg", &self.context.id, self.done.len());
            self.done.push(message(&id, &content, self.status));
        }
    }

    fn finish(mut self) -> Vec<Value> {
        self.close();
        self.done
    }
}

/// The id of an item of ours.
pub(super) fn item_id(prefix: &str, call: &str, place: usize) -> String {
    format!("{prefix}_{call}-{place}")
}

/// A message of the assistant.
pub(super) fn message(id: &str, content: &[Value], status: &str) -> Value {
    json!({"type": "message", "id": id, "status": status, "role": "assistant", "content": content})
}

/// Words of the assistant.
pub(super) fn output_text(text: &str, annotations: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations})
}

/// Thoughts; what is not sealed can be read, but not returned.
pub(super) fn reasoning(id: &str, text: &str, seal: Option<&str>) -> Value {
    let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
    let mut item = json!({"type": "reasoning", "id": id, "summary": summary});
    if let (Some(seal), Some(members)) = (seal, item.as_object_mut()) {
        members.insert("encrypted_content".to_owned(), seal.into());
    }
    item
}

/// The seal of thoughts that nobody but their provider can read.
pub(super) fn redacted(data: &str) -> String {
    format!("{REDACTED}{data}")
}

/// The item of a part that is no word; `None` for what has no place in an answer.
fn item_of(part: &Part, place: usize, context: &AnswerContext) -> Option<Value> {
    let id = |prefix: &str| item_id(prefix, &context.id, place);
    Some(match part {
        Part::Thinking { text, signature } => reasoning(&id("rs"), text, signature.as_deref()),
        Part::RedactedThinking { data } => reasoning(&id("rs"), "", Some(&redacted(data))),
        Part::ToolCall(call) => {
            let called = Called::of(&call.name, context.responses.asked("tools"));
            called.item(&id(called.prefix()), &call.id, &call.arguments, "completed")
        }
        Part::Opaque { dialect: "openai_responses", raw } => raw.clone(),
        _ => return None,
    })
}

/// A source of words; chat wraps it once more.
pub(super) fn annotation(annotation: &Value) -> Value {
    let Some(Value::Object(inner)) = annotation.get("url_citation") else { return annotation.clone() };
    let mut out = Map::from_iter([("type".to_owned(), "url_citation".into())]);
    out.extend(inner.clone());
    Value::Object(out)
}

/// The usage object. Its details are always there: `OpenAI`'s clients read them without asking.
pub(super) fn write_usage(usage: &Usage, extras: &Extras) -> Value {
    let mut input = json!({"cached_tokens": usage.cache_read});
    let mut output = json!({"reasoning_tokens": usage.reasoning});
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    if written > 0 {
        add(&mut input, "cache_write_tokens", written);
    }
    for (name, count) in [("audio_tokens", usage.audio_input)] {
        if count > 0 {
            add(&mut input, name, count);
        }
    }
    if usage.audio_output > 0 {
        add(&mut output, "audio_tokens", usage.audio_output);
    }
    take_counts(
        &mut input,
        extras.get("prompt_tokens_details"),
        &["text_tokens", "image_tokens", "cache_write_tokens"],
    );
    take_counts(&mut output, extras.get("completion_tokens_details"), &["text_tokens"]);
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": input,
        "output_tokens": usage.output,
        "output_tokens_details": output,
        "total_tokens": usage.total(),
    })
}

fn add(details: &mut Value, name: &str, count: u64) {
    if let Some(members) = details.as_object_mut() {
        members.insert(name.to_owned(), count.into());
    }
}

fn take_counts(details: &mut Value, given: Option<&Value>, names: &[&str]) {
    for name in names {
        if let Some(count) = given.and_then(|given| given.get(name)).and_then(Value::as_u64) {
            add(details, name, count);
        }
    }
}

pub(super) fn set(out: &mut Map<String, Value>, name: &str, value: Value) {
    out.insert(name.to_owned(), value);
}
