//! Nebius AI Studio.

use crate::{
    dialects::openai,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "nebius",
    title: "Nebius",
    base_url: "https://api.studio.nebius.ai/v1",
    base_env: &["NEBIUS_API_BASE"],
    key_env: &["NEBIUS_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
