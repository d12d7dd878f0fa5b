//! Apertis.

use crate::{dialects::openai, provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "apertis",
    title: "Apertis",
    base_url: "https://api.stima.tech/v1",
    key_env: &["STIMA_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
