//! Sarvam AI.

use crate::provider::{Auth, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "sarvam",
    title: "Sarvam",
    base_url: "https://api.sarvam.ai/v1",
    key_env: &["SARVAM_API_KEY"],
    auth: Auth::Header("api-subscription-key"),
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
