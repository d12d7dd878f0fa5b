//! Tools as `OpenAI` writes them for its models: a namespace of function types.

use serde_json::Value;
use tollgate_wire::chat::Tool;

/// How deep a schema is followed; deeper types count as `any`.
const DEEPEST: usize = 32;

pub(super) fn written(tools: &[Tool]) -> String {
    let mut out = String::from("namespace functions {\n\n");
    for tool in tools {
        match tool {
            Tool::Function { name, description, parameters, .. } => {
                function(name, description.as_deref(), parameters.as_ref(), &mut out);
            }
            Tool::Native(value) => out.push_str(&format!("{value}\n\n")),
        }
    }
    out.push_str("} // namespace functions");
    out
}

fn function(name: &str, description: Option<&str>, parameters: Option<&Value>, out: &mut String) {
    if let Some(description) = description.filter(|text| !text.is_empty()) {
        out.push_str(&format!("// {description}\n"));
    }
    let members = parameters.map(|schema| members(schema, 0, DEEPEST)).unwrap_or_default();
    if members.is_empty() {
        out.push_str(&format!("type {name} = () => any;\n\n"));
    } else {
        out.push_str(&format!("type {name} = (_: {{\n{members}\n}}) => any;\n\n"));
    }
}

fn members(schema: &Value, indent: usize, depth: usize) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return String::new() };
    let required = schema.get("required").and_then(Value::as_array);
    let mut lines = Vec::new();
    for (name, property) in properties {
        if let Some(description) = property.get("description").and_then(Value::as_str).filter(|text| !text.is_empty()) {
            lines.push(format!("{}// {description}", " ".repeat(indent)));
        }
        let must = required.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)));
        let mark = if must { "" } else { "?" };
        lines.push(format!("{}{name}{mark}: {},", " ".repeat(indent), kind(property, indent, depth)));
    }
    lines.join("\n")
}

fn kind(property: &Value, indent: usize, depth: usize) -> String {
    let Some(depth) = depth.checked_sub(1) else { return "any".to_owned() };
    let listed = || {
        let values = property.get("enum")?.as_array()?.iter();
        let quoted = values.map(|value| match value {
            Value::String(text) => format!("\"{text}\""),
            other => format!("\"{other}\""),
        });
        Some(quoted.collect::<Vec<_>>().join(" | "))
    };
    match property.get("type").and_then(Value::as_str) {
        Some("string") => listed().unwrap_or_else(|| "string".to_owned()),
        Some("integer" | "number") => listed().unwrap_or_else(|| "number".to_owned()),
        Some("array") => {
            let items = property.get("items").map_or_else(|| "any".to_owned(), |items| kind(items, indent, depth));
            format!("{items}[]")
        }
        Some("object") => format!("{{\n{}\n}}", members(property, indent + 2, depth)),
        Some("boolean") => "boolean".to_owned(),
        Some("null") => "null".to_owned(),
        _ => "any".to_owned(),
    }
}
