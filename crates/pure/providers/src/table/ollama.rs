//! Ollama, asked with prompts.

use crate::{
    dialects::ollama,
    provider::{KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "ollama",
    title: "Ollama",
    base_url: "http://localhost:11434",
    base_env: &["OLLAMA_API_BASE"],
    key_env: &["OLLAMA_API_KEY"],
    key: KeyNeed::Optional,
    chat: Some(&ollama::generate::CHAT),
    completions: Some(&ollama::generate::COMPLETE),
    embeddings: None,
    embed: Some(&ollama::embed::EMBED),
    quirks: Quirks {
        supported: Supported::Only(ollama::TAKES),
        bare_thoughts: true,
        notes: &[
            "a conversation becomes a prompt with headings, or one by the configuration's template; `ollama_chat` sends turns",
            "tools become part of the prompt, and an answer that calls one a call; `ollama_chat` has tools",
            "parameters of the model's own (`num_ctx`, `mirostat`, …) become `options`",
            "pictures elsewhere are fetched and put into the message",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
