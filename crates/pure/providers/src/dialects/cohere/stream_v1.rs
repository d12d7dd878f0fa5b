//! Streams of the first version, and of its text completion: one JSON document a line.

use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, Delta, Finish},
    framing::Frame,
};

use super::{billed, finish, stream::push, text, v1::calls};
use crate::{codec::ChatDecoder, target::Target};

/// Reads the lines.
pub(super) struct LineReader {
    target: Target,
    calls: usize,
    started: bool,
    done: bool,
}

impl LineReader {
    pub(super) fn new(target: Target) -> Self {
        Self { target, calls: 0, started: false, done: false }
    }

    fn begin(&mut self, out: &mut Vec<ChatChunk>) {
        if !self.started {
            self.started = true;
            out.push(ChatChunk::Start { id: String::new(), model: String::new() });
        }
    }

    fn call(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        for call in calls(event, self.calls) {
            let index = self.calls as u64;
            self.calls += 1;
            push(Delta::ToolStart { index, id: call.id, name: call.name }, out);
            push(Delta::ToolArguments { index, fragment: call.arguments }, out);
        }
    }

    fn end(&mut self, event: &Value, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let answer = event.get("response").unwrap_or(&Value::Null);
        let word = match text(event, "finish_reason") {
            "" => text(answer, "finish_reason"),
            word => word,
        };
        if word == "ERROR" {
            return Err(self.target.failure(FailureKind::Internal, "Cohere could not finish the answer"));
        }
        let (mut end, native) = finish(word);
        if self.calls > 0 {
            end = Finish::ToolCalls;
        }
        out.push(ChatChunk::Finish { choice: 0, finish: end, native });
        if let Some(usage) = billed(answer.get("meta")) {
            out.push(ChatChunk::Usage { usage, extras: Map::new() });
        }
        self.done = true;
        Ok(())
    }
}

impl ChatDecoder for LineReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let event = self.target.event(frame.data.trim_ascii())?;
        let kind = text(&event, "event_type");
        if kind.is_empty()
            && event.get("text").is_none()
            && event.get("is_finished").is_none()
            && let Some(words) = event.get("message").and_then(Value::as_str)
        {
            return Err(self.target.failure(FailureKind::Internal, words));
        }
        self.begin(out);
        let said = text(&event, "text");
        // Text completion has no kinds of events.
        if !said.is_empty() && matches!(kind, "" | "text-generation") {
            push(Delta::Text(said.to_owned()), out);
        }
        if kind == "tool-calls-generation" {
            self.call(&event, out);
        }
        if event.get("is_finished") == Some(&Value::Bool(true)) {
            return self.end(&event, out);
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if self.done { Ok(()) } else { Err(self.target.unfinished(self.started)) }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
