//! What a fake provider says without a script: what OpenAI and Anthropic would, checked key and all.
//!
//! Two kinds of model names make it misbehave, for clients in other languages that cannot hand over a script:
//! `fail-429` (any status), `fail-context` and `fail-content` are refused, `slow-200` waits so many milliseconds before each piece.

mod anthropic;
mod openai;
mod refusal;
mod sample;
mod spoken;

use std::time::Duration;

use serde_json::Value;

use crate::{answer::Answer, call::Call};
use refusal::{Family, Refusal};

/// The answer of a well-behaved provider that expects this key.
pub(crate) fn answer(number: usize, call: &Call, key: Option<&str>) -> Answer {
    let route = route_of(&call.path);
    let family = if route.starts_with("/messages") { Family::Anthropic } else { Family::OpenAi };
    match try_answer(number, call, route, family, key) {
        Ok(answer) => answer,
        Err(refusal) => refusal.answer(family),
    }
}

fn try_answer(number: usize, call: &Call, route: &str, family: Family, key: Option<&str>) -> Result<Answer, Refusal> {
    if key.is_some_and(|key| !carries_key(call, family, key)) {
        return Err(Refusal::wrong_key());
    }
    match (call.method.as_str(), route) {
        ("GET", "/models") => return Ok(openai::models()),
        ("GET", _) if route.starts_with("/models/") => return openai::model(route.trim_start_matches("/models/")),
        _ => {}
    }
    let asked = call.json();
    if call.method == "POST" && !asked.is_object() {
        return Err(Refusal::invalid("we could not parse the json body of your request"));
    }
    let model = model_of(call, &asked);
    if let Some(kind) = model.strip_prefix("fail-") {
        return Err(Refusal::named(kind));
    }
    let answer = match (call.method.as_str(), route) {
        ("POST", "/chat/completions") => openai::chat(number, model, &asked)?,
        ("POST", "/completions") => openai::completion(number, model, &asked)?,
        ("POST", "/embeddings") => openai::embeddings(model, &asked)?,
        ("POST", "/messages") => anthropic::messages(number, call, &asked)?,
        ("POST", "/messages/count_tokens") => anthropic::count_tokens(&asked)?,
        _ => return Err(Refusal::unknown_path(&call.method, &call.path)),
    };
    Ok(match model.strip_prefix("slow-").and_then(|wait| wait.parse().ok()).map(Duration::from_millis) {
        Some(wait) => answer.wait_before_head(wait).wait_between_chunks(wait),
        None => answer,
    })
}

/// The path without what stands before the operation: a version, a deployment, a provider's own prefix.
fn route_of(path: &str) -> &str {
    const OPERATIONS: [&str; 6] =
        ["/chat/completions", "/completions", "/embeddings", "/messages/count_tokens", "/messages", "/models"];
    if let Some(operation) = OPERATIONS.iter().find(|operation| path.ends_with(**operation)) {
        return operation;
    }
    path.find("/models/").map_or(path, |start| path.split_at(start).1)
}

/// The model that the body names, or the deployment in the path of an Azure call.
fn model_of<'call>(call: &'call Call, asked: &'call Value) -> &'call str {
    let deployment = || call.path.split_once("/deployments/").and_then(|(_, rest)| rest.split('/').next());
    asked["model"].as_str().or_else(deployment).unwrap_or_default()
}

fn carries_key(call: &Call, family: Family, key: &str) -> bool {
    let bearer = || call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let own_header = match family {
        Family::OpenAi => call.header("api-key"),
        Family::Anthropic => call.header("x-api-key"),
    };
    own_header.or_else(bearer) == Some(key)
}
