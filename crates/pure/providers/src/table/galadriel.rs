//! Galadriel.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "galadriel",
    title: "Galadriel",
    base_url: "https://api.galadriel.com/v1",
    base_env: &["GALADRIEL_API_BASE"],
    key_env: &["GALADRIEL_API_KEY"],
    embeddings: None,
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
