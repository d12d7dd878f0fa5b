//! Volcengine Ark.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "volcengine",
    title: "Volcengine",
    base_url: "https://ark.cn-beijing.volces.com/api/v3",
    base_env: &["VOLCENGINE_API_BASE", "ARK_API_BASE"],
    key_env: &["VOLCENGINE_API_KEY", "ARK_API_KEY"],
    ..OPENAI_COMPATIBLE
};
