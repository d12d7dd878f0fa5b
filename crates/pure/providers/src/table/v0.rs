//! Vercel's v0.

use crate::{
    dialects::openai,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "v0",
    title: "V0",
    base_url: "https://api.v0.dev/v1",
    base_env: &["V0_API_BASE"],
    key_env: &["V0_API_KEY"],
    embeddings: None,
    completions: Some(&openai::COMPLETIONS),
    quirks: Quirks { supported: Supported::Only(&["max_completion_tokens", "tools", "tool_choice"]), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
