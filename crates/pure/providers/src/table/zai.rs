//! Z.ai.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "zai",
    title: "Zai",
    base_url: "https://api.z.ai/api/paas/v4",
    base_env: &["ZAI_API_BASE"],
    key_env: &["ZAI_API_KEY"],
    quirks: Quirks {
        rename: MAX_TOKENS_ONLY,
        keeps_cache_control: true,
        supported: Supported::Only(TAKES),
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

/// `LiteLLM`'s list, and `response_format`, which stands in the reference.
const TAKES: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "tools",
    "tool_choice",
    "thinking",
    "response_format",
];
