//! Endpoints that speak the words of Hugging Face's text generation.

use serde_json::{Map, Number, Value};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatChunk, ChatRequest, ChatResponse, Choice, Delta, Extras, Finish, Part},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
};

use super::{
    outgoing,
    pieces::{self, Pieces},
};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::{aws, bedrock::prompts},
    target::Target,
};

/// The dialect.
pub static TEXT: Text = Text;

/// See [`TEXT`].
#[derive(Debug)]
pub struct Text;

/// The least randomness that the containers take; 0 is refused.
const LEAST_TEMPERATURE: &str = "0.01";

impl ProviderDialect for Text {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = Map::new();
        body.insert("inputs".to_owned(), prompts::joined(&request.messages).into());
        body.insert("parameters".to_owned(), parameters(request).into());
        if request.stream {
            body.insert("stream".to_owned(), true.into());
        }
        outgoing(target, &body, request.stream)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |text: String| target.failure(FailureKind::InvalidResponse, text);
        let body: Value =
            serde_json::from_slice(&reply.body).map_err(|error| invalid(format!("the answer is no JSON: {error}")))?;
        let answer = body.get(0).unwrap_or(&body);
        if let Some(error) = answer.get("error").and_then(Value::as_str) {
            return Err(target.failure(FailureKind::Internal, error));
        }
        let text = ["generated_text", "generation"].iter().find_map(|name| answer.get(*name)?.as_str());
        let Some(text) = text else { return Err(invalid("the answer has no text".to_owned())) };
        let prompt = prompts::joined(&request.messages);
        // Some containers repeat the prompt.
        let text = text.strip_prefix(prompt.as_str()).filter(|_| prompt.contains("<s>")).unwrap_or(text);
        let (finish, native_finish) = finish(answer.pointer("/details/finish_reason").and_then(Value::as_str));
        let choice = Choice {
            index: 0,
            parts: vec![Part::text(text)],
            finish,
            native_finish,
            extras: Extras::new(),
            message_extras: Extras::new(),
        };
        Ok(ChatResponse { choices: vec![choice], usage: usage(answer), ..ChatResponse::default() })
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::AwsEvents
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(TextReader {
            pieces: Pieces::default(),
            told: Told { target: target.clone(), started: false, stopped: false },
        })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

fn parameters(request: &ChatRequest) -> Map<String, Value> {
    let mut out = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    let temperature = request.temperature.as_ref().map(|given| {
        let least = given.as_f64() == Some(0.0);
        let least = least.then(|| LEAST_TEMPERATURE.parse::<f64>().ok().and_then(Number::from_f64)).flatten();
        Value::Number(least.unwrap_or_else(|| given.clone()))
    });
    set("temperature", temperature);
    set("top_p", request.top_p.clone().map(Value::Number));
    // The containers refuse an answer of no tokens.
    set("max_new_tokens", request.max_output_tokens.map(|longest| longest.max(1).into()));
    set("stop", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    if let Some(n) = request.extra("n") {
        set("best_of", Some(n.clone()));
        set("do_sample", Some(true.into()));
    }
    for (name, value) in &request.extras {
        if !value.is_null() && name != "n" && !name.starts_with("aws_") {
            set(name, Some(value.clone()));
        }
    }
    out
}

fn finish(word: Option<&str>) -> (Finish, Option<String>) {
    match word {
        None | Some("eos_token" | "stop_sequence" | "stop") => (Finish::Stop, None),
        Some("length") => (Finish::Length, None),
        Some(other) => (Finish::Stop, Some(other.to_owned())),
    }
}

/// The counts, where the container tells both.
fn usage(answer: &Value) -> Option<Usage> {
    let output = answer.pointer("/details/generated_tokens")?.as_u64()?;
    let prefill = || answer.pointer("/details/prefill")?.as_array().filter(|list| !list.is_empty()).map(Vec::len);
    let input = answer.pointer("/details/input_length").and_then(Value::as_u64);
    let input = input.or_else(|| prefill().and_then(|length| u64::try_from(length).ok()))?;
    Some(Usage { input, output, ..Usage::default() })
}

struct TextReader {
    pieces: Pieces,
    told: Told,
}

/// What the events have told so far.
struct Told {
    target: Target,
    started: bool,
    stopped: bool,
}

impl Told {
    fn event(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let Some(event) = pieces::event(frame, &self.target)? else { return Ok(()) };
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            let words = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(self.target.failure(FailureKind::Internal, words));
        }
        if !self.started {
            self.started = true;
            out.push(ChatChunk::Start { id: String::new(), model: String::new() });
        }
        let special = event.pointer("/token/special") == Some(&Value::Bool(true));
        let text = event.pointer("/token/text").and_then(Value::as_str).filter(|text| !special && !text.is_empty());
        if let Some(text) = text {
            out.push(ChatChunk::Delta { choice: 0, delta: Delta::Text(text.to_owned()) });
        }
        let reason = event.pointer("/details/finish_reason").and_then(Value::as_str);
        let last = reason.is_some() || event.get("generated_text").is_some_and(Value::is_string);
        if last && !self.stopped {
            self.stopped = true;
            let (finish, native) = finish(reason);
            out.push(ChatChunk::Finish { choice: 0, finish, native });
            if let Some(usage) = usage(&event) {
                out.push(ChatChunk::Usage { usage, extras: Extras::new() });
            }
        }
        Ok(())
    }
}

impl ChatDecoder for TextReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let told = &mut self.told;
        let target = told.target.clone();
        self.pieces.feed(frame, &target, |event| told.event(event, out))
    }

    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let told = &mut self.told;
        self.pieces.finish(|event| told.event(event, out))?;
        if self.told.stopped { Ok(()) } else { Err(self.told.target.unfinished(self.told.started)) }
    }

    fn is_done(&self) -> bool {
        self.told.stopped
    }
}
