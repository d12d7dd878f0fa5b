//! Streamed answers of the Responses API: items that are added, grow and are done; at the end the whole answer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tollgate_wire::{
    Failure,
    chat::{ChatChunk, Delta, Part},
    framing::Frame,
};

use super::response::{annotation, call_id, failed, finish, in_band, read_output, seal, text, used};
use crate::{codec::ChatDecoder, target::Target};

/// A call that has begun.
struct Call {
    /// Its place among the calls.
    index: u64,
    /// Some of its arguments have come.
    argued: bool,
}

/// Reads a stream of `/responses`.
pub struct EventReader {
    target: Target,
    /// By the place of their items.
    calls: BTreeMap<u64, Call>,
    started: bool,
    /// Something was said before the whole answer came.
    said: bool,
    done: bool,
}

impl EventReader {
    /// A reader for a target's answer.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), calls: BTreeMap::new(), started: false, said: false, done: false }
    }

    /// Takes one event, already read.
    ///
    /// # Errors
    /// When the event reports a failure.
    pub fn event(&mut self, event: &Value, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let kind = text(event, "type");
        if kind == "error" || (kind.is_empty() && event.get("error").is_some_and(|error| !error.is_null())) {
            // OpenAI writes the error's members into the event; some servers, and OpenAI now and then, nest them.
            return Err(in_band(event.get("error").filter(|error| !error.is_null()).unwrap_or(event), &self.target));
        }
        let response = event.get("response").unwrap_or(&Value::Null);
        if kind.starts_with("response.") {
            self.start(response, out);
        }
        match kind {
            "response.output_item.added" => self.begin(event, out),
            "response.output_item.done" => self.end(event, out),
            "response.output_text.delta" => self.say(Delta::Text, text(event, "delta"), out),
            "response.output_text.annotation.added" => self.cite(event, out),
            "response.refusal.delta" => self.say(Delta::Refusal, text(event, "delta"), out),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.say(Delta::Thinking, text(event, "delta"), out);
            }
            // Paragraphs of one summary; nothing in their texts keeps them apart.
            "response.reasoning_summary_part.added" if number(event, "summary_index") > 0 => {
                self.say(Delta::Thinking, "\n\n", out);
            }
            "response.function_call_arguments.delta" => self.argue(event, text(event, "delta"), out),
            "response.completed" | "response.incomplete" | "response.failed" => self.close(response, out)?,
            // The other events repeat what was said, or tell of the provider's own tools.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, response: &Value, out: &mut Vec<ChatChunk>) {
        if !self.started {
            self.started = true;
            out.push(ChatChunk::Start {
                id: text(response, "id").to_owned(),
                model: text(response, "model").to_owned(),
            });
        }
    }

    fn push(&mut self, delta: Delta, out: &mut Vec<ChatChunk>) {
        self.said = true;
        out.push(ChatChunk::Delta { choice: 0, delta });
    }

    fn say(&mut self, delta: fn(String) -> Delta, words: &str, out: &mut Vec<ChatChunk>) {
        if !words.is_empty() {
            self.push(delta(words.to_owned()), out);
        }
    }

    fn cite(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        if let Some(source) = event.get("annotation").and_then(annotation) {
            self.push(Delta::Extras(Map::from_iter([("annotations".to_owned(), vec![source].into())])), out);
        }
    }

    fn begin(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        let Some(item) = event.get("item").filter(|item| text(item, "type") == "function_call") else { return };
        let place = number(event, "output_index");
        let index = self.calls.len() as u64;
        if self.calls.insert(place, Call { index, argued: false }).is_none() {
            self.push(
                Delta::ToolStart { index, id: call_id(item).to_owned(), name: text(item, "name").to_owned() },
                out,
            );
        }
    }

    fn argue(&mut self, event: &Value, fragment: &str, out: &mut Vec<ChatChunk>) {
        if fragment.is_empty() {
            return;
        }
        if let Some(call) = self.calls.get_mut(&number(event, "output_index")) {
            call.argued = true;
            let index = call.index;
            self.push(Delta::ToolArguments { index, fragment: fragment.to_owned() }, out);
        }
    }

    fn end(&mut self, event: &Value, out: &mut Vec<ChatChunk>) {
        let Some(item) = event.get("item") else { return };
        match text(item, "type") {
            "reasoning" => self.say(Delta::Signature, &seal(item).unwrap_or_default(), out),
            "function_call" => {
                if !self.calls.contains_key(&number(event, "output_index")) {
                    self.begin(event, out);
                }
                if self.calls.get(&number(event, "output_index")).is_some_and(|call| !call.argued) {
                    // Clients read the arguments as JSON, which nothing is not.
                    let whole = text(item, "arguments");
                    self.argue(event, if whole.is_empty() { "{}" } else { whole }, out);
                }
            }
            _ => {}
        }
    }

    /// The whole answer: why the model stopped, what was used.
    fn close(&mut self, response: &Value, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if let Some(failure) = failed(response, &self.target) {
            return Err(failure);
        }
        if !self.said {
            self.replay(response, out);
        }
        self.done = true;
        let (finish, native) = finish(response, !self.calls.is_empty());
        out.push(ChatChunk::Finish { choice: 0, finish, native });
        if let Some(usage) = used(response) {
            out.push(ChatChunk::Usage { usage, extras: Map::new() });
        }
        Ok(())
    }

    /// Says what a server that streams nothing but the whole answer has to say.
    fn replay(&mut self, response: &Value, out: &mut Vec<ChatChunk>) {
        let items = response.get("output").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for part in read_output(items).parts {
            match part {
                Part::Text { text, .. } => self.say(Delta::Text, &text, out),
                Part::Refusal(text) => self.say(Delta::Refusal, &text, out),
                Part::Thinking { text, signature } => {
                    self.say(Delta::Thinking, &text, out);
                    self.say(Delta::Signature, &signature.unwrap_or_default(), out);
                }
                Part::ToolCall(call) => {
                    let index = self.calls.len() as u64;
                    self.calls.insert(index, Call { index, argued: true });
                    self.push(Delta::ToolStart { index, id: call.id, name: call.name }, out);
                    self.push(Delta::ToolArguments { index, fragment: call.arguments }, out);
                }
                _ => {}
            }
        }
    }
}

fn number(event: &Value, name: &str) -> u64 {
    event.get(name).and_then(Value::as_u64).unwrap_or_default()
}

impl ChatDecoder for EventReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        // OpenAI ends these streams without a mark; some servers set the one that ends chat.
        if data.is_empty() || data == b"[DONE]" {
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
