//! Tools of the Responses API for models whose provider knows functions only. A custom tool, whose input is any text, and
//! the local shell become functions; calls of them become what the client knows, and back.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{Extras, Tool, ToolCall, ToolChoice},
};

/// How a client knows a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A function with arguments by a schema.
    Function,
    /// A tool that takes any text.
    Custom,
    /// The client's shell.
    LocalShell,
}

/// The only argument of a custom tool that stands as a function.
const INPUT: &str = "input";
/// The name of the local shell, which has none in the client's words.
const SHELL: &str = "local_shell";

impl Kind {
    /// How the client that asked with these tools knows the tool of this name.
    pub(super) fn of(name: &str, tools: &Value) -> Self {
        let mut tools = tools.as_array().into_iter().flatten();
        let found = tools.find(|tool| match text(tool, "type") {
            "custom" => text(tool, "name") == name,
            "local_shell" => name == SHELL,
            _ => false,
        });
        match found.map(|tool| text(tool, "type")) {
            Some("custom") => Self::Custom,
            Some(_) => Self::LocalShell,
            None => Self::Function,
        }
    }

    /// What ids of its calls begin with.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Function => "fc",
            Self::Custom => "ctc",
            Self::LocalShell => "lsh",
        }
    }

    /// A call as the client knows it.
    pub(super) fn item(self, id: &str, call_id: &str, name: &str, arguments: &str, status: &str) -> Value {
        match self {
            Self::Function => json!({"type": "function_call", "id": id, "call_id": call_id, "name": name,
                "arguments": arguments, "status": status}),
            Self::Custom => json!({"type": "custom_tool_call", "id": id, "call_id": call_id, "name": name,
                "input": input_of(arguments), "status": status}),
            Self::LocalShell => json!({"type": "local_shell_call", "id": id, "call_id": call_id,
                "action": action_of(arguments), "status": status}),
        }
    }
}

/// The text that a custom tool is called with. A model that does not keep to the schema is taken at its word.
pub(super) fn input_of(arguments: &str) -> String {
    let read = serde_json::from_str::<Map<String, Value>>(arguments).ok();
    match read.as_ref().and_then(|members| members.get(INPUT)) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => arguments.to_owned(),
    }
}

fn action_of(arguments: &str) -> Value {
    let given: Map<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
    let mut action = json!({"type": "exec", "command": [], "env": {}});
    if let Some(members) = action.as_object_mut() {
        for name in ["command", "env", "timeout_ms", "user", "working_directory"] {
            if let Some(value) = given.get(name).filter(|value| !value.is_null()) {
                members.insert(name.to_owned(), value.clone());
            }
        }
    }
    action
}

/// A call in the client's history, as the model made it.
pub(super) fn read_call(item: &Value) -> ToolCall {
    let id = match text(item, "call_id") {
        "" => text(item, "id"),
        id => id,
    };
    let (name, arguments) = match text(item, "type") {
        "custom_tool_call" => (text(item, "name"), json!({ INPUT: item.get("input") }).to_string()),
        "local_shell_call" => (SHELL, shell_arguments(item).to_string()),
        _ => (text(item, "name"), text(item, "arguments").to_owned()),
    };
    let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments, extras: Extras::new() }
}

fn shell_arguments(item: &Value) -> Value {
    let mut action = item.get("action").cloned().unwrap_or_else(|| json!({}));
    if let Some(members) = action.as_object_mut() {
        members.shift_remove("type");
        members.retain(|_, value| !value.is_null());
    }
    action
}

/// The tools of a request.
///
/// # Errors
/// When one is no tool.
pub(super) fn read(value: Value) -> Result<Vec<Tool>, Failure> {
    let Value::Array(tools) = value else {
        return Err(Failure::invalid("`tools` must be a list").with_param("tools"));
    };
    tools.into_iter().enumerate().map(|(at, tool)| read_tool(tool, at)).collect()
}

fn read_tool(tool: Value, at: usize) -> Result<Tool, Failure> {
    let wrong = |words: &str| Failure::invalid(format!("`tools[{at}]` {words}")).with_param(format!("tools[{at}]"));
    let Value::Object(mut members) = tool else { return Err(wrong("must be an object")) };
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let taken = |members: &mut Map<String, Value>, name: &str| {
        members.shift_remove(name).and_then(|value| value.as_str().map(str::to_owned))
    };
    match kind.as_str() {
        "function" => {
            // Clients of chat wrap the function; this API does not.
            if let Some(Value::Object(inner)) = members.shift_remove("function") {
                members.extend(inner);
            }
            members.shift_remove("type");
            let name = taken(&mut members, "name").ok_or_else(|| wrong("has no name"))?;
            let description = taken(&mut members, "description");
            let parameters = members.shift_remove("parameters").filter(|value| !value.is_null());
            let strict = members.shift_remove("strict").and_then(|value| value.as_bool()).unwrap_or_default();
            Ok(Tool::Function { name, description, parameters, strict: Some(strict), extras: members })
        }
        "custom" => {
            let name = taken(&mut members, "name").ok_or_else(|| wrong("has no name"))?;
            Ok(as_function(&name, custom_description(&members), custom_parameters()))
        }
        "local_shell" => Ok(as_function(SHELL, SHELL_DESCRIPTION.to_owned(), shell_parameters())),
        "" => Err(wrong("has no type")),
        _ => Ok(Tool::Native(Value::Object(members))),
    }
}

fn as_function(name: &str, description: String, parameters: Value) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: Some(description).filter(|text| !text.is_empty()),
        parameters: Some(parameters),
        strict: Some(false),
        extras: Extras::new(),
    }
}

const SHELL_DESCRIPTION: &str = "Runs a command in the user's shell and returns its output.";

/// The tool's own words, and the grammar that its input must follow, which only `OpenAI` can enforce.
fn custom_description(tool: &Map<String, Value>) -> String {
    let own = tool.get("description").and_then(Value::as_str).unwrap_or_default();
    let grammar = tool.get("format").filter(|format| text(format, "type") == "grammar");
    match grammar {
        Some(grammar) => {
            let (syntax, definition) = (text(grammar, "syntax"), text(grammar, "definition"));
            format!("{own}\n\n`{INPUT}` must follow this {syntax} grammar:\n{definition}").trim_start().to_owned()
        }
        None => own.to_owned(),
    }
}

fn custom_parameters() -> Value {
    json!({"type": "object", "properties": {INPUT: {"type": "string"}}, "required": [INPUT]})
}

fn shell_parameters() -> Value {
    json!({"type": "object", "required": ["command"], "properties": {
        "command": {"type": "array", "items": {"type": "string"}},
        "env": {"type": "object"},
        "timeout_ms": {"type": "integer"},
        "working_directory": {"type": "string"},
    }})
}

/// Which tool is called; `None` where the choice is the model's own (a search of the provider's, say).
///
/// # Errors
/// When it is no choice.
pub(super) fn read_choice(value: &Value) -> Result<Option<ToolChoice>, Failure> {
    let wrong = || Failure::invalid("`tool_choice` must be auto, none, required or a tool").with_param("tool_choice");
    let word = |word: &str| match word {
        "auto" => Ok(Some(ToolChoice::Auto)),
        "none" => Ok(Some(ToolChoice::None)),
        "required" | "any" => Ok(Some(ToolChoice::Required)),
        _ => Err(wrong()),
    };
    match value {
        Value::String(text) => word(text),
        Value::Object(_) => match text(value, "type") {
            "function" | "custom" => {
                let name = value.pointer("/function/name").or_else(|| value.get("name")).and_then(Value::as_str);
                name.map(|name| Some(ToolChoice::Named(name.to_owned()))).ok_or_else(wrong)
            }
            "local_shell" => Ok(Some(ToolChoice::Named(SHELL.to_owned()))),
            "allowed_tools" => word(text(value, "mode")),
            "" => Err(wrong()),
            _ => Ok(None),
        },
        _ => Err(wrong()),
    }
}

/// The names that `allowed_tools` leaves; `None` where the choice leaves all.
pub(super) fn allowed(choice: &Value) -> Option<Vec<&str>> {
    (text(choice, "type") == "allowed_tools").then_some(())?;
    let name = |tool| match text(tool, "type") {
        "local_shell" => SHELL,
        _ => text(tool, "name"),
    };
    Some(choice.get("tools")?.as_array()?.iter().map(name).collect())
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_tool_is_a_function_of_one_text_and_back() {
        let tools = json!([{"type": "custom", "name": "apply_patch", "description": "Edits files.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}}]);
        let [Tool::Function { name, description, parameters, .. }] = &read(tools.clone()).unwrap()[..] else {
            panic!("no function")
        };
        assert_eq!((name.as_str(), parameters), ("apply_patch", &Some(custom_parameters())));
        assert!(description.as_ref().unwrap().contains("lark grammar:\nstart: x"));

        let kind = Kind::of("apply_patch", &tools);
        let item = kind.item("ctc_1", "call_1", "apply_patch", r#"{"input":"*** Begin"}"#, "completed");
        assert_eq!((kind, &item["input"]), (Kind::Custom, &json!("*** Begin")));
        let call = read_call(&item);
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("call_1", r#"{"input":"*** Begin"}"#));
        assert_eq!(input_of("no JSON"), "no JSON");
    }

    #[test]
    fn the_local_shell_is_a_function_and_back() {
        let tools = json!([{"type": "local_shell"}]);
        assert!(matches!(&read(tools.clone()).unwrap()[..], [Tool::Function { name, .. }] if name == SHELL));
        let item =
            Kind::of(SHELL, &tools).item("lsh_1", "call_1", SHELL, r#"{"command":["ls"],"timeout_ms":5}"#, "completed");
        assert_eq!(item["action"], json!({"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": 5}));
        let again: Value = serde_json::from_str(&read_call(&item).arguments).unwrap();
        assert_eq!(again, json!({"command": ["ls"], "env": {}, "timeout_ms": 5}));
    }

    #[test]
    fn choices_of_this_api_become_those_of_the_hub() {
        let check = |choice: Value, expected: Option<ToolChoice>| assert_eq!(read_choice(&choice).unwrap(), expected);
        check(json!("required"), Some(ToolChoice::Required));
        check(json!({"type": "function", "name": "f"}), Some(ToolChoice::Named("f".into())));
        check(json!({"type": "custom", "name": "c"}), Some(ToolChoice::Named("c".into())));
        check(json!({"type": "web_search_preview"}), None);
        let some = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]});
        assert_eq!(allowed(&some), Some(vec!["f"]));
        check(some, Some(ToolChoice::Required));
        for wrong in [json!("sometimes"), json!(3), json!({}), json!({"type": "function"})] {
            assert!(read_choice(&wrong).is_err(), "{wrong}");
        }
    }
}
