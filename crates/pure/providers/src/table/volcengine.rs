//! Volcengine Ark.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks, Supported};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "volcengine",
    title: "Volcengine",
    base_url: "https://ark.cn-beijing.volces.com/api/v3",
    base_env: &["VOLCENGINE_API_BASE", "ARK_API_BASE"],
    key_env: &["VOLCENGINE_API_KEY", "ARK_API_KEY"],
    quirks: Quirks { supported: Supported::Except(REFUSES), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};

/// What Ark's reference does not name.
const REFUSES: &[&str] = &[
    "modalities",
    "prediction",
    "audio",
    "user",
    "parallel_tool_calls",
    "verbosity",
    "web_search_options",
    "safety_identifier",
    "prompt_cache_key",
    "store",
];
