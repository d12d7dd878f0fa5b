//! Answers of OpenAI-compatible servers, made what `OpenAI`'s clients expect. What is already right is not touched, so
//! that its bytes can be passed on.

use serde_json::{Map, Value};
use tollgate_wire::chat::Finish;

/// Members of a choice that clients know.
const CHOICE_MEMBERS: &[&str] =
    &["finish_reason", "index", "message", "delta", "logprobs", "text", "provider_specific_fields"];
/// Members of a message, or of a delta, that clients know.
const MESSAGE_MEMBERS: &[&str] = &[
    "content",
    "role",
    "tool_calls",
    "function_call",
    "audio",
    "images",
    "reasoning_content",
    "thinking_blocks",
    "annotations",
    "provider_specific_fields",
    "refusal",
];

/// Puts the choices of an answer or chunk in order. Says whether anything changed.
pub(super) fn choices(choices: &mut [Value]) -> bool {
    let mut changed = false;
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        changed |= normalise(choice);
    }
    changed
}

fn normalise(choice: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    let whole = choice.contains_key("message");
    if let Some(message) = choice.get_mut(if whole { "message" } else { "delta" }).and_then(Value::as_object_mut) {
        changed |= normalise_message(message, whole);
    }
    changed |= move_unknown(choice, CHOICE_MEMBERS);
    changed |= normalise_finish(choice);
    changed | (whole && name_the_end(choice))
}

/// A whole answer has ended, and ended for its calls if it has any; some servers do not say so.
fn name_the_end(choice: &mut Map<String, Value>) -> bool {
    let calls = choice.get("message").and_then(|message| message.get("tool_calls")).and_then(Value::as_array);
    let called = calls.is_some_and(|calls| !calls.is_empty());
    let word = match choice.get("finish_reason").and_then(Value::as_str) {
        Some("stop") | None if called => "tool_calls",
        None => "stop",
        Some(_) => return false,
    };
    choice.insert("finish_reason".to_owned(), word.into());
    true
}

/// Arguments are JSON in a text; some servers send the JSON itself.
fn arguments_as_text(message: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(arguments) = call.pointer_mut("/function/arguments")
            && (arguments.is_object() || arguments.is_array())
        {
            *arguments = arguments.to_string().into();
            changed = true;
        }
    }
    changed
}

/// Images that a model made, numbered as clients expect.
fn number_images(message: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    let images = message.get_mut("images").and_then(Value::as_array_mut);
    for (at, image) in images.into_iter().flatten().filter_map(Value::as_object_mut).enumerate() {
        if !image.contains_key("index") {
            image.insert("index".to_owned(), at.into());
            changed = true;
        }
    }
    changed
}

/// A reason that `OpenAI` does not know becomes one that it does; the provider's word is kept beside it.
fn normalise_finish(choice: &mut Map<String, Value>) -> bool {
    let Some(Value::String(word)) = choice.get("finish_reason") else { return false };
    if Finish::from_word(word).is_some() {
        return false;
    }
    let native = word.clone();
    choice.insert("finish_reason".to_owned(), known_finish(&native).as_str().into());
    set_specific(choice, "native_finish_reason", native.into());
    true
}

/// What compatible servers say for `OpenAI`'s reasons.
pub(super) fn known_finish(word: &str) -> Finish {
    match word {
        "max_tokens" | "MAX_TOKENS" | "model_length" => Finish::Length,
        "safety" | "SAFETY" | "content_filtered" | "sensitive" => Finish::ContentFilter,
        "tool_use" | "tool_call" => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

fn normalise_message(message: &mut Map<String, Value>, whole: bool) -> bool {
    let mut changed = content_list(message);
    if let Some(reasoning) = message.get("reasoning").and_then(Value::as_str).map(str::to_owned)
        && !message.contains_key("reasoning_content")
    {
        message.insert("reasoning_content".to_owned(), reasoning.into());
        if !whole {
            message.shift_remove("reasoning");
        }
        changed = true;
    }
    changed |= arguments_as_text(message) | number_images(message);
    changed |= move_unknown(message, MESSAGE_MEMBERS);
    if let Some(refusal) = message.get("refusal").filter(|refusal| refusal.is_string()).cloned() {
        // LiteLLM's clients look here, OpenAI's at `refusal`: it stands in both.
        set_specific(message, "refusal", refusal);
        changed = true;
    }
    changed | (whole && split_think_tags(message))
}

/// `<think>…</think>` at the start of a text, as open models write it, is what they thought.
fn split_think_tags(message: &mut Map<String, Value>) -> bool {
    if message.contains_key("reasoning_content") {
        return false;
    }
    let Some(text) = message.get("content").and_then(Value::as_str) else { return false };
    let Some((thought, said)) = thought_in_tags(text.trim_start()) else { return false };
    let (thought, said) = (thought.to_owned(), said.to_owned());
    message.insert("reasoning_content".to_owned(), thought.into());
    message.insert("content".to_owned(), said.into());
    true
}

/// The thought, and what follows it.
fn thought_in_tags(text: &str) -> Option<(&str, &str)> {
    let within = |begin: &str, end: &str| text.strip_prefix(begin)?.split_once(end);
    within("<think>", "</think>").or_else(|| within("<thinking>", "</thinking>"))
}

/// A list of parts, as Magistral and Claude on Databricks answer, becomes text and thoughts.
fn content_list(message: &mut Map<String, Value>) -> bool {
    let Some(Value::Array(parts)) = message.get("content") else { return false };
    let (mut text, mut thoughts, mut blocks) = (String::new(), String::new(), Vec::new());
    for part in parts.clone() {
        match part.get("type").and_then(Value::as_str) {
            Some("thinking") => thoughts.push_str(&texts_of(part.get("thinking"))),
            Some("reasoning") => read_summary(&part, &mut thoughts, &mut blocks),
            _ => text.push_str(&texts_of(part.get("text"))),
        }
    }
    message.insert("content".to_owned(), text.into());
    if !thoughts.is_empty() {
        message.insert("reasoning_content".to_owned(), thoughts.into());
    }
    if !blocks.is_empty() {
        message.insert("thinking_blocks".to_owned(), blocks.into());
    }
    true
}

/// Text, or a list of parts with text.
fn texts_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// Databricks: `{"type": "reasoning", "summary": [{"type": "summary_text", "text", "signature"}]}`.
fn read_summary(part: &Value, thoughts: &mut String, blocks: &mut Vec<Value>) {
    for item in part.get("summary").and_then(Value::as_array).into_iter().flatten() {
        let text = item.get("text").and_then(Value::as_str).unwrap_or_default();
        thoughts.push_str(text);
        let mut block = Map::new();
        block.insert("type".to_owned(), "thinking".into());
        block.insert("thinking".to_owned(), text.into());
        if let Some(signature) = item.get("signature") {
            block.insert("signature".to_owned(), signature.clone());
        }
        blocks.push(block.into());
    }
}

/// Members that clients do not know move to `provider_specific_fields`, where `LiteLLM` puts them.
fn move_unknown(object: &mut Map<String, Value>, known: &[&str]) -> bool {
    let unknown: Vec<String> = object.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    for name in &unknown {
        if let Some(value) = object.shift_remove(name)
            && !value.is_null()
        {
            set_specific(object, name, value);
        }
    }
    !unknown.is_empty()
}

fn set_specific(object: &mut Map<String, Value>, name: &str, value: Value) {
    let fields = object.entry("provider_specific_fields").or_insert_with(|| Value::Object(Map::new()));
    match fields {
        Value::Object(members) => {
            members.insert(name.to_owned(), value);
        }
        other => *other = serde_json::json!({ name: value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(choice: &Value, expected: &Value) {
        let mut list = [choice.clone()];
        let changed = choices(&mut list);
        assert_eq!(&list[0], expected);
        assert_eq!(changed, choice != expected);
    }

    #[test]
    fn a_standard_choice_is_not_touched() {
        let choice = json!({"index": 0, "message": {"role": "assistant", "content": "x", "refusal": null}, "logprobs": null, "finish_reason": "stop"});
        check(&choice, &choice);
    }

    #[test]
    fn an_unknown_reason_becomes_stop_and_is_kept() {
        check(
            &json!({"index": 0, "message": {"content": "x"}, "finish_reason": "eos"}),
            &json!({"index": 0, "message": {"content": "x"}, "finish_reason": "stop", "provider_specific_fields": {"native_finish_reason": "eos"}}),
        );
    }

    #[test]
    fn thoughts_are_found_in_tags_and_in_lists() {
        check(
            &json!({"message": {"content": "<think>add</think>\n4"}, "finish_reason": "stop"}),
            &json!({"message": {"content": "\n4", "reasoning_content": "add"}, "finish_reason": "stop"}),
        );
        check(
            &json!({"message": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Add."}]}, {"type": "text", "text": "4"}]}, "finish_reason": "stop"}),
            &json!({"message": {"content": "4", "reasoning_content": "Add."}, "finish_reason": "stop"}),
        );
        check(
            &json!({"message": {"content": "<thinking>add</thinking>4"}, "finish_reason": "stop"}),
            &json!({"message": {"content": "4", "reasoning_content": "add"}, "finish_reason": "stop"}),
        );
        check(
            &json!({"delta": {"reasoning": "add"}, "finish_reason": null}),
            &json!({"delta": {"reasoning_content": "add"}, "finish_reason": null}),
        );
    }

    #[test]
    fn a_whole_answer_says_why_it_ended() {
        let message = json!({"content": "4"});
        check(&json!({"message": message}), &json!({"message": message, "finish_reason": "stop"}));
        check(
            &json!({"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}, "finish_reason": "stop"}),
            &json!({"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{\"a\":1}"}}]}, "finish_reason": "tool_calls"}),
        );
        check(&json!({"delta": {"content": "4"}}), &json!({"delta": {"content": "4"}}));
    }
}
