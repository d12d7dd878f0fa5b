//! Poe.

use crate::{dialects::openai, provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "poe",
    title: "Poe",
    base_url: "https://api.poe.com/v1",
    key_env: &["POE_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
