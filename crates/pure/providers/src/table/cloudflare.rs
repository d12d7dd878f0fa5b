//! Cloudflare Workers AI.

use crate::provider::{StreamUsage, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "cloudflare",
    title: "Cloudflare",
    base_url: "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
    base_env: &["CLOUDFLARE_API_BASE"],
    key_env: &["CLOUDFLARE_API_KEY"],
    quirks: Quirks { stream_usage: StreamUsage::Ask, says_stream_false: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
