//! Anyscale Endpoints.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "anyscale",
    title: "Anyscale",
    base_url: "https://api.endpoints.anyscale.com/v1",
    base_env: &["ANYSCALE_API_BASE"],
    key_env: &["ANYSCALE_API_KEY"],
    ..OPENAI_COMPATIBLE
};
