//! AIHubMix.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "aihubmix",
    title: "Aihubmix",
    base_url: "https://aihubmix.com/v1",
    base_env: &["AIHUBMIX_API_BASE"],
    key_env: &["AIHUBMIX_API_KEY"],
    ..OPENAI_COMPATIBLE
};
