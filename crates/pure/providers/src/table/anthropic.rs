//! Anthropic: Claude.

use crate::{
    dialects::{anthropic, anthropic_complete},
    provider::{Auth, OPENAI_COMPATIBLE, Prefill, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "anthropic",
    title: "Anthropic",
    base_url: "https://api.anthropic.com",
    base_env: &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
    key_env: &["ANTHROPIC_API_KEY"],
    auth: Auth::Anthropic,
    chat: Some(&anthropic::MESSAGES),
    chat_by_model: Some(anthropic_complete::of_model),
    embeddings: None,
    chat_path: "/v1/messages",
    completions_path: "/v1/complete",
    quirks: Quirks {
        supported: Supported::ByModel(anthropic::takes),
        stream_usage: StreamUsage::Never,
        prefill: Prefill::LastTurn(anthropic::goes_on),
        headers: &[("anthropic-version", "2023-06-01")],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
