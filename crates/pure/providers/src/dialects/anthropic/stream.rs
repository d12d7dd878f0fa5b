//! Anthropic's streamed answers: blocks that begin, grow and end, one after the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatChunk, ChatRequest, Delta},
    framing::Frame,
};

use super::{
    failure::in_band,
    names,
    response::{finish, result_list},
    structured::Form,
    usage::Counts,
};
use crate::{
    codec::ChatDecoder,
    dialects::{open_block::OpenBlock, renamed::Renamed},
    target::Target,
};

/// Reads a stream of `/v1/messages`.
pub struct MessageReader {
    target: Target,
    form: Form,
    renamed: Renamed,
    counts: Counts,
    open: BTreeMap<u64, OpenBlock>,
    /// How many calls began.
    calls: u64,
    /// A call of the client's own tools began.
    asks: bool,
    formed: bool,
    results: Map<String, Value>,
    started: bool,
    done: bool,
}

impl MessageReader {
    /// A reader for the answer to this request.
    #[must_use]
    pub fn new(request: &ChatRequest, target: &Target) -> Self {
        Self {
            target: target.clone(),
            form: Form::of(request, target),
            renamed: Renamed::of(request, names::tool),
            counts: Counts::default(),
            open: BTreeMap::new(),
            calls: 0,
            asks: false,
            formed: false,
            results: Map::new(),
            started: false,
            done: false,
        }
    }

    /// Takes one event, already read: clouds that serve Claude frame them in other ways.
    ///
    /// # Errors
    /// When the event reports a failure.
    pub fn event(&mut self, event: &Value, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        match text(event, "type") {
            "message_start" => self.start(event, out),
            "content_block_start" => self.begin(event, out),
            "content_block_delta" => self.grow(event, out),
            "content_block_stop" => self.end(event, out),
            "message_delta" => self.stop(event, out),
            "message_stop" => self.done = true,
            "error" => return Err(in_band(event.get("error").unwrap_or(event), &self.target)),
            // `ping`, and whatever Anthropic may think of: unknown events are to be passed over.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        let Some(message) = event.get("message") else { return };
        self.started = true;
        out.push(ChatChunk::Start { id: String::new(), model: text(message, "model").to_owned() });
        self.count(message.get("usage"), out);
    }

    fn count(&mut self, usage: Option<&Value>, out: &mut Vec<ChatChunk>) {
        if let Some(usage) = usage.filter(|usage| usage.is_object()) {
            self.counts.take(usage);
            out.push(ChatChunk::Usage { usage: self.counts.usage(), extras: self.counts.extras() });
        }
    }

    fn begin(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        let Some(block) = event.get("content_block") else { return };
        match text(block, "type") {
            "text" => say(Delta::Text, text(block, "text"), out),
            "thinking" => {
                say(Delta::Thinking, text(block, "thinking"), out);
                say(Delta::Signature, text(block, "signature"), out);
            }
            "redacted_thinking" => say(Delta::RedactedThinking, text(block, "data"), out),
            kind @ ("tool_use" | "server_tool_use") => self.begin_call(place(event), kind, block, out),
            kind => self.result(kind, block, out),
        }
    }

    fn begin_call(&mut self, place: u64, kind: &str, block: &Value, out: &mut Vec<ChatChunk>) {
        // Some servers give the whole input at once.
        let input = block.get("input").filter(|input| input.as_object().is_some_and(|members| !members.is_empty()));
        if kind == "tool_use" && self.form.is_answer(text(block, "name")) {
            self.formed = true;
            let whole = input.map(|input| self.form.unwrap(input));
            say(Delta::Text, whole.as_deref().unwrap_or_default(), out);
            self.open.insert(place, OpenBlock::answer(&self.form));
            return;
        }
        self.asks |= kind == "tool_use";
        let index = self.calls;
        self.calls += 1;
        let (id, name) = (text(block, "id").to_owned(), self.renamed.back(text(block, "name")));
        push(Delta::ToolStart { index, id, name }, out);
        if let Some(input) = input {
            push(Delta::ToolArguments { index, fragment: input.to_string() }, out);
        }
        self.open.insert(place, OpenBlock::Call { index, argued: input.is_some() });
    }

    /// The result of a tool of Anthropic's own; clients get the list so far.
    fn result(&mut self, kind: &str, block: &Value, out: &mut Vec<ChatChunk>) {
        let Some(list) = result_list(kind) else { return };
        if let Value::Array(items) = self.results.entry(list).or_insert_with(|| json!([])) {
            items.push(block.clone());
        }
        push(specific(list, self.results.get(list).unwrap_or(&Value::Null)), out);
    }

    fn grow(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        let Some(delta) = event.get("delta") else { return };
        match text(delta, "type") {
            "text_delta" => say(Delta::Text, text(delta, "text"), out),
            "thinking_delta" => say(Delta::Thinking, text(delta, "thinking"), out),
            "signature_delta" => say(Delta::Signature, text(delta, "signature"), out),
            "input_json_delta" => self.argue(place(event), text(delta, "partial_json"), out),
            "citations_delta" => {
                push(specific("citation", delta.get("citation").unwrap_or(&Value::Null)), out);
            }
            _ => {}
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
        let reason = event.get("delta").and_then(|delta| delta.get("stop_reason")).and_then(Value::as_str);
        if let Some(reason) = reason {
            // The form's tool is ours, not the client's: for him the answer is simply over.
            let ours = reason == "tool_use" && self.formed && !self.asks;
            let (finish, native) = finish(Some(if ours { "end_turn" } else { reason }));
            out.push(ChatChunk::Finish { choice: 0, finish, native });
        }
        self.count(event.get("usage"), out);
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn place(event: &Value) -> u64 {
    event.get("index").and_then(Value::as_u64).unwrap_or_default()
}

fn push(delta: Delta, out: &mut Vec<ChatChunk>) {
    out.push(ChatChunk::Delta { choice: 0, delta });
}

fn say(delta: fn(String) -> Delta, words: &str, out: &mut Vec<ChatChunk>) {
    if !words.is_empty() {
        push(delta(words.to_owned()), out);
    }
}

fn specific(name: &str, value: &Value) -> Delta {
    Delta::Extras(Map::from_iter([("provider_specific_fields".to_owned(), json!({ name: value }))]))
}

impl ChatDecoder for MessageReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        let event = self.target.event(data)?;
        self.event(&event, out)
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if self.done { Ok(()) } else { Err(self.target.unfinished(self.started)) }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
