//! Xiaomi MiMo.

use crate::{
    dialects::openai,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "xiaomi_mimo",
    title: "Xiaomi_mimo",
    base_url: "https://api.xiaomimimo.com/v1",
    key_env: &["XIAOMI_MIMO_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, supported: Supported::ByModel(openai::thinking_takes), ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
