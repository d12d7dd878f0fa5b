//! Converse's streamed answers: blocks that begin, grow and end, one after the other.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatChunk, ChatRequest, Delta, Extras},
    framing::Frame,
};

use super::{
    answer::{Counts, finish},
    names,
};
use crate::{
    codec::ChatDecoder,
    dialects::{anthropic::structured::Form, aws, open_block::OpenBlock, renamed::Renamed},
    target::Target,
};

/// Reads a stream of Converse.
pub(super) struct ConverseReader {
    target: Target,
    form: Form,
    renamed: Renamed,
    counts: Counts,
    open: BTreeMap<u64, OpenBlock>,
    calls: u64,
    formed: bool,
    said: bool,
    started: bool,
    stopped: bool,
    done: bool,
}

impl ConverseReader {
    pub(super) fn new(request: &ChatRequest, target: &Target) -> Self {
        Self {
            target: target.clone(),
            form: Form::of(request, target),
            renamed: Renamed::of(request, names::tool),
            counts: Counts::default(),
            open: BTreeMap::new(),
            calls: 0,
            formed: false,
            said: false,
            started: false,
            stopped: false,
            done: false,
        }
    }

    /// Takes one event by its name.
    pub(super) fn event(&mut self, name: &str, event: &Value, out: &mut Vec<ChatChunk>) {
        match name {
            "messageStart" => self.start(out),
            "contentBlockStart" => self.begin(event, out),
            "contentBlockDelta" => self.grow(event, out),
            "contentBlockStop" => self.end(event, out),
            "messageStop" => self.stop(event, out),
            "metadata" => self.count(event, out),
            // Whatever AWS may think of.
            _ => {}
        }
    }

    fn start(&mut self, out: &mut Vec<ChatChunk>) {
        if !self.started {
            self.started = true;
            out.push(ChatChunk::Start { id: String::new(), model: String::new() });
        }
    }

    fn begin(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        self.start(out);
        let Some(call) = event.pointer("/start/toolUse") else { return };
        let text = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default();
        if self.form.is_answer(text("name")) {
            self.formed = true;
            self.open.insert(place(event), OpenBlock::answer(&self.form));
            return;
        }
        let index = self.calls;
        self.calls += 1;
        if !self.said {
            // An answer without words is empty text for LiteLLM's clients, not nothing.
            self.said = true;
            push(Delta::Text(String::new()), out);
        }
        push(Delta::ToolStart { index, id: text("toolUseId").to_owned(), name: self.renamed.back(text("name")) }, out);
        self.open.insert(place(event), OpenBlock::Call { index, argued: false });
    }

    fn grow(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        self.start(out);
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(words) = text("/delta/text") {
            self.said = true;
            push(Delta::Text(words.to_owned()), out);
        }
        if let Some(words) = text("/delta/reasoningContent/text") {
            push(Delta::Thinking(words.to_owned()), out);
        }
        if let Some(signature) = text("/delta/reasoningContent/signature") {
            push(Delta::Signature(signature.to_owned()), out);
        }
        if let Some(data) = text("/delta/reasoningContent/redactedContent") {
            push(Delta::RedactedThinking(data.to_owned()), out);
        }
        // LiteLLM's clients find the piece as Bedrock wrote it, too. Claude's thoughts end with their seal, which is enough.
        let whole = event.pointer("/delta/reasoningContent");
        if let Some(piece) = whole.filter(|piece| piece.get("text").is_none() || !names::is_claude(&self.target)) {
            push(specific("reasoningContent", piece), out);
        }
        if let Some(fragment) = text("/delta/toolUse/input") {
            self.argue(place(event), fragment, out);
        }
        if let Some(citation) = event.pointer("/delta/citation") {
            push(specific("citation", citation), out);
        }
    }

    fn argue(&mut self, place: u64, fragment: &str, out: &mut Vec<ChatChunk>) {
        if let Some(delta) = self.open.get_mut(&place).and_then(|block| block.grow(fragment)) {
            push(delta, out);
        }
    }

    fn end(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        if let Some(delta) = self.open.remove(&place(event)).and_then(|block| block.end(&self.form)) {
            push(delta, out);
        }
    }

    fn stop(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        self.start(out);
        self.stopped = true;
        self.counts.thoughts(event);
        let reason = event.get("stopReason").and_then(Value::as_str);
        // The form's tool is ours, not the client's: for him the answer is simply over.
        let ours = reason == Some("tool_use") && self.formed && self.calls == 0;
        let (finish, native) = finish(if ours { None } else { reason });
        out.push(ChatChunk::Finish { choice: 0, finish, native });
    }

    fn count(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        self.done = self.stopped;
        if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
            self.counts.take(usage);
            out.push(ChatChunk::Usage { usage: self.counts.usage(), extras: self.counts.extras() });
        }
    }
}

fn place(event: &Value) -> u64 {
    event.get("contentBlockIndex").and_then(Value::as_u64).unwrap_or_default()
}

fn push(delta: Delta, out: &mut Vec<ChatChunk>) {
    out.push(ChatChunk::Delta { choice: 0, delta });
}

fn specific(name: &str, value: &Value) -> Delta {
    Delta::Extras(Extras::from_iter([("provider_specific_fields".to_owned(), json!({ name: value }))]))
}

impl ChatDecoder for ConverseReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if frame.is_exception {
            return Err(aws::exception(frame, &self.target));
        }
        let event = self.target.event(&frame.data)?;
        self.event(frame.event.as_deref().unwrap_or_default(), &event, out);
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if self.stopped { Ok(()) } else { Err(self.target.unfinished(self.started)) }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
