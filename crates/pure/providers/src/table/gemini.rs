//! Gemini at Google AI Studio.

use crate::{
    dialects::gemini,
    provider::{Auth, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "gemini",
    title: "Gemini",
    base_url: "https://generativelanguage.googleapis.com/v1beta",
    base_env: &["GEMINI_API_BASE"],
    key_env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    auth: Auth::Header("x-goog-api-key"),
    chat: Some(&gemini::CONTENT),
    embeddings: None,
    embed: Some(&gemini::EMBED),
    draw: Some(&gemini::DRAW),
    quirks: Quirks {
        supported: Supported::ByModel(gemini::takes),
        stream_usage: StreamUsage::Never,
        notes: &[
            "addresses of media whose type is known are given to Google, others are fetched",
            "`cached_content` names a cache that was made before; `cache_control` makes none",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
