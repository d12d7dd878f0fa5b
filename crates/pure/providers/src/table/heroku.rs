//! Heroku Managed Inference.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "heroku",
    title: "Heroku",
    base_url: "https://us.inference.heroku.com",
    base_env: &["HEROKU_API_BASE"],
    key_env: &["HEROKU_API_KEY"],
    chat_path: "/v1/chat/completions",
    embeddings: Some("/v1/embeddings"),
    quirks: Quirks { says_stream_false: true, joins_texts: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
