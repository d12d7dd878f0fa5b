//! The rules of `OpenAI`'s reasoning models, which refuse what other models take.

use serde_json::Value;
use tollgate_wire::{Failure, FailureKind, RawBody};

use super::messages;
use crate::{
    dialects::openai_responses,
    params::CallParams,
    target::{Series, Target},
    thinkers,
};

/// A model of the o series (`o1`, `o3-mini`, …), by name or as the configuration says.
#[must_use]
pub fn is_o_series(target: &Target) -> bool {
    target.series == Series::OSeries || (names_o_series(bare(&target.model)) && told_by_name(target))
}

/// Whether this is the name of a model of the o series.
pub(crate) fn names_o_series(name: &str) -> bool {
    matches!(name.as_bytes(), [b'o', digit, rest @ ..] if digit.is_ascii_digit() && matches!(rest.first(), None | Some(b'-')))
}

/// A model of the GPT-5 series, by name or as the configuration says. `gpt-5-chat` does not reason.
#[must_use]
pub fn is_gpt5(target: &Target) -> bool {
    target.series == Series::Gpt5 || (names_gpt5(bare(&target.model)) && told_by_name(target))
}

/// Whether this is the name of a model of the GPT-5 series that reasons.
pub(crate) fn names_gpt5(name: &str) -> bool {
    name.starts_with("gpt-5") && !name.starts_with("gpt-5-chat")
}

/// Whether a model of this name is one of `OpenAI`'s that reason.
pub(super) fn reasons_by_name(model: &str) -> bool {
    names_o_series(bare(model)) || names_gpt5(bare(model))
}

/// Whether the configuration leaves it to the name what a model is.
fn told_by_name(target: &Target) -> bool {
    matches!(target.series, Series::Unsaid | Series::Responses)
}

fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Parameters that the reasoning models of the o series do not take.
const O_SERIES_REFUSES: &[&str] =
    &["logprobs", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "verbosity"];
/// Parameters that the reasoning models of the GPT-5 series do not take.
const GPT5_REFUSES: &[&str] = &[
    "logprobs",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "logit_bias",
    "stop",
    "modalities",
    "audio",
    "prediction",
];

/// Whether `OpenAI` or Azure take this parameter for this model.
#[must_use]
pub fn takes(name: &str, target: &Target) -> bool {
    if name == "thinking" || (target.series == Series::Responses && !openai_responses::takes(name)) {
        return false;
    }
    if is_o_series(target) {
        // One call at a time is all that OpenAI's own make.
        let calls_freely = name == "parallel_tool_calls" && target.provider.name == "openai";
        return !calls_freely && !O_SERIES_REFUSES.contains(&name);
    }
    if is_gpt5(target) {
        // What a model that does not think can sample by, one that does not think unasked can, too.
        let samples = target.facts.rests_by_default && matches!(name, "top_p" | "logprobs" | "top_logprobs");
        let searches = name != "web_search_options" || bare(&target.model).contains("search");
        return samples || (searches && !GPT5_REFUSES.contains(&name));
    }
    match name {
        // These two came with GPT-5; its chat model does not reason.
        "verbosity" => target.series == Series::Responses,
        "reasoning_effort" if bare(&target.model).starts_with("gpt-5-chat") => false,
        "user" => true,
        _ => compatible_takes(name, target),
    }
}

/// Whether a compatible server takes this parameter: `OpenAI`'s words for all models, and `reasoning_effort` for those
/// that reason.
#[must_use]
pub fn compatible_takes(name: &str, target: &Target) -> bool {
    match name {
        "reasoning_effort" => thinkers::may_think(target),
        // Who asks is for OpenAI's eyes, whoever serves its models.
        "user" => names_openai(&target.model),
        // GPT-5's own word, and Anthropic's. Rows of servers that read them say so.
        "verbosity" | "thinking" => false,
        _ => true,
    }
}

/// As [`compatible_takes`], and `thinking`, which servers of GLM, Kimi and their like took over from Anthropic.
#[must_use]
pub fn thinking_takes(name: &str, target: &Target) -> bool {
    name == "thinking" || compatible_takes(name, target)
}

/// Whether this is the name of a model of `OpenAI`'s own.
fn names_openai(name: &str) -> bool {
    names_o_series(name) || ["gpt-3", "gpt-4", "gpt-5", "chatgpt-"].iter().any(|family| name.starts_with(family))
}

/// As [`compatible_takes`], but tools only for models that are not known to lack them.
#[must_use]
pub fn tools_by_model(name: &str, target: &Target) -> bool {
    const TOOLS: &[&str] = &["tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"];
    let lacks = target.facts.known && !target.facts.tools;
    compatible_takes(name, target) && !(lacks && TOOLS.contains(&name))
}

/// The o series knows the `developer` role, and it alone.
#[must_use]
pub(super) fn knows_developers(target: &Target) -> bool {
    matches!(target.provider.name, "openai" | "azure") && is_o_series(target)
}

/// The effort `xhigh` is an error where the catalog knows a model that has none.
fn refuse_effort(body: &mut RawBody, target: &Target, call: &CallParams) -> Result<(), Failure> {
    let lacks = target.facts.known && !target.facts.xhigh_effort;
    if !lacks || body.typed::<String>("reasoning_effort").as_deref() != Some("xhigh") {
        return Ok(());
    }
    if call.drop_params.unwrap_or(target.params.drop_params) {
        body.remove("reasoning_effort");
        return Ok(());
    }
    let message = format!(
        "reasoning_effort=xhigh is not supported for {}. To drop unsupported params set `litellm.drop_params = True`",
        target.model
    );
    Err(Failure::new(FailureKind::UnsupportedParams, message))
}

/// Applies the rules to a request to `OpenAI` or Azure; other providers' models of these names are left alone.
///
/// # Errors
/// `UnsupportedParams` for a temperature that the model refuses, unless it may be dropped.
pub fn reasoning_rules(body: &mut RawBody, target: &Target, call: &CallParams) -> Result<(), Failure> {
    if !matches!(target.provider.name, "openai" | "azure") {
        return Ok(());
    }
    if let Some(effort) = body.typed::<Value>("reasoning_effort").as_ref().and_then(|effort| effort.get("effort")) {
        // The Responses API's form, with a word about summaries that chat does not know.
        body.set("reasoning_effort", effort);
    }
    let (o_series, gpt5) = (is_o_series(target), is_gpt5(target));
    if !o_series && !gpt5 {
        return Ok(());
    }
    // Who says both means the newer.
    if body.has("max_completion_tokens") {
        body.remove("max_tokens");
    }
    body.rename("max_tokens", "max_completion_tokens");
    if o_series && !bare(&target.model).starts_with("o1") {
        // LiteLLM's catalog knows of no system messages for these; what OpenAI does with them is its own affair.
        messages::edit_where(body, "\"system\"", |message| {
            if messages::is(message, "system") {
                message.insert("role".to_owned(), "user".into());
            }
        });
    }
    if gpt5 {
        refuse_effort(body, target, call)?;
    }
    let Some(temperature) = body.typed::<Value>("temperature") else { return Ok(()) };
    let effort =
        body.typed::<Value>("reasoning_effort").or_else(|| body.typed::<Value>("reasoning")?.get("effort").cloned());
    let thinks = effort.map_or(!target.facts.rests_by_default, |effort| effort != "none");
    if temperature.as_f64() == Some(1.0) || (gpt5 && !thinks) {
        return Ok(());
    }
    if call.drop_params.unwrap_or(target.params.drop_params) {
        body.remove("temperature");
        return Ok(());
    }
    let message = if o_series {
        format!(
            "O-series models don't support temperature={temperature}. Only temperature=1 is supported. To drop \
             unsupported openai params from the call, set `litellm.drop_params = True`"
        )
    } else {
        format!(
            "{} doesn't support temperature={temperature} while reasoning is active. Only temperature=1 is supported \
             unless reasoning_effort resolves to 'none', either set explicitly on the request or declared as the model's \
             default_reasoning_effort. To drop unsupported params set `litellm.drop_params = True`",
            target.model
        )
    };
    Err(Failure::new(FailureKind::UnsupportedParams, message))
}
