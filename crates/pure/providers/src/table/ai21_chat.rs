//! AI21's Jamba, and Jurassic-2 before it, which completes prompts.

use crate::{
    dialects::ai21_complete,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "ai21_chat",
    aliases: &["ai21"],
    title: "Ai21_chat",
    base_url: "https://api.ai21.com/studio/v1",
    base_env: &["AI21_API_BASE"],
    key_env: &["AI21_API_KEY"],
    chat_by_model: Some(ai21_complete::of_model),
    embeddings: None,
    quirks: Quirks {
        supported: Supported::ByModel(takes),
        rename: MAX_TOKENS_ONLY,
        stream_usage: StreamUsage::Never,
        notes: &["`j2-*` models are sent a prompt at `/<model>/complete`"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

fn takes(name: &str, target: &Target) -> bool {
    let known = if ai21_complete::is_old(target) { ai21_complete::TAKES } else { TAKES };
    known.contains(&name)
}

const TAKES: &[&str] = &[
    "tools",
    "tool_choice",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "n",
    "seed",
];
