//! Venice.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "veniceai",
    title: "Veniceai",
    base_url: "https://api.venice.ai/api/v1",
    key_env: &["VENICE_AI_API_KEY"],
    ..OPENAI_COMPATIBLE
};
