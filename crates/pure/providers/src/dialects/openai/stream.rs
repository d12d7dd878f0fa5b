//! Reads `OpenAI`'s streamed chat into the hub.

use bytes::Bytes;
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind, RawBody,
    chat::{ChatChunk, Delta, Finish},
    framing::Frame,
};

use super::{json_tool, normalise, splice::in_band, usage};
use crate::{codec::ChatDecoder, provider::Asked, target::Target};

/// Reads chunks of chat, or of text completion: their choices have `delta` or `text`.
pub(super) struct ChunkReader {
    target: Target,
    started: bool,
    done: bool,
    /// Choices that began, and whether they have ended.
    choices: Vec<(u64, bool)>,
    /// Tool calls that began: choice and index.
    calls: Vec<(u64, u64)>,
    asked: Asked,
    json_tool: json_tool::Unwrapper,
}

impl ChunkReader {
    pub(super) fn new(target: Target, asked: Asked) -> Self {
        let json_tool = json_tool::Unwrapper::default();
        Self { target, started: false, done: false, choices: Vec::new(), calls: Vec::new(), asked, json_tool }
    }

    fn choice(&mut self, choice: &Map<String, Value>, out: &mut Vec<ChatChunk>) {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or_default();
        if let Some(text) = choice.get("text").and_then(Value::as_str).filter(|text| !text.is_empty()) {
            out.push(ChatChunk::Delta { choice: index, delta: Delta::Text(text.to_owned()) });
        }
        if let Some(Value::Object(delta)) = choice.get("delta") {
            self.delta(index, delta, out);
        }
        let word = choice.get("finish_reason").and_then(Value::as_str);
        match self.choices.iter_mut().find(|(known, _)| *known == index) {
            Some((_, over)) => *over |= word.is_some(),
            None => self.choices.push((index, word.is_some())),
        }
        if let Some(word) = word {
            let finish = Finish::from_word(word).unwrap_or(Finish::Stop);
            out.push(ChatChunk::Finish { choice: index, finish, native: None });
        }
    }

    fn delta(&mut self, choice: u64, delta: &Map<String, Value>, out: &mut Vec<ChatChunk>) {
        let text =
            |name: &str| delta.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let mut push = |delta: Delta| out.push(ChatChunk::Delta { choice, delta });
        if let Some(thought) = text("reasoning_content") {
            push(Delta::Thinking(thought));
        }
        for block in delta.get("thinking_blocks").and_then(Value::as_array).into_iter().flatten() {
            if let Some(signature) = block.get("signature").and_then(Value::as_str) {
                push(Delta::Signature(signature.to_owned()));
            }
        }
        if let Some(said) = text("content") {
            push(Delta::Text(said));
        }
        if let Some(refusal) = text("refusal") {
            push(Delta::Refusal(refusal));
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(choice, call, out);
        }
    }

    fn call(&mut self, choice: u64, call: &Value, out: &mut Vec<ChatChunk>) {
        let index = call.get("index").and_then(Value::as_u64).unwrap_or_default();
        let function = call.get("function");
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        if !self.calls.contains(&(choice, index)) {
            self.calls.push((choice, index));
            let name = text(function.and_then(|function| function.get("name")));
            let delta = Delta::ToolStart { index, id: text(call.get("id")), name };
            out.push(ChatChunk::Delta { choice, delta });
        }
        let fragment = text(function.and_then(|function| function.get("arguments")));
        if !fragment.is_empty() {
            out.push(ChatChunk::Delta { choice, delta: Delta::ToolArguments { index, fragment } });
        }
    }
}

impl ChatDecoder for ChunkReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let mut body = RawBody::parse(&Bytes::copy_from_slice(data)).map_err(|error| {
            self.target.failure(FailureKind::InvalidResponse, format!("an event is no JSON: {error}"))
        })?;
        if let Some(error) = body.typed::<Value>("error") {
            return Err(in_band(&error, &self.target));
        }
        if let Some(hook) = self.target.provider.quirks.chunk {
            hook(&mut body, self.asked);
        }
        let mut chunk = body.to_map();
        if !self.started {
            self.started = true;
            let text = |name: &str| chunk.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            out.push(ChatChunk::Start { id: text("id"), model: text("model") });
        }
        if let Some(Value::Array(mut choices)) = chunk.remove("choices") {
            if self.asked.json_tool {
                self.json_tool.unwrap(&mut choices);
            }
            normalise::choices(&mut choices);
            for choice in choices.iter().filter_map(Value::as_object) {
                self.choice(choice, out);
            }
        }
        if let Some(object @ Value::Object(_)) = chunk.remove("usage")
            && let Some(usage) = usage::read(object.to_string().as_bytes())
            && let Value::Object(extras) = object
        {
            let usage = usage.served(chunk.get("service_tier").and_then(Value::as_str));
            out.push(ChatChunk::Usage { usage, extras });
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if !self.started {
            return Err(self.target.failure(FailureKind::InvalidResponse, "the stream ended without an answer"));
        }
        // As in `SplicedStream::finish`: closed in order is not said to its end.
        let is_cut = !self.done && self.choices.iter().any(|(_, over)| !over);
        if is_cut { Err(self.target.unfinished(true)) } else { Ok(()) }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
