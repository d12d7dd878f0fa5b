//! Perplexity.

use crate::{
    dialects::openai,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "perplexity",
    title: "Perplexity",
    base_url: "https://api.perplexity.ai",
    base_env: &["PERPLEXITY_API_BASE"],
    key_env: &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
    embeddings: None,
    quirks: Quirks {
        supported: Supported::ByModel(takes),
        stream_usage: StreamUsage::Never,
        headers: &[("x-pplx-integration", "litellm")],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

fn takes(name: &str, target: &Target) -> bool {
    TAKES.contains(&name) && openai::compatible_takes(name, target)
}

const TAKES: &[&str] = &[
    "frequency_penalty",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "response_format",
    "temperature",
    "top_p",
    "reasoning_effort",
    "web_search_options",
];
