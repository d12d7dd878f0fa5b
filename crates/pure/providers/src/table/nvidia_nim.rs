//! NVIDIA NIM.

use crate::{
    dialects::rerank,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "nvidia_nim",
    title: "Nvidia_nim",
    base_url: "https://integrate.api.nvidia.com/v1",
    base_env: &["NVIDIA_NIM_API_BASE"],
    key_env: &["NVIDIA_NIM_API_KEY"],
    quirks: Quirks {
        supported: Supported::ByModel(takes),
        rename: MAX_TOKENS_ONLY,
        stream_usage: StreamUsage::Never,
        ..Quirks::NONE
    },
    rerank: Some(&rerank::NVIDIA),
    ..OPENAI_COMPATIBLE
};

const TAKES: &[&str] = &[
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
];
/// Gemma 2 takes less.
const GEMMA_TAKES: &[&str] = &["temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed"];
/// Nemotron 4 takes least.
const NEMOTRON_TAKES: &[&str] = &["temperature", "top_p", "max_tokens", "max_completion_tokens"];

fn takes(name: &str, target: &Target) -> bool {
    let list = match target.model.as_str() {
        "google/recurrentgemma-2b" | "google/gemma-2-27b-it" | "google/gemma-2-9b-it" | "gemma-2-9b-it" => GEMMA_TAKES,
        "nvidia/nemotron-4-340b-instruct" => NEMOTRON_TAKES,
        "nvidia/nemotron-4-340b-reward" => &[],
        _ => TAKES,
    };
    list.contains(&name)
}
