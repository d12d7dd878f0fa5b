//! Thoughts as part of the text, between `<think>` tags, for clients that show nothing else
//! (`merge_reasoning_content_in_choices`).

use serde_json::{Map, Value};
use tollgate_wire::chat::{ChatChunk, ChatResponse, Delta, Part};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Merges the thoughts of whole answers. Says whether there were any.
pub(super) fn whole(choices: &mut [Value]) -> bool {
    let mut changed = false;
    for message in choices.iter_mut().filter_map(|choice| choice.get_mut("message")?.as_object_mut()) {
        let Some(thought) = take_thought(message) else { continue };
        let said = message.get("content").and_then(Value::as_str).unwrap_or_default();
        let text = format!("{OPEN}{thought}{CLOSE}{said}");
        message.insert("content".to_owned(), text.into());
        changed = true;
    }
    changed
}

/// Merges the thoughts of an answer in the hub.
pub(crate) fn response(response: &mut ChatResponse) {
    for choice in &mut response.choices {
        let thoughts = choice.parts.iter().filter_map(|part| match part {
            Part::Thinking { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let thought: String = thoughts.collect();
        choice.parts.retain(|part| !matches!(part, Part::Thinking { .. } | Part::RedactedThinking { .. }));
        if !thought.is_empty() {
            choice.parts.insert(0, Part::text(format!("{OPEN}{thought}{CLOSE}")));
        }
    }
}

fn take_thought(message: &mut Map<String, Value>) -> Option<String> {
    message.shift_remove("thinking_blocks");
    match message.shift_remove("reasoning_content")? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Merges the thoughts of a stream, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    /// Choices whose tag is open.
    thinking: Vec<u64>,
}

impl Merger {
    /// Takes the choices of the next chunk. Says whether it changed them.
    pub(super) fn chunk(&mut self, choices: &mut [Value]) -> bool {
        let mut changed = false;
        for choice in choices {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or_default();
            let ended = choice.get("finish_reason").is_some_and(Value::is_string);
            let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) else { continue };
            let thought = take_thought(delta);
            let said = delta.get("content").and_then(Value::as_str).filter(|text| !text.is_empty());
            let speaks = said.is_some() || delta.contains_key("tool_calls") || ended;
            let text = self.text(index, thought.as_deref(), said, speaks);
            if text.as_deref() != said {
                delta.insert("content".to_owned(), text.into());
                changed = true;
            }
        }
        changed
    }

    /// Changes the next chunk of the hub.
    pub(crate) fn hub(&mut self, chunk: ChatChunk) -> Vec<ChatChunk> {
        match chunk {
            ChatChunk::Delta { choice, delta: Delta::Thinking(thought) } => {
                self.text(choice, Some(&thought), None, false).map(|text| as_text(choice, text)).into_iter().collect()
            }
            ChatChunk::Delta { delta: Delta::Signature(_) | Delta::RedactedThinking(_), .. } => Vec::new(),
            ChatChunk::Delta { choice, .. } | ChatChunk::Finish { choice, .. } => {
                let closing = self.text(choice, None, None, true).map(|text| as_text(choice, text));
                closing.into_iter().chain([chunk]).collect()
            }
            other => vec![other],
        }
    }

    /// What a piece says, tags included.
    fn text(&mut self, choice: u64, thought: Option<&str>, said: Option<&str>, speaks: bool) -> Option<String> {
        let mut text = String::new();
        let mut open = self.thinking.iter().position(|thinking| *thinking == choice);
        if let Some(thought) = thought {
            if open.is_none() {
                text.push_str(OPEN);
                self.thinking.push(choice);
                open = Some(self.thinking.len() - 1);
            }
            text.push_str(thought);
        }
        if let Some(at) = open.filter(|_| speaks) {
            self.thinking.swap_remove(at);
            text.push_str(CLOSE);
        }
        text.push_str(said.unwrap_or_default());
        (!text.is_empty()).then_some(text)
    }
}

fn as_text(choice: u64, text: String) -> ChatChunk {
    ChatChunk::Delta { choice, delta: Delta::Text(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn thoughts_of_an_answer_stand_before_its_text() {
        let mut choices = [json!({"message": {"content": "4", "reasoning_content": "add"}})];
        assert!(whole(&mut choices));
        assert_eq!(choices[0], json!({"message": {"content": "<think>add</think>4"}}));
        assert!(!whole(&mut choices));
    }

    #[test]
    fn the_tag_closes_where_the_thoughts_end() {
        let mut merger = Merger::default();
        let mut said = String::new();
        for delta in [json!({"reasoning_content": "a"}), json!({"reasoning_content": "b"}), json!({"content": "c"})] {
            let mut choices = [json!({"index": 0, "delta": delta})];
            assert!(merger.chunk(&mut choices));
            said.push_str(choices[0]["delta"]["content"].as_str().unwrap());
        }
        assert_eq!(said, "<think>ab</think>c");
        assert!(!merger.chunk(&mut [json!({"index": 0, "delta": {"content": "d"}})]));
    }

    #[test]
    fn thoughts_without_words_after_them_are_closed_by_the_end() {
        let mut merger = Merger::default();
        let thought = ChatChunk::Delta { choice: 0, delta: Delta::Thinking("a".to_owned()) };
        assert_eq!(merger.hub(thought), [as_text(0, "<think>a".to_owned())]);
        let end = ChatChunk::Finish { choice: 0, finish: tollgate_wire::chat::Finish::Stop, native: None };
        assert_eq!(merger.hub(end.clone()), [as_text(0, "</think>".to_owned()), end]);
    }
}
