//! Replicate's language models.

use crate::{
    dialects::replicate,
    provider::{Auth, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "replicate",
    title: "Replicate",
    base_url: "https://api.replicate.com/v1",
    base_env: &["REPLICATE_API_BASE"],
    key_env: &["REPLICATE_API_KEY", "REPLICATE_API_TOKEN"],
    auth: Auth::Scheme("Token"),
    chat: Some(&replicate::CHAT),
    completions: Some(&replicate::COMPLETE),
    embeddings: None,
    quirks: Quirks {
        supported: Supported::Only(replicate::TAKES),
        makes_jobs: true,
        // Who offers tools gets an answer without them, as LiteLLM gives it.
        drop: &["tools", "tool_choice", "functions", "function_call"],
        notes: &[
            "a conversation becomes a prompt; `supports_system_prompt: true` keeps the operator's words apart",
            "`<model>:<version>` and `deployments/<owner>/<name>` are understood",
            "a prediction is looked at every half second, a streamed one is read at its own address",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
