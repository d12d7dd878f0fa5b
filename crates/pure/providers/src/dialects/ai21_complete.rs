//! AI21's text completion, which the Jurassic-2 models speak: a prompt in, completions with their tokens out. It knows no
//! streams; a client that streams is told the whole answer as one.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatRequest, ChatResponse, Choice, Finish, Part},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::{openai, prompt, text_answer},
    target::Target,
};

/// The dialect of `/complete`.
pub static COMPLETE: Complete = Complete;

/// `OpenAI`'s parameters that this dialect has a word for.
pub const TAKES: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "n",
    "presence_penalty",
    "frequency_penalty",
];

/// The dialect, if the model knows no other.
#[must_use]
pub fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    is_old(target).then_some(&COMPLETE as &dyn ProviderDialect)
}

/// Whether the model is one of Jurassic-2.
#[must_use]
pub fn is_old(target: &Target) -> bool {
    target.model.starts_with("j2-")
}

/// See [`COMPLETE`].
#[derive(Debug)]
pub struct Complete;

impl ProviderDialect for Complete {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        set("prompt", Some(prompt::write(request, target)?.into()));
        set("maxTokens", request.max_output_tokens.map(Value::from));
        set("temperature", request.temperature.clone().map(Value::Number));
        set("topP", request.top_p.clone().map(Value::Number));
        set("stopSequences", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
        for (name, value) in &request.extras {
            match name.as_str() {
                "n" => set("numResults", Some(value.clone())),
                "presence_penalty" => set("presencePenalty", Some(json!({ "scale": value }))),
                "frequency_penalty" => set("frequencyPenalty", Some(json!({ "scale": value }))),
                name => set(name, Some(value.clone())),
            }
        }
        let url = target.url(&format!("/{}/complete", target.model));
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let completions = told.get("completions").and_then(Value::as_array).filter(|all| !all.is_empty());
        let Some(completions) = completions else {
            return Err(target.failure(FailureKind::InvalidResponse, "the answer has no completions"));
        };
        let tokens = |one: &Value| Some(one.get("tokens")?.as_array()?.len() as u64);
        let output: Option<u64> = completions.iter().map(|one| tokens(one.get("data")?)).sum();
        let usage = told.get("prompt").and_then(tokens).zip(output);
        Ok(ChatResponse {
            choices: (0..).zip(completions).map(|(index, told)| choice(index, told)).collect(),
            usage: usage.map(|(input, output)| Usage { input, output, ..Usage::default() }),
            ..ChatResponse::default()
        })
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(text_answer::NoStream::new(target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

fn choice(index: u64, told: &Value) -> Choice {
    let text = told.pointer("/data/text").and_then(Value::as_str).unwrap_or_default();
    let (finish, native) = match told.pointer("/finishReason/reason").and_then(Value::as_str) {
        Some("length") => (Finish::Length, None),
        None | Some("stop" | "endoftext") => (Finish::Stop, None),
        Some(other) => (Finish::Stop, Some(other.to_owned())),
    };
    text_answer::choice(index, vec![Part::text(text)], finish, native)
}
