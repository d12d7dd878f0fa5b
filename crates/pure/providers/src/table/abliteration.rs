//! abliteration.ai.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "abliteration",
    title: "Abliteration",
    base_url: "https://api.abliteration.ai/v1",
    key_env: &["ABLITERATION_API_KEY"],
    ..OPENAI_COMPATIBLE
};
