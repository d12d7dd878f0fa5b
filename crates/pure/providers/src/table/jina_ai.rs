//! Jina's embeddings.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks, Supported};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "jina_ai",
    title: "Jina_ai",
    base_url: "https://api.jina.ai/v1",
    base_env: &["JINA_AI_API_BASE"],
    key_env: &["JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"],
    chat: None,
    quirks: Quirks { supported: Supported::Only(&[]), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
