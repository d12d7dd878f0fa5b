//! Azure AI Foundry, and the endpoints of its single models.

use crate::{
    dialects::{azure, azure_claude, rerank},
    provider::{StreamUsage, Auth, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "azure_ai",
    title: "Azure_ai",
    base_env: &["AZURE_AI_API_BASE"],
    key_env: &["AZURE_AI_API_KEY"],
    auth: Auth::AzureFoundry,
    chat_by_model: Some(azure_claude::of_model),
    address: azure::foundry_url,
    quirks: Quirks { stream_usage: StreamUsage::Ask, says_stream_false: true, joins_texts: true,
        supported: Supported::ByModel(azure_claude::takes),
        notes: &["Claude is served at `/anthropic/v1/messages`"], ..Quirks::NONE },
    rerank: Some(&rerank::FOUNDRY),
    ..OPENAI_COMPATIBLE
};
