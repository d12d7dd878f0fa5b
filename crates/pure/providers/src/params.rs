//! Parameters on their way to a provider: defaults of the deployment, what is to be dropped, what is not supported.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tollgate_wire::{Failure, FailureKind, RawBody};

use crate::{
    dialects::{openai, vertex},
    functions,
    provider::Supported,
    target::{Series, Target},
};

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
    /// `metadata` of the request: labels, where a provider has such.
    pub metadata: Map<String, Value>,
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
    settle_dimensions(&mut body, target, call, takes)?;
    Ok(body)
}

/// As [`settle_vectors`], for providers with words of their own, which say by themselves what else they read.
///
/// # Errors
/// As [`settle_vectors`].
pub fn settle_errand(body: RawBody, target: &Target, call: &CallParams) -> Result<RawBody, Failure> {
    let mut body = with_defaults(body, target, call);
    if let Some(takes) = target.provider.quirks.vectors_take {
        settle_dimensions(&mut body, target, call, takes)?;
    }
    Ok(body)
}

fn settle_dimensions(body: &mut RawBody, target: &Target, call: &CallParams, takes: &[&str]) -> Result<(), Failure> {
    const NAME: &str = "dimensions";
    let mut allowed = target.params.allowed_openai_params.iter().chain(&call.allowed_openai_params);
    if !body.has(NAME) || takes.contains(&NAME) || allowed.any(|name| name == NAME) {
        return Ok(());
    }
    if !call.drop_params.unwrap_or(target.params.drop_params) {
        let wanted = body.typed::<u64>(NAME).unwrap_or_default();
        return Err(refusal(target, &format!("{{'{NAME}': {wanted}}}"), ""));
    }
    body.remove(NAME);
    Ok(())
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
    label(&mut body, target, call);
    for path in target.params.additional_drop_params.iter().chain(&call.additional_drop_params) {
        drop_path(&mut body, path);
    }
    body
}

/// Google Cloud's bills can be split by labels; who says `metadata` and no labels means those. What cannot be a label would be
/// refused with the whole request.
fn label(body: &mut RawBody, target: &Target, call: &CallParams) {
    let bills = target.provider.name == "vertex_ai" && vertex::of_model(target).is_none();
    if !bills || !body.has("messages") || body.has("labels") {
        return;
    }
    let labels: Map<String, Value> = call
        .metadata
        .iter()
        .filter(|(name, value)| {
            let begins = name.starts_with(|letter: char| letter.is_ascii_lowercase());
            begins && is_label(name) && value.as_str().is_some_and(is_label)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !labels.is_empty() {
        body.set("labels", &labels.into());
    }
}

/// <https://cloud.google.com/resource-manager/docs/labels-overview#requirements>, without letters beyond ASCII.
fn is_label(text: &str) -> bool {
    /// Characters.
    const LONGEST: usize = 63;
    let fits = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, b'_' | b'-');
    text.len() <= LONGEST && text.bytes().all(fits)
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

/// Parameters that nobody misses go without a word: those that the row names, who asked, and one answer or no penalty,
/// which clients say by habit.
fn drop_unmissed(body: &mut RawBody, target: &Target) {
    for name in target.provider.quirks.drop.iter().filter(|name| !takes(target, name)) {
        body.remove(name);
    }
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
    let remedy = format!(
        ". \n If you want to use these params dynamically send allowed_openai_params=[{list}] in your request."
    );
    refusal(target, &format!("[{list}]"), &remedy)
}

fn refusal(target: &Target, what: &str, remedy: &str) -> Failure {
    let message = format!(
        "{} does not support parameters: {what}, for model={}. To drop these, set `litellm.drop_params=True` or for \
         proxy:\n\n`litellm_settings:\n drop_params: true`\n{remedy}",
        target.provider.quirks.refuses_as.map_or(target.provider.name, |named| named(target)),
        asked(target)
    );
    Failure::new(FailureKind::UnsupportedParams, message)
}

/// The model as the configuration names it, which is more than a cloud is told.
fn asked(target: &Target) -> Cow<'_, str> {
    match target.series {
        // `LiteLLM` keeps this one of its prefixes in its messages.
        Series::OSeries if target.provider.name == "azure" && !openai::names_o_series(&target.model) => {
            format!("o_series/{}", target.model).into()
        }
        _ => target.fact("asked").unwrap_or(&target.model).into(),
    }
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
