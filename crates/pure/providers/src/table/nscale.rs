//! Nscale.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "nscale",
    title: "Nscale",
    base_url: "https://inference.api.nscale.com/v1",
    base_env: &["NSCALE_API_BASE"],
    key_env: &["NSCALE_API_KEY"],
    ..OPENAI_COMPATIBLE
};
