//! MiniMax.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "minimax",
    title: "Minimax",
    base_url: "https://api.minimax.io/v1",
    base_env: &["MINIMAX_API_BASE"],
    key_env: &["MINIMAX_API_KEY"],
    quirks: Quirks { keeps_cache_control: true, says_stream_false: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
