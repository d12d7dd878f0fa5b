//! Writes streamed answers in Anthropic's words: blocks that begin, grow and end, one after the other.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tollgate_wire::{
    Failure, Usage,
    chat::{ChatChunk, Delta, Finish},
};

use super::front_writer::{error, event, own_id, stop_reason, usage};
use crate::codec::{AnswerContext, ChatEncoder};

/// Most bytes of arguments that are held back while an earlier call is still being written.
const HELD_BACK: usize = 4 << 20;

/// Writes a stream.
pub(super) struct MessageWriter {
    context: AnswerContext,
    started: bool,
    /// The place of the next block.
    next: u64,
    open: Open,
    /// Calls that have begun while another was not yet over, in their order.
    waiting: VecDeque<Waiting>,
    held_back: usize,
    finish: Option<Finish>,
    usage: Usage,
}

/// The block that is being written.
enum Open {
    None,
    Text,
    Thinking,
    Call { index: u64, arguments: Arguments },
}

struct Waiting {
    index: u64,
    id: String,
    name: String,
    arguments: String,
}

/// How far the JSON of a call's arguments is; tells where an object ends without keeping it.
#[derive(Default)]
struct Arguments {
    depth: usize,
    quoted: bool,
    escaped: bool,
    seen: bool,
}

impl Arguments {
    fn take(&mut self, fragment: &str) {
        for byte in fragment.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'{' | b'[' => {
                    self.depth += 1;
                    self.seen = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn are_whole(&self) -> bool {
        self.seen && self.depth == 0 && !self.quoted
    }
}

impl MessageWriter {
    pub(super) fn new(context: AnswerContext) -> Self {
        Self {
            context,
            started: false,
            next: 0,
            open: Open::None,
            waiting: VecDeque::new(),
            held_back: 0,
            finish: None,
            usage: Usage::default(),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let used = json!({"input_tokens": self.usage.input, "output_tokens": 0, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0});
        let message = json!({"id": own_id(&self.context), "type": "message", "role": "assistant",
            "model": self.context.alias, "content": [], "stop_reason": null, "stop_sequence": null, "usage": used});
        event(&json!({"type": "message_start", "message": message}), out);
    }

    fn begin(&mut self, block: &Value, open: Open, out: &mut Vec<u8>) {
        self.end(out);
        event(&json!({"type": "content_block_start", "index": self.next, "content_block": block}), out);
        self.open = open;
    }

    fn grow(&self, delta: &Value, out: &mut Vec<u8>) {
        event(&json!({"type": "content_block_delta", "index": self.next, "delta": delta}), out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !matches!(std::mem::replace(&mut self.open, Open::None), Open::None) {
            event(&json!({"type": "content_block_stop", "index": self.next}), out);
            self.next += 1;
        }
    }

    /// Ends the open block, and writes the calls that wait for its end.
    fn settle(&mut self, out: &mut Vec<u8>) {
        self.end(out);
        while let Some(call) = self.waiting.pop_front() {
            self.call(&call, out);
            self.end(out);
        }
    }

    fn call(&mut self, call: &Waiting, out: &mut Vec<u8>) {
        self.held_back = self.held_back.saturating_sub(call.arguments.len());
        let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
        self.begin(&block, Open::Call { index: call.index, arguments: Arguments::default() }, out);
        self.argue(call.index, &call.arguments, out);
    }

    fn argue(&mut self, index: u64, fragment: &str, out: &mut Vec<u8>) {
        if fragment.is_empty() {
            return;
        }
        if let Open::Call { index: open, arguments } = &mut self.open
            && *open == index
        {
            arguments.take(fragment);
            self.grow(&json!({"type": "input_json_delta", "partial_json": fragment}), out);
            return;
        }
        let Some(call) = self.waiting.iter_mut().find(|call| call.index == index) else { return };
        call.arguments.push_str(fragment);
        self.held_back += fragment.len();
        if self.held_back > HELD_BACK {
            self.settle(out);
        }
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                if !matches!(self.open, Open::Text) {
                    self.settle(out);
                    self.begin(&json!({"type": "text", "text": ""}), Open::Text, out);
                }
                self.grow(&json!({"type": "text_delta", "text": text}), out);
            }
            Delta::Thinking(text) => {
                self.think(out);
                self.grow(&json!({"type": "thinking_delta", "thinking": text}), out);
            }
            Delta::Signature(signature) => {
                self.think(out);
                self.grow(&json!({"type": "signature_delta", "signature": signature}), out);
                // A seal is the last of its thoughts.
                self.end(out);
            }
            Delta::RedactedThinking(data) => {
                self.settle(out);
                self.begin(&json!({"type": "redacted_thinking", "data": data}), Open::Thinking, out);
                self.end(out);
            }
            Delta::ToolStart { index, id, name } => {
                let arguments = String::new();
                let call = Waiting { index: *index, id: id.clone(), name: name.clone(), arguments };
                match &self.open {
                    Open::Call { arguments, .. } if !arguments.are_whole() => self.waiting.push_back(call),
                    _ if self.waiting.is_empty() => self.call(&call, out),
                    _ => self.waiting.push_back(call),
                }
            }
            Delta::ToolArguments { index, fragment } => self.argue(*index, fragment, out),
            Delta::Extras(_) => {}
        }
    }

    fn think(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Thinking) {
            self.settle(out);
            self.begin(&json!({"type": "thinking", "thinking": "", "signature": ""}), Open::Thinking, out);
        }
    }
}

impl ChatEncoder for MessageWriter {
    fn encode(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        match chunk {
            ChatChunk::Start { .. } => self.start(out),
            // Clients of these words are told one answer, the first.
            ChatChunk::Delta { choice: 0, delta } => {
                self.start(out);
                self.delta(delta, out);
            }
            ChatChunk::Finish { choice: 0, finish, .. } => self.finish = Some(*finish),
            ChatChunk::Delta { .. } | ChatChunk::Finish { .. } => {}
            ChatChunk::Usage { usage, .. } => self.usage = *usage,
        }
    }

    fn close(&mut self, _cost: Option<f64>, out: &mut Vec<u8>) {
        self.start(out);
        self.settle(out);
        let reason = stop_reason(self.finish.unwrap_or(Finish::Stop));
        let delta = json!({"stop_reason": reason, "stop_sequence": null});
        event(&json!({"type": "message_delta", "delta": delta, "usage": usage(&self.usage)}), out);
        event(&json!({"type": "message_stop"}), out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        event(&error(failure), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> AnswerContext {
        AnswerContext { alias: "m".to_owned(), id: "1".to_owned(), stream: true, ..AnswerContext::default() }
    }

    fn written(deltas: &[Delta]) -> Vec<Value> {
        let mut writer = MessageWriter::new(context());
        let mut out = Vec::new();
        for delta in deltas {
            writer.encode(&ChatChunk::Delta { choice: 0, delta: delta.clone() }, &mut out);
        }
        writer.close(None, &mut out);
        let text = String::from_utf8(out).unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// The stream in short: what begins, what grows, what ends.
    fn check(deltas: &[Delta], expected: &[&str]) {
        let short = |event: &Value| match event["type"].as_str().unwrap() {
            "content_block_start" => {
                format!("+{} {}", event["index"], event["content_block"]["type"].as_str().unwrap())
            }
            "content_block_delta" => {
                let delta = event["delta"].as_object().unwrap();
                let said = delta.iter().find(|(name, _)| *name != "type").unwrap().1;
                format!("{} {}", event["index"], said.as_str().unwrap())
            }
            "content_block_stop" => format!("-{}", event["index"]),
            other => other.to_owned(),
        };
        let mut all = vec!["message_start"];
        all.extend(expected);
        all.extend(["message_delta", "message_stop"]);
        assert_eq!(written(deltas).iter().map(short).collect::<Vec<_>>(), all);
    }

    fn begin(index: u64) -> Delta {
        Delta::ToolStart { index, id: format!("call_{index}"), name: "f".to_owned() }
    }

    fn argue(index: u64, fragment: &str) -> Delta {
        Delta::ToolArguments { index, fragment: fragment.to_owned() }
    }

    #[test]
    fn every_kind_of_piece_has_a_block_of_its_own() {
        check(
            &[
                Delta::Thinking("so".to_owned()),
                Delta::Signature("S".to_owned()),
                Delta::RedactedThinking("R".to_owned()),
                Delta::Text("a".to_owned()),
                Delta::Text("b".to_owned()),
                begin(0),
                argue(0, "{}"),
            ],
            &[
                "+0 thinking",
                "0 so",
                "0 S",
                "-0",
                "+1 redacted_thinking",
                "-1",
                "+2 text",
                "2 a",
                "2 b",
                "-2",
                "+3 tool_use",
                "3 {}",
                "-3",
            ],
        );
    }

    #[test]
    fn calls_that_come_interleaved_are_told_one_after_the_other() {
        check(
            &[
                begin(0),
                begin(1),
                argue(0, "{\"a\":"),
                argue(1, "{\"b\":2}"),
                argue(0, "\"}\"}"),
                Delta::Text("x".to_owned()),
            ],
            &["+0 tool_use", "0 {\"a\":", "0 \"}\"}", "-0", "+1 tool_use", "1 {\"b\":2}", "-1", "+2 text", "2 x", "-2"],
        );
        check(
            &[begin(0), argue(0, "{\"a\":\"\\\"{\"}"), begin(1), argue(1, "{}")],
            &["+0 tool_use", "0 {\"a\":\"\\\"{\"}", "-0", "+1 tool_use", "1 {}", "-1"],
        );
    }

    #[test]
    fn an_answer_of_nothing_is_still_a_message() {
        check(&[], &[]);
        let end = &written(&[])[1];
        assert_eq!((&end["delta"]["stop_reason"], &end["usage"]["output_tokens"]), (&json!("end_turn"), &json!(0)));
    }
}
