//! `OpenAI`'s text completion models.

use crate::{
    dialects::openai,
    provider::{OPENAI_COMPATIBLE, Provider},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "text-completion-openai",
    title: "OpenAI",
    base_url: "https://api.openai.com/v1",
    base_env: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    key_env: &["OPENAI_API_KEY"],
    chat: None,
    completions: Some(&openai::COMPLETIONS),
    embeddings: None,
    ..OPENAI_COMPATIBLE
};
