//! xAI.

use memchr::memmem;
use serde_json::Value;
use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::openai::{self, messages},
    params::CallParams,
    provider::{Asked, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
    translate::Operation,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "xai",
    title: "Xai",
    base_url: "https://api.x.ai/v1",
    base_env: &["XAI_API_BASE"],
    key_env: &["XAI_API_KEY"],
    also: &[(Operation::Images, "/images/generations")],
    quirks: Quirks {
        stream_usage: StreamUsage::Ask,
        supported: Supported::ByModel(takes),
        rename: MAX_TOKENS_ONLY,
        // Live search has left this endpoint; the member is an error now.
        drop: &["web_search_options"],
        says_stream_false: true,
        request: Some(tidy),
        answer: Some(mend),
        chunk: Some(mend),
        notes: &[
            "`strict` is taken out of tools, `name` out of messages but the user's",
            "an empty reason to stop becomes `tool_calls` or `stop`",
            "thoughts are counted as output",
        ],
        ..Quirks::NONE
    },
    responses: Some(crate::dialects::openai_responses::PATH),
    ..OPENAI_COMPATIBLE
};

const TAKES: &[&str] = &[
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "response_format",
    "seed",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "web_search_options",
    "reasoning_effort",
    "stop",
    "frequency_penalty",
];

fn takes(name: &str, target: &Target) -> bool {
    let is = |names: &[&str]| names.iter().any(|part| target.model.contains(part));
    match name {
        "stop" => !is(&["grok-3-mini", "grok-4", "grok-code-fast"]),
        "frequency_penalty" => !is(&["grok-4", "grok-code-fast"]),
        "user" => true,
        _ => TAKES.contains(&name) && openai::compatible_takes(name, target),
    }
}

fn tidy(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    messages::names_only_of(body, &["user"]);
    messages::without_member(body, "tools", "strict");
    if body.get("tools").is_some_and(|raw| raw.as_ref() == b"[]") {
        body.remove("tools");
    }
    Ok(())
}

/// Calls of tools end with an empty reason, and thoughts are counted beside the output instead of within it.
fn mend(body: &mut RawBody, _asked: Asked) {
    let may_be = body.get("choices").is_some_and(|raw| memmem::find(raw, b"\"\"").is_some());
    if may_be
        && let Some(mut choices) = body.typed::<Vec<Value>>("choices")
        && choices.iter_mut().filter_map(name_the_reason).count() > 0
    {
        body.set("choices", &choices.into());
    }
    if let Some(mut usage) = body.typed::<Value>("usage")
        && count_thoughts_in(&mut usage).is_some()
    {
        body.set("usage", &usage);
    }
}

/// Changes the choice if its reason is empty.
fn name_the_reason(choice: &mut Value) -> Option<()> {
    let calls = choice.pointer("/message/tool_calls").or_else(|| choice.pointer("/delta/tool_calls"));
    let called = calls.and_then(Value::as_array).is_some_and(|calls| !calls.is_empty());
    let reason = choice.get_mut("finish_reason").filter(|reason| reason.as_str() == Some(""))?;
    *reason = if called { "tool_calls" } else { "stop" }.into();
    Some(())
}

/// Changes the count if the total says that thoughts are not in it yet.
fn count_thoughts_in(usage: &mut Value) -> Option<()> {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    let thoughts = count("/completion_tokens_details/reasoning_tokens").filter(|thoughts| *thoughts > 0)?;
    let (input, output) = (count("/prompt_tokens")?, count("/completion_tokens")?);
    let together = output.checked_add(thoughts)?;
    (count("/total_tokens")? == input.checked_add(together)?).then_some(())?;
    *usage.get_mut("completion_tokens")? = together.into();
    Some(())
}
