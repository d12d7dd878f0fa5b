//! Baseten.

use crate::{
    dialects::openai,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "baseten",
    title: "Baseten",
    base_url: "https://inference.baseten.co/v1",
    base_env: &["BASETEN_API_BASE"],
    key_env: &["BASETEN_API_KEY"],
    quirks: Quirks { supported: Supported::ByModel(takes), rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

/// The reference knows who asks.
fn takes(name: &str, target: &Target) -> bool {
    name == "user" || openai::compatible_takes(name, target)
}
