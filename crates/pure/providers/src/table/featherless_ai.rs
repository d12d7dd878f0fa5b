//! Featherless.

use crate::{
    dialects::openai,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "featherless_ai",
    title: "Featherless_ai",
    base_url: "https://api.featherless.ai/v1",
    base_env: &["FEATHERLESS_AI_API_BASE", "FEATHERLESS_API_BASE"],
    key_env: &["FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    quirks: Quirks { rename: MAX_TOKENS_ONLY, supported: Supported::Only(TAKES), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

/// `LiteLLM`'s list, and the tools that some of the models call.
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
    "functions",
    "function_call",
    "tools",
    "tool_choice",
];
