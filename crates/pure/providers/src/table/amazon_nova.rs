//! Amazon Nova's own API.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "amazon_nova",
    title: "Amazon_nova",
    base_url: "https://api.nova.amazon.com/v1",
    base_env: &["AMAZON_NOVA_API_BASE"],
    key_env: &["AMAZON_NOVA_API_KEY"],
    ..OPENAI_COMPATIBLE
};
