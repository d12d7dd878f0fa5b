//! Hyperbolic.

use crate::{
    dialects::openai,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "hyperbolic",
    title: "Hyperbolic",
    base_url: "https://api.hyperbolic.xyz/v1",
    base_env: &["HYPERBOLIC_API_BASE"],
    key_env: &["HYPERBOLIC_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    quirks: Quirks { rename: MAX_TOKENS_ONLY, supported: Supported::Only(TAKES), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

/// `LiteLLM`'s list, and the newer name of the longest answer.
const TAKES: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "n",
    "seed",
    "user",
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "tools",
    "tool_choice",
];
