//! GitHub Models.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "github",
    title: "Github",
    base_url: "https://models.inference.ai.azure.com",
    base_env: &["GITHUB_API_BASE"],
    key_env: &["GITHUB_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
