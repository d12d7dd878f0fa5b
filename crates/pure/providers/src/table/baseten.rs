//! Baseten.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "baseten",
    title: "Baseten",
    base_url: "https://inference.baseten.co/v1",
    base_env: &["BASETEN_API_BASE"],
    key_env: &["BASETEN_API_KEY"],
    ..OPENAI_COMPATIBLE
};
