//! Any server that speaks like `OpenAI`, under the name of one of `LiteLLM`'s transports.

use crate::provider::{KeyNeed, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "aiohttp_openai",
    title: "Aiohttp_openai",
    base_env: &["OPENAI_LIKE_API_BASE"],
    key_env: &["OPENAI_LIKE_API_KEY"],
    key: KeyNeed::Optional,
    quirks: Quirks { rename: MAX_TOKENS_ONLY, says_stream_false: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
