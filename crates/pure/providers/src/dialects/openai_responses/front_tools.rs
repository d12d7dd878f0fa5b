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

/// A called tool, as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) kind: Kind,
    name: String,
    namespace: Option<String>,
}

impl Called {
    /// The tool that the client who asked with these tools knows by this name of ours.
    pub(super) fn of(name: &str, tools: &Value) -> Self {
        let known = |kind: Kind, own: &str, namespace: Option<&str>| Self {
            kind,
            name: own.to_owned(),
            namespace: namespace.map(str::to_owned),
        };
        for tool in listed(tools) {
            match text(tool, "type") {
                "custom" if text(tool, "name") == name => return known(Kind::Custom, name, None),
                "local_shell" if name == SHELL => return known(Kind::LocalShell, name, None),
                "namespace" => {
                    let space = text(tool, "name");
                    let within = tool.get("tools").unwrap_or(&Value::Null);
                    if let Some(inner) = listed(within).find(|inner| joined(space, text(inner, "name")) == name) {
                        let kind = if text(inner, "type") == "custom" { Kind::Custom } else { Kind::Function };
                        return known(kind, text(inner, "name"), Some(space));
                    }
                }
                _ => {}
            }
        }
        known(Kind::Function, name, None)
    }

    /// What ids of its calls begin with.
    pub(super) const fn prefix(&self) -> &'static str {
        match self.kind {
            Kind::Function => "fc",
            Kind::Custom => "ctc",
            Kind::LocalShell => "lsh",
        }
    }

    /// A call as the client knows it.
    pub(super) fn item(&self, id: &str, call_id: &str, arguments: &str, status: &str) -> Value {
        let name = &self.name;
        let mut item = match self.kind {
            Kind::Function => json!({"type": "function_call", "id": id, "call_id": call_id, "name": name,
                "arguments": arguments, "status": status}),
            Kind::Custom => json!({"type": "custom_tool_call", "id": id, "call_id": call_id, "name": name,
                "input": input_of(arguments), "status": status}),
            Kind::LocalShell => json!({"type": "local_shell_call", "id": id, "call_id": call_id,
                "action": action_of(arguments), "status": status}),
        };
        if let (Some(namespace), Some(members)) = (&self.namespace, item.as_object_mut()) {
            members.insert("namespace".to_owned(), namespace.as_str().into());
        }
        item
    }
}

fn listed(tools: &Value) -> impl Iterator<Item = &Value> {
    tools.as_array().into_iter().flatten()
}

/// The name of a tool within a namespace, for providers that know none. Longer names are refused by most of them.
fn joined(namespace: &str, name: &str) -> String {
    const LONGEST: usize = 64;
    let whole = format!("{namespace}__{name}");
    if namespace.is_empty() || whole.len() > LONGEST { name.to_owned() } else { whole }
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
    let name = joined(text(item, "namespace"), text(item, "name"));
    let (name, arguments) = match text(item, "type") {
        "custom_tool_call" => (name, json!({ INPUT: item.get("input") }).to_string()),
        "local_shell_call" => (SHELL.to_owned(), shell_arguments(item).to_string()),
        _ => (name, text(item, "arguments").to_owned()),
    };
    let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
    ToolCall { id: id.to_owned(), name, arguments, extras: Extras::new() }
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
    let mut read = Vec::new();
    for (at, tool) in tools.into_iter().enumerate() {
        if text(&tool, "type") == "namespace" {
            let space = text(&tool, "name").to_owned();
            for mut inner in listed(tool.get("tools").unwrap_or(&Value::Null)).cloned() {
                let name = joined(&space, text(&inner, "name"));
                if let Some(members) = inner.as_object_mut() {
                    members.insert("name".to_owned(), name.into());
                }
                read.push(read_tool(inner, at)?);
            }
        } else {
            read.push(read_tool(tool, at)?);
        }
    }
    Ok(read)
}

/// Tools that `OpenAI` runs itself, or whose calls only its models make.
const HOSTED: &[&str] = &[
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "computer",
    "computer_use_preview",
    "tool_search",
    "shell",
    "apply_patch",
];

/// The kind of a tool that no other provider has.
pub(super) fn hosted(tool: &Value) -> Option<&str> {
    Some(text(tool, "type")).filter(|kind| HOSTED.contains(kind))
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

        let called = Called::of("apply_patch", &tools);
        let item = called.item("ctc_1", "call_1", r#"{"input":"*** Begin"}"#, "completed");
        assert_eq!((called.kind, &item["input"]), (Kind::Custom, &json!("*** Begin")));
        let call = read_call(&item);
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("call_1", r#"{"input":"*** Begin"}"#));
        assert_eq!(input_of("no JSON"), "no JSON");
    }

    #[test]
    fn the_local_shell_is_a_function_and_back() {
        let tools = json!([{"type": "local_shell"}]);
        assert!(matches!(&read(tools.clone()).unwrap()[..], [Tool::Function { name, .. }] if name == SHELL));
        let item =
            Called::of(SHELL, &tools).item("lsh_1", "call_1", r#"{"command":["ls"],"timeout_ms":5}"#, "completed");
        assert_eq!(item["action"], json!({"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": 5}));
        let again: Value = serde_json::from_str(&read_call(&item).arguments).unwrap();
        assert_eq!(again, json!({"command": ["ls"], "env": {}, "timeout_ms": 5}));
    }

    #[test]
    fn tools_of_a_namespace_carry_its_name_and_lose_it_again() {
        let inner = json!([{"type": "function", "name": "close"}, {"type": "function", "name": "x".repeat(62)}]);
        let tools = json!([{"type": "namespace", "name": "agents", "tools": inner}]);
        let read = read(tools.clone()).unwrap();
        let names: Vec<&str> = read
            .iter()
            .filter_map(|tool| if let Tool::Function { name, .. } = tool { Some(&**name) } else { None })
            .collect();
        assert_eq!(names, ["agents__close", &"x".repeat(62)]);
        let item = Called::of("agents__close", &tools).item("fc_1", "call_1", "{}", "completed");
        assert_eq!((&item["name"], &item["namespace"]), (&json!("close"), &json!("agents")));
        assert_eq!(read_call(&item).name, "agents__close");
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
