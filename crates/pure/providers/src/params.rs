//! Parameters on their way to a provider: defaults of the deployment, what is to be dropped, what is not supported.

use serde_json::Value;
use tollgate_wire::{Failure, FailureKind, RawBody};

use crate::{functions, provider::Supported, target::Target};

/// `OpenAI`'s chat parameters. Only these are checked against what a provider takes; any other member of a request is
/// the provider's own and goes through.
pub const OPENAI_PARAMS: &[&str] = &[
    "functions",
    "function_call",
    "temperature",
    "top_p",
    "n",
    "stream",
    "stream_options",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "modalities",
    "prediction",
    "audio",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
    "tools",
    "tool_choice",
    "response_format",
    "seed",
    "logprobs",
    "top_logprobs",
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
    "thinking",
    "web_search_options",
    "safety_identifier",
    "service_tier",
    "prompt_cache_key",
    "store",
];

/// What a request says about its own parameters; it overrides the deployment's policy.
#[derive(Clone, Debug, Default)]
pub struct CallParams {
    /// `drop_params` of the request.
    pub drop_params: Option<bool>,
    /// `additional_drop_params` of the request.
    pub additional_drop_params: Vec<String>,
    /// `allowed_openai_params` of the request.
    pub allowed_openai_params: Vec<String>,
    /// `extra_headers` of the request; credentials are refused before.
    pub extra_headers: Vec<(http::HeaderName, http::HeaderValue)>,
}

/// The client's body with the deployment's defaults in, and without what must not go out.
///
/// # Errors
/// `UnsupportedParams` when the provider does not take a parameter and nobody allowed to drop it.
pub fn settle(body: RawBody, target: &Target, call: &CallParams) -> Result<RawBody, Failure> {
    let mut body = with_defaults(body, target, call);
    drop_null_params(&mut body);
    if target.params.add_function_to_prompt {
        functions::into_prompt(&mut body, |name| takes(target, name));
    }
    refuse_unsupported(&mut body, target, call)?;
    Ok(body)
}

/// As [`settle`], for a request for vectors.
///
/// # Errors
/// `UnsupportedParams` when the provider cannot shorten vectors and nobody allowed to drop the wish.
pub fn settle_vectors(body: RawBody, target: &Target, call: &CallParams) -> Result<RawBody, Failure> {
    let mut body = with_defaults(body, target, call);
    let Some(takes) = target.provider.quirks.vectors_take else { return Ok(body) };
    // Numbers are what every client reads, and clients ask for base64 by habit: neither word is missed.
    for name in ["encoding_format", "user"].iter().filter(|name| !takes.contains(name)) {
        body.remove(name);
    }
    let allowed = target.params.allowed_openai_params.iter().chain(&call.allowed_openai_params);
    if !body.has("dimensions") || takes.contains(&"dimensions") || allowed.into_iter().any(|name| name == "dimensions")
    {
        return Ok(body);
    }
    if !call.drop_params.unwrap_or(target.params.drop_params) {
        return Err(unsupported(target, &["dimensions".to_owned()]));
    }
    body.remove("dimensions");
    Ok(body)
}

/// The client's body with the deployment's defaults in, and without what was named to be dropped.
#[must_use]
pub fn with_defaults(mut body: RawBody, target: &Target, call: &CallParams) -> RawBody {
    for (name, value) in &target.defaults {
        if !body.has(name) && !has_synonym(&body, name) {
            body.set(name, value);
        }
    }
    for (name, value) in &target.extra_body {
        body.set(name, value);
    }
    if let Some(Value::Object(extra)) = body.remove("extra_body").and_then(|raw| serde_json::from_slice(&raw).ok()) {
        for (name, value) in &extra {
            body.set(name, value);
        }
    }
    for path in target.params.additional_drop_params.iter().chain(&call.additional_drop_params) {
        drop_path(&mut body, path);
    }
    body
}

/// A default for one of the two names of the longest answer must not join a request that uses the other.
fn has_synonym(body: &RawBody, name: &str) -> bool {
    match name {
        "max_tokens" => body.has("max_completion_tokens"),
        "max_completion_tokens" => body.has("max_tokens"),
        _ => false,
    }
}

fn drop_null_params(body: &mut RawBody) {
    let nulls: Vec<String> = body
        .iter()
        .filter(|(name, raw)| raw.as_ref() == b"null" && OPENAI_PARAMS.contains(name))
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in nulls {
        body.remove(&name);
    }
}

fn refuse_unsupported(body: &mut RawBody, target: &Target, call: &CallParams) -> Result<(), Failure> {
    drop_unmissed(body, target);
    let drops = call.drop_params.unwrap_or(target.params.drop_params);
    if drops && matches!(target.provider.name, "openai" | "azure") {
        // A habit of Anthropic's clients; what it means is `stop`, and a strict server refuses the word.
        body.remove("stop_sequences");
    }
    let refused: Vec<String> = OPENAI_PARAMS
        .iter()
        .copied()
        .filter(|name| body.has(name) && !takes(target, name))
        .filter(|name| {
            !target.params.allowed_openai_params.iter().chain(&call.allowed_openai_params).any(|ok| ok == name)
        })
        .map(str::to_owned)
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    if !drops {
        return Err(unsupported(target, &refused));
    }
    for name in &refused {
        body.remove(name);
    }
    Ok(())
}

/// Parameters that nobody misses go without a word: who asked, and one answer or no penalty, which
/// clients say by habit.
fn drop_unmissed(body: &mut RawBody, target: &Target) {
    if body.has("user") && !takes(target, "user") {
        body.remove("user");
    }
    if body.get("n").is_some_and(|raw| raw.as_ref() == b"1") && !takes(target, "n") {
        body.remove("n");
    }
    for name in ["presence_penalty", "frequency_penalty"] {
        if body.typed::<f64>(name) == Some(0.0) && !takes(target, name) {
            body.remove(name);
        }
    }
}

/// The parameters of `OpenAI`'s that the provider takes for this model.
#[must_use]
pub fn taken(target: &Target) -> Vec<&'static str> {
    OPENAI_PARAMS.iter().copied().filter(|name| takes(target, name)).collect()
}

/// Whether the provider takes this parameter of `OpenAI`'s.
#[must_use]
pub fn takes(target: &Target, name: &str) -> bool {
    match target.provider.quirks.supported {
        Supported::All => true,
        // Every provider that chats can stream; the dialect decides how that is said.
        _ if name == "stream" || name == "stream_options" => true,
        Supported::Only(names) => names.contains(&name),
        Supported::Except(names) => !names.contains(&name),
        Supported::ByModel(decide) => decide(name, target),
    }
}

/// `LiteLLM`'s words for a parameter that the provider does not take; clients grep for them.
#[must_use]
pub fn unsupported(target: &Target, names: &[String]) -> Failure {
    let list = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let message = format!(
        "{} does not support parameters: [{list}], for model={}. To drop these, set `litellm.drop_params=True` or for \
         proxy:\n\n`litellm_settings:\n drop_params: true`\n. \n If you want to use these params dynamically send \
         allowed_openai_params=[{list}] in your request.",
        target.provider.name,
        target.fact("asked").unwrap_or(&target.model)
    );
    Failure::new(FailureKind::UnsupportedParams, message)
}

/// Takes out a member (`user`) or something within one (`tools[*].function.description`).
fn drop_path(body: &mut RawBody, path: &str) {
    let (top, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    if rest.is_empty() {
        body.remove(top);
        return;
    }
    let Some(mut value) = body.typed::<Value>(top) else { return };
    let steps: Vec<&str> = rest.split(['.', '[', ']']).filter(|step| !step.is_empty()).collect();
    drop_steps(&mut value, &steps);
    body.set(top, &value);
}

fn drop_steps(value: &mut Value, steps: &[&str]) {
    let Some((&step, rest)) = steps.split_first() else { return };
    match value {
        Value::Array(items) if step == "*" => items.iter_mut().for_each(|item| drop_steps(item, rest)),
        Value::Array(items) => {
            if let Some(item) = step.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                drop_steps(item, rest);
            }
        }
        Value::Object(members) if rest.is_empty() => {
            members.shift_remove(step);
        }
        Value::Object(members) => {
            if let Some(member) = members.get_mut(step) {
                drop_steps(member, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_drops_a_nested_member() {
        let mut body =
            RawBody::parse(&r#"{"tools":[{"function":{"name":"f","description":"d"}}],"user":"u"}"#.into()).unwrap();
        drop_path(&mut body, "tools[*].function.description");
        drop_path(&mut body, "user");
        drop_path(&mut body, "absent.thing");
        assert_eq!(body.to_bytes(), r#"{"tools":[{"function":{"name":"f"}}]}"#);
    }
}
