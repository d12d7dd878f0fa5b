//! Oobabooga's text generation web UI.

use crate::provider::{Auth, KeyNeed, OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "oobabooga",
    title: "Oobabooga",
    base_suffix: "/v1",
    base_env: &["OOBABOOGA_API_BASE"],
    key_env: &["OOBABOOGA_API_KEY"],
    key: KeyNeed::Optional,
    auth: Auth::Scheme("Token"),
    ..OPENAI_COMPATIBLE
};
