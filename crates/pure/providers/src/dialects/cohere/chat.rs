//! Chat, second version: `OpenAI`'s request under other names for some parameters, answers of Cohere's own.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatRequest, ChatResponse, Choice, Extras, Part, ToolCall},
    http::{Outgoing, Reply},
};

use super::{chat_headers, failure, finish, model, stream::EventReader, text, url, usage};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::openai::{self, messages},
    target::Target,
};

/// The dialect of `/v2/chat`.
pub static CHAT: Chat = Chat;

/// See [`CHAT`].
#[derive(Debug)]
pub struct Chat;

/// Parameters under Cohere's names.
const NAMES: &[(&str, &str)] = &[("top_p", "p"), ("top_k", "k"), ("stop", "stop_sequences"), ("n", "num_generations")];

impl ProviderDialect for Chat {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = openai::write_request(request);
        body.insert("model".to_owned(), model(target).into());
        body.insert("stream".to_owned(), request.stream.into());
        for (theirs, ours) in NAMES {
            if let Some(value) = body.shift_remove(*theirs) {
                body.insert((*ours).to_owned(), value);
            }
        }
        if let Some(Value::Array(messages)) = body.get_mut("messages") {
            messages.iter_mut().for_each(without_nothing);
        }
        // Cohere refuses members that it does not know.
        for name in ["messages", "tools"] {
            body.entry(name).and_modify(|said| messages::prune(said, "cache_control"));
        }
        choose_tool(&mut body);
        form(&mut body);
        think(&mut body);
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url: url(target, "/v2/chat"), headers: chat_headers(target)?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |words: &str| target.failure(FailureKind::InvalidResponse, words);
        let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
        let Some(message) = body.get("message").filter(|message| message.is_object()) else {
            return Err(invalid("the answer has no message"));
        };
        let mut parts: Vec<Part> =
            message.get("content").and_then(Value::as_array).into_iter().flatten().filter_map(said).collect();
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        // LiteLLM's clients are told the place of each.
        let placed = (0_u64..).zip(calls).map(|(place, told)| ToolCall {
            extras: Extras::from_iter([("index".to_owned(), place.into())]),
            ..call(told)
        });
        parts.extend(placed.map(Part::ToolCall));
        let mut message_extras = Extras::new();
        let cited = annotations(message.get("citations"));
        if !cited.is_empty() {
            message_extras.insert("annotations".to_owned(), cited.into());
        }
        let mut extras = Extras::new();
        if let Some(logprobs) = body.get("logprobs").filter(|logprobs| !logprobs.is_null()) {
            extras.insert("logprobs".to_owned(), logprobs.clone());
        }
        let (finish, native_finish) = finish(text(&body, "finish_reason"));
        let choice = Choice { index: 0, parts, finish, native_finish, extras, message_extras };
        Ok(ChatResponse {
            choices: vec![choice],
            usage: usage(body.get("usage")),
            // Clients are used to ids of OpenAI's form, which the writer makes.
            ..ChatResponse::default()
        })
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(EventReader::new(target.clone()))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}

/// What is `null` is refused where it may be left out.
fn without_nothing(message: &mut Value) {
    if let Some(members) = message.as_object_mut() {
        members.retain(|name, value| name != "content" || !value.is_null());
    }
}

/// `REQUIRED` and `NONE` are all that Cohere knows; for one tool the others are not offered.
fn choose_tool(body: &mut Map<String, Value>) {
    let Some(choice) = body.shift_remove("tool_choice") else { return };
    let named = choice.get("function").and_then(|function| function.get("name")).cloned();
    let word = match (choice.as_str(), &named) {
        (Some("required"), _) | (None, Some(_)) => "REQUIRED",
        (Some("none"), _) => "NONE",
        _ => return,
    };
    if let (Some(name), Some(Value::Array(tools))) = (named, body.get_mut("tools")) {
        tools.retain(|tool| tool.get("function").and_then(|function| function.get("name")) == Some(&name));
    }
    body.insert("tool_choice".to_owned(), word.into());
}

/// A schema is a member of the one form that there is beside text.
fn form(body: &mut Map<String, Value>) {
    let Some(format) = body.get_mut("response_format") else { return };
    if let Some(schema) = format.get("json_schema").and_then(|schema| schema.get("schema")).cloned() {
        *format = json!({"type": "json_object", "schema": schema});
    }
}

/// Thinking is on or off, with a budget; words of effort turn it on.
fn think(body: &mut Map<String, Value>) {
    let effort = body.shift_remove("reasoning_effort");
    if let Some(effort) = effort.as_ref().and_then(Value::as_str) {
        let kind = if matches!(effort, "none" | "disable") { "disabled" } else { "enabled" };
        body.entry("thinking").or_insert_with(|| json!({ "type": kind }));
    }
    if let Some(thinking) = body.get_mut("thinking").and_then(Value::as_object_mut)
        && let Some(budget) = thinking.shift_remove("budget_tokens")
    {
        thinking.insert("token_budget".to_owned(), budget);
    }
}

fn said(part: &Value) -> Option<Part> {
    match text(part, "type") {
        "thinking" => Some(Part::Thinking { text: text(part, "thinking").to_owned(), signature: None }),
        _ => part.get("text").and_then(Value::as_str).map(Part::text),
    }
}

/// A call in `OpenAI`'s shape.
pub(super) fn call(call: &Value) -> ToolCall {
    let function = call.get("function").unwrap_or(&Value::Null);
    ToolCall {
        id: text(call, "id").to_owned(),
        name: text(function, "name").to_owned(),
        arguments: text(function, "arguments").to_owned(),
        extras: Extras::new(),
    }
}

/// Citations of documents as `OpenAI`'s annotations, one for each source.
pub(super) fn annotations(citations: Option<&Value>) -> Vec<Value> {
    let citations = match citations {
        Some(Value::Array(citations)) => citations.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    };
    let sources = |citation: &Value| citation.get("sources").and_then(Value::as_array).cloned().unwrap_or_default();
    let each = citations.iter().flat_map(|citation| {
        let (start, end) = (citation.get("start").cloned(), citation.get("end").cloned());
        sources(citation).into_iter().filter_map(move |source| annotation(&source, start.as_ref(), end.as_ref()))
    });
    each.collect()
}

fn annotation(source: &Value, start: Option<&Value>, end: Option<&Value>) -> Option<Value> {
    let document = source.get("document").filter(|_| text(source, "type") == "document")?;
    let url = match text(source, "url") {
        "" => format!("source:{}", source.get("id").and_then(Value::as_str).unwrap_or("unknown")),
        url => url.to_owned(),
    };
    let from = start.cloned().unwrap_or_else(|| 0.into());
    let to = end.cloned().unwrap_or_else(|| 0.into());
    Some(json!({"type": "url_citation", "url_citation":
        {"start_index": from, "end_index": to, "title": text(document, "title"), "url": url}}))
}
