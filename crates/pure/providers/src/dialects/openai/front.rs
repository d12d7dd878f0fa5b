//! `OpenAI`'s chat as clients speak it to us.

use serde_json::{Map, Number, Value};
use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse, ResponseFormat, Tool, ToolChoice},
};

use super::{message, writer};
use crate::codec::{AnswerContext, ChatEncoder, ClientDialect, Words};

/// The dialect of `/chat/completions`.
pub static CHAT_CLIENT: ChatClient = ChatClient;

/// See [`CHAT_CLIENT`].
#[derive(Debug)]
pub struct ChatClient;

impl ClientDialect for ChatClient {
    fn words(&self) -> Words {
        Words::OpenAiChat
    }

    fn read(&self, body: &RawBody) -> Result<ChatRequest, Failure> {
        let mut request = ChatRequest::default();
        let mut max_completion_tokens = None;
        for (name, raw) in body.iter() {
            let value: Value = serde_json::from_slice(raw)
                .map_err(|error| Failure::invalid(format!("`{name}` is not readable: {error}")).with_param(name))?;
            if value.is_null() {
                continue;
            }
            match name {
                "model" => {}
                "messages" => request.messages = messages(value)?,
                "tools" => request.tools.extend(list(name, value)?.into_iter().map(read_tool)),
                "functions" => request.tools.extend(list(name, value)?.into_iter().map(read_function)),
                "tool_choice" | "function_call" => request.tool_choice = Some(read_choice(name, &value)?),
                "parallel_tool_calls" => request.parallel_tool_calls = Some(boolean(name, &value)?),
                "max_tokens" => request.max_output_tokens = Some(count(name, &value)?),
                "max_completion_tokens" => max_completion_tokens = Some(count(name, &value)?),
                "temperature" => request.temperature = Some(number(name, value)?),
                "top_p" => request.top_p = Some(number(name, value)?),
                "stop" => request.stop = stop(name, value)?,
                "response_format" => request.response_format = read_format(&value)?,
                "reasoning_effort" => request.reasoning_effort = effort(&value),
                "user" => request.user = value.as_str().map(str::to_owned),
                "stream" => request.stream = boolean(name, &value)?,
                "stream_options" => {}
                _ => {
                    request.extras.insert(name.to_owned(), value);
                }
            }
        }
        request.says_completion_tokens = max_completion_tokens.is_some();
        request.max_output_tokens = max_completion_tokens.or(request.max_output_tokens);
        Ok(request)
    }

    fn write(&self, response: &ChatResponse, context: &AnswerContext) -> Vec<u8> {
        writer::chat_answer(response, context)
    }

    fn encoder(&self, context: &AnswerContext) -> Box<dyn ChatEncoder> {
        Box::new(writer::ChatWriter::new(context.clone()))
    }
}

fn wrong(name: &str, wanted: &str) -> Failure {
    Failure::invalid(format!("`{name}` must be {wanted}")).with_param(name)
}

fn list(name: &str, value: Value) -> Result<Vec<Value>, Failure> {
    if let Value::Array(items) = value { Ok(items) } else { Err(wrong(name, "a list")) }
}

fn messages(value: Value) -> Result<Vec<tollgate_wire::chat::Message>, Failure> {
    list("messages", value)?.into_iter().enumerate().map(|(at, value)| message::read(value, at)).collect()
}

fn boolean(name: &str, value: &Value) -> Result<bool, Failure> {
    value.as_bool().ok_or_else(|| wrong(name, "true or false"))
}

fn count(name: &str, value: &Value) -> Result<u64, Failure> {
    let whole = value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..9e15).contains(float))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        Some(float as u64)
    });
    whole.ok_or_else(|| wrong(name, "a whole number that is not negative"))
}

fn number(name: &str, value: Value) -> Result<Number, Failure> {
    if let Value::Number(number) = value { Ok(number) } else { Err(wrong(name, "a number")) }
}

pub(super) fn stop(name: &str, value: Value) -> Result<Vec<String>, Failure> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) => {
            items
                .into_iter()
                .map(|item| {
                    if let Value::String(text) = item { Ok(text) } else { Err(wrong(name, "text or a list of texts")) }
                })
                .collect()
        }
        _ => Err(wrong(name, "text or a list of texts")),
    }
}

/// The word, or `effort` of the object form that the Responses API brought.
fn effort(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("effort")?.as_str()).map(str::to_owned)
}

fn read_tool(value: Value) -> Tool {
    let Value::Object(mut members) = value else { return Tool::Native(value) };
    let is_function = members.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "function");
    match members.remove("function") {
        Some(Value::Object(function)) if is_function => {
            members.remove("type");
            function_tool(function, members)
        }
        Some(other) => {
            members.insert("function".to_owned(), other);
            Tool::Native(Value::Object(members))
        }
        None => Tool::Native(Value::Object(members)),
    }
}

fn read_function(value: Value) -> Tool {
    if let Value::Object(function) = value { function_tool(function, Map::new()) } else { Tool::Native(value) }
}

fn function_tool(mut function: Map<String, Value>, mut extras: Map<String, Value>) -> Tool {
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let name = text(function.remove("name")).unwrap_or_default();
    let description = text(function.remove("description"));
    let parameters = function.remove("parameters").filter(|value| !value.is_null());
    let strict = function.remove("strict").and_then(|value| value.as_bool());
    extras.extend(function);
    Tool::Function { name, description, parameters, strict, extras }
}

fn read_choice(name: &str, value: &Value) -> Result<ToolChoice, Failure> {
    match value {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(wrong(name, "auto, none, required or a function")),
        },
        Value::Object(members) => {
            let function = members.get("function").and_then(|function| function.get("name"));
            match function.or_else(|| members.get("name")).and_then(Value::as_str) {
                Some(function) => Ok(ToolChoice::Named(function.to_owned())),
                None => match members.get("type").and_then(Value::as_str) {
                    Some("any" | "required") => Ok(ToolChoice::Required),
                    Some("auto") => Ok(ToolChoice::Auto),
                    Some("none") => Ok(ToolChoice::None),
                    _ => Err(wrong(name, "auto, none, required or a function")),
                },
            }
        }
        _ => Err(wrong(name, "auto, none, required or a function")),
    }
}

fn read_format(value: &Value) -> Result<Option<ResponseFormat>, Failure> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "text" => Ok(Some(ResponseFormat::Text)),
        "json_object" => Ok(match value.get("response_schema") {
            Some(schema) => Some(ResponseFormat::JsonSchema { name: None, schema: schema.clone(), strict: None }),
            None => Some(ResponseFormat::JsonObject),
        }),
        "json_schema" => {
            let inner = value.get("json_schema").unwrap_or(value);
            let schema = inner.get("schema").cloned().ok_or_else(|| wrong("response_format", "given with a schema"))?;
            let name = inner.get("name").and_then(Value::as_str).map(str::to_owned);
            Ok(Some(ResponseFormat::JsonSchema { name, schema, strict: inner.get("strict").and_then(Value::as_bool) }))
        }
        _ => Err(wrong("response_format", "of type text, json_object or json_schema")),
    }
}
