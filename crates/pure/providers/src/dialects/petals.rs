//! Petals, as its chat server answered over HTTP: a form with a prompt in, text out. The public server is gone; whoever runs
//! one gives its address.

use http::{HeaderValue, Method, header};
use serde_json::Value;
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatRequest, ChatResponse, Finish},
    http::{Outgoing, Reply},
    percent,
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{openai, prompt, text_answer},
    target::Target,
};

/// Chat.
pub static CHAT: Petals = Petals { raw: false };
/// Text completion: the client's own prompt.
pub static COMPLETE: Petals = Petals { raw: true };

/// `OpenAI`'s parameters that the server has a word for.
pub const TAKES: &[&str] = &["max_tokens", "max_completion_tokens", "temperature", "top_p"];

/// Longest answer where the client says none, tokens: the server refuses a request without; `LiteLLM`'s default.
const DEFAULT_MAX_TOKENS: u64 = 256;
/// Path below the address.
const PATH: &str = "/api/v1/generate";

/// See [`CHAT`] and [`COMPLETE`].
#[derive(Debug)]
pub struct Petals {
    raw: bool,
}

impl ProviderDialect for Petals {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, _request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        if self.raw { Vec::new() } else { prompt::wants(target) }
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let prompt = if self.raw { prompt::raw(request) } else { prompt::write(request, target)? };
        let longest = request.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS).to_string();
        let mut form = vec![("model", target.model.clone()), ("inputs", prompt), ("max_new_tokens", longest)];
        let sampling = [("temperature", &request.temperature), ("top_p", &request.top_p)];
        let sampling = sampling.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?)));
        let warm: Vec<_> = sampling.filter(|(_, value)| value.as_f64() != Some(0.0)).collect();
        if !warm.is_empty() {
            form.push(("do_sample", "1".to_owned()));
        }
        form.extend(warm.into_iter().map(|(name, value)| (name, value.to_string())));
        for (name, value) in &request.extras {
            form.push((name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
        let mut headers = target.request_headers()?;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let pairs: Vec<String> =
            form.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        Ok(Outgoing { method: Method::POST, url: target.url(PATH), headers, body: pairs.join("&").into() })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match told.get("outputs").and_then(Value::as_str) {
            Some(text) => Ok(text_answer::of_text(text, Finish::Stop)),
            // A failure comes with status 200 and its traceback, which tells a client nothing.
            None if told.get("ok").is_some_and(|ok| ok == false) => Err(target
                .failure(FailureKind::Internal, "the server could not generate")
                .with_detail(told.to_string())),
            None => Err(target.failure(FailureKind::InvalidResponse, "the answer has no outputs")),
        }
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(text_answer::NoStream::new(target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// As forms have it.
fn encoded(text: &str) -> String {
    percent::encoded(text).replace("%20", "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forms_value_may_hold_anything() {
        assert_eq!(encoded("a b&c=é\n"), "a+b%26c%3D%C3%A9%0A");
    }
}
