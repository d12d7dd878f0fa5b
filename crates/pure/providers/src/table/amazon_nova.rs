//! Amazon Nova's own API.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "amazon_nova",
    title: "Amazon_nova",
    base_url: "https://api.nova.amazon.com/v1",
    base_env: &["AMAZON_NOVA_API_BASE"],
    key_env: &["AMAZON_NOVA_API_KEY"],
    quirks: Quirks {
        rename: MAX_TOKENS_ONLY,
        says_stream_false: true,
        keeps_cache_control: true,
        supported: Supported::Only(TAKES),
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

/// `LiteLLM`'s list, which is that of Amazon's reference.
const TAKES: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "tools",
    "tool_choice",
    "reasoning_effort",
];
