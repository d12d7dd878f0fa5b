//! Tools on offer, Anthropic's own among them, and which must be called.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatRequest, Message, Part, Tool, ToolChoice},
};

use super::{
    blocks::share,
    names,
    structured::{self, Form},
};

/// Members of a tool beside its function that Anthropic takes.
const SHARED: [&str; 5] =
    ["cache_control", "defer_loading", "allowed_callers", "input_examples", "eager_input_streaming"];

/// The tools of a request in Anthropic's two lists.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) tools: Vec<Value>,
    pub(super) servers: Vec<Value>,
}

impl Offered {
    /// # Errors
    /// When a tool has neither a name nor a type.
    pub(super) fn of(request: &ChatRequest, form: &Form) -> Result<Self, Failure> {
        let mut offered = Self::default();
        if let Form::Tool { schema, .. } = form {
            offered.tools.push(json!({"name": structured::TOOL, "input_schema": schema}));
        }
        for tool in &request.tools {
            offered.add(tool)?;
        }
        if let Some(options) = request.extra("web_search_options") {
            offered.tools.push(web_search(options));
        }
        // Anthropic refuses calls in the conversation when there are no tools.
        if offered.tools.is_empty() && request.messages.iter().any(has_calls) {
            let description = Some("This is a dummy tool call");
            offered.tools.push(function("dummy_tool", description, None, &Map::new()));
        }
        Ok(offered)
    }

    fn add(&mut self, tool: &Tool) -> Result<(), Failure> {
        match tool {
            Tool::Function { name, description, parameters, extras, .. } => {
                self.tools.push(function(name, description.as_deref(), parameters.as_ref(), extras));
            }
            Tool::Native(Value::Object(raw)) => self.add_native(raw)?,
            Tool::Native(_) => return Err(no_tool()),
        }
        Ok(())
    }

    /// A tool in other words than `OpenAI`'s for functions: Anthropic's own, or the Responses API's.
    fn add_native(&mut self, raw: &Map<String, Value>) -> Result<(), Failure> {
        if raw.contains_key("input_schema") {
            self.tools.push(raw.clone().into());
            return Ok(());
        }
        match raw.get("type").and_then(Value::as_str).ok_or_else(no_tool)? {
            "function" | "custom" => self.tools.push(flat_function(raw)?),
            "web_search" | "web_search_preview" => self.tools.push(web_search(&raw.clone().into())),
            "mcp" => self.servers.push(mcp_server(raw)),
            "url" => self.servers.push(raw.clone().into()),
            _ => self.tools.push(flattened(raw)),
        }
        Ok(())
    }
}

fn no_tool() -> Failure {
    Failure::invalid("each of `tools` must be an object with a type and a name").with_param("tools")
}

fn has_calls(message: &Message) -> bool {
    message.parts.iter().any(|part| matches!(part, Part::ToolCall(_) | Part::ToolResult { .. }))
}

fn function(name: &str, description: Option<&str>, schema: Option<&Value>, extras: &Map<String, Value>) -> Value {
    let mut out = Map::new();
    out.insert("name".to_owned(), names::tool(name).into());
    out.insert("input_schema".to_owned(), input_schema(schema));
    out.insert("type".to_owned(), "custom".into());
    if let Some(description) = description {
        out.insert("description".to_owned(), description.into());
    }
    share(&mut out, extras, &SHARED);
    Value::Object(out)
}

/// A schema that says what Anthropic insists on: that arguments are an object.
fn input_schema(schema: Option<&Value>) -> Value {
    let mut members = match schema {
        Some(Value::Object(members)) => members.clone(),
        _ => Map::new(),
    };
    if members.get("type").is_none_or(Value::is_null) {
        members.insert("type".to_owned(), "object".into());
    }
    if schema.is_none() || members.len() == 1 {
        members.entry("properties").or_insert_with(|| json!({}));
    }
    Value::Object(members)
}

/// A function without the level that `OpenAI`'s chat puts between a tool and its name.
fn flat_function(raw: &Map<String, Value>) -> Result<Value, Failure> {
    let inner = match raw.get("function") {
        Some(Value::Object(inner)) => inner,
        _ => raw,
    };
    let text = |name: &str| inner.get(name).and_then(Value::as_str);
    let name = text("name").ok_or_else(no_tool)?;
    let mut extras = raw.clone();
    share(&mut extras, inner, &SHARED);
    Ok(function(name, text("description"), inner.get("parameters").filter(|schema| !schema.is_null()), &extras))
}

/// A tool of Anthropic's own. Clients that know only functions put its members into one.
fn flattened(raw: &Map<String, Value>) -> Value {
    let mut out = raw.clone();
    if let Some(Value::Object(mut inner)) = out.remove("function") {
        if let Some(Value::Object(parameters)) = inner.remove("parameters") {
            out.extend(parameters);
        }
        out.extend(inner);
    }
    if !out.contains_key("name")
        && let Some(name) = own_name(raw.get("type").and_then(Value::as_str).unwrap_or_default())
    {
        out.insert("name".to_owned(), name.into());
    }
    Value::Object(out)
}

/// The name that goes with a type such as `computer_20250124`; Anthropic insists on both.
fn own_name(kind: &str) -> Option<&str> {
    kind.rsplit_once('_').filter(|(_, date)| date.bytes().all(|digit| digit.is_ascii_digit())).map(|(name, _)| name)
}

/// Anthropic's web search. It counts searches where `OpenAI` measures context; the numbers are `LiteLLM`'s.
fn web_search(options: &Value) -> Value {
    let mut tool = json!({"type": "web_search_20250305", "name": "web_search"});
    let mut set = |name: &str, value: Value| tool.as_object_mut().map(|members| members.insert(name.to_owned(), value));
    match options.get("search_context_size").and_then(Value::as_str) {
        Some("low") => set("max_uses", 1.into()),
        Some("medium") => set("max_uses", 5.into()),
        Some("high") => set("max_uses", 10.into()),
        _ => None,
    };
    if let Some(location) = options.get("user_location").and_then(Value::as_object) {
        let mut place = location.get("approximate").and_then(Value::as_object).unwrap_or(location).clone();
        place.insert("type".to_owned(), "approximate".into());
        set("user_location", place.into());
    }
    tool
}

/// A server of the Model Context Protocol, from the Responses API's words.
fn mcp_server(raw: &Map<String, Value>) -> Value {
    let take = |name: &str| raw.get(name).cloned().unwrap_or_default();
    let mut out = json!({"type": "url", "url": take("server_url"), "name": take("server_label")});
    let Some(members) = out.as_object_mut() else { return out };
    if let Some(allowed) = raw.get("allowed_tools").filter(|allowed| !allowed.is_null()) {
        members.insert("tool_configuration".to_owned(), json!({ "allowed_tools": allowed }));
    }
    let headers = raw.get("headers").and_then(|headers| headers.get("Authorization")).and_then(Value::as_str);
    if let Some(token) = headers.and_then(|header| header.strip_prefix("Bearer ")) {
        members.insert("authorization_token".to_owned(), token.into());
    }
    out
}

/// Which tool must be called, and whether several may be.
pub(super) fn choice(request: &ChatRequest) -> Option<Value> {
    let parallel = request.parallel_tool_calls;
    let mut choice = match &request.tool_choice {
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": names::tool(name)}),
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        None if parallel.is_some() => json!({"type": "auto"}),
        None => return None,
    };
    if let (Some(parallel), Some(members)) = (parallel, choice.as_object_mut()) {
        members.insert("disable_parallel_tool_use".to_owned(), Value::Bool(!parallel));
    }
    Some(choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tool: Value, expected: Value) {
        let request = ChatRequest { tools: vec![Tool::Native(tool)], ..ChatRequest::default() };
        let offered = Offered::of(&request, &Form::Free).unwrap();
        let mut found = offered.tools;
        found.extend(offered.servers);
        assert_eq!(found, [expected]);
    }

    #[test]
    fn tools_of_anthropics_own_go_through_unharmed() {
        let bash = json!({"type": "bash_20250124", "name": "bash"});
        check(bash.clone(), bash);
        let screen =
            json!({"type": "computer_20250124", "name": "computer", "display_width_px": 1, "display_height_px": 2});
        check(screen.clone(), screen.clone());
        check(
            json!({"type": "computer_20250124", "function": {"name": "computer",
                "parameters": {"display_width_px": 1, "display_height_px": 2}}}),
            screen,
        );
        check(json!({"type": "text_editor_20250124"}), json!({"type": "text_editor_20250124", "name": "text_editor"}));
        let own = json!({"name": "f", "input_schema": {"type": "object"}});
        check(own.clone(), own);
    }

    #[test]
    fn tools_in_the_words_of_the_responses_api_are_understood() {
        check(
            json!({"type": "function", "name": "f", "parameters": {"properties": {}}, "strict": true}),
            json!({"name": "f", "type": "custom", "input_schema": {"properties": {}, "type": "object"}}),
        );
        check(
            json!({"type": "web_search_preview", "search_context_size": "high",
                "user_location": {"type": "approximate", "country": "DE"}}),
            json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 10,
                "user_location": {"type": "approximate", "country": "DE"}}),
        );
        check(
            json!({"type": "mcp", "server_url": "https://m.test", "server_label": "m", "allowed_tools": ["a"],
                "headers": {"Authorization": "Bearer t"}}),
            json!({"type": "url", "url": "https://m.test", "name": "m", "tool_configuration": {"allowed_tools": ["a"]},
                "authorization_token": "t"}),
        );
    }

    #[test]
    fn what_is_no_tool_is_the_clients_mistake() {
        for tool in [json!("f"), json!({}), json!({"type": "function"})] {
            let request = ChatRequest { tools: vec![Tool::Native(tool)], ..ChatRequest::default() };
            assert!(Offered::of(&request, &Form::Free).is_err());
        }
    }

    #[test]
    fn a_choice_says_how_many_calls_may_be_made() {
        let check = |tool_choice: Option<ToolChoice>, parallel: Option<bool>, expected: Option<Value>| {
            let request = ChatRequest { tool_choice, parallel_tool_calls: parallel, ..ChatRequest::default() };
            assert_eq!(choice(&request), expected);
        };
        check(None, None, None);
        check(None, Some(true), Some(json!({"type": "auto", "disable_parallel_tool_use": false})));
        check(None, Some(false), Some(json!({"type": "auto", "disable_parallel_tool_use": true})));
        check(Some(ToolChoice::None), Some(false), Some(json!({"type": "none"})));
        check(Some(ToolChoice::Named("a.b".to_owned())), None, Some(json!({"type": "tool", "name": "a_b"})));
    }
}
