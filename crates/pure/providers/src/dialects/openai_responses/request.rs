//! A hub request as the body of a call of the Responses API.

use serde_json::{Map, Value, json};
use tollgate_wire::chat::{ChatRequest, Extras, ResponseFormat, Tool, ToolChoice};

use super::items;
use crate::target::Target;

/// The longest answer must be at least this, tokens; a smaller number is refused.
const LEAST_OUTPUT: u64 = 16;

/// The body, without the model.
#[must_use]
pub fn write(request: &ChatRequest, target: &Target) -> Map<String, Value> {
    let mut extras = request.extras.clone();
    let mut out = conversation(request, &extras);
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    set("max_output_tokens", request.max_output_tokens.map(|most| longest(most, target).into()));
    set("temperature", request.temperature.clone().map(Value::Number));
    set("top_p", request.top_p.clone().map(Value::Number));
    // There are no stop texts here. Clients that may say it are refused before; for the others the answer goes on.
    let stops = !request.stop.is_empty() && target.params.allowed_openai_params.iter().any(|name| name == "stop");
    set("stop", stops.then(|| request.stop.clone().into()));
    let tools = tools(request, &mut extras);
    set("tools", (!tools.is_empty()).then(|| tools.into()));
    set("tool_choice", request.tool_choice.as_ref().map(write_choice));
    set("parallel_tool_calls", request.parallel_tool_calls.map(Value::from));
    set("text", text(request, &mut extras));
    set("reasoning", reasoning(request, &mut extras));
    set("include", include(&mut extras));
    set("user", request.user.clone().map(Value::from));
    set("stream", request.stream.then_some(Value::Bool(true)));
    out.extend(extras);
    out
}

fn conversation(request: &ChatRequest, extras: &Extras) -> Map<String, Value> {
    // Instructions that the client wrote in this API's own words stay; the operator's then go into the conversation.
    let conversation = if extras.contains_key("instructions") {
        items::Conversation { instructions: None, input: items::write(&request.messages) }
    } else {
        items::split(&request.messages)
    };
    let mut out = Map::from_iter([("input".to_owned(), conversation.input.into())]);
    if let Some(instructions) = conversation.instructions {
        out.insert("instructions".to_owned(), instructions.into());
    }
    out
}

fn longest(most: u64, target: &Target) -> u64 {
    if target.params.modify_params { most.max(LEAST_OUTPUT) } else { most }
}

fn tools(request: &ChatRequest, extras: &mut Extras) -> Vec<Value> {
    let mut tools: Vec<Value> = request.tools.iter().map(write_tool).collect();
    if let Some(options) = extras.shift_remove("web_search_options") {
        tools.push(search_tool(options));
    }
    tools
}

/// A tool, in the flat form of this API.
#[must_use]
pub fn write_tool(tool: &Tool) -> Value {
    let (name, description, parameters, strict, extras) = match tool {
        Tool::Function { name, description, parameters, strict, extras } => {
            (name, description, parameters, strict, extras)
        }
        Tool::Native(raw) => return native_tool(raw),
    };
    let mut out = Map::new();
    out.insert("type".to_owned(), "function".into());
    out.insert("name".to_owned(), name.as_str().into());
    if let Some(description) = description {
        out.insert("description".to_owned(), description.as_str().into());
    }
    let no_arguments = || json!({"type": "object", "properties": {}});
    out.insert("parameters".to_owned(), parameters.clone().unwrap_or_else(no_arguments));
    // Functions are strict here unless they say otherwise, elsewhere only if they say so.
    out.insert("strict".to_owned(), strict.unwrap_or_default().into());
    out.extend(extras.clone());
    Value::Object(out)
}

/// Anthropic's web search is told as this API's; other tools go as they are.
fn native_tool(raw: &Value) -> Value {
    let kind = raw.get("type").and_then(Value::as_str).unwrap_or_default();
    if !kind.starts_with("web_search_20") {
        return raw.clone();
    }
    let mut out = Map::from_iter([("type".to_owned(), "web_search".into())]);
    if let Some(place) = raw.get("user_location") {
        out.insert("user_location".to_owned(), place.clone());
    }
    if let Some(domains) = raw.get("allowed_domains") {
        out.insert("filters".to_owned(), json!({ "allowed_domains": domains }));
    }
    Value::Object(out)
}

/// Chat's `web_search_options`: here the search is a tool, and the place is not wrapped.
fn search_tool(options: Value) -> Value {
    let mut out = Map::from_iter([("type".to_owned(), "web_search".into())]);
    if let Value::Object(options) = options {
        out.extend(options);
    }
    if let Some(Value::Object(place)) = out.get_mut("user_location")
        && let Some(Value::Object(inner)) = place.shift_remove("approximate")
    {
        place.extend(inner);
    }
    Value::Object(out)
}

/// Which tool is called, in the flat form of this API.
#[must_use]
pub fn write_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "name": name}),
    }
}

/// The form of the answer, as `text.format`.
#[must_use]
pub fn write_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            let name = name.as_deref().unwrap_or("answer");
            let mut out = json!({"type": "json_schema", "name": name, "schema": schema});
            if let (Some(strict), Some(members)) = (strict, out.as_object_mut()) {
                members.insert("strict".to_owned(), (*strict).into());
            }
            out
        }
    }
}

/// A parameter of this API that is an object, begun with what the client wrote in its own words.
fn begun(name: &str, extras: &mut Extras) -> Map<String, Value> {
    match extras.shift_remove(name) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn text(request: &ChatRequest, extras: &mut Extras) -> Option<Value> {
    let mut out = begun("text", extras);
    if let Some(format) = &request.response_format {
        out.insert("format".to_owned(), write_format(format));
    }
    if let Some(verbosity) = extras.shift_remove("verbosity") {
        out.insert("verbosity".to_owned(), verbosity);
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

fn reasoning(request: &ChatRequest, extras: &mut Extras) -> Option<Value> {
    let mut out = begun("reasoning", extras);
    if let Some(effort) = &request.reasoning_effort {
        let effort = if effort == "disable" { "none" } else { effort.as_str() };
        out.insert("effort".to_owned(), effort.into());
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

fn include(extras: &mut Extras) -> Option<Value> {
    const LOGPROBS: &str = "message.output_text.logprobs";
    let mut list = match extras.shift_remove("include") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    if extras.shift_remove("logprobs") == Some(Value::Bool(true)) && !list.iter().any(|entry| entry == LOGPROBS) {
        list.push(LOGPROBS.into());
    }
    (!list.is_empty()).then_some(Value::Array(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_of_other_dialects_become_the_tool_of_this_one() {
        let place = json!({"type": "approximate", "city": "Paris"});
        assert_eq!(
            search_tool(json!({"search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Paris"}}})),
            json!({"type": "web_search", "search_context_size": "low", "user_location": place})
        );
        assert_eq!(
            native_tool(&json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 3,
                "user_location": place, "allowed_domains": ["a.test"]})),
            json!({"type": "web_search", "user_location": place, "filters": {"allowed_domains": ["a.test"]}})
        );
        let own = json!({"type": "web_search_preview_2025_03_11"});
        assert_eq!(native_tool(&own), own);
    }

    #[test]
    fn a_function_that_does_not_ask_for_it_is_not_strict() {
        let tool = |strict| {
            let (name, extras) = ("f".to_owned(), Extras::new());
            write_tool(&Tool::Function { name, description: None, parameters: None, strict, extras })
        };
        assert_eq!(tool(None)["strict"], false);
        assert_eq!(tool(Some(true))["strict"], true);
        assert_eq!(tool(None)["parameters"], json!({"type": "object", "properties": {}}));
    }

    #[test]
    fn own_words_are_joined_with_those_of_chat() {
        let mut extras = Extras::from_iter([
            ("reasoning".to_owned(), json!({"summary": "auto"})),
            ("text".to_owned(), json!({"verbosity": "high"})),
            ("include".to_owned(), json!(["reasoning.encrypted_content"])),
            ("logprobs".to_owned(), json!(true)),
        ]);
        let request = ChatRequest {
            reasoning_effort: Some("disable".to_owned()),
            response_format: Some(ResponseFormat::JsonObject),
            ..ChatRequest::default()
        };
        assert_eq!(reasoning(&request, &mut extras), Some(json!({"summary": "auto", "effort": "none"})));
        assert_eq!(text(&request, &mut extras), Some(json!({"verbosity": "high", "format": {"type": "json_object"}})));
        assert_eq!(include(&mut extras), Some(json!(["reasoning.encrypted_content", "message.output_text.logprobs"])));
        assert!(extras.is_empty(), "{extras:?}");
    }
}
