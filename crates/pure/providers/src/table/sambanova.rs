//! SambaNova.

use crate::{
    dialects::openai,
    provider::{StreamUsage, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "sambanova",
    title: "Sambanova",
    base_url: "https://api.sambanova.ai/v1",
    base_env: &["SAMBANOVA_API_BASE"],
    key_env: &["SAMBANOVA_API_KEY"],
    quirks: Quirks { stream_usage: StreamUsage::Ask, supported: Supported::ByModel(takes), rename: MAX_TOKENS_ONLY, joins_texts: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

fn takes(name: &str, target: &Target) -> bool {
    TAKES.contains(&name) && openai::tools_by_model(name, target)
}

const TAKES: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "stop",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
];
