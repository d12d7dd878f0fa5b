//! `OpenAI`'s chat as we speak it to providers for clients of another dialect.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, RawBody,
    chat::{ChatRequest, ChatResponse, Choice, Finish, Part, ResponseFormat, Tool, ToolChoice},
    http::{Outgoing, Reply},
};

use super::{failure, json_tool, message, normalise, outgoing, stream::ChunkReader, usage};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    params::CallParams,
    provider::Asked,
    target::Target,
};

/// The dialect of `/chat/completions`.
pub static CHAT: Chat = Chat;

/// See [`CHAT`].
#[derive(Debug)]
pub struct Chat;

impl ProviderDialect for Chat {
    fn words(&self) -> Words {
        Words::OpenAiChat
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let body = RawBody::from_map(&write_request(request));
        outgoing::finish_from_hub(body, target.provider.chat_path, target)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |text: String| target.failure(FailureKind::InvalidResponse, text);
        let mut raw =
            RawBody::parse(&reply.body).map_err(|error| invalid(format!("the answer is no JSON: {error}")))?;
        if let Some(error) = raw.typed::<Value>("error") {
            return Err(super::splice::in_band(&error, target));
        }
        let asked = asked(request, target);
        if let Some(hook) = target.provider.quirks.answer {
            hook(&mut raw, asked);
        }
        let mut body = raw.to_map();
        let Some(Value::Array(mut choices)) = body.remove("choices") else {
            return Err(invalid("the answer has no choices".to_owned()));
        };
        if asked.json_tool {
            json_tool::unwrap(&mut choices);
        }
        normalise::choices(&mut choices);
        if let Some(hook) = target.provider.quirks.answer_last {
            let mut put_together = RawBody::from_map(&Map::from_iter([("choices".to_owned(), choices.into())]));
            hook(&mut put_together, asked);
            choices = put_together.typed("choices").unwrap_or_default();
        }
        let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        let id = text(body.remove("id"));
        let model = text(body.remove("model"));
        let created = body.remove("created").and_then(|value| value.as_u64());
        body.remove("object");
        let raw_usage = body.remove("usage").map(|value| value.to_string());
        let used = raw_usage.as_ref().and_then(|raw| usage::read(raw.as_bytes()));
        let used = used.map(|used| used.served(body.get("service_tier").and_then(Value::as_str)));
        Ok(ChatResponse {
            id,
            model,
            created,
            choices: choices.into_iter().map(read_choice).collect(),
            usage: used,
            usage_extras: raw_usage.and_then(|raw| serde_json::from_str(&raw).ok()).unwrap_or_default(),
            extras: body,
        })
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(ChunkReader::new(target.clone(), asked(request, target)))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure::failure(reply, target)
    }
}

/// The request of dialects that wrap these words: all their calls come through the hub, so what the row says that every
/// request carries is said here.
///
/// # Errors
/// When a rule of the model forbids a parameter, or the credential cannot stand in a header.
pub(crate) fn wrapped_request(request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
    let mut body = RawBody::from_map(&write_request(request));
    if request.says_completion_tokens {
        body.rename("max_tokens", "max_completion_tokens");
    }
    outgoing::finish(body, target.provider.chat_path, target, &CallParams::default()).map(|(outgoing, _)| outgoing)
}

/// What the answer to a request through the hub must be read by.
pub(super) fn asked(request: &ChatRequest, target: &Target) -> Asked {
    let by_schema = matches!(request.response_format, Some(ResponseFormat::JsonSchema { .. }));
    Asked { tools: !request.tools.is_empty(), json_tool: by_schema && json_tool::stands_in(target) }
}

fn read_choice(choice: Value) -> Choice {
    let Value::Object(mut members) = choice else {
        return Choice {
            index: 0,
            parts: Vec::new(),
            finish: Finish::Stop,
            native_finish: None,
            extras: Map::new(),
            message_extras: Map::new(),
        };
    };
    let index = members.remove("index").and_then(|value| value.as_u64()).unwrap_or_default();
    let finish = members.remove("finish_reason");
    let finish = finish.as_ref().and_then(Value::as_str).and_then(Finish::from_word).unwrap_or(Finish::Stop);
    let message = members.remove("message").unwrap_or_default();
    let (parts, message_extras) = match message::read(with_role(message), 0) {
        Ok(message) => (message.parts, message.extras),
        Err(_) => (Vec::new(), Map::new()),
    };
    Choice { index, parts, finish, native_finish: None, extras: members, message_extras }
}

fn with_role(mut message: Value) -> Value {
    if let Some(members) = message.as_object_mut() {
        members.insert("role".to_owned(), "assistant".into());
    }
    message
}

/// A hub request as `OpenAI`'s body, without the model.
pub(crate) fn write_request(request: &ChatRequest) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("messages".to_owned(), message::write_all(&request.messages).into());
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    set("max_tokens", request.max_output_tokens.map(Value::from));
    set("temperature", request.temperature.clone().map(Value::Number));
    set("top_p", request.top_p.clone().map(Value::Number));
    set("stop", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    set("tools", (!request.tools.is_empty()).then(|| request.tools.iter().map(write_tool).collect()));
    set("tool_choice", request.tool_choice.as_ref().map(write_choice));
    set("parallel_tool_calls", request.parallel_tool_calls.map(Value::from));
    set("response_format", request.response_format.as_ref().map(write_format));
    set("reasoning_effort", request.reasoning_effort.clone().map(Value::from));
    set("user", request.user.clone().map(Value::from));
    set("stream", request.stream.then_some(Value::Bool(true)));
    out.extend(request.extras.clone());
    out
}

fn write_tool(tool: &Tool) -> Value {
    let Tool::Function { name, description, parameters, strict, extras } = tool else {
        return if let Tool::Native(raw) = tool { raw.clone() } else { Value::Null };
    };
    let mut function = Map::from_iter([("name".to_owned(), name.as_str().into())]);
    if let Some(description) = description {
        function.insert("description".to_owned(), description.as_str().into());
    }
    if let Some(parameters) = parameters {
        function.insert("parameters".to_owned(), parameters.clone());
    }
    if let Some(strict) = strict {
        function.insert("strict".to_owned(), (*strict).into());
    }
    let mut out = Map::from_iter([("type".to_owned(), "function".into()), ("function".to_owned(), function.into())]);
    out.extend(extras.clone());
    Value::Object(out)
}

fn write_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn write_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            let mut inner = Map::new();
            inner.insert("name".to_owned(), name.as_deref().unwrap_or("answer").into());
            inner.insert("schema".to_owned(), schema.clone());
            if let Some(strict) = strict {
                inner.insert("strict".to_owned(), (*strict).into());
            }
            json!({"type": "json_schema", "json_schema": inner})
        }
    }
}

/// The words of a request as one prompt, for models that only complete text.
pub(super) fn as_prompt(request: &ChatRequest) -> String {
    let texts = request.messages.iter().filter_map(|message| {
        let text: String = message
            .parts
            .iter()
            .filter_map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None })
            .collect();
        (!text.is_empty()).then_some(text)
    });
    texts.collect::<Vec<_>>().join("\n")
}
