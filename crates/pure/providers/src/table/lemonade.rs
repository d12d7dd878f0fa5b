//! A local Lemonade server.

use crate::provider::{KeyNeed, OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "lemonade",
    title: "Lemonade",
    base_url: "http://localhost:8000/api/v1",
    base_env: &["LEMONADE_API_BASE"],
    key_env: &["LEMONADE_API_KEY"],
    key: KeyNeed::Optional,
    ..OPENAI_COMPATIBLE
};
