//! Novita.

use crate::provider::{StreamUsage, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "novita",
    title: "Novita",
    base_url: "https://api.novita.ai/v3/openai",
    base_env: &["NOVITA_API_BASE"],
    key_env: &["NOVITA_API_KEY"],
    quirks: Quirks { stream_usage: StreamUsage::Ask, headers: &[("x-novita-source", "litellm")], ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
