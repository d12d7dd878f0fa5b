//! Cerebras.

use crate::{
    dialects::openai,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "cerebras",
    title: "Cerebras",
    base_url: "https://api.cerebras.ai/v1",
    base_env: &["CEREBRAS_API_BASE"],
    key_env: &["CEREBRAS_API_KEY"],
    embeddings: None,
    quirks: Quirks {
        supported: Supported::ByModel(takes),
        rename: MAX_TOKENS_ONLY,
        stream_usage: StreamUsage::Never,
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

fn takes(name: &str, target: &Target) -> bool {
    name == "user" || (TAKES.contains(&name) && openai::compatible_takes(name, target))
}

const TAKES: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "seed",
    "stop",
    "temperature",
    "top_p",
    "tool_choice",
    "tools",
    "reasoning_effort",
];
