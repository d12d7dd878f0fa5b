//! Text generation as Hugging Face's server has had it from the start: a prompt in, tokens out.

use http::HeaderMap;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatChunk, ChatRequest, ChatResponse, Choice, Extras, Finish, Part},
    framing::Frame,
    http::Reply,
};

use crate::{
    codec::ChatDecoder,
    dialects::text_answer::{self, Telling},
    target::Target,
};

/// `OpenAI`'s parameters that this has a word for.
pub const TAKES: &[&str] = &["max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "n", "seed"];

/// The least temperature: the server refuses none at all.
const COLDEST: f64 = 0.01;
/// Marks of chat templates that models leave at the ends of their answers.
const MARKS: &[&str] = &["<|assistant|>", "<|system|>", "<|user|>", "<s>", "</s>", "<|im_end|>", "<|eot_id|>"];

/// The request's body.
#[must_use]
pub fn write(request: &ChatRequest, prompt: &str) -> Value {
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parameters.insert(name.to_owned(), value);
        }
    };
    set("max_new_tokens", request.max_output_tokens.map(|most| most.max(1).into()));
    let temperature = request.temperature.clone().map(Value::Number);
    let is_zero = temperature.as_ref().and_then(Value::as_f64).is_some_and(|value| value <= 0.0);
    set("temperature", if is_zero { Some(COLDEST.into()) } else { temperature });
    set("top_p", request.top_p.clone().map(Value::Number));
    set("stop", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    for (name, value) in &request.extras {
        match name.as_str() {
            // Several answers are the best of as many, and those differ only if they are sampled.
            "n" if value.as_u64() == Some(1) => {}
            "n" => {
                set("best_of", Some(value.clone()));
                set("do_sample", Some(true.into()));
            }
            name => set(name, Some(value.clone())),
        }
    }
    parameters.entry("details").or_insert(true.into());
    parameters.entry("return_full_text").or_insert(false.into());
    json!({"inputs": prompt, "parameters": parameters, "stream": request.stream})
}

/// Whether this is an answer of this kind.
#[must_use]
pub fn is_answer(answer: &Value) -> bool {
    let first = answer.get(0).unwrap_or(answer);
    first.get("generated_text").is_some()
}

/// The whole answer.
///
/// # Errors
/// When there is no text in it.
pub fn read(answer: &Value, reply: &Reply, target: &Target) -> Result<ChatResponse, Failure> {
    let first = answer.get(0).unwrap_or(answer);
    if first.get("generated_text").is_none_or(|text| !text.is_string()) {
        return Err(target.failure(FailureKind::InvalidResponse, "the answer has no generated text"));
    }
    let details = first.get("details").unwrap_or(&Value::Null);
    let mut choices = vec![choice(0, first, details)];
    for other in details.get("best_of_sequences").and_then(Value::as_array).into_iter().flatten() {
        choices.push(choice(choices.len() as u64, other, other));
    }
    let usage = usage_of(details).or_else(|| usage_of_headers(&reply.headers));
    Ok(ChatResponse { choices, usage, ..ChatResponse::default() })
}

fn choice(index: u64, told: &Value, details: &Value) -> Choice {
    let text = told.get("generated_text").and_then(Value::as_str).unwrap_or_default();
    let (finish, native) = finish(details.get("finish_reason").and_then(Value::as_str));
    text_answer::choice(index, vec![Part::text(without_marks(text))], finish, native)
}

fn without_marks(text: &str) -> &str {
    let mut text = text;
    while let Some(rest) =
        MARKS.iter().find_map(|mark| text.trim().strip_prefix(mark).or_else(|| text.trim().strip_suffix(mark)))
    {
        text = rest;
    }
    text
}

fn finish(word: Option<&str>) -> (Finish, Option<String>) {
    match word {
        None | Some("eos_token" | "stop_sequence" | "stop") => (Finish::Stop, None),
        Some("length") => (Finish::Length, None),
        Some(other) => (Finish::Stop, Some(other.to_owned())),
    }
}

/// The count of the last event, or of an answer that shows the prompt's tokens.
fn usage_of(details: &Value) -> Option<Usage> {
    let output = details.get("generated_tokens")?.as_u64()?;
    let prefill = || details.get("prefill")?.as_array().map(|tokens| tokens.len() as u64).filter(|count| *count > 0);
    let input =
        ["input_length", "prompt_tokens"].iter().find_map(|name| details.get(name)?.as_u64()).or_else(prefill)?;
    Some(Usage { input, output, ..Usage::default() })
}

/// The server counts in its headers as well.
fn usage_of_headers(headers: &HeaderMap) -> Option<Usage> {
    let count = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    let (input, output) = (count("x-prompt-tokens")?, count("x-generated-tokens")?);
    Some(Usage { input, output, ..Usage::default() })
}

/// Whether this event is of this kind.
#[must_use]
pub fn is_event(event: &Value) -> bool {
    event.get("token").is_some() || event.get("generated_text").is_some()
}

/// Reads a stream of tokens.
pub struct Reader {
    target: Target,
    telling: Telling,
}

impl Reader {
    /// A reader for this target's answer.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), telling: Telling::default() }
    }
}

impl ChatDecoder for Reader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let event = self.target.event(data)?;
        if let Some(error) = event.get("error") {
            let words = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            let kind = match event.get("error_type").and_then(Value::as_str) {
                Some("overloaded") => FailureKind::RateLimited,
                Some("validation") => FailureKind::Unprocessable,
                _ => FailureKind::Internal,
            };
            return Err(self.target.failure(kind, words));
        }
        let token = event.get("token").unwrap_or(&Value::Null);
        // Special tokens are marks, not words.
        if token.get("special").and_then(Value::as_bool) != Some(true) {
            self.telling.words(token.get("text").and_then(Value::as_str).unwrap_or_default(), out);
        }
        if event.get("generated_text").is_some_and(Value::is_string) {
            let details = event.get("details").unwrap_or(&Value::Null);
            let (finish, native) = finish(details.get("finish_reason").and_then(Value::as_str));
            self.telling.end(finish, native, out);
            if let Some(usage) = usage_of(details) {
                out.push(ChatChunk::Usage { usage, extras: Extras::new() });
            }
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        self.telling.close(&self.target)
    }

    fn is_done(&self) -> bool {
        self.telling.is_over()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_at_the_ends_of_an_answer_are_no_words() {
        assert_eq!(without_marks(" <|assistant|> Hello</s>"), "Hello");
        assert_eq!(without_marks(" a <s> b "), " a <s> b ");
        assert_eq!(without_marks("</s>"), "");
    }
}
