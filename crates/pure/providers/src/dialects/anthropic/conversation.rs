//! The conversation by Anthropic's rules: instructions apart, user and assistant in turn, the user first.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{Message, Part, Role},
};

use super::blocks;

/// What stands for the user where the client lets the model speak first.
const USER_BEGINS: &str = ".";
/// What stands before instructions in the midst of a conversation (`LiteLLM`'s words).
pub(crate) const LATE_INSTRUCTIONS: &str =
    "Operator note (not from the user): the following was originally a mid-conversation system-role reminder.";
/// How the ids of calls begin that Anthropic makes itself.
const SERVER_CALL: &str = "srvtoolu_";

/// A conversation as Anthropic takes it.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) system: Vec<Value>,
    pub(super) messages: Vec<Value>,
}

impl Conversation {
    /// # Errors
    /// When a part cannot be said to Claude.
    pub(super) fn write(messages: &[Message]) -> Result<Self, Failure> {
        let mut turns: Vec<Turn> = Vec::new();
        let mut system = Vec::new();
        let mut late = Vec::new();
        for message in messages {
            if matches!(message.role, Role::User | Role::Assistant) {
                Turn::add_some(&mut turns, &mut late);
            }
            match message.role {
                Role::System if turns.is_empty() => system.extend(instructions(message)),
                // The results of calls must come first in their turn, so this waits for them.
                Role::System => late.extend(reminder(message)),
                Role::User | Role::Tool => Turn::add(&mut turns, "user", said(message)?),
                Role::Assistant => Turn::add(&mut turns, "assistant", answered(message)?),
            }
        }
        Turn::add_some(&mut turns, &mut late);
        if turns.first().is_none_or(|turn| turn.role != "user") {
            turns.insert(0, Turn { role: "user", blocks: vec![json!({"type": "text", "text": USER_BEGINS})] });
        }
        if let Some(turn) = turns.last_mut().filter(|turn| turn.role == "assistant") {
            trim_end(&mut turn.blocks);
        }
        let messages = turns.into_iter().map(|turn| json!({"role": turn.role, "content": turn.blocks})).collect();
        Ok(Self { system, messages })
    }
}

struct Turn {
    role: &'static str,
    blocks: Vec<Value>,
}

impl Turn {
    fn add(turns: &mut Vec<Self>, role: &'static str, mut blocks: Vec<Value>) {
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.append(&mut blocks),
            _ => turns.push(Self { role, blocks }),
        }
    }

    /// Adds blocks to the user's turn, if there are any.
    fn add_some(turns: &mut Vec<Self>, blocks: &mut Vec<Value>) {
        if !blocks.is_empty() {
            Self::add(turns, "user", std::mem::take(blocks));
        }
    }
}

/// Instructions in the midst of a conversation stay where they are, in the user's place: above it they would change what
/// the provider has cached.
fn reminder(message: &Message) -> Vec<Value> {
    let mut found = instructions(message);
    if !found.is_empty() {
        found.insert(0, json!({"type": "text", "text": LATE_INSTRUCTIONS}));
    }
    found
}

/// Text blocks of a system message; empty ones are refused, and nobody misses them.
fn instructions(message: &Message) -> Vec<Value> {
    let mut found: Vec<Value> = message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, extras } if !text.trim().is_empty() => Some(blocks::text(text, extras)),
            _ => None,
        })
        .collect();
    mark_cached(&mut found, &message.extras);
    found
}

/// Blocks of a user's message, or of a tool's.
fn said(message: &Message) -> Result<Vec<Value>, Failure> {
    let written = message.parts.iter().map(blocks::write).collect::<Result<Vec<_>, _>>()?;
    Ok(whole(written.into_iter().flatten().collect(), message))
}

fn whole(mut found: Vec<Value>, message: &Message) -> Vec<Value> {
    if found.is_empty() {
        found.push(blocks::nothing());
    }
    mark_cached(&mut found, &message.extras);
    found
}

/// `cache_control` on a message means its last block.
fn mark_cached(found: &mut [Value], extras: &Map<String, Value>) {
    if let (Some(mark), Some(Value::Object(last))) = (extras.get("cache_control"), found.last_mut()) {
        last.entry("cache_control").or_insert_with(|| mark.clone());
    }
}

/// Blocks of an assistant's message: thoughts, then what Anthropic's own tools did, then words and calls.
fn answered(message: &Message) -> Result<Vec<Value>, Failure> {
    let (mut thoughts, mut searches, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let specific = message.extras.get("provider_specific_fields");
    for part in &message.parts {
        match part {
            Part::Thinking { .. } | Part::RedactedThinking { .. } => thoughts.extend(blocks::write(part)?),
            Part::ToolCall(call) if call.id.starts_with(SERVER_CALL) => {
                // Without its result a call of Anthropic's own is refused.
                if let Some(result) = specific.and_then(|specific| result_of(specific, &call.id)) {
                    searches.extend([blocks::tool_use(call, "server_tool_use"), result.clone()]);
                }
            }
            _ => rest.extend(blocks::write(part)?),
        }
    }
    thoughts.append(&mut searches);
    thoughts.append(&mut rest);
    Ok(whole(thoughts, message))
}

fn result_of<'m>(specific: &'m Value, call_id: &str) -> Option<&'m Value> {
    let lists = ["web_search_results", "tool_results"].into_iter().filter_map(|name| specific.get(name)?.as_array());
    lists.flatten().find(|result| result.get("tool_use_id").and_then(Value::as_str) == Some(call_id))
}

/// Words that the model is to continue must not end in white space.
fn trim_end(found: &mut [Value]) {
    if let Some(Value::String(text)) = found.last_mut().and_then(|block| block.get_mut("text")) {
        text.truncate(text.trim_end().len());
    }
}

#[cfg(test)]
mod tests {
    use tollgate_wire::{RawBody, chat::ChatRequest};

    use super::*;
    use crate::{codec::ClientDialect as _, dialects::openai::CHAT_CLIENT};

    fn request(messages: &Value) -> ChatRequest {
        CHAT_CLIENT.read(&RawBody::parse(&json!({ "messages": messages }).to_string().into()).unwrap()).unwrap()
    }

    fn check(messages: &Value, system: &Value, expected: &Value) {
        let conversation = Conversation::write(&request(messages).messages).unwrap();
        assert_eq!(&Value::Array(conversation.system), system);
        assert_eq!(&Value::Array(conversation.messages), expected);
    }

    #[test]
    fn the_user_begins_and_nobody_speaks_twice() {
        check(
            &json!([{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"},
                {"role": "user", "content": "c"}, {"role": "assistant", "content": "d \n"}]),
            &json!([]),
            &json!([
                {"role": "user", "content": [{"type": "text", "text": "."}]},
                {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
                {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "d"}]},
            ]),
        );
    }

    #[test]
    fn instructions_go_apart_unless_they_come_late() {
        check(
            &json!([{"role": "system", "content": ""},
                {"role": "developer", "content": "s", "cache_control": {"type": "ephemeral"}},
                {"role": "user", "content": "a"}]),
            &json!([{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]),
            &json!([{"role": "user", "content": [{"type": "text", "text": "a"}]}]),
        );
        check(
            &json!([{"role": "user", "content": "a"}, {"role": "system", "content": ""}, {"role": "system", "content": "s"}]),
            &json!([]),
            &json!([{"role": "user", "content": [{"type": "text", "text": "a"},
                {"type": "text", "text": LATE_INSTRUCTIONS}, {"type": "text", "text": "s"}]}]),
        );
        check(
            &json!([{"role": "system", "content": "only"}]),
            &json!([{"type": "text", "text": "only"}]),
            &json!([{"role": "user", "content": [{"type": "text", "text": "."}]}]),
        );
    }

    #[test]
    fn a_search_of_an_earlier_turn_goes_back_with_its_result() {
        let result = json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []});
        let calls = |id: &str| {
            json!([{"id": id, "type": "function",
            "function": {"name": "web_search", "arguments": "{\"query\":\"q\"}"}}])
        };
        let messages = |id: &str| {
            json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": calls(id),
                "provider_specific_fields": {"web_search_results": [result]}}])
        };
        let user = json!({"role": "user", "content": [{"type": "text", "text": "a"}]});
        check(
            &messages("srvtoolu_1"),
            &json!([]),
            &json!([user, {"role": "assistant", "content": [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
                result, {"type": "text", "text": "b"}]}]),
        );
        check(
            &messages("srvtoolu_2"),
            &json!([]),
            &json!([user, {"role": "assistant", "content": [{"type": "text", "text": "b"}]}]),
        );
    }
}
