//! Together AI.

use crate::{
    dialects::{openai, rerank},
    provider::{StreamUsage, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
    translate::Operation,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "together_ai",
    title: "Together_ai",
    base_url: "https://api.together.ai/v1",
    base_env: &["TOGETHER_AI_API_BASE"],
    key_env: &["TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"],
    also: &[
        (Operation::Images, "/images/generations"),
        (Operation::Transcriptions, "/audio/transcriptions"),
        (Operation::Translations, "/audio/translations"),
        (Operation::Speech, "/audio/speech"),
    ],
    quirks: Quirks { stream_usage: StreamUsage::Ask, supported: Supported::ByModel(openai::tools_by_model), says_stream_false: true, ..Quirks::NONE },
    completions: Some(&openai::COMPLETIONS),
    rerank: Some(&rerank::TOGETHER),
    ..OPENAI_COMPATIBLE
};
