//! Z.ai.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "zai",
    title: "Zai",
    base_url: "https://api.z.ai/api/paas/v4",
    base_env: &["ZAI_API_BASE"],
    key_env: &["ZAI_API_KEY"],
    ..OPENAI_COMPATIBLE
};
