//! GMI Cloud.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "gmi",
    title: "Gmi",
    base_url: "https://api.gmi-serving.com/v1",
    key_env: &["GMI_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, keeps_cache_control: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
