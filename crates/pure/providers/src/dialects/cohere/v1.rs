//! Chat, first version: a message, its history, and a stream of lines.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatRequest, ChatResponse, Choice, Extras, Part, ResponseFormat, ToolCall},
    framing::Framing,
    http::{Outgoing, Reply},
};

use super::{
    billed, chat_headers, failure, finish,
    history::{self, History},
    model,
    stream_v1::LineReader,
    text, url,
};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    target::Target,
};

/// The dialect of `/v1/chat`.
pub static CHAT_V1: ChatV1 = ChatV1;

/// See [`CHAT_V1`].
#[derive(Debug)]
pub struct ChatV1;

/// What Cohere takes where no model is named; `LiteLLM` names none.
const DEFAULT_MODEL: &str = "command-r-plus";

impl ProviderDialect for ChatV1 {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let history = History::of(&request.messages);
        let mut body = Map::from_iter([
            ("message".to_owned(), Value::from(history.message)),
            ("stream".to_owned(), request.stream.into()),
        ]);
        if model(target) != DEFAULT_MODEL {
            body.insert("model".to_owned(), model(target).into());
        }
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        set("preamble", (!history.preamble.is_empty()).then(|| history.preamble.into()));
        set("chat_history", (!history.earlier.is_empty()).then(|| history.earlier.into()));
        set("tool_results", (!history.results.is_empty()).then(|| history.results.into()));
        set("tools", (!request.tools.is_empty()).then(|| history::tools(&request.tools).into()));
        set("response_format", request.response_format.as_ref().and_then(form));
        add_sampling(request, &mut body);
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url: url(target, "/v1/chat"), headers: chat_headers(target)?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |words: &str| target.failure(FailureKind::InvalidResponse, words);
        let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
        let said = body.get("text").and_then(Value::as_str).ok_or_else(|| invalid("the answer has no text"))?;
        let mut parts = Vec::new();
        if !said.is_empty() {
            parts.push(Part::text(said));
        }
        let calls = calls(&body, 0);
        let (mut end, native_finish) = finish(text(&body, "finish_reason"));
        if !calls.is_empty() {
            end = tollgate_wire::chat::Finish::ToolCalls;
        }
        parts.extend(calls.into_iter().map(Part::ToolCall));
        let choice = Choice {
            index: 0,
            parts,
            finish: end,
            native_finish,
            extras: Extras::new(),
            message_extras: Extras::new(),
        };
        let citations =
            body.get("citations").filter(|citations| citations.as_array().is_some_and(|all| !all.is_empty()));
        let extras = citations.map(|all| ("citations".to_owned(), all.clone())).into_iter().collect();
        Ok(ChatResponse { choices: vec![choice], usage: billed(body.get("meta")), extras, ..ChatResponse::default() })
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::Lines
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(LineReader::new(target.clone()))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}

/// Calls of an answer, numbered from `first`: this version gives them no ids, and clients need some.
pub(super) fn calls(told: &Value, first: usize) -> Vec<ToolCall> {
    let calls = told.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let numbered = calls.enumerate().map(|(place, call)| {
        let name = text(call, "name").to_owned();
        let arguments = call.get("parameters").cloned().unwrap_or_else(|| json!({})).to_string();
        ToolCall { id: format!("call_{}_{name}", first + place), name, arguments, extras: Extras::new() }
    });
    numbered.collect()
}

fn form(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!({"type": "json_object"})),
        ResponseFormat::JsonSchema { schema, .. } => Some(json!({"type": "json_object", "schema": schema})),
    }
}

/// Parameters under Cohere's names, and everything that only Cohere knows.
pub(super) fn add_sampling(request: &ChatRequest, body: &mut Map<String, Value>) {
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("temperature", request.temperature.clone().map(Value::Number));
    set("p", request.top_p.clone().map(Value::Number));
    set("max_tokens", request.max_output_tokens.map(Value::from));
    set("stop_sequences", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    for (name, value) in &request.extras {
        let name = match name.as_str() {
            "top_k" => "k",
            "n" => "num_generations",
            // Cohere's first version has neither.
            "thinking" | "logprobs" | "top_logprobs" => continue,
            name => name,
        };
        set(name, Some(value.clone()));
    }
}
