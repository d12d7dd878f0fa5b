//! CompactifAI.

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "compactifai",
    title: "Compactifai",
    base_url: "https://api.compactif.ai/v1",
    key_env: &["COMPACTIFAI_API_KEY"],
    quirks: Quirks { says_stream_false: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
