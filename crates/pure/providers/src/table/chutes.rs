//! Chutes.

use crate::{dialects::openai, provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "chutes",
    title: "Chutes",
    base_url: "https://llm.chutes.ai/v1",
    key_env: &["CHUTES_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
