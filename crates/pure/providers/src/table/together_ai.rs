//! Together AI.

use crate::{
    dialects::openai,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "together_ai",
    title: "Together_ai",
    base_url: "https://api.together.ai/v1",
    base_env: &["TOGETHER_AI_API_BASE"],
    key_env: &["TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"],
    quirks: Quirks { supported: Supported::ByModel(openai::tools_by_model), says_stream_false: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
