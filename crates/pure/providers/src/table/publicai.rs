//! Public AI.

use crate::{dialects::openai, provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "publicai",
    title: "Publicai",
    base_url: "https://api.publicai.co/v1",
    base_env: &["PUBLICAI_API_BASE"],
    key_env: &["PUBLICAI_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, joins_texts: true, ..Quirks::NONE },
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
