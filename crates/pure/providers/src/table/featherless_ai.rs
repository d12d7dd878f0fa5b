//! Featherless.

use crate::{dialects::openai, provider::{OPENAI_COMPATIBLE, Provider}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "featherless_ai",
    title: "Featherless_ai",
    base_url: "https://api.featherless.ai/v1",
    base_env: &["FEATHERLESS_AI_API_BASE", "FEATHERLESS_API_BASE"],
    key_env: &["FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
