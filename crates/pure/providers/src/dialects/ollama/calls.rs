//! Calls of tools as words: what a prompt says of functions, and the answer that calls one.

use serde_json::{Value, json};
use tollgate_wire::chat::{ChatRequest, Part, Tool, ToolCall, ToolChoice};

use super::{call_id, chat};

/// What the model is told before the functions; `LiteLLM`'s words, which models' prompts have been tuned to.
const HOW_TO_CALL: &str = "To call a function, reply with JSON ONLY in this format {\"name\": \"function_name\", \
    \"arguments\":{\"argument_name\": \"argument_value\"}}. Once a function result answers the request, reply to the user \
    in plain text instead of calling a function again. The following functions are available to you:";

/// The tools that a prompt offers.
#[derive(Debug, Default)]
pub(super) struct Offered(Vec<Tool>);

impl Offered {
    pub(super) fn of(request: &ChatRequest) -> Self {
        if request.tool_choice == Some(ToolChoice::None) { Self::default() } else { Self(request.tools.clone()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The functions as the prompt tells them, if there are any.
    pub(super) fn words(&self) -> Option<String> {
        let mut words = HOW_TO_CALL.to_owned();
        for offered in &self.0 {
            words.push('\n');
            literal(&chat::tool(offered), &mut words);
            words.push('\n');
        }
        (!self.is_empty()).then_some(words)
    }

    /// The call of an offered function that an answer is, if it is one.
    pub(super) fn call(&self, answer: &str, told: &Value) -> Option<ToolCall> {
        let call: Value = (!self.is_empty()).then(|| serde_json::from_str(answer).ok())??;
        let called = call.get("name")?.as_str()?;
        let known = |offered: &Tool| matches!(offered, Tool::Function { name, .. } if name == called);
        let arguments = call.get("arguments").filter(|arguments| arguments.is_object())?;
        self.0.iter().any(known).then(|| {
            let told = json!({"created_at": told.get("created_at"), "message": answer});
            let id = format!("call_{}", call_id(&told, 0));
            ToolCall { id, name: called.to_owned(), arguments: arguments.to_string(), ..ToolCall::default() }
        })
    }
}

/// Earlier calls in the form in which the model makes them, one a line.
pub(super) fn as_words(parts: &[Part]) -> String {
    let calls = parts.iter().filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None });
    let lines = calls.map(|call| {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        let mut line = String::new();
        spaced(&json!({"name": call.name, "arguments": arguments}), &mut line);
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// JSON with a space after each mark, as it stands in most of what models have read.
fn spaced(value: &Value, out: &mut String) {
    enclosed(value, out, &spaced, &|text| Value::from(text).to_string());
}

/// A value as Python writes it: so `LiteLLM` tells functions.
fn literal(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::String(text) => out.push_str(&quoted(text)),
        value => enclosed(value, out, &literal, &quoted),
    }
}

fn enclosed(value: &Value, out: &mut String, inner: &dyn Fn(&Value, &mut String), name: &dyn Fn(&str) -> String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                inner(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (member, item)) in members.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(&name(member));
                out.push_str(": ");
                inner(item, out);
            }
            out.push('}');
        }
        value => out.push_str(&value.to_string()),
    }
}

fn quoted(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(mark);
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            letter if letter == mark => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out.push(mark);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_as_python_writes_them() {
        let mut out = String::new();
        literal(&json!({"a": [true, false, null, 1.5], "b": {"it's": "a\n\"b\" 'c'"}, "c": []}), &mut out);
        assert_eq!(out, r#"{'a': [True, False, None, 1.5], 'b': {"it's": 'a\n"b" \'c\''}, 'c': []}"#);
    }
}
