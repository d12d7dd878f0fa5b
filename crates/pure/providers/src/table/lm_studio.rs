//! A local LM Studio.

use crate::provider::{KeyNeed, OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "lm_studio",
    title: "Lm_studio",
    base_env: &["LM_STUDIO_API_BASE"],
    key_env: &["LM_STUDIO_API_KEY"],
    key: KeyNeed::Optional,
    ..OPENAI_COMPATIBLE
};
