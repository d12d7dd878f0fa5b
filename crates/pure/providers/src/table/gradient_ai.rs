//! DigitalOcean's Gradient.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "gradient_ai",
    title: "Gradient_ai",
    base_url: "https://inference.do-ai.run/v1",
    key_env: &["GRADIENT_AI_API_KEY"],
    ..OPENAI_COMPATIBLE
};
