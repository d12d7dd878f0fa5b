//! `PaLM`'s `generateText` of 2023, as it was: Google switched it off in 2024, servers of one's own may still speak it.
//! Messages become one prompt; there are no streams and no counts.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, ChatRequest, ChatResponse, Choice, Extras, Finish, Message, Part},
    framing::Frame,
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::gemini,
    locate::{Located, Site},
    resolve::Unservable,
    target::Target,
};

/// The dialect of `generateText`.
pub static TEXT: Text = Text;

/// See [`TEXT`].
#[derive(Debug)]
pub struct Text;

/// `OpenAI`'s parameters that it takes.
pub const TAKES: &[&str] = &["temperature", "top_p", "n", "stop", "max_tokens", "max_completion_tokens"];

/// Environment variables that may hold the address.
pub const BASE_ENV: &[&str] = &["PALM_API_BASE"];

/// Says what to use today where nobody names a server.
///
/// # Errors
/// When there is no address.
pub fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    if site.settings.api_base.is_none() && site.env(BASE_ENV).is_none() {
        let words = "Google retired PaLM in 2024; use a model of today, as in gemini/gemini-2.5-flash, or set api_base to \
                     a server that still speaks PaLM";
        return Err(Unservable::Missing(words.to_owned()));
    }
    Ok(Located { model: site.model.to_owned(), ..Located::default() })
}

impl ProviderDialect for Text {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = Map::from_iter([("prompt".to_owned(), json!({"text": prompt(&request.messages)?}))]);
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        set("temperature", request.temperature.clone().map(Value::Number));
        set("topP", request.top_p.clone().map(Value::Number));
        set("topK", request.extra("top_k").or_else(|| request.extra("topK")).cloned());
        set("candidateCount", request.extra("n").cloned());
        set("maxOutputTokens", request.max_output_tokens.map(Value::from));
        set("stopSequences", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
        set("safetySettings", request.extra("safety_settings").or_else(|| request.extra("safetySettings")).cloned());
        let url = format!("{}/models/{}:generateText", target.base_url, target.model);
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |words: &str| target.failure(FailureKind::InvalidResponse, words);
        let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
        if let Some(error) = body.get("error") {
            return Err(gemini::in_band(error, target));
        }
        let outputs = body.get("candidates").and_then(Value::as_array).into_iter().flatten();
        let outputs = outputs.filter_map(|candidate| candidate.get("output")?.as_str());
        let mut choices: Vec<Choice> =
            outputs.enumerate().map(|(place, text)| choice(place, vec![Part::text(text)], Finish::Stop)).collect();
        if choices.is_empty() {
            // What was filtered is listed instead of a candidate.
            if body.get("filters").is_none() {
                return Err(invalid("the answer has no candidates"));
            }
            choices.push(choice(0, Vec::new(), Finish::ContentFilter));
        }
        Ok(ChatResponse { choices, ..ChatResponse::default() })
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(NoStream(target.clone()))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        gemini::failure(reply, target)
    }
}

/// All that is said, one message a line.
fn prompt(messages: &[Message]) -> Result<String, Failure> {
    let mut said = Vec::new();
    for part in messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::Text { text, .. } => said.push(text.as_str()),
            Part::Thinking { .. } | Part::RedactedThinking { .. } => {}
            _ => return Err(Failure::invalid("PaLM reads nothing but text").with_param("messages")),
        }
    }
    Ok(said.join("\n"))
}

fn choice(place: usize, parts: Vec<Part>, finish: Finish) -> Choice {
    Choice {
        index: place as u64,
        parts,
        finish,
        native_finish: None,
        extras: Extras::new(),
        message_extras: Extras::new(),
    }
}

/// There are no streams; whole answers are told as one.
struct NoStream(Target);

impl ChatDecoder for NoStream {
    fn feed(&mut self, _frame: &Frame<'_>, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        Err(self.0.failure(FailureKind::InvalidResponse, "PaLM has no streams"))
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        Err(self.0.unfinished(false))
    }

    fn is_done(&self) -> bool {
        false
    }
}
