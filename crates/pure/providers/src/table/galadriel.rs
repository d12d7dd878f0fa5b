//! Galadriel.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "galadriel",
    title: "Galadriel",
    base_url: "https://api.galadriel.com/v1",
    base_env: &["GALADRIEL_API_BASE"],
    key_env: &["GALADRIEL_API_KEY"],
    embeddings: None,
    ..OPENAI_COMPATIBLE
};
