//! Maritaca.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "maritalk",
    title: "Maritalk",
    base_url: "https://chat.maritaca.ai/api",
    base_env: &["MARITALK_API_BASE"],
    key_env: &["MARITALK_API_KEY"],
    embeddings: None,
    quirks: Quirks {
        rename: MAX_TOKENS_ONLY,
        says_stream_false: true,
        keeps_cache_control: true,
        supported: Supported::Only(TAKES),
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

/// Of the reference page of Maritaca's chat; JSON schemas stand on a page of their own.
const TAKES: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "tools",
    "tool_choice",
    "response_format",
];
