//! Alibaba's Model Studio.

use crate::{dialects::openai, provider::{StreamUsage, OPENAI_COMPATIBLE, Provider, Quirks}};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "dashscope",
    title: "Dashscope",
    base_url: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    base_env: &["DASHSCOPE_API_BASE"],
    key_env: &["DASHSCOPE_API_KEY"],
    quirks: Quirks { stream_usage: StreamUsage::Ask, keeps_cache_control: true, ..Quirks::NONE },
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};
