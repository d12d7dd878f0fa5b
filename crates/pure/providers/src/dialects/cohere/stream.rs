//! Streams of the second version: events that begin, grow and end a part of the answer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, Delta},
    framing::Frame,
};

use super::{
    chat::{annotations, call},
    finish, text, usage,
};
use crate::{codec::ChatDecoder, target::Target};

/// Reads a stream of `/v2/chat`.
pub(super) struct EventReader {
    target: Target,
    /// Calls that have begun, by Cohere's number: ours, and whether any of its arguments have come.
    open: BTreeMap<u64, (u64, bool)>,
    calls: u64,
    started: bool,
    done: bool,
}

impl EventReader {
    pub(super) fn new(target: Target) -> Self {
        Self { target, open: BTreeMap::new(), calls: 0, started: false, done: false }
    }

    fn event(&mut self, event: &Value, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let message = event.get("delta").and_then(|delta| delta.get("message")).unwrap_or(&Value::Null);
        match text(event, "type") {
            "message-start" => {
                self.started = true;
                out.push(ChatChunk::Start { id: String::new(), model: String::new() });
            }
            "content-start" | "content-delta" => content(message.get("content").unwrap_or(&Value::Null), out),
            "tool-call-start" => self.begin(place(event), message.get("tool_calls").unwrap_or(&Value::Null), out),
            "tool-call-delta" => {
                let call = call(message.get("tool_calls").unwrap_or(&Value::Null));
                self.argue(place(event), call.arguments, out);
            }
            "tool-call-end" => {
                // Clients read the arguments as JSON, which nothing is not.
                if let Some((index, false)) = self.open.remove(&place(event)) {
                    push(Delta::ToolArguments { index, fragment: "{}".to_owned() }, out);
                }
            }
            "citation-start" => {
                let cited = annotations(message.get("citations"));
                if !cited.is_empty() {
                    push(Delta::Extras(Map::from_iter([("annotations".to_owned(), cited.into())])), out);
                }
            }
            "message-end" => return self.end(event.get("delta").unwrap_or(&Value::Null), out),
            // Plans before calls, debug events, and whatever Cohere may think of.
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, place: u64, told: &Value, out: &mut Vec<ChatChunk>) {
        let call = call(told);
        let index = self.calls;
        self.calls += 1;
        self.open.insert(place, (index, false));
        push(Delta::ToolStart { index, id: call.id, name: call.name }, out);
        self.argue(place, call.arguments, out);
    }

    fn argue(&mut self, place: u64, fragment: String, out: &mut Vec<ChatChunk>) {
        let Some((index, argued)) = self.open.get_mut(&place).filter(|_| !fragment.is_empty()) else { return };
        *argued = true;
        push(Delta::ToolArguments { index: *index, fragment }, out);
    }

    fn end(&mut self, delta: &Value, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let reason = text(delta, "finish_reason");
        if matches!(reason, "ERROR" | "TIMEOUT") {
            let words = text(delta, "error");
            let words = if words.is_empty() { "Cohere could not finish the answer" } else { words };
            return Err(self.target.failure(FailureKind::Internal, words));
        }
        let (finish, native) = finish(reason);
        out.push(ChatChunk::Finish { choice: 0, finish, native });
        if let Some(usage) = usage(delta.get("usage")) {
            out.push(ChatChunk::Usage { usage, extras: Map::new() });
        }
        self.done = true;
        Ok(())
    }
}

fn content(content: &Value, out: &mut Vec<ChatChunk>) {
    for (name, delta) in [("thinking", Delta::Thinking as fn(String) -> Delta), ("text", Delta::Text)] {
        let words = text(content, name);
        if !words.is_empty() {
            push(delta(words.to_owned()), out);
        }
    }
}

fn place(event: &Value) -> u64 {
    event.get("index").and_then(Value::as_u64).unwrap_or_default()
}

pub(super) fn push(delta: Delta, out: &mut Vec<ChatChunk>) {
    out.push(ChatChunk::Delta { choice: 0, delta });
}

impl ChatDecoder for EventReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let event = self.target.event(data)?;
        if event.get("type").is_none()
            && let Some(words) = event.get("message").and_then(Value::as_str)
        {
            return Err(self.target.failure(FailureKind::Internal, words));
        }
        self.event(&event, out)
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if self.done { Ok(()) } else { Err(self.target.unfinished(self.started)) }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
