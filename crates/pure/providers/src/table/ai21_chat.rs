//! AI21's Jamba.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "ai21_chat",
    aliases: &["ai21"],
    title: "Ai21_chat",
    base_url: "https://api.ai21.com/studio/v1",
    base_env: &["AI21_API_BASE"],
    key_env: &["AI21_API_KEY"],
    embeddings: None,
    quirks: Quirks {
        supported: Supported::Only(TAKES),
        rename: MAX_TOKENS_ONLY,
        stream_usage: StreamUsage::Never,
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

const TAKES: &[&str] = &[
    "tools",
    "tool_choice",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "n",
    "seed",
];
