//! Clarifai.

use crate::provider::{OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "clarifai",
    title: "Clarifai",
    base_url: "https://api.clarifai.com/v2/ext/openai/v1",
    key_env: &["CLARIFAI_API_KEY"],
    ..OPENAI_COMPATIBLE
};
