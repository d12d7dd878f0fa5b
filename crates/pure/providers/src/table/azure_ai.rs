//! Azure AI Foundry, and the endpoints of its single models.

use crate::{
    dialects::{azure, rerank},
    provider::{StreamUsage, Auth, OPENAI_COMPATIBLE, Provider, Quirks},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "azure_ai",
    title: "Azure_ai",
    base_env: &["AZURE_AI_API_BASE"],
    key_env: &["AZURE_AI_API_KEY"],
    auth: Auth::AzureFoundry,
    address: azure::foundry_url,
    quirks: Quirks { stream_usage: StreamUsage::Ask, says_stream_false: true, joins_texts: true, ..Quirks::NONE },
    rerank: Some(&rerank::FOUNDRY),
    ..OPENAI_COMPATIBLE
};
