//! Crusoe.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "crusoe",
    title: "Crusoe",
    base_url: "https://managed-inference-api-proxy.crusoecloud.com/v1",
    base_env: &["CRUSOE_API_BASE"],
    key_env: &["CRUSOE_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
