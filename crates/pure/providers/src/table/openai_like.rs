//! Any server that speaks like `OpenAI`.

use crate::{
    dialects::openai,
    provider::{KeyNeed, OPENAI_COMPATIBLE, Provider},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openai_like",
    title: "Openai_like",
    base_env: &["OPENAI_LIKE_API_BASE"],
    key_env: &["OPENAI_LIKE_API_KEY"],
    key: KeyNeed::Optional,
    also: openai::FURTHER,
    ..OPENAI_COMPATIBLE
};
