//! Inception.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "inception",
    title: "Inception",
    base_url: "https://api.inceptionlabs.ai/v1",
    base_env: &["INCEPTION_API_BASE"],
    key_env: &["INCEPTION_API_KEY"],
    embeddings: None,
    quirks: Quirks { rename: MAX_TOKENS_ONLY, supported: Supported::Only(TAKES), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

/// `LiteLLM`'s list: a model of diffusion is not sampled token by token.
const TAKES: &[&str] = &[
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "tools",
    "tool_choice",
    "response_format",
    "reasoning_effort",
];
