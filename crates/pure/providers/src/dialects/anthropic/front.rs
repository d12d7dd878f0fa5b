//! Anthropic's messages as clients speak them to us.

use serde_json::{Map, Number, Value};
use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse, Message, ResponseFormat, Role, Tool, ToolChoice},
};

use super::{front_blocks, front_fit, front_stream::MessageWriter, front_writer};
use crate::{
    codec::{AnswerContext, ChatEncoder, ClientDialect, ProviderDialect, Words},
    params::{self, CallParams},
    target::Target,
};

/// The dialect of `/v1/messages`.
pub static MESSAGES_CLIENT: MessagesClient = MessagesClient;

/// See [`MESSAGES_CLIENT`].
#[derive(Debug)]
pub struct MessagesClient;

/// What keeps a connection awake while the model thinks.
const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

impl ClientDialect for MessagesClient {
    fn words(&self) -> Words {
        Words::AnthropicMessages
    }

    fn settle(&self, body: RawBody, target: &Target, call: &CallParams) -> Result<RawBody, Failure> {
        let mut body = params::with_defaults(body, target, call);
        // Defaults of a configuration are in OpenAI's words.
        for (theirs, ours) in [("max_completion_tokens", "max_tokens"), ("stop", "stop_sequences")] {
            if body.has(ours) {
                body.remove(theirs);
            } else {
                body.rename(theirs, ours);
            }
        }
        if let Some(text) = body.typed::<String>("stop_sequences") {
            body.set("stop_sequences", &Value::from(vec![text]));
        }
        let nulls: Vec<String> =
            body.iter().filter(|(_, raw)| raw.as_ref() == b"null").map(|(name, _)| name.to_owned()).collect();
        for name in nulls {
            body.remove(&name);
        }
        Ok(body)
    }

    fn read(&self, body: &RawBody) -> Result<ChatRequest, Failure> {
        let mut request = ChatRequest::default();
        let mut system = None;
        for (name, raw) in body.iter() {
            let value: Value = serde_json::from_slice(raw)
                .map_err(|error| Failure::invalid(format!("{name}: not readable: {error}")).with_param(name))?;
            if value.is_null() {
                continue;
            }
            match name {
                "model" => {}
                "messages" => request.messages = messages(value)?,
                "system" => system = front_blocks::system(value)?,
                "max_tokens" => request.max_output_tokens = Some(count(name, &value)?),
                "temperature" => request.temperature = Some(number(name, value)?),
                "top_p" => request.top_p = Some(number(name, value)?),
                "stop_sequences" => request.stop = texts(name, value)?,
                "stream" => request.stream = value.as_bool().ok_or_else(|| wrong(name, "true or false"))?,
                "tools" => request.tools = list(name, value)?.into_iter().map(tool).collect::<Result<_, _>>()?,
                "tool_choice" => choose(&value, &mut request)?,
                "metadata" => request.user = value.get("user_id").and_then(Value::as_str).map(str::to_owned),
                "output_format" => request.response_format = form(&value).or(request.response_format.take()),
                "output_config" => configure(value, &mut request)?,
                "thinking" if !value.is_object() => return Err(wrong(name, "an object")),
                // Not Anthropic's, but what a configuration may state for a deployment.
                "reasoning_effort" => request.reasoning_effort = value.as_str().map(str::to_owned),
                _ => {
                    request.extras.insert(name.to_owned(), value);
                }
            }
        }
        if let Some(system) = system {
            request.messages.insert(0, system);
        }
        Ok(request)
    }

    fn fit(
        &self,
        request: &mut ChatRequest,
        target: &Target,
        dialect: &dyn ProviderDialect,
        call: &CallParams,
    ) -> Result<(), Failure> {
        front_fit::fit(request, target, dialect.words(), call)
    }

    fn write(&self, response: &ChatResponse, context: &AnswerContext) -> Vec<u8> {
        front_writer::message(response, context).to_string().into_bytes()
    }

    fn error(&self, failure: &Failure) -> Value {
        front_writer::error(failure)
    }

    fn error_event(&self, body: &[u8]) -> Vec<u8> {
        [b"event: error\ndata: ", body, b"\n\n"].concat()
    }

    fn keep_alive(&self) -> &'static [u8] {
        PING
    }

    fn encoder(&self, context: &AnswerContext) -> Box<dyn ChatEncoder> {
        Box::new(MessageWriter::new(context.clone()))
    }
}

/// A mistake of the client's in Anthropic's way of naming it: the path, then what is wrong.
pub(super) fn wrong(name: &str, wanted: &str) -> Failure {
    Failure::invalid(format!("{name}: must be {wanted}")).with_param(name)
}

pub(super) fn list(name: &str, value: Value) -> Result<Vec<Value>, Failure> {
    if let Value::Array(items) = value { Ok(items) } else { Err(wrong(name, "a list")) }
}

fn texts(name: &str, value: Value) -> Result<Vec<String>, Failure> {
    let text = |item| if let Value::String(text) = item { Ok(text) } else { Err(wrong(name, "a list of texts")) };
    list(name, value)?.into_iter().map(text).collect()
}

fn count(name: &str, value: &Value) -> Result<u64, Failure> {
    value.as_u64().ok_or_else(|| wrong(name, "a whole number that is not negative"))
}

fn number(name: &str, value: Value) -> Result<Number, Failure> {
    if let Value::Number(number) = value { Ok(number) } else { Err(wrong(name, "a number")) }
}

fn messages(value: Value) -> Result<Vec<Message>, Failure> {
    let mut read = Vec::new();
    for (at, value) in list("messages", value)?.into_iter().enumerate() {
        let Value::Object(mut members) = value else { return Err(wrong(&format!("messages.{at}"), "an object")) };
        let role = match members.remove("role").as_ref().and_then(Value::as_str) {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            // Claude Code tells models whose names it does not know what the operator says among the turns.
            Some("system" | "developer") => Role::System,
            _ => return Err(wrong(&format!("messages.{at}.role"), "user or assistant")),
        };
        read.extend(front_blocks::messages(role, members.remove("content").unwrap_or_default(), at)?);
    }
    if read.is_empty() {
        return Err(Failure::invalid("messages: at least one message is required").with_param("messages"));
    }
    Ok(read)
}

fn tool(value: Value) -> Result<Tool, Failure> {
    let Value::Object(mut members) = value else { return Err(wrong("tools", "a list of objects")) };
    if members.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "custom") {
        return Ok(Tool::Native(members.into()));
    }
    let Some(Value::String(name)) = members.remove("name") else {
        return Err(wrong("tools", "a list of objects with names"));
    };
    members.remove("type");
    let description = members.remove("description").and_then(|text| text.as_str().map(str::to_owned));
    let parameters = members.remove("input_schema").filter(|schema| !schema.is_null());
    let strict = members.remove("strict").and_then(|strict| strict.as_bool());
    Ok(Tool::Function { name, description, parameters, strict, extras: members })
}

fn choose(value: &Value, request: &mut ChatRequest) -> Result<(), Failure> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    request.tool_choice = Some(match (text("type"), text("name")) {
        (Some("auto"), _) => ToolChoice::Auto,
        (Some("any"), _) => ToolChoice::Required,
        (Some("none"), _) => ToolChoice::None,
        (Some("tool"), Some(name)) => ToolChoice::Named(name.to_owned()),
        _ => return Err(wrong("tool_choice", "of type auto, any, none, or tool with a name")),
    });
    if let Some(disabled) = value.get("disable_parallel_tool_use").and_then(Value::as_bool) {
        request.parallel_tool_calls = Some(!disabled);
    }
    Ok(())
}

/// The form of an answer; any other than a schema is none.
fn form(value: &Value) -> Option<ResponseFormat> {
    let schema = value.get("schema").filter(|_| value.get("type").is_some_and(|kind| kind == "json_schema"))?;
    // `LiteLLM`'s name for what has none here.
    let name = Some("structured_output".to_owned());
    Some(ResponseFormat::JsonSchema { name, schema: schema.clone(), strict: Some(true) })
}

/// `output_config` holds the form of late and the effort.
fn configure(value: Value, request: &mut ChatRequest) -> Result<(), Failure> {
    let Value::Object(mut config) = value else { return Err(wrong("output_config", "an object")) };
    if let Some(format) = config.remove("format").as_ref().and_then(form)
        && request.response_format.is_none()
    {
        request.response_format = Some(format);
    }
    if !config.is_empty() {
        request.extras.insert("output_config".to_owned(), Map::from_iter(config).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_wire::chat::Part;

    use super::*;

    fn read(body: &Value) -> Result<ChatRequest, Failure> {
        MESSAGES_CLIENT.read(&RawBody::parse(&body.to_string().into()).unwrap())
    }

    fn check_refused(member: &str, value: &Value, param: &str) {
        let mut body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        body[member] = value.clone();
        let failure = read(&body).expect_err(&format!("{member}: {value}"));
        assert_eq!((failure.http_status(), failure.param.as_deref()), (400, Some(param)), "{failure}");
    }

    #[test]
    fn a_wrong_body_is_the_clients_mistake() {
        check_refused("messages", &json!("hi"), "messages");
        check_refused("messages", &json!([]), "messages");
        check_refused("messages", &json!([7]), "messages.0");
        check_refused("messages", &json!([{"role": "wizard", "content": "x"}]), "messages.0.role");
        check_refused("messages", &json!([{"content": "x"}]), "messages.0.role");
        check_refused("messages", &json!([{"role": "user", "content": 7}]), "messages.0.content");
        check_refused("messages", &json!([{"role": "user", "content": ["x"]}]), "messages.0.content.0");
        check_refused("messages", &json!([{"role": "user", "content": [{"type": "text"}]}]), "messages.0.content.0");
        check_refused("messages", &json!([{"role": "user", "content": [{"type": "image"}]}]), "messages.0.content.0");
        check_refused("system", &json!(7), "system");
        check_refused("system", &json!([{"type": "image"}]), "system");
        check_refused("max_tokens", &json!("many"), "max_tokens");
        check_refused("max_tokens", &json!(-1), "max_tokens");
        check_refused("temperature", &json!("hot"), "temperature");
        check_refused("stop_sequences", &json!("x"), "stop_sequences");
        check_refused("stream", &json!("yes"), "stream");
        check_refused("tools", &json!({}), "tools");
        check_refused("tools", &json!(["f"]), "tools");
        check_refused("tools", &json!([{"input_schema": {}}]), "tools");
        check_refused("tool_choice", &json!("auto"), "tool_choice");
        check_refused("tool_choice", &json!({"type": "tool"}), "tool_choice");
        check_refused("thinking", &json!(true), "thinking");
        check_refused("output_config", &json!("high"), "output_config");
    }

    #[test]
    fn parameters_find_their_places() {
        let request = read(&json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}],
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "stop_sequences": ["X"], "metadata": {"user_id": "u"}, "top_k": 4,
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}},
                {"type": "bash_20250124", "name": "bash"}],
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}}))
        .unwrap();
        assert_eq!((request.max_output_tokens, request.user.as_deref()), (Some(5), Some("u")));
        assert_eq!((request.stop, request.parallel_tool_calls), (vec!["X".to_owned()], Some(false)));
        assert_eq!(request.tool_choice, Some(ToolChoice::Required));
        assert!(matches!(&request.response_format, Some(ResponseFormat::JsonSchema { strict: Some(true), .. })));
        assert_eq!(Value::Object(request.extras), json!({"top_k": 4, "output_config": {"effort": "low"}}));
        assert!(matches!(&request.tools[0], Tool::Function { name, extras, .. } if name == "f" && extras.len() == 1));
        assert!(matches!(&request.tools[1], Tool::Native(_)));
        assert_eq!((request.messages[0].role, request.messages[1].role), (Role::System, Role::User));
        assert!(
            matches!(&request.messages[0].parts[0], Part::Text { extras, .. } if extras.contains_key("cache_control"))
        );
    }
}
