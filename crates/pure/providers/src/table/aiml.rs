//! AI/ML API.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "aiml",
    title: "Aiml",
    base_url: "https://api.aimlapi.com/v2",
    base_env: &["AIML_API_BASE"],
    key_env: &["AIML_API_KEY", "AIMLAPI_KEY"],
    ..OPENAI_COMPATIBLE
};
