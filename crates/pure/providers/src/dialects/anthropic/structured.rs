//! Answers of a given form: by the schema parameter where the model has one, else by a tool that must be called and
//! whose arguments are the answer.

use serde_json::{Map, Value, json};
use tollgate_wire::chat::{ChatRequest, ResponseFormat};

use crate::target::Target;

/// The tool whose arguments are the answer.
pub(crate) const TOOL: &str = "json_tool_call";
/// Where an answer stands that is no object, as a tool's arguments must be one.
const WRAPPER: &str = "values";

/// How the form of an answer is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// Not at all.
    Free,
    /// By a parameter with this schema.
    Parameter(Value),
    /// By a tool with this schema.
    Tool {
        schema: Value,
        /// The answer is within [`WRAPPER`].
        wrapped: bool,
    },
}

impl Form {
    pub(crate) fn of(request: &ChatRequest, target: &Target) -> Self {
        match &request.response_format {
            // JSON of any shape cannot be forced: a tool without a schema is called with nothing in it.
            None | Some(ResponseFormat::Text | ResponseFormat::JsonObject) => Self::Free,
            Some(ResponseFormat::JsonSchema { schema, .. }) if target.facts.schema_parameter => {
                let mut schema = schema.clone();
                tighten(&mut schema);
                Self::Parameter(schema)
            }
            Some(ResponseFormat::JsonSchema { schema, .. }) => by_tool(schema),
        }
    }

    /// Whether a call of this tool is the answer.
    pub(crate) fn is_answer(&self, tool: &str) -> bool {
        matches!(self, Self::Tool { .. }) && tool == TOOL
    }

    /// Whether the answer must be taken out of the tool's arguments, so that they cannot be passed on piece by piece.
    pub(crate) fn is_wrapped(&self) -> bool {
        matches!(self, Self::Tool { wrapped: true, .. })
    }

    /// The answer out of the tool's arguments.
    pub(crate) fn unwrap(&self, arguments: &Value) -> String {
        // Models add the wrapper of their own accord where the schema leaves room for it.
        let (Self::Tool { schema, wrapped }, Some(inner)) = (self, arguments.get(WRAPPER)) else {
            return arguments.to_string();
        };
        let asked_for = schema.get("properties").is_some_and(|properties| properties.get(WRAPPER).is_some());
        if *wrapped || !asked_for { inner.to_string() } else { arguments.to_string() }
    }
}

fn by_tool(schema: &Value) -> Form {
    let kind = schema.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "object") {
        let schema = json!({"type": "object", "properties": {WRAPPER: schema}, "required": [WRAPPER]});
        return Form::Tool { schema, wrapped: true };
    }
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.entry("type").or_insert_with(|| "object".into());
    }
    Form::Tool { schema, wrapped: false }
}

/// Bounds that the schema parameter refuses (Anthropic's «structured outputs», limits of JSON schema). The model is told
/// them in words.
const BOUNDS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

/// Makes a schema one that the parameter takes: no bounds, and objects that are closed.
fn tighten(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    move_bounds(members);
    if members.get("type").and_then(Value::as_str) == Some("object") {
        members.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    for name in ["properties", "$defs", "definitions"] {
        if let Some(Value::Object(inner)) = members.get_mut(name) {
            inner.values_mut().for_each(tighten);
        }
    }
    for name in ["items", "anyOf", "allOf", "oneOf"] {
        match members.get_mut(name) {
            Some(Value::Array(inner)) => inner.iter_mut().for_each(tighten),
            Some(inner) => tighten(inner),
            None => {}
        }
    }
}

fn move_bounds(members: &mut Map<String, Value>) {
    let told: Vec<String> =
        BOUNDS.iter().filter_map(|name| members.shift_remove(*name).map(|bound| format!("{name}: {bound}"))).collect();
    if told.is_empty() {
        return;
    }
    let told = format!("({})", told.join(", "));
    let description = match members.get("description").and_then(Value::as_str) {
        Some(text) => format!("{text} {told}"),
        None => told,
    };
    members.insert("description".to_owned(), description.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_tightened(schema: &Value, expected: &Value) {
        let mut tightened = schema.clone();
        tighten(&mut tightened);
        assert_eq!(&tightened, expected);
    }

    #[test]
    fn bounds_become_words_and_objects_are_closed() {
        check_tightened(
            &json!({"type": "object", "properties": {"minimum": {"type": "integer", "minimum": 1, "description": "n"}}}),
            &json!({"type": "object", "additionalProperties": false,
                "properties": {"minimum": {"type": "integer", "description": "n (minimum: 1)"}}}),
        );
        check_tightened(
            &json!({"type": "array", "maxItems": 3, "items": {"anyOf": [{"type": "string", "maxLength": 4}]}}),
            &json!({"type": "array", "description": "(maxItems: 3)",
                "items": {"anyOf": [{"type": "string", "description": "(maxLength: 4)"}]}}),
        );
    }

    fn check_unwrapped(schema: &Value, arguments: &Value, expected: &str) {
        assert_eq!(by_tool(schema).unwrap(arguments), expected, "{schema}");
    }

    #[test]
    fn the_wrapper_is_taken_off_unless_the_client_asked_for_it() {
        check_unwrapped(&json!({"type": "array"}), &json!({"values": [1]}), "[1]");
        check_unwrapped(
            &json!({"type": "object", "properties": {"a": {}}}),
            &json!({"values": {"a": 1}}),
            r#"{"a":1}"#,
        );
        check_unwrapped(&json!({"properties": {"values": {}}}), &json!({"values": 1}), r#"{"values":1}"#);
        check_unwrapped(&json!({"type": "object"}), &json!({"a": 1}), r#"{"a":1}"#);
    }
}
