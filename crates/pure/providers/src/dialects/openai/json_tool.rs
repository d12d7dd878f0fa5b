//! An answer by a JSON schema from models that have no such thing: the schema goes out as a tool that must be called, and
//! the arguments of its call are the answer.

use serde_json::{Value, json};
use tollgate_wire::RawBody;

use crate::{provider::JsonSchema, target::Target};

/// The tool's name. `LiteLLM` uses the same, so that records of both look alike.
const NAME: &str = "json_tool_call";

/// Whether schemas go to this target as a tool.
pub(super) fn stands_in(target: &Target) -> bool {
    match target.provider.quirks.json_schema {
        JsonSchema::Native => false,
        JsonSchema::ByTool(when) => when(target),
    }
}

/// Turns the schema of a request into the tool. Says whether there was one.
pub(super) fn wrap(body: &mut RawBody) -> bool {
    let Some(schema) = body.typed::<Value>("response_format").and_then(schema) else { return false };
    body.remove("response_format");
    let mut tools: Vec<Value> = body.typed("tools").unwrap_or_default();
    // Beside tools of the client's own the model may choose, but it must call one: the answer is a call as well.
    let choice =
        if tools.is_empty() { json!({"type": "function", "function": {"name": NAME}}) } else { "required".into() };
    tools.push(json!({"type": "function", "function": {"name": NAME, "parameters": schema}}));
    body.set("tools", &tools.into());
    body.set("tool_choice", &choice);
    true
}

fn schema(mut format: Value) -> Option<Value> {
    let place = if format.get("response_schema").is_some() { "/response_schema" } else { "/json_schema/schema" };
    format.pointer_mut(place).map(Value::take)
}

/// Turns calls of the tool back into content. Says whether there were any.
pub(super) fn unwrap(choices: &mut [Value]) -> bool {
    let mut changed = false;
    for choice in choices {
        let Some(Value::Array(calls)) = choice.pointer_mut("/message/tool_calls").map(Value::take) else { continue };
        let (ours, others): (Vec<Value>, Vec<Value>) = calls.into_iter().partition(is_ours);
        let answer: String = ours.iter().map(arguments).collect();
        changed |= !ours.is_empty();
        let last = others.is_empty();
        settle(choice, "message", &answer, others);
        if !ours.is_empty() && last {
            finish(choice);
        }
    }
    changed
}

fn is_ours(call: &Value) -> bool {
    call.pointer("/function/name").and_then(Value::as_str) == Some(NAME)
}

fn arguments(call: &Value) -> &str {
    call.pointer("/function/arguments").and_then(Value::as_str).unwrap_or_default()
}

/// Puts the answer into the content, and the other calls back.
fn settle(choice: &mut Value, place: &str, answer: &str, others: Vec<Value>) {
    let Some(message) = choice.get_mut(place).and_then(Value::as_object_mut) else { return };
    if others.is_empty() {
        message.shift_remove("tool_calls");
    } else {
        message.insert("tool_calls".to_owned(), others.into());
    }
    if !answer.is_empty() {
        message.insert("content".to_owned(), answer.into());
    }
}

fn finish(choice: &mut Value) {
    if choice.get("finish_reason").and_then(Value::as_str) == Some("tool_calls")
        && let Some(choice) = choice.as_object_mut()
    {
        choice.insert("finish_reason".to_owned(), "stop".into());
    }
}

/// Turns calls of the tool back into content, chunk by chunk. Only a call's first chunk names its tool.
#[derive(Debug, Default)]
pub(super) struct Unwrapper {
    /// Calls of the tool that began: choice and call.
    ours: Vec<(u64, u64)>,
    /// Choices that also call something else.
    others: Vec<u64>,
}

impl Unwrapper {
    /// Takes the choices of the next chunk. Says whether it changed them.
    pub(super) fn unwrap(&mut self, choices: &mut [Value]) -> bool {
        let mut changed = false;
        for choice in choices {
            changed |= self.choice(choice);
        }
        changed
    }

    fn choice(&mut self, choice: &mut Value) -> bool {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or_default();
        let mut changed = false;
        if let Some(Value::Array(calls)) = choice.pointer_mut("/delta/tool_calls").map(Value::take) {
            let (ours, others): (Vec<Value>, Vec<Value>) =
                calls.into_iter().partition(|call| self.is_ours(index, call));
            let answer: String = ours.iter().map(arguments).collect();
            changed = !ours.is_empty();
            if !others.is_empty() && !self.others.contains(&index) {
                self.others.push(index);
            }
            settle(choice, "delta", &answer, others);
        }
        let answered = self.ours.iter().any(|(choice, _)| *choice == index) && !self.others.contains(&index);
        if answered && choice.get("finish_reason").is_some_and(Value::is_string) {
            finish(choice);
            changed = true;
        }
        changed
    }

    fn is_ours(&mut self, choice: u64, call: &Value) -> bool {
        let index = call.get("index").and_then(Value::as_u64).unwrap_or_default();
        if is_ours(call) && !self.ours.contains(&(choice, index)) {
            self.ours.push((choice, index));
        }
        self.ours.contains(&(choice, index))
    }
}
