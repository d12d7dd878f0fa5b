//! Ollama, asked with turns.

use super::ollama;
use crate::{
    dialects::ollama::chat,
    provider::{Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "ollama_chat",
    chat: Some(&chat::CHAT),
    completions: None,
    quirks: Quirks {
        supported: Supported::Only(TAKES),
        notes: &[
            "parameters of the model's own (`num_ctx`, `mirostat`, …) become `options`",
            "pictures elsewhere are fetched and put into the message",
        ],
        ..ollama::PROVIDER.quirks
    },
    ..ollama::PROVIDER
};

const TAKES: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "frequency_penalty",
    "response_format",
    "reasoning_effort",
    "tools",
    "tool_choice",
    "functions",
];
