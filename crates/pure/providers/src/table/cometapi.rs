//! CometAPI.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "cometapi",
    title: "Cometapi",
    base_url: "https://api.cometapi.com/v1",
    base_env: &["COMETAPI_BASE_URL", "COMETAPI_API_BASE"],
    key_env: &["COMETAPI_KEY", "COMETAPI_API_KEY"],
    quirks: Quirks { says_stream_false: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
