//! Fireworks.

use serde_json::{Value, json};
use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::{openai, rerank},
    params::CallParams,
    provider::{Asked, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "fireworks_ai",
    title: "Fireworks_ai",
    base_url: "https://api.fireworks.ai/inference/v1",
    base_env: &["FIREWORKS_API_BASE", "FIREWORKS_AI_API_BASE"],
    key_env: &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
    quirks: Quirks { vectors_take: Some(&["dimensions"]),
        supported: Supported::ByModel(takes),
        rename: MAX_TOKENS_ONLY,
        stream_usage: StreamUsage::Ask,
        says_stream_false: true,
        model_prefix: "accounts/fireworks/models/",
        request: Some(own_words),
        answer_last: Some(find_calls),
        notes: &["`tool_choice: required` is sent as `any`", "a tool call that is written as text becomes one"],
        ..Quirks::NONE
    },
    completions: Some(&openai::COMPLETIONS),
    rerank: Some(&rerank::FIREWORKS),
    ..OPENAI_COMPATIBLE
};

const TAKES: &[&str] = &[
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "n",
    "stop",
    "response_format",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "seed",
    "logit_bias",
    "prompt_cache_key",
    "service_tier",
    "prediction",
];

fn takes(name: &str, target: &Target) -> bool {
    name == "user" || (TAKES.contains(&name) && openai::tools_by_model(name, target))
}

/// A call that must happen is `any` here.
fn own_words(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    if body.typed::<String>("tool_choice").as_deref() == Some("required") {
        body.set_str("tool_choice", "any");
    }
    Ok(())
}

/// Some models write the call of a tool as their text.
fn find_calls(body: &mut RawBody, asked: Asked) {
    let says_so = body.get("choices").is_some_and(|raw| memchr::memmem::find(raw, b"\\\"parameters\\\"").is_some());
    if !asked.tools || !says_so {
        return;
    }
    let Some(mut choices) = body.typed::<Vec<Value>>("choices") else { return };
    let id = body.typed::<String>("id").unwrap_or_default();
    for (at, choice) in choices.iter_mut().enumerate() {
        let message = choice.get_mut("message").and_then(Value::as_object_mut);
        let Some(message) = message.filter(|message| message.get("tool_calls").is_none_or(Value::is_null)) else {
            continue;
        };
        if let Some(call) = message.get("content").and_then(Value::as_str).and_then(|text| called(text, &id, at)) {
            message.insert("content".to_owned(), Value::Null);
            message.insert("tool_calls".to_owned(), json!([call]));
        }
    }
    body.set("choices", &choices.into());
}

/// `{"type": "function", "name", "parameters"}` as a call.
fn called(text: &str, id: &str, at: usize) -> Option<Value> {
    let said: Value = serde_json::from_str(text.trim()).ok()?;
    (said.get("type")? == "function").then_some(())?;
    let (name, arguments) = (said.get("name")?.as_str()?, said.get("parameters")?);
    let function = json!({"name": name, "arguments": arguments.to_string()});
    Some(json!({"id": id_from(id, at), "type": "function", "function": function}))
}

/// An id in the form of a UUID, the same for the same answer and choice: the provider gave the call none.
fn id_from(answer: &str, at: usize) -> String {
    let digest = |seed: u64| {
        // FNV-1a: a name for the call is wanted, not a secret.
        answer
            .bytes()
            .chain(at.to_le_bytes())
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let (high, low) = (digest(0xcbf2_9ce4_8422_2325), digest(0x8422_2325_cbf2_9ce4));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
