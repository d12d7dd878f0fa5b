//! Groq.

use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::openai::{self, messages},
    params::CallParams,
    provider::{Asked, JsonSchema, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
    translate::Operation,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "groq",
    title: "Groq",
    base_url: "https://api.groq.com/openai/v1",
    base_env: &["GROQ_API_BASE"],
    key_env: &["GROQ_API_KEY"],
    embeddings: None,
    also: &[
        (Operation::Transcriptions, "/audio/transcriptions"),
        (Operation::Translations, "/audio/translations"),
        (Operation::Speech, "/audio/speech"),
    ],
    quirks: Quirks {
        supported: Supported::ByModel(takes),
        rename: MAX_TOKENS_ONLY,
        stream_usage: StreamUsage::Ask,
        says_stream_false: true,
        json_schema: JsonSchema::ByTool(lacks_json_schema),
        request: Some(strip_nulls),
        answer: Some(know_the_tier),
        chunk: Some(take_usage_out),
        notes: &[
            "assistant messages lose members that are `null`",
            "tiers of its own are told as `auto`",
            "usage of streams is taken out of `x_groq`",
            "JSON schemas go out as a tool where the model has none",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

/// Models with tools of Groq's own look things up when they are told to by words; only GPT-OSS reads the member.
fn takes(name: &str, target: &Target) -> bool {
    match name {
        "web_search_options" => target.model.contains("gpt-oss") || target.model.contains("compound"),
        _ => openai::compatible_takes(name, target),
    }
}

fn lacks_json_schema(target: &Target) -> bool {
    !target.facts.response_schema
}

/// Groq refuses `"function_call": null` and its like in what the assistant said before.
fn strip_nulls(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    messages::without_nulls(body);
    Ok(())
}

/// Groq's own tiers (`on_demand`, `performance`) are none that `OpenAI`'s clients can read.
fn know_the_tier(body: &mut RawBody, _asked: Asked) {
    if body.typed::<String>("service_tier").is_some_and(|tier| !matches!(tier.as_str(), "auto" | "default" | "flex")) {
        body.set_str("service_tier", "auto");
    }
}

/// Streams report their usage within a member of Groq's own, in the last chunk.
fn take_usage_out(body: &mut RawBody, asked: Asked) {
    know_the_tier(body, asked);
    let own = body.remove("x_groq").and_then(|raw| RawBody::parse(&raw).ok());
    if let Some(usage) = own.as_ref().and_then(|own| own.get("usage"))
        && !body.has("usage")
    {
        body.set_raw("usage", usage.clone());
    }
}
