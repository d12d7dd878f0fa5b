//! Empower.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "empower",
    title: "Empower",
    base_url: "https://app.empower.dev/api/v1",
    base_env: &["EMPOWER_API_BASE"],
    key_env: &["EMPOWER_API_KEY"],
    embeddings: None,
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
