//! Meta's Llama API.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "meta_llama",
    title: "Meta_llama",
    base_url: "https://api.llama.com/compat/v1",
    base_env: &["LLAMA_API_BASE"],
    key_env: &["LLAMA_API_KEY"],
    ..OPENAI_COMPATIBLE
};
