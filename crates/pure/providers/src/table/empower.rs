//! Empower.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "empower",
    title: "Empower",
    base_url: "https://app.empower.dev/api/v1",
    base_env: &["EMPOWER_API_BASE"],
    key_env: &["EMPOWER_API_KEY"],
    embeddings: None,
    ..OPENAI_COMPATIBLE
};
