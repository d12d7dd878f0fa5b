//! NLP Cloud's text generation. Its streams are bare text that nobody can tell from a failure, so none is asked for; a client
//! that streams is told the whole answer as one.

use http::Method;
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatRequest, ChatResponse, Finish},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::{openai, prompt, text_answer},
    target::Target,
};

/// The dialect of `/generation`.
pub static GENERATION: Generation = Generation;

/// `OpenAI`'s parameters that it has a word for.
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

/// See [`GENERATION`].
#[derive(Debug)]
pub struct Generation;

impl ProviderDialect for Generation {
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
        set("text", Some(prompt::write(request, target)?.into()));
        set("max_length", request.max_output_tokens.map(Value::from));
        set("temperature", request.temperature.clone().map(Value::Number));
        set("top_p", request.top_p.clone().map(Value::Number));
        // One text only ends an answer here.
        set("end_sequence", request.stop.first().map(|stop| stop.as_str().into()));
        for (name, value) in &request.extras {
            set(if name == "n" { "num_return_sequences" } else { name }, Some(value.clone()));
        }
        let url = target.url(&format!("/{}/generation", target.model));
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let Some(text) = told.get("generated_text").and_then(Value::as_str) else {
            return Err(target.failure(FailureKind::InvalidResponse, "the answer has no generated text"));
        };
        let count = |name: &str| told.get(name).and_then(Value::as_u64);
        let usage = count("nb_input_tokens").zip(count("nb_generated_tokens"));
        let usage = usage.map(|(input, output)| Usage { input, output, ..Usage::default() });
        Ok(ChatResponse { usage, ..text_answer::of_text(text, Finish::Stop) })
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(text_answer::NoStream::new(target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}
