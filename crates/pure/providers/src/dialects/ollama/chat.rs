//! `/api/chat`: turns, tools, thoughts.

use http::Method;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, ChatRequest, ChatResponse, Delta, Finish, Message, Part, Role, Tool, ToolCall, ToolChoice},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
};

use super::{call_id, end, finish, headers, pictures, pictures_elsewhere, read, shared, usage};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{
        openai, prompt,
        text_answer::{self, Parting, Telling},
    },
    target::Target,
};

/// The dialect of `/api/chat`.
pub static CHAT: Chat = Chat;

/// Path below the address.
const PATH: &str = "/api/chat";

/// See [`CHAT`].
#[derive(Debug)]
pub struct Chat;

impl ProviderDialect for Chat {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, request: &ChatRequest, _target: &Target) -> Vec<Wanted> {
        pictures_elsewhere(request)
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = shared(request, target);
        body.insert("model".to_owned(), target.model.as_str().into());
        let called = Called::of(&request.messages);
        let messages: Result<Vec<Value>, Failure> =
            request.messages.iter().map(|message| write(message, &called)).collect();
        body.insert("messages".to_owned(), messages?.into());
        if !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None) {
            body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
        }
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url: target.url(PATH), headers: headers(target)?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told = read(&reply.body, target)?;
        let Some(message) = told.get("message") else {
            return Err(target.failure(FailureKind::InvalidResponse, "the answer has no message"));
        };
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        let (marked, words) = text("content").map(text_answer::thoughts_and_words).unzip();
        let mut parts = Vec::new();
        if let Some(thoughts) = text("thinking").filter(|text| !text.is_empty()).or(marked.flatten()) {
            parts.push(Part::Thinking { text: thoughts.to_owned(), signature: None });
        }
        parts.extend(words.map(Part::text));
        let (mut finish, native) = finish(&told);
        for call in calls(&told) {
            finish = Finish::ToolCalls;
            parts.push(Part::ToolCall(call));
        }
        let choices = vec![text_answer::choice(0, parts, finish, native)];
        Ok(ChatResponse { choices, usage: usage(&told), ..ChatResponse::default() })
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::Lines
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(Reader { target: target.clone(), telling: Telling::default(), parting: Parting::default(), called: 0 })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// The functions that were called, by the ids of the calls. Ollama joins a result to its call by the function's name, which
/// clients do not repeat; where only one was ever called there is no doubt.
struct Called<'m>(BTreeMap<&'m str, &'m str>);

impl<'m> Called<'m> {
    fn of(messages: &'m [Message]) -> Self {
        let parts = messages.iter().flat_map(|message| &message.parts);
        let calls = parts.filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None });
        let names: BTreeMap<&str, &str> = calls.map(|call| (call.id.as_str(), call.name.as_str())).collect();
        let mut different = names.values();
        let first = different.next();
        if different.all(|name| Some(name) == first) { Self(BTreeMap::new()) } else { Self(names) }
    }

    fn answered_by<'a>(&'a self, message: &'a Message) -> Option<&'a str> {
        let mut results = message.parts.iter();
        let named =
            |part: &Part| if let Part::ToolResult { call_id, .. } = part { self.0.get(call_id.as_str()) } else { None };
        message.name.as_deref().or_else(|| results.find_map(named).copied())
    }
}

fn write(message: &Message, called: &Called<'_>) -> Result<Value, Failure> {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut out = Map::new();
    out.insert("role".to_owned(), role.into());
    out.insert("content".to_owned(), prompt::said(&message.parts).into());
    let images = pictures(message)?;
    if !images.is_empty() {
        out.insert("images".to_owned(), json!(images));
    }
    let mut calls = Vec::new();
    for part in &message.parts {
        match part {
            Part::Thinking { text, .. } => {
                out.insert("thinking".to_owned(), text.as_str().into());
            }
            Part::ToolCall(call) => calls.push(json!({"function": {"name": call.name, "arguments": arguments(call)?}})),
            Part::ToolResult { call_id, .. } => {
                out.insert("tool_call_id".to_owned(), call_id.as_str().into());
            }
            _ => {}
        }
    }
    if let (Role::Tool, Some(name)) = (message.role, called.answered_by(message)) {
        out.insert("tool_name".to_owned(), name.into());
    }
    if !calls.is_empty() {
        out.insert("tool_calls".to_owned(), calls.into());
    }
    Ok(out.into())
}

/// Arguments are an object here.
fn arguments(call: &ToolCall) -> Result<Value, Failure> {
    if call.arguments.trim().is_empty() {
        return Ok(json!({}));
    }
    let read: Result<Value, _> = serde_json::from_str(&call.arguments);
    read.map(|told| if told.is_null() { json!({}) } else { told }).map_err(|error| {
        let words = format!("the arguments of the call of '{}' are no JSON: {error}", call.name);
        Failure::invalid(words).with_param("messages")
    })
}

pub(super) fn tool(tool: &Tool) -> Value {
    match tool {
        Tool::Function { name, description, parameters, .. } => {
            let mut function = Map::from_iter([("name".to_owned(), name.as_str().into())]);
            if let Some(description) = description {
                function.insert("description".to_owned(), description.as_str().into());
            }
            if let Some(parameters) = parameters {
                function.insert("parameters".to_owned(), parameters.clone());
            }
            json!({"type": "function", "function": function})
        }
        Tool::Native(raw) => raw.clone(),
    }
}

/// The calls in an answer, or in one of its pieces.
fn calls(told: &Value) -> Vec<ToolCall> {
    let calls = told.get("message").and_then(|message| message.get("tool_calls")?.as_array());
    let read = |(index, call): (usize, &Value)| {
        let function = call.get("function")?;
        let id = call.get("id").and_then(Value::as_str).map_or_else(|| call_id(told, index), str::to_owned);
        let name = function.get("name").and_then(Value::as_str)?.to_owned();
        let arguments = match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "{}".to_owned(),
            Some(object) => object.to_string(),
        };
        Some(ToolCall { id, name, arguments, ..ToolCall::default() })
    };
    calls.into_iter().flatten().enumerate().filter_map(read).collect()
}

/// Reads a stream of pieces; a call comes whole.
struct Reader {
    target: Target,
    telling: Telling,
    parting: Parting,
    called: u64,
}

impl ChatDecoder for Reader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let told = read(&frame.data, &self.target)?;
        let message = told.get("message").unwrap_or(&Value::Null);
        let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
        if !text("thinking").is_empty() {
            self.telling.say(Delta::Thinking(text("thinking").to_owned()), out);
        }
        self.telling.words("", out);
        for delta in self.parting.push(text("content")) {
            self.telling.say(delta, out);
        }
        for call in calls(&told) {
            let index = self.called;
            self.called += 1;
            self.telling.say(Delta::ToolStart { index, id: call.id, name: call.name }, out);
            self.telling.say(Delta::ToolArguments { index, fragment: call.arguments }, out);
        }
        if told.get("done").and_then(Value::as_bool) == Some(true) {
            if let Some(rest) = self.parting.rest() {
                self.telling.say(rest, out);
            }
            end(&mut self.telling, &told, self.called > 0, out);
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        self.telling.close(&self.target)
    }

    fn is_done(&self) -> bool {
        self.telling.is_over()
    }
}
