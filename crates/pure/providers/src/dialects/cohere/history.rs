//! A conversation as the first version has it: what was said last, and before it the preamble and the history.

use serde_json::{Map, Value, json};
use tollgate_wire::chat::{Message, Part, Role, Tool, ToolCall};

/// A conversation, cut into Cohere's members.
#[derive(Debug, Default, PartialEq)]
pub(super) struct History {
    pub(super) preamble: String,
    pub(super) earlier: Vec<Value>,
    pub(super) message: String,
    /// Results of the calls that the last turn made.
    pub(super) results: Vec<Value>,
}

impl History {
    pub(super) fn of(messages: &[Message]) -> Self {
        let mut history = Self::default();
        let system: Vec<String> = messages
            .iter()
            .filter(|message| message.role == Role::System)
            .map(|message| words(&message.parts))
            .collect();
        history.preamble = system.join("\n");
        let mut calls: Vec<&ToolCall> = Vec::new();
        let said: Vec<&Message> = messages.iter().filter(|message| message.role != Role::System).collect();
        // Results at the end answer the turn before them; what was asked stays the message.
        let answers = said.iter().rev().take_while(|message| message.role == Role::Tool).count();
        let cut = said.len() - if answers > 0 { answers } else { usize::from(ends_with_the_user(&said)) };
        for (place, message) in said.iter().enumerate() {
            calls.extend(message.parts.iter().filter_map(as_call));
            let results: Vec<Value> = message.parts.iter().filter_map(|part| result(part, &calls)).collect();
            match (place < cut, message.role) {
                (true, Role::Tool) => history.earlier.push(json!({"role": "TOOL", "tool_results": results})),
                (true, role) => history.earlier.push(turn(role, message)),
                (false, Role::Tool) => history.results.extend(results),
                (false, _) => history.message = words(&message.parts),
            }
        }
        history
    }
}

fn ends_with_the_user(said: &[&Message]) -> bool {
    said.last().is_some_and(|message| message.role == Role::User)
}

fn turn(role: Role, message: &Message) -> Value {
    let name = if role == Role::Assistant { "CHATBOT" } else { "USER" };
    let mut turn =
        Map::from_iter([("role".to_owned(), Value::from(name)), ("message".to_owned(), words(&message.parts).into())]);
    let calls: Vec<Value> = message.parts.iter().filter_map(as_call).map(written).collect();
    if !calls.is_empty() {
        turn.insert("tool_calls".to_owned(), calls.into());
    }
    turn.into()
}

fn as_call(part: &Part) -> Option<&ToolCall> {
    if let Part::ToolCall(call) = part { Some(call) } else { None }
}

fn written(call: &ToolCall) -> Value {
    let parameters: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
    json!({"name": call.name, "parameters": parameters})
}

/// A result stands with its call: this version has no ids.
fn result(part: &Part, calls: &[&ToolCall]) -> Option<Value> {
    let Part::ToolResult { call_id, parts, .. } = part else { return None };
    let call = calls.iter().rev().find(|call| &call.id == call_id);
    let call = call.map_or_else(|| json!({"name": call_id, "parameters": {}}), |call| written(call));
    let said = words(parts);
    let output = match serde_json::from_str(&said) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({ "result": said }),
    };
    Some(json!({"call": call, "outputs": [output]}))
}

pub(super) fn words(parts: &[Part]) -> String {
    let said = parts.iter().map(|part| match part {
        Part::Text { text, .. } | Part::Refusal(text) => text.clone(),
        Part::ToolResult { parts, .. } => words(parts),
        _ => String::new(),
    });
    said.collect()
}

/// Tools with their parameters one by one, by the types that Cohere takes over from Python.
pub(super) fn tools(tools: &[Tool]) -> Vec<Value> {
    tools.iter().map(tool).collect()
}

fn tool(tool: &Tool) -> Value {
    let Tool::Function { name, description, parameters, .. } = tool else {
        return if let Tool::Native(raw) = tool { raw.clone() } else { Value::Null };
    };
    let schema = parameters.as_ref();
    let required = schema.and_then(|schema| schema.get("required")).and_then(Value::as_array);
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let definitions: Map<String, Value> = properties
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let needed = required.is_some_and(|names| names.iter().any(|needed| needed == name.as_str()));
            let text = |member: &str| property.get(member).and_then(Value::as_str);
            let definition = json!({"description": text("description").unwrap_or_default(),
                "type": python_type(text("type").unwrap_or_default()), "required": needed});
            (name.clone(), definition)
        })
        .collect();
    json!({"name": name, "description": description.as_deref().unwrap_or_default(), "parameter_definitions": definitions})
}

fn python_type(name: &str) -> &str {
    match name {
        "string" => "str",
        "number" => "float",
        "integer" => "int",
        "boolean" => "bool",
        "array" => "list",
        "object" => "dict",
        "" => "str",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use tollgate_wire::RawBody;

    use super::*;
    use crate::{codec::ClientDialect as _, dialects::openai::CHAT_CLIENT};

    fn history(messages: &Value) -> History {
        let body = RawBody::parse(&json!({ "messages": messages }).to_string().into()).unwrap();
        History::of(&CHAT_CLIENT.read(&body).unwrap().messages)
    }

    #[test]
    fn what_was_said_last_is_the_message_and_instructions_are_the_preamble() {
        let found = history(&json!([{"role": "system", "content": "Be brief"}, {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]));
        assert_eq!((found.preamble.as_str(), found.message.as_str()), ("Be brief", "c"));
        let earlier = [json!({"role": "USER", "message": "a"}), json!({"role": "CHATBOT", "message": "b"})];
        assert_eq!(found.earlier, earlier);
    }

    #[test]
    fn results_at_the_end_stand_with_their_calls() {
        let found = history(&json!([{"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "21"}]));
        let call = json!({"name": "f", "parameters": {"x": 1}});
        assert_eq!(found.results, [json!({"call": call, "outputs": [{"result": "21"}]})]);
        assert_eq!(found.message, "");
        let earlier =
            [json!({"role": "USER", "message": "a"}), json!({"role": "CHATBOT", "message": "", "tool_calls": [call]})];
        assert_eq!(found.earlier, earlier);
    }
}
