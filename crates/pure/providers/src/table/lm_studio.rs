//! A local LM Studio.

use crate::provider::{Quirks, StreamUsage, KeyNeed, OPENAI_COMPATIBLE, Provider};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "lm_studio",
    title: "Lm_studio",
    base_env: &["LM_STUDIO_API_BASE"],
    key_env: &["LM_STUDIO_API_KEY"],
    key: KeyNeed::Optional,
    quirks: Quirks { vectors_take: Some(&[]), stream_usage: StreamUsage::Ask, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
