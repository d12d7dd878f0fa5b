//! AI/ML API.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "aiml",
    title: "Aiml",
    base_url: "https://api.aimlapi.com/v2",
    base_env: &["AIML_API_BASE"],
    key_env: &["AIML_API_KEY", "AIMLAPI_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, keeps_cache_control: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
