//! The Responses API as clients speak it to us, before any provider. Its parameters get chat's names first
//! ([`in_chat_names`]), so that what a provider does not take is found, dropped or refused as in chat.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse, Role, Tool},
};

use super::{front_answer, front_items, front_stream::EventWriter, front_tools};
use crate::{
    codec::{AnswerContext, ChatEncoder, ClientDialect, Words},
    dialects::openai::CHAT_CLIENT,
    params::{self, CallParams},
    target::Target,
};

/// The dialect of clients of `/responses`.
pub static RESPONSES_CLIENT: ResponsesClient = ResponsesClient;

/// See [`RESPONSES_CLIENT`].
#[derive(Debug)]
pub struct ResponsesClient;

/// Members that mean something to `OpenAI`'s own store, billing and caches only.
const UNTOLD: &[&str] = &[
    "include",
    "store",
    "truncation",
    "metadata",
    "background",
    "stream_options",
    "max_tool_calls",
    "client_metadata",
    "context_management",
    "prompt_cache_retention",
    "previous_response_id",
];

/// Members that clients send by habit, and that nobody misses where the provider does not take them.
const UNMISSED: &[&str] =
    &["parallel_tool_calls", "prompt_cache_key", "safety_identifier", "service_tier", "top_logprobs", "verbosity"];

impl ClientDialect for ResponsesClient {
    fn words(&self) -> Words {
        Words::OpenAiResponses
    }

    fn read(&self, body: &RawBody) -> Result<ChatRequest, Failure> {
        let mut body = in_chat_names(body.clone())?;
        let mut taken = |name: &str| {
            let raw = body.remove(name)?;
            serde_json::from_slice::<Value>(&raw).ok().filter(|value| !value.is_null())
        };
        let (input, instructions) = (taken("input"), taken("instructions"));
        let (tools, choice) = (taken("tools"), taken("tool_choice"));
        let mut request = CHAT_CLIENT.read(&body)?;
        request.messages = match instructions {
            Some(Value::String(text)) if !text.is_empty() => {
                vec![front_items::message(Role::System, vec![tollgate_wire::chat::Part::text(text)])]
            }
            Some(Value::String(_)) | None => Vec::new(),
            Some(_) => return Err(Failure::invalid("`instructions` must be text").with_param("instructions")),
        };
        request.messages.extend(front_items::read(&input.unwrap_or_default())?);
        request.tools = tools.map(front_tools::read).transpose()?.unwrap_or_default();
        if let Some(choice) = choice {
            request.tool_choice = front_tools::read_choice(&choice)?;
            if let Some(allowed) = front_tools::allowed(&choice) {
                request.tools.retain(|tool| match tool {
                    Tool::Function { name, .. } => allowed.contains(&name.as_str()),
                    Tool::Native(_) => true,
                });
            }
        }
        if request.tools.is_empty() {
            request.parallel_tool_calls = None;
            request.tool_choice = None;
        }
        Ok(request)
    }

    fn write(&self, response: &ChatResponse, context: &AnswerContext) -> Vec<u8> {
        let answer = front_answer::whole(response, context);
        if let Some(desk) = &context.responses.desk {
            desk.keep(&answer);
        }
        answer.to_string().into_bytes()
    }

    fn encoder(&self, context: &AnswerContext) -> Box<dyn ChatEncoder> {
        Box::new(EventWriter::new(context.clone()))
    }
}

/// The client's body for a provider that has no Responses API: under chat's names, with the deployment's defaults, and
/// without what must not go out.
///
/// # Errors
/// When it asks for what only the API's own provider can do, or the provider does not take a parameter.
pub fn settle(body: RawBody, target: &Target, call: &CallParams) -> Result<RawBody, Failure> {
    only_at_openai(&body)?;
    let mut body = in_chat_names(body)?;
    for name in UNMISSED {
        if !params::takes(target, name) {
            body.remove(name);
        }
    }
    settle_tools(&mut body, target, call)?;
    params::settle(body, target, call)
}

/// Every response tells its usage: in chat's words a stream must be asked for it. Rows that refuse the word take it out.
pub fn ask_for_usage(request: &mut ChatRequest, words: Words) {
    if request.stream && words == Words::OpenAiChat {
        request.extras.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
}

fn only_at_openai(body: &RawBody) -> Result<(), Failure> {
    let refused = |name: &str, words: &str| {
        Err(Failure::invalid(format!("`{name}` {words}; this model is not served by a provider with a Responses API"))
            .with_param(name))
    };
    if body.typed::<bool>("background") == Some(true) {
        return refused("background", "needs a provider that works on without its client");
    }
    if body.has("conversation") {
        return refused("conversation", "names a conversation that only OpenAI keeps");
    }
    if body.has("previous_response_id") {
        return refused("previous_response_id", "names an answer that is not kept here");
    }
    if body.has("prompt") {
        return refused("prompt", "names a template that only OpenAI keeps");
    }
    Ok(())
}

/// The body with its parameters under the names that chat has for them.
fn in_chat_names(mut body: RawBody) -> Result<RawBody, Failure> {
    for name in UNTOLD {
        body.remove(name);
    }
    body.rename("max_output_tokens", "max_tokens");
    if let Some(reasoning) = object(&mut body, "reasoning")?
        && let Some(effort) = reasoning.get("effort").filter(|effort| !effort.is_null())
    {
        body.set("reasoning_effort", effort);
    }
    if let Some(mut text) = object(&mut body, "text")? {
        if let Some(format) = text.shift_remove("format").filter(|format| !format.is_null()) {
            body.set("response_format", &as_response_format(format));
        }
        if let Some(verbosity) = text.get("verbosity").filter(|verbosity| !verbosity.is_null()) {
            body.set("verbosity", verbosity);
        }
    }
    Ok(body)
}

/// Takes out a member that is an object.
fn object(body: &mut RawBody, name: &str) -> Result<Option<Map<String, Value>>, Failure> {
    let Some(raw) = body.remove(name).filter(|raw| raw.as_ref() != b"null") else { return Ok(None) };
    let read = serde_json::from_slice(&raw);
    read.map(Some).map_err(|_| Failure::invalid(format!("`{name}` must be an object")).with_param(name))
}

/// Chat wraps the schema once more. Plain text is what every model answers with, and some servers refuse the word.
fn as_response_format(format: Value) -> Value {
    match format.get("type").and_then(Value::as_str) {
        Some("json_schema") if format.get("json_schema").is_none() => {
            let mut inner = format;
            if let Some(members) = inner.as_object_mut() {
                members.shift_remove("type");
            }
            json!({"type": "json_schema", "json_schema": inner})
        }
        Some("text") => Value::Null,
        _ => format,
    }
}

/// Tools that the provider runs. A search of the web is an option of chat; agents offer it by habit, so where the provider
/// has none it is left out. Others are refused, or dropped where that is allowed.
fn settle_tools(body: &mut RawBody, target: &Target, call: &CallParams) -> Result<(), Failure> {
    let Some(Value::Array(mut tools)) = body.typed::<Value>("tools") else { return Ok(()) };
    if let Some(kind) = tools.iter().find_map(front_tools::hosted) {
        if !call.drop_params.unwrap_or(target.params.drop_params) {
            return Err(params::unsupported(target, &[format!("tools.{kind}")]).with_param("tools"));
        }
        tools.retain(|tool| front_tools::hosted(tool).is_none());
    }
    let (searches, rest): (Vec<Value>, Vec<Value>) = tools.into_iter().partition(is_search);
    if let Some(search) = searches.first() {
        offer_search(search, body, target);
    }
    if rest.is_empty() {
        body.remove("tools");
    } else {
        body.set("tools", &rest.into());
    }
    Ok(())
}

fn offer_search(search: &Value, body: &mut RawBody, target: &Target) {
    // A search that must not leave the provider's own index is nobody else's.
    let leaves = search.get("external_web_access") != Some(&Value::Bool(false));
    // Of the servers that speak chat's words, most refuse the option.
    let speaks_chat = target.chat_dialect().is_some_and(|dialect| dialect.words() == Words::OpenAiChat);
    if leaves && !speaks_chat && params::takes(target, "web_search_options") {
        body.set("web_search_options", &search_options(search));
    }
}

fn is_search(tool: &Value) -> bool {
    let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
    // Anthropic's own tool bears a date of the same form but without a word before it.
    kind == "web_search" || kind.starts_with("web_search_preview")
}

/// In chat the place is wrapped.
fn search_options(tool: &Value) -> Value {
    let mut out = Map::new();
    if let Some(size) = tool.get("search_context_size").filter(|size| !size.is_null()) {
        out.insert("search_context_size".to_owned(), size.clone());
    }
    if let Some(Value::Object(place)) = tool.get("user_location") {
        let mut place = place.clone();
        place.shift_remove("type");
        out.insert("user_location".to_owned(), json!({"type": "approximate", "approximate": place}));
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use tollgate_wire::chat::{Part, ResponseFormat, ToolChoice};

    use super::*;

    fn read(body: &Value) -> Result<ChatRequest, Failure> {
        RESPONSES_CLIENT.read(&RawBody::from_map(body.as_object().unwrap()))
    }

    #[test]
    fn a_request_of_an_agent_is_read() {
        let request = read(&json!({
            "model": "m", "instructions": "Be brief", "input": [{"type": "message", "role": "developer",
                "content": [{"type": "input_text", "text": "Only Rust"}]}, {"role": "user", "content": "Hi"}],
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "custom", "name": "c"},
                {"type": "local_shell"}],
            "tool_choice": "auto", "parallel_tool_calls": false, "reasoning": {"effort": "low", "summary": "auto"},
            "store": false, "stream": true, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
            "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "s", "schema": {}, "strict": true}},
            "max_output_tokens": 9,
        }))
        .unwrap();
        assert_eq!(request.messages.len(), 3);
        assert_eq!(request.messages[0].parts, [Part::text("Be brief")]);
        assert_eq!((request.tools.len(), request.tool_choice), (3, Some(ToolChoice::Auto)));
        assert_eq!((request.max_output_tokens, request.reasoning_effort.as_deref()), (Some(9), Some("low")));
        assert!(matches!(request.response_format, Some(ResponseFormat::JsonSchema { strict: Some(true), .. })));
        let extras: Vec<&str> = request.extras.keys().map(String::as_str).collect();
        assert_eq!(extras, ["prompt_cache_key", "verbosity"]);
        assert!(request.stream && request.parallel_tool_calls == Some(false));
    }

    #[test]
    fn what_needs_tools_goes_without_them() {
        let request = read(&json!({"input": "Hi", "tools": [], "tool_choice": "auto", "parallel_tool_calls": true,
            "text": {"format": {"type": "text"}}}))
        .unwrap();
        assert_eq!((request.tool_choice, request.parallel_tool_calls), (None, None));
        assert_eq!(request.response_format, None);
    }

    #[test]
    fn allowed_tools_are_the_only_ones() {
        let tool = |name: &str| json!({"type": "function", "name": name});
        let choice = json!({"type": "allowed_tools", "mode": "auto", "tools": [tool("b")]});
        let request = read(&json!({"input": "Hi", "tools": [tool("a"), tool("b")], "tool_choice": choice})).unwrap();
        assert!(matches!(&request.tools[..], [Tool::Function { name, .. }] if name == "b"));
    }

    #[test]
    fn members_of_a_wrong_type_are_named() {
        for (name, value) in [
            ("reasoning", json!("high")),
            ("text", json!([])),
            ("instructions", json!(3)),
            ("tools", json!({})),
            ("input", json!(1)),
        ] {
            let mut body = json!({"input": "Hi"});
            body[name] = value;
            assert_eq!(read(&body).unwrap_err().param.as_deref(), Some(name));
        }
    }
}
