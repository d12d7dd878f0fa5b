//! Text completion at Azure `OpenAI`.

use crate::{
    dialects::{azure, openai},
    provider::{Auth, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "azure_text",
    title: "Azure_text",
    base_env: &["AZURE_API_BASE"],
    key_env: &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
    auth: Auth::Azure,
    chat: None,
    completions: Some(&openai::COMPLETIONS),
    embeddings: None,
    address: azure::url,
    quirks: Quirks { supported: Supported::ByModel(openai::openai_takes), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
