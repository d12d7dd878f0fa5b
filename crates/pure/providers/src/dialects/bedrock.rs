//! Bedrock: every family of models through Converse, the older ones and Claude also through `InvokeModel` in words of
//! their own; vectors, pictures and ranks beside.

mod answer;
mod blocks;
mod claude;
mod converse;
mod embeddings;
mod images;
mod invoke;
mod messages;
mod names;
mod place;
pub(super) mod prompts;
mod rerank;
mod stream;
mod texts;
mod tools;
mod turns;

use http::Method;
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind, RawBody,
    chat::{ChatRequest, ChatResponse},
    framing::Framing,
    http::{Outgoing, Reply},
    percent,
};

pub use embeddings::EMBEDDINGS;
pub use images::IMAGES;
pub use place::{KEY_ENV, locate};
pub use rerank::RERANK;

use crate::{
    codec::{ChatDecoder, ProviderDialect, Splice, Wanted, Words},
    dialects::aws,
    target::Target,
    thinkers,
};

/// The dialect of `/converse`.
pub static CONVERSE: Converse = Converse;

/// See [`CONVERSE`].
#[derive(Debug)]
pub struct Converse;

impl ProviderDialect for Converse {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn passes(&self, client: Words, body: &RawBody, target: &Target) -> Option<&'static dyn Splice> {
        // Who says `converse/` wants Converse.
        if target.fact("route").is_some() { None } else { messages::of_body(client, body, target) }
    }

    fn wants(&self, request: &ChatRequest, _target: &Target) -> Vec<Wanted> {
        request.messages.iter().flat_map(|message| blocks::wanted(&message.parts)).collect()
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let body = converse::body(request, target)?;
        let operation = if request.stream { "converse-stream" } else { "converse" };
        outgoing(target, &percent::encoded(id(target)), operation, &body)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        answer::read(&json(reply, target)?, request, target)
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::AwsEvents
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(stream::ConverseReader::new(request, target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

/// The dialect of a model that is not spoken to through Converse.
#[must_use]
pub fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    let invoked = match target.fact("route") {
        Some(route) => route == "invoke",
        None => INVOKED.iter().any(|begin| names::base(target).starts_with(begin)),
    };
    invoked.then(|| invoke::dialect(target))
}

/// Models that Converse does not know, or that `LiteLLM` invokes.
const INVOKED: &[&str] = &[
    "ai21.j2-",
    "amazon.titan-text-",
    "cohere.command-text-",
    "cohere.command-light-text-",
    "meta.llama2-",
    "mistral.mistral-7b-",
    "mistral.mixtral-8x7b-",
];

/// `OpenAI`'s parameters that every model takes.
const TAKES: &[&str] =
    &["max_tokens", "max_completion_tokens", "stop", "temperature", "top_p", "response_format", "service_tier"];

/// Whether a model takes this parameter of `OpenAI`'s.
#[must_use]
pub fn takes(name: &str, target: &Target) -> bool {
    let facts = &target.facts;
    let by_invoke = of_model(target).is_some();
    let words_only = by_invoke && invoke::takes_words_only(target);
    match name {
        "tools" | "functions" => !words_only && (!facts.known || facts.tools || names::calls_tools(target)),
        "tool_choice" | "function_call" => {
            !words_only && (!facts.known || facts.tool_choice || names::calls_tools(target))
        }
        // Converse has no word for it; Claude is told past it, and to the others it is a hint.
        "parallel_tool_calls" => !by_invoke || names::calls_tools(target),
        "user" => by_invoke && names::is_claude(target),
        "web_search_options" => names::is_claude(target) && by_invoke || names::is_nova(target),
        // DeepSeek's R1 thinks as it likes.
        "reasoning_effort" => !words_only && thinkers::may_think(target) && !target.model.contains("deepseek.r1"),
        "thinking" => !words_only && names::is_claude(target) && thinkers::may_think(target),
        "temperature" | "top_p" => !facts.fixed_sampling,
        // InvokeModel has a header for it, and Claude's own words none.
        "service_tier" => !(words_only || by_invoke && names::is_claude(target)),
        "response_format" => !words_only,
        // Llama's own body has no word for it.
        "stop" => !(words_only && names::vendor(target) == "meta"),
        _ => TAKES.contains(&name),
    }
}

/// The name that stands in paths.
fn id(target: &Target) -> &str {
    target.fact("id").unwrap_or(&target.model)
}

/// A request to one operation of a model, whose name must be ready for a path.
fn outgoing(target: &Target, id: &str, operation: &str, body: &Map<String, Value>) -> Result<Outgoing, Failure> {
    let url = format!("{}/model/{id}/{operation}", target.base_url);
    let body = serde_json::to_vec(body).map_err(|error| Failure::bug(error.to_string()))?.into();
    Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body })
}

/// A whole answer's body.
fn json(reply: &Reply, target: &Target) -> Result<Value, Failure> {
    serde_json::from_slice(&reply.body)
        .map_err(|error| target.failure(FailureKind::InvalidResponse, format!("the answer is no JSON: {error}")))
}
