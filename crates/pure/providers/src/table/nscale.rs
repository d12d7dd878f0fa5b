//! Nscale.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "nscale",
    title: "Nscale",
    base_url: "https://inference.api.nscale.com/v1",
    base_env: &["NSCALE_API_BASE"],
    key_env: &["NSCALE_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, supported: Supported::Only(TAKES), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

/// `LiteLLM`'s list, the newer name of the longest answer, and tools.
const TAKES: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tools",
    "tool_choice",
];
