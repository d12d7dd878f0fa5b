//! Inception.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "inception",
    title: "Inception",
    base_url: "https://api.inceptionlabs.ai/v1",
    base_env: &["INCEPTION_API_BASE"],
    key_env: &["INCEPTION_API_KEY"],
    embeddings: None,
    ..OPENAI_COMPATIBLE
};
