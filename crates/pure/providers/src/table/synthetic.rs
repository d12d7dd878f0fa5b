//! Synthetic.

use crate::{dialects::openai, provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "synthetic",
    title: "Synthetic",
    base_url: "https://api.synthetic.new/openai/v1",
    key_env: &["SYNTHETIC_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
