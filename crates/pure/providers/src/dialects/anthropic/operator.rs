//! Turns of the operator (`role: system` within `messages`), which Claude Code sends to models whose names it does not
//! know, such as a gateway's aliases. Models before Claude 4.8 refuse them («Unexpected role "system"»), and every model
//! refuses one that begins («use the top-level `system` parameter»). Here they become what all take.

use serde_json::{Map, Value, json};
use tollgate_wire::RawBody;

use super::conversation::LATE_INSTRUCTIONS;

/// Since which version Claude takes them behind a user's turn (Anthropic, «Mid-conversation system messages»).
const SINCE: (u32, u32) = (4, 8);

/// Folds the operator's turns into `system`, where they begin the conversation, and else into the user's turns, unless the
/// model takes those. A body without such turns stays as it is, to the byte.
pub(super) fn fold(body: &mut RawBody, model: &str) {
    let Some(raw) = body.get("messages") else { return };
    // Cheaper than reading all: whatever holds no such word holds no such turn.
    if !["\"system\"", "\"developer\""].iter().any(|word| contains(raw, word.as_bytes())) {
        return;
    }
    let Ok(turns) = serde_json::from_slice::<Vec<Value>>(raw) else { return };
    if !turns.iter().any(is_operators) {
        return;
    }
    let begins = turns.iter().take_while(|turn| is_operators(turn)).count();
    let mut turns = turns.into_iter();
    let first: Vec<Value> = turns.by_ref().take(begins).flat_map(|turn| words(&turn)).collect();
    let rest: Vec<Value> = turns.collect();
    let rest = if takes(model) && are_behind_users(&rest) { rest } else { among_users(rest) };
    if !first.is_empty() {
        let mut system = body.typed::<Value>("system").map(|system| blocks(&system)).unwrap_or_default();
        system.extend(first);
        body.set("system", &system.into());
    }
    body.set("messages", &rest.into());
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

fn is_operators(turn: &Value) -> bool {
    matches!(turn.get("role").and_then(Value::as_str), Some("system" | "developer"))
}

/// Whether all of the operator's turns stand right behind a user's, the only place where they are taken.
fn are_behind_users(turns: &[Value]) -> bool {
    turns.windows(2).all(|pair| match pair {
        [before, turn] => !is_operators(turn) || role(before) == Some("user"),
        _ => true,
    })
}

/// Whether a model takes the operator's turns in the midst of a conversation: `claude-opus-4-8`, `claude-sonnet-5`, also
/// behind a cloud's prefix. Of a name that says no version nobody knows.
fn takes(model: &str) -> bool {
    version_of(model).is_some_and(|version| version >= SINCE)
}

/// The version that a model's name says: `(4, 8)`.
pub(super) fn version_of(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.rsplit_once("claude-")?;
    // A date is no version, and the oldest names begin with their version: `claude-3-5-sonnet-20241022`.
    let version = |word: &str| word.parse::<u32>().ok().filter(|number| *number < 100);
    let mut words = name.split(['-', '.', '@', ':']).skip_while(|word| version(word).is_none()).map_while(version);
    Some((words.next()?, words.next().unwrap_or(0)))
}

/// Blocks of a content that is text or a list.
fn blocks(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        _ => Vec::new(),
    }
}

/// The words of an operator's turn; empty texts are refused, and nobody misses them.
fn words(turn: &Value) -> Vec<Value> {
    let is_said = |block: &Value| block.get("text").and_then(Value::as_str).is_none_or(|text| !text.trim().is_empty());
    turn.get("content").map(blocks).unwrap_or_default().into_iter().filter(is_said).collect()
}

/// The conversation with the operator's words in the users' turns, marked as the operator's.
fn among_users(turns: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(turns.len());
    let mut waiting: Vec<Value> = Vec::new();
    for mut turn in turns {
        if is_operators(&turn) {
            let said = words(&turn);
            if !said.is_empty() {
                waiting.push(json!({"type": "text", "text": LATE_INSTRUCTIONS}));
                waiting.extend(said);
            }
            continue;
        }
        let is_users = role(&turn) == Some("user");
        match out.last_mut().filter(|last| role(last) == Some("user")) {
            _ if waiting.is_empty() => {}
            Some(last) => insert(last, usize::MAX, &mut waiting),
            // The results of calls must come first in the turn behind them.
            None if is_users => {
                let results = turn.get("content").map(blocks).unwrap_or_default();
                let results = results.iter().take_while(|block| block.get("type") == Some(&json!("tool_result")));
                let behind = results.count();
                insert(&mut turn, behind, &mut waiting);
            }
            None => out.push(users(&mut waiting)),
        }
        out.push(turn);
    }
    if !waiting.is_empty() {
        match out.last_mut().filter(|last| role(last) == Some("user")) {
            Some(last) => insert(last, usize::MAX, &mut waiting),
            None => out.push(users(&mut waiting)),
        }
    }
    out
}

fn role(turn: &Value) -> Option<&str> {
    turn.get("role")?.as_str()
}

fn users(blocks: &mut Vec<Value>) -> Value {
    json!({"role": "user", "content": std::mem::take(blocks)})
}

/// Puts blocks into a turn, behind so many of its own.
fn insert(turn: &mut Value, behind: usize, added: &mut Vec<Value>) {
    let mut own = turn.get("content").map(blocks).unwrap_or_default();
    let at = behind.min(own.len());
    own.splice(at..at, added.drain(..));
    let members: Option<&mut Map<String, Value>> = turn.as_object_mut();
    if let Some(members) = members {
        members.insert("content".to_owned(), own.into());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[track_caller]
    fn check(model: &str, body: &Value, expected: &Value) {
        let mut raw = RawBody::parse(&Bytes::from(body.to_string())).unwrap();
        fold(&mut raw, model);
        assert_eq!(&Value::Object(raw.to_map()), expected, "{model}");
    }

    #[test]
    fn what_begins_belongs_to_the_system_prompt_for_every_model() {
        for model in ["claude-sonnet-4-5", "claude-opus-4-8"] {
            check(
                model,
                &json!({"system": "You code.", "messages": [
                    {"role": "system", "content": "MCP"}, {"role": "developer", "content": [{"type": "text", "text": "dev",
                    "cache_control": {"type": "ephemeral"}}]}, {"role": "system", "content": " "},
                    {"role": "user", "content": "hi"}]}),
                &json!({"system": [{"type": "text", "text": "You code."}, {"type": "text", "text": "MCP"},
                    {"type": "text", "text": "dev", "cache_control": {"type": "ephemeral"}}],
                    "messages": [{"role": "user", "content": "hi"}]}),
            );
        }
        check(
            "claude-sonnet-4-5",
            &json!({"messages": [{"role": "system", "content": "only"}, {"role": "user", "content": "hi"}]}),
            &json!({"system": [{"type": "text", "text": "only"}], "messages": [{"role": "user", "content": "hi"}]}),
        );
    }

    #[test]
    fn what_comes_later_is_said_in_the_users_turn_behind_the_results_of_calls() {
        let note = json!({"type": "text", "text": LATE_INSTRUCTIONS});
        let text = |text: &str| json!({"type": "text", "text": text});
        let result = json!({"type": "tool_result", "tool_use_id": "t", "content": "r"});
        let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]});
        let body = json!({"messages": [
            {"role": "user", "content": "a"}, {"role": "system", "content": "one"}, call,
            {"role": "system", "content": [text("two")]}, {"role": "user", "content": [result, text("b")]},
            {"role": "assistant", "content": "c"}, {"role": "system", "content": "three"}]});
        let folded = json!({"messages": [
            {"role": "user", "content": [text("a"), note, text("one")]}, call,
            {"role": "user", "content": [result, note, text("two"), text("b")]},
            {"role": "assistant", "content": "c"}, {"role": "user", "content": [note, text("three")]}]});
        check("claude-sonnet-4-5-20250929", &body, &folded);
        check("my-own-name", &body, &folded);
        // Models that know such turns get them as they are, where they may stand.
        check("claude-opus-4-8", &body, &folded);
        let placed = json!({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "one"},
            {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]});
        check("claude-opus-4-8", &placed, &placed);
    }

    #[test]
    fn a_body_without_such_turns_stays_as_it_is_to_the_byte() {
        let text = r#"{"messages": [ {"role":"user", "content":"the \"system\" is \u0061"} ], "system":"s"}"#;
        let before = RawBody::parse(&Bytes::from(text)).unwrap();
        let mut after = before.clone();
        fold(&mut after, "claude-sonnet-4-5");
        assert_eq!(before.to_bytes(), after.to_bytes());
    }

    #[test]
    fn the_version_of_a_model_says_whether_it_takes_them() {
        for model in [
            "claude-opus-4-8",
            "claude-sonnet-5",
            "anthropic.claude-opus-4-8-v1:0",
            "claude-haiku-5-20270101",
            "us.anthropic.claude-sonnet-5-1-v1:0",
            "claude-opus-4.8",
            "claude-opus-5@20270101",
        ] {
            assert!(takes(model), "{model}");
        }
        for model in [
            "claude-opus-4-7",
            "claude-sonnet-4-5-20250929",
            "claude-3-5-sonnet-20241022",
            "claude-sonnet-4@20250514",
            "claude-sonnet-4-20250514",
            "claude-2.1",
            "claude-instant",
            "claude",
            "gpt-5",
            "",
        ] {
            assert!(!takes(model), "{model}");
        }
    }
}
