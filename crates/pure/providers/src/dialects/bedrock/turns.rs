//! The conversation by Converse's rules: instructions apart, user and assistant in turn.

use serde_json::{Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatRequest, Message, Part, Role},
};

use super::blocks::{self, Count};
use crate::{dialects::anthropic::LATE_INSTRUCTIONS, target::Target};

/// What stands for the user where nobody has spoken; `LiteLLM`'s words.
const GO_ON: &str = "Please continue.";

/// A conversation as Converse takes it.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) system: Vec<Value>,
    pub(super) messages: Vec<Value>,
}

/// How a conversation is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// Calls and their results become words: without tools on offer Converse refuses them.
    pub(super) calls_as_words: bool,
    /// What the user said last is shown to a guardrail.
    pub(super) guards: bool,
}

struct Turn {
    role: &'static str,
    blocks: Vec<Value>,
}

impl Turn {
    /// Adds blocks to the turn of this role, if there are any: a message that says nothing is left out.
    fn add(turns: &mut Vec<Self>, role: &'static str, mut blocks: Vec<Value>) {
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some(turn) if turn.role == role => turn.blocks.append(&mut blocks),
            _ => turns.push(Self { role, blocks }),
        }
    }

    /// Documents without a word beside them are refused.
    fn complete(&mut self) {
        let has = |name: &str| self.blocks.iter().any(|block| block.get(name).is_some());
        if has("document") && !has("text") {
            self.blocks.push(json!({"text": "."}));
        }
    }
}

impl Conversation {
    /// # Errors
    /// When Converse has no block for a part.
    pub(super) fn write(request: &ChatRequest, manner: Manner, target: &Target) -> Result<Self, Failure> {
        let mut out = Self::default();
        let mut turns: Vec<Turn> = Vec::new();
        let mut late = Vec::new();
        let mut count = Count::default();
        let guarded = if manner.guards { guarded_from(&request.messages) } else { request.messages.len() };
        for (place, message) in request.messages.iter().enumerate() {
            let role = match message.role {
                Role::System if turns.is_empty() => {
                    out.system.extend(instructions(message, target));
                    continue;
                }
                // The results of calls must come first in their turn, so this waits for them.
                Role::System => {
                    late.extend(reminder(message, target));
                    continue;
                }
                Role::User | Role::Tool => "user",
                Role::Assistant => "assistant",
            };
            if message.role != Role::Tool {
                Turn::add(&mut turns, "user", std::mem::take(&mut late));
            }
            let mut blocks = said(message, manner, place >= guarded, &mut count, target)?;
            if !blocks.is_empty() {
                blocks.extend(blocks::cache_point(&message.extras, target));
            }
            Turn::add(&mut turns, role, blocks);
        }
        Turn::add(&mut turns, "user", late);
        turns.iter_mut().for_each(Turn::complete);
        let user_must_begin = target.params.modify_params && turns.first().is_some_and(|turn| turn.role != "user");
        if turns.is_empty() || user_must_begin {
            turns.insert(0, Turn { role: "user", blocks: vec![json!({ "text": GO_ON })] });
        }
        out.messages = turns.into_iter().map(|turn| json!({"role": turn.role, "content": turn.blocks})).collect();
        Ok(out)
    }
}

/// Where the user's last words begin, which the guardrail is to look at. Earlier ones it has seen.
fn guarded_from(messages: &[Message]) -> usize {
    let marked = |part: &Part| matches!(part, Part::Opaque { raw, .. } if raw.get("type").is_some_and(|kind| kind == "guarded_text"));
    if messages.iter().any(|message| message.parts.iter().any(marked)) {
        return messages.len();
    }
    let last = messages.iter().rposition(|message| message.role != Role::User);
    last.map_or(0, |last| last + 1)
}

/// Instructions in the midst of a conversation stay where they are, in the user's place: above it they would change what
/// the provider has cached.
fn reminder(message: &Message, target: &Target) -> Vec<Value> {
    let mut found = instructions(message, target);
    if !found.is_empty() {
        found.insert(0, json!({ "text": LATE_INSTRUCTIONS }));
    }
    found
}

/// Text blocks of a system message.
fn instructions(message: &Message, target: &Target) -> Vec<Value> {
    let mut found = Vec::new();
    for part in &message.parts {
        if let Part::Text { text, extras } = part
            && !text.trim().is_empty()
        {
            found.push(json!({ "text": text }));
            found.extend(blocks::cache_point(extras, target));
        }
    }
    if !found.is_empty() {
        found.extend(blocks::cache_point(&message.extras, target));
    }
    found
}

fn said(
    message: &Message,
    manner: Manner,
    guarded: bool,
    count: &mut Count,
    target: &Target,
) -> Result<Vec<Value>, Failure> {
    let (mut thoughts, mut rest) = (Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            Part::Thinking { .. } | Part::RedactedThinking { .. } => {
                thoughts.extend(blocks::write(part, count, target)?);
            }
            Part::Text { text, .. } if guarded && !text.trim().is_empty() => rest.push(blocks::guarded(text)),
            Part::ToolCall(call) if manner.calls_as_words => {
                let words = format!("[tool call {}: {}({})]", call.id, call.name, call.arguments);
                rest.push(json!({ "text": words }));
            }
            Part::ToolResult { call_id, parts, .. } if manner.calls_as_words => {
                rest.extend(told(call_id, parts, count, target)?);
            }
            _ => rest.extend(blocks::write(part, count, target)?),
        }
    }
    thoughts.append(&mut rest);
    Ok(thoughts)
}

/// A result as words, and the pictures in it.
fn told(call_id: &str, parts: &[Part], count: &mut Count, target: &Target) -> Result<Vec<Value>, Failure> {
    let texts =
        parts.iter().filter_map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None });
    let words = texts.collect::<Vec<_>>().join("");
    let mut found = vec![json!({"text": format!("[tool result for {call_id}: {words}]")})];
    for part in parts.iter().filter(|part| !matches!(part, Part::Text { .. })) {
        found.extend(blocks::write(part, count, target)?);
    }
    Ok(found)
}
