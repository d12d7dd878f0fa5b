//! Charity Engine.

use crate::provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "charity_engine",
    title: "Charity_engine",
    base_url: "https://api.charityengine.services/remotejobs/v2/inference",
    key_env: &["CHARITY_ENGINE_API_KEY"],
    quirks: Quirks { rename: MAX_TOKENS_ONLY, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
