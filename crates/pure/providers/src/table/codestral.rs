//! Codestral's own endpoint, which speaks as Mistral does.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "codestral",
    title: "Codestral",
    base_url: "https://codestral.mistral.ai/v1",
    base_env: &["CODESTRAL_API_BASE"],
    key_env: &["CODESTRAL_API_KEY"],
    embeddings: None,
    quirks: super::mistral::QUIRKS,
    ..OPENAI_COMPATIBLE
};
