//! Petals: models served by many machines together. The public server is gone.

use crate::{
    dialects::petals,
    provider::{KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "petals",
    title: "Petals",
    base_env: &["PETALS_API_BASE"],
    key_env: &["PETALS_API_KEY"],
    key: KeyNeed::Optional,
    chat: Some(&petals::CHAT),
    completions: Some(&petals::COMPLETE),
    embeddings: None,
    quirks: Quirks {
        supported: Supported::Only(petals::TAKES),
        notes: &["the public server is gone: give the address of one of your own; it is asked with a form at `/api/v1/generate`"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
