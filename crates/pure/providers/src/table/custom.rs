//! A server of one's own with `LiteLLM`'s custom protocol.

use crate::{
    dialects::custom,
    provider::{KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "custom",
    title: "Custom",
    base_env: &["CUSTOM_API_BASE"],
    key_env: &["CUSTOM_API_KEY"],
    key: KeyNeed::Optional,
    chat: Some(&custom::CHAT),
    completions: Some(&custom::COMPLETE),
    embeddings: None,
    quirks: Quirks {
        supported: Supported::Only(custom::TAKES),
        notes: &["`api_base` is asked as it is: `{model, params: {prompt: […], …}}`, answered by `{data: [{output: […]}]}`"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
