//! A local llamafile.

use crate::{dialects::openai, provider::{KeyNeed, OPENAI_COMPATIBLE, Provider}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "llamafile",
    title: "Llamafile",
    base_url: "http://127.0.0.1:8080/v1",
    base_env: &["LLAMAFILE_API_BASE"],
    key_env: &["LLAMAFILE_API_KEY"],
    key: KeyNeed::Optional,
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
