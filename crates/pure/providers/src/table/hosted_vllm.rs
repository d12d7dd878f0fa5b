//! A vLLM server of the customer's.

use crate::provider::{KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "hosted_vllm",
    title: "Hosted_vllm",
    base_env: &["HOSTED_VLLM_API_BASE"],
    key_env: &["HOSTED_VLLM_API_KEY"],
    key: KeyNeed::Optional,
    quirks: Quirks { stream_usage: StreamUsage::Ask, says_stream_false: true, ..Quirks::NONE },
    ..OPENAI_COMPATIBLE
};
