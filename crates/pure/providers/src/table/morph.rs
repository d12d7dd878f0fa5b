//! Morph.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "morph",
    title: "Morph",
    base_url: "https://api.morphllm.com/v1",
    base_env: &["MORPH_API_BASE"],
    key_env: &["MORPH_API_KEY"],
    ..OPENAI_COMPATIBLE
};
