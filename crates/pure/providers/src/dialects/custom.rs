//! A server of one's own that speaks `LiteLLM`'s custom protocol: a list with one prompt in, a list with its outputs out.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatRequest, ChatResponse, Finish},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{openai, prompt, text_answer},
    target::Target,
};

/// Chat.
pub static CHAT: Custom = Custom { raw: false };
/// Text completion: the client's own prompt.
pub static COMPLETE: Custom = Custom { raw: true };

/// `OpenAI`'s parameters that the protocol has a word for.
pub const TAKES: &[&str] = &["max_tokens", "max_completion_tokens", "temperature", "top_p"];

/// See [`CHAT`] and [`COMPLETE`].
#[derive(Debug)]
pub struct Custom {
    raw: bool,
}

impl ProviderDialect for Custom {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, _request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        if self.raw { Vec::new() } else { prompt::wants(target) }
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let prompt = if self.raw { prompt::raw(request) } else { prompt::write(request, target)? };
        let mut params = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                params.insert(name.to_owned(), value);
            }
        };
        set("prompt", Some(json!([prompt])));
        set("max_tokens", request.max_output_tokens.map(Value::from));
        set("temperature", request.temperature.clone().map(Value::Number));
        set("top_p", request.top_p.clone().map(Value::Number));
        params.extend(request.extras.clone());
        let body = json!({"model": target.model, "params": params}).to_string().into();
        Ok(Outgoing { method: Method::POST, url: target.base_url.clone(), headers: target.request_headers()?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let output = told.pointer("/data/0/output").map(|output| output.get(0).unwrap_or(output));
        match output.and_then(Value::as_str) {
            Some(text) => Ok(text_answer::of_text(text, Finish::Stop)),
            None => Err(target.failure(FailureKind::InvalidResponse, "the answer has no output")),
        }
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(text_answer::NoStream::new(target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}
