//! Google's `generateContent`, as we speak it to Gemini at Google AI Studio and at Vertex AI. Google reads members in
//! either spelling; requests have the ones that `LiteLLM` sends.

mod contents;
mod draw;
mod embed;
mod failure;
pub mod front;
mod media;
pub mod native;
mod request;
mod response;
mod schema;
mod stream;
mod thinking;
mod tools;
mod usage;

use http::Method;
use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse},
    http::{Outgoing, Reply},
};

pub use draw::DRAW;
pub use embed::{EMBED, PREDICT_VECTORS};
pub use failure::{failure, in_band};
pub use front::CONTENT_CLIENT;
pub use request::request_body;

use crate::{
    codec::{ChatDecoder, ProviderDialect, Splice, Wanted, Words},
    dialects::vertex,
    target::Target,
    thinkers,
};

/// The dialect of `generateContent`.
pub static CONTENT: Content = Content;

/// See [`CONTENT`].
#[derive(Debug)]
pub struct Content;

impl ProviderDialect for Content {
    fn words(&self) -> Words {
        Words::GeminiContent
    }

    fn splice(&self) -> Option<&'static dyn Splice> {
        Some(&native::CONTENT)
    }

    fn wants(&self, request: &ChatRequest, _target: &Target) -> Vec<Wanted> {
        request.messages.iter().flat_map(|message| media::wanted(&message.parts)).collect()
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let body = RawBody::from_map(&request_body(request, target)?).to_bytes();
        let url = content_url(target, request.stream);
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body })
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let _ = request;
        response::read(&reply.body, target)
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(stream::ContentReader::new(target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}

/// Where content is generated.
#[must_use]
pub fn content_url(target: &Target, streamed: bool) -> String {
    if streamed { format!("{}?alt=sse", url(target, "streamGenerateContent")) } else { url(target, "generateContent") }
}

/// The address of a method of the target's model.
pub(crate) fn url(target: &Target, method: &str) -> String {
    if target.provider.name == "vertex_ai" {
        return vertex::url(target, method);
    }
    format!("{}/models/{}:{method}", target.base_url, target.model)
}

/// The number after `gemini-`; `None` for names that have none, fine-tuned models and Gemma.
pub(crate) fn generation(model: &str) -> Option<u32> {
    let low = model.to_ascii_lowercase();
    let (_, rest) = low.split_once("gemini-")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Whether repetition can be punished.
fn takes_penalties(model: &str) -> bool {
    generation(model).is_none_or(|generation| generation < 3) && model != "gemini-2.5-pro-preview-06-05"
}

/// `OpenAI`'s parameters that every Gemini takes.
const TAKES: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "n",
    "stop",
    "seed",
    "logprobs",
    "top_logprobs",
    "modalities",
    "audio",
    "parallel_tool_calls",
    "web_search_options",
    "service_tier",
];

/// Whether a Gemini takes this parameter of `OpenAI`'s.
#[must_use]
pub fn takes(name: &str, target: &Target) -> bool {
    match name {
        "thinking" | "reasoning_effort" => thinkers::may_think(target),
        // The third generation has none, and does not miss them: `LiteLLM` leaves them out without a word.
        "presence_penalty" | "frequency_penalty" => {
            takes_penalties(&target.model) || generation(&target.model).is_some_and(|generation| generation >= 3)
        }
        _ => TAKES.contains(&name),
    }
}
