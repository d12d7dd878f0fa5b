//! Maritaca.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "maritalk",
    title: "Maritalk",
    base_url: "https://chat.maritaca.ai/api",
    base_env: &["MARITALK_API_BASE"],
    key_env: &["MARITALK_API_KEY"],
    embeddings: None,
    ..OPENAI_COMPATIBLE
};
