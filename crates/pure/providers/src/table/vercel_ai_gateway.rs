//! Vercel's AI gateway.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "vercel_ai_gateway",
    title: "Vercel_ai_gateway",
    base_url: "https://ai-gateway.vercel.sh/v1",
    base_env: &["VERCEL_AI_GATEWAY_API_BASE"],
    key_env: &["VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"],
    quirks: Quirks { keeps_cache_control: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
