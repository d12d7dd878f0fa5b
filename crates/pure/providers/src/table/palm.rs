//! `PaLM`, which Google retired.

use crate::{
    dialects::palm,
    provider::{Auth, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "palm",
    title: "Palm",
    base_url: "",
    base_env: palm::BASE_ENV,
    key_env: &["PALM_API_KEY"],
    auth: Auth::Header("x-goog-api-key"),
    chat: Some(&palm::TEXT),
    embeddings: None,
    locate: Some(palm::locate),
    quirks: Quirks {
        supported: Supported::Only(palm::TAKES),
        stream_usage: StreamUsage::Never,
        notes: &["retired by Google in 2024, so `api_base` must name a server that still speaks it; Google's models of \
                  today are `gemini/…`"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
