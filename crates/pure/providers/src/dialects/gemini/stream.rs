//! Gemini's streamed answers: each event is an answer of its own with the next parts. There is no last word: the end of
//! the stream is the end, and what was said last about finish and usage holds.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatChunk, Delta, Finish},
    framing::Frame,
};

use super::{
    failure::{error_of, in_band},
    response::{Held, annotations, code, finish, is_blocked, metadata, parts, read_call, searches, text},
    usage::Counts,
};
use crate::{codec::ChatDecoder, target::Target};

/// Reads a stream of `streamGenerateContent`.
pub(super) struct ContentReader {
    target: Target,
    id: String,
    started: bool,
    /// Each candidate so far.
    candidates: Vec<Candidate>,
    searches: Option<u64>,
}

/// What is known of one candidate.
struct Candidate {
    index: u64,
    calls: u64,
    reason: String,
}

impl ContentReader {
    pub(super) fn new(target: &Target) -> Self {
        Self { target: target.clone(), id: String::new(), started: false, candidates: Vec::new(), searches: None }
    }

    fn event(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        if !self.started {
            self.started = true;
            text(event, "responseId").clone_into(&mut self.id);
            out.push(ChatChunk::Start { id: self.id.clone(), model: text(event, "modelVersion").to_owned() });
        }
        let candidates = event.get("candidates").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (place, candidate) in candidates.iter().enumerate() {
            self.candidate(candidate, place as u64, out);
        }
        if is_blocked(event) {
            self.of(0).reason = "PROHIBITED_CONTENT".to_owned();
        }
        self.searches = searches(candidates).max(self.searches);
        if let Some(counts) = event.get("usageMetadata").map(Counts) {
            out.push(ChatChunk::Usage {
                usage: counts.with(self.searches),
                extras: counts.extras(self.searches, true),
            });
        }
    }

    fn of(&mut self, index: u64) -> &mut Candidate {
        let place = self.candidates.iter().position(|candidate| candidate.index == index).unwrap_or_else(|| {
            self.candidates.push(Candidate { index, calls: 0, reason: String::new() });
            self.candidates.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the place was just found or made")]
        &mut self.candidates[place]
    }

    fn candidate(&mut self, candidate: &Value, place: u64, out: &mut Vec<ChatChunk>) {
        let index = candidate.get("index").and_then(Value::as_u64).unwrap_or(place);
        for part in parts(candidate) {
            self.part(part, index, out);
        }
        let said = self.of(index);
        if let Some(reason) = candidate.get("finishReason").and_then(Value::as_str) {
            reason.clone_into(&mut said.reason);
        }
        let mut extras = Map::new();
        let notes = annotations(candidate);
        if !notes.is_empty() {
            extras.insert("annotations".to_owned(), notes.into());
        }
        let told = metadata(std::slice::from_ref(candidate));
        if !told.is_empty() {
            extras.insert("provider_specific_fields".to_owned(), told.into());
        }
        if !extras.is_empty() {
            push(index, Delta::Extras(extras), out);
        }
    }

    fn part(&mut self, part: &Value, index: u64, out: &mut Vec<ChatChunk>) {
        let seal = part.get("thoughtSignature").and_then(Value::as_str);
        if let Some(call) = part.get("functionCall") {
            self.call(call, seal, index, out);
        } else if let Some(words) = part.get("text").and_then(Value::as_str) {
            let thought = part.get("thought") == Some(&Value::Bool(true));
            let delta = if thought { Delta::Thinking(words.to_owned()) } else { Delta::Text(words.to_owned()) };
            if !words.is_empty() {
                push(index, delta, out);
            }
            match seal {
                Some(seal) if thought => push(index, Delta::Signature(seal.to_owned()), out),
                Some(seal) => push(index, sealed(seal), out),
                None => {}
            }
        } else if let Some(held) = part.get("inlineData") {
            let delta = match Held::of(held) {
                Held::Image(image) => Delta::Extras(Map::from_iter([("images".to_owned(), json!([image]))])),
                Held::Sound(sound) => Delta::Extras(Map::from_iter([("audio".to_owned(), sound)])),
                Held::Other(words) => Delta::Text(words),
            };
            push(index, delta, out);
        } else if let Some(code) = code(part) {
            push(index, Delta::Text(code), out);
        }
    }

    fn call(&mut self, call: &Value, seal: Option<&str>, choice: u64, out: &mut Vec<ChatChunk>) {
        let id = self.id.clone();
        let said = self.of(choice);
        let index = said.calls;
        said.calls += 1;
        let call = read_call(call, seal, (choice, index), &id);
        push(choice, Delta::ToolStart { index, id: call.id, name: call.name }, out);
        push(choice, Delta::ToolArguments { index, fragment: call.arguments }, out);
        if let Some(seal) = seal {
            // Clients put the pieces of a call together by its index.
            let piece = json!({"index": index, "function": {"arguments": ""},
                "provider_specific_fields": {"thought_signature": seal}});
            push(choice, Delta::Extras(Map::from_iter([("tool_calls".to_owned(), json!([piece]))])), out);
        }
    }
}

fn push(choice: u64, delta: Delta, out: &mut Vec<ChatChunk>) {
    out.push(ChatChunk::Delta { choice, delta });
}

fn sealed(seal: &str) -> Delta {
    let seals = json!({"thought_signatures": [seal]});
    Delta::Extras(Map::from_iter([("provider_specific_fields".to_owned(), seals)]))
}

impl ChatDecoder for ContentReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        // Proxies before Gemini end streams as OpenAI does.
        if data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let event = self.target.event(data)?;
        if let Some(error) = error_of(&event) {
            return Err(in_band(error, &self.target));
        }
        self.event(&event, out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        // Gemini says of each candidate why it ended; one that does not was cut, however orderly the connection was closed.
        if self.candidates.is_empty() || self.candidates.iter().any(|said| said.reason.is_empty()) {
            return Err(self.target.unfinished(self.started));
        }
        for said in std::mem::take(&mut self.candidates) {
            let native = (!said.reason.is_empty()).then(|| said.reason.clone());
            let finish: Finish = finish(&said.reason, said.calls > 0);
            out.push(ChatChunk::Finish { choice: said.index, finish, native });
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }
}
