//! GitHub Models.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "github",
    title: "Github",
    base_url: "https://models.inference.ai.azure.com",
    base_env: &["GITHUB_API_BASE"],
    key_env: &["GITHUB_API_KEY"],
    ..OPENAI_COMPATIBLE
};
