//! An Infinity server's embeddings.

use crate::{
    dialects::rerank,
    provider::{KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "infinity",
    title: "Infinity",
    base_env: &["INFINITY_API_BASE"],
    key_env: &["INFINITY_API_KEY"],
    key: KeyNeed::Optional,
    chat: None,
    quirks: Quirks {
        supported: Supported::Only(&[]),
        vectors_take: Some(&["dimensions", "encoding_format"]),
        ..Quirks::NONE
    },
    rerank: Some(&rerank::INFINITY),
    ..OPENAI_COMPATIBLE
};
