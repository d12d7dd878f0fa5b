//! Scaleway.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "scaleway",
    title: "Scaleway",
    base_url: "https://api.scaleway.ai/v1",
    key_env: &["SCW_SECRET_KEY"],
    ..OPENAI_COMPATIBLE
};
