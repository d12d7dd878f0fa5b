//! Any server that speaks like `OpenAI`.

use crate::{
    dialects::openai,
    provider::{KeyNeed, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "custom_openai",
    title: "Custom_openai",
    base_env: &["OPENAI_LIKE_API_BASE"],
    key_env: &["OPENAI_LIKE_API_KEY"],
    key: KeyNeed::Optional,
    also: openai::FURTHER,
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
