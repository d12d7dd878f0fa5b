//! Hyperbolic.

use crate::{dialects::openai, provider::{OPENAI_COMPATIBLE, Provider}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "hyperbolic",
    title: "Hyperbolic",
    base_url: "https://api.hyperbolic.xyz/v1",
    base_env: &["HYPERBOLIC_API_BASE"],
    key_env: &["HYPERBOLIC_API_KEY"],
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
