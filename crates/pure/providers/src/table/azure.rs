//! Azure `OpenAI`.

use crate::{
    dialects::openai,
    provider::{Auth, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "azure",
    title: "Azure",
    base_env: &["AZURE_API_BASE"],
    key_env: &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
    auth: Auth::Azure,
    quirks: Quirks {
        supported: Supported::ByModel(openai::openai_takes),
        says_stream_false: true,
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
