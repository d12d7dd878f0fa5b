//! Helicone's gateway.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "helicone",
    title: "Helicone",
    base_url: "https://ai-gateway.helicone.ai",
    key_env: &["HELICONE_API_KEY"],
    ..OPENAI_COMPATIBLE
};
