//! Any server that speaks like `OpenAI`, under the name of one of `LiteLLM`'s transports.

use crate::provider::{KeyNeed, OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "aiohttp_openai",
    title: "Aiohttp_openai",
    base_env: &["OPENAI_LIKE_API_BASE"],
    key_env: &["OPENAI_LIKE_API_KEY"],
    key: KeyNeed::Optional,
    ..OPENAI_COMPATIBLE
};
