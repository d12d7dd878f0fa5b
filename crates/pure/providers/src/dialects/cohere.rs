//! Cohere: chat in its second version (nearly `OpenAI`'s words) and its first (a message and its history), the text
//! completion of 2023, vectors, and reranking.

mod chat;
mod embed;
mod generate;
mod history;
mod stream;
mod stream_v1;
mod v1;

use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tollgate_wire::{Failure, Usage, chat::Finish, http::Reply, rerank::RerankRequest};

pub use chat::CHAT;
pub use embed::EMBED;
pub use generate::GENERATE;
pub use v1::CHAT_V1;

use crate::{
    codec::ProviderDialect,
    dialects::{
        openai,
        rerank::{self, Ranker, Told, whole},
    },
    target::Target,
    thinkers,
};

/// How documents are put into order.
pub static RERANK: Ranker = Ranker { url: rerank_url, body: rerank::common, told: Told::AsIs, repeats_documents: None };

/// `OpenAI`'s parameters that Cohere has words for.
const TAKES: &[&str] = &[
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "n",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "seed",
    "response_format",
];

/// Whether Cohere takes this parameter of `OpenAI`'s.
#[must_use]
pub fn takes(name: &str, target: &Target) -> bool {
    let newer = of_model(target).is_none();
    match name {
        "reasoning_effort" | "thinking" => newer && thinks(target),
        "logprobs" => newer,
        _ => TAKES.contains(&name),
    }
}

/// The catalog does not say it of the models that do.
fn thinks(target: &Target) -> bool {
    target.model.contains("reasoning") || (!target.facts.known && thinkers::may_think(target))
}

/// The name that refusals of a parameter bear: `LiteLLM` has one for each version of chat.
#[must_use]
pub fn refuses_as(target: &Target) -> &'static str {
    if of_model(target).is_none() { "cohere_chat" } else { "cohere" }
}

/// Paths that a configured address may end with, the versions alone last.
const ENDINGS: &[&str] =
    &["/v2/chat", "/v1/chat", "/v1/generate", "/v2/embed", "/v1/embed", "/v2/rerank", "/v1/rerank", "/v2", "/v1"];

/// The dialect, where the model's prefix or the address asks for an older one.
#[must_use]
pub fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    let base = target.base_url.as_str();
    if base.ends_with("/generate") {
        return Some(&GENERATE);
    }
    let old = target.model.starts_with("v1/") || base.ends_with("/v1/chat");
    old.then_some(&CHAT_V1 as &dyn ProviderDialect)
}

/// The model's name without the version of the API.
fn model(target: &Target) -> &str {
    let name = target.model.as_str();
    name.strip_prefix("v1/").or_else(|| name.strip_prefix("v2/")).unwrap_or(name)
}

/// The address of an operation. `LiteLLM` takes an `api_base` with a path as the whole address.
fn url(target: &Target, path: &str) -> String {
    let base = target.base_url.as_str();
    if let Some(root) = root(base) {
        return format!("{root}{path}");
    }
    let has_path = base.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { base.to_owned() } else { format!("{base}{path}") }
}

fn root(base: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| base.strip_suffix(ending))
}

/// Documents are cut into chunks by the first version only.
fn rerank_url(ask: &RerankRequest, target: &Target) -> String {
    let base = target.base_url.as_str();
    let wants_chunks = ask.extras.contains_key("max_chunks_per_doc") && !ask.extras.contains_key("max_tokens_per_doc");
    let old = base.ends_with("/v1/rerank") || (wants_chunks && !base.ends_with("/v2/rerank"));
    let path = if old { "/v1/rerank" } else { "/v2/rerank" };
    format!("{}{path}", root(base).unwrap_or(base))
}

/// The headers of a chat request: Cohere wants to know which software asks.
fn chat_headers(target: &Target) -> Result<HeaderMap, Failure> {
    let mut headers = target.request_headers()?;
    headers.entry("request-source").or_insert(HeaderValue::from_static("unspecified:litellm"));
    Ok(headers)
}

/// Cohere's reasons in our words; its own word where we have none.
fn finish(word: &str) -> (Finish, Option<String>) {
    match word {
        "" | "COMPLETE" | "STOP_SEQUENCE" => (Finish::Stop, None),
        "MAX_TOKENS" | "ERROR_LIMIT" => (Finish::Length, None),
        "TOOL_CALL" => (Finish::ToolCalls, None),
        "ERROR_TOXIC" => (Finish::ContentFilter, None),
        other => (Finish::Stop, Some(other.to_owned())),
    }
}

/// What was used, of `usage`. What is billed is less than what went in: Cohere's own part of the prompt is free, but it
/// counts for the context, and clients of `LiteLLM` are told the whole.
fn usage(told: Option<&Value>) -> Option<Usage> {
    counts(told?, ["tokens", "billed_units"])
}

/// What was used, of the first version's `meta`, of which `LiteLLM` tells what is billed.
fn billed(told: Option<&Value>) -> Option<Usage> {
    counts(told?, ["billed_units", "tokens"])
}

fn counts(told: &Value, names: [&str; 2]) -> Option<Usage> {
    let counts = names.into_iter().find_map(|name| told.get(name).filter(|value| value.is_object()))?;
    Some(Usage {
        input: whole(counts.get("input_tokens")).unwrap_or_default(),
        output: whole(counts.get("output_tokens")).unwrap_or_default(),
        cache_read: whole(told.get("cached_tokens")).unwrap_or_default(),
        ..Usage::default()
    })
}

/// A refusal (status 400 and above). The client is told Cohere's whole body, as `LiteLLM` does.
fn failure(reply: &Reply, target: &Target) -> Failure {
    /// Longest body that is told in full, bytes.
    const LONGEST: usize = 4000;
    let mut failure = openai::failure(reply, target);
    if let Ok(text) = std::str::from_utf8(&reply.body)
        && text.starts_with('{')
        && text.len() <= LONGEST
    {
        text.clone_into(&mut failure.message);
    }
    failure
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
