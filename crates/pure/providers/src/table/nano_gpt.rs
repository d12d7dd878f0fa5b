//! NanoGPT.

use crate::{dialects::openai, provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "nano-gpt",
    title: "Nano-gpt",
    base_url: "https://nano-gpt.com/api/v1",
    key_env: &["NANOGPT_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
