//! Codestral's own endpoint.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "codestral",
    title: "Codestral",
    base_url: "https://codestral.mistral.ai/v1",
    base_env: &["CODESTRAL_API_BASE"],
    key_env: &["CODESTRAL_API_KEY"],
    embeddings: None,
    quirks: Quirks { stream_usage: StreamUsage::Never, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
