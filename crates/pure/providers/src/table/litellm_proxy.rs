//! Another gateway of `LiteLLM`'s kind; it knows better what its models take.

use crate::{
    dialects::{openai, rerank},
    provider::{StreamUsage, KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "litellm_proxy",
    title: "Litellm_proxy",
    base_env: &["LITELLM_PROXY_API_BASE"],
    key_env: &["LITELLM_PROXY_API_KEY"],
    key: KeyNeed::Optional,
    also: openai::FURTHER,
    quirks: Quirks { stream_usage: StreamUsage::Ask, supported: Supported::All, keeps_cache_control: true, ..Quirks::NONE },
    rerank: Some(&rerank::GATEWAY),
    responses: Some(crate::dialects::openai_responses::PATH),
    ..OPENAI_COMPATIBLE
};
