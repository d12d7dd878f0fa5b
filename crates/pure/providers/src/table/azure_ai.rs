//! Azure AI Foundry, and the endpoints of its single models.

use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::{anthropic, azure, azure_claude, openai::messages, rerank},
    params::CallParams,
    provider::{Auth, OPENAI_COMPATIBLE, Prefill, Provider, Quirks, StreamUsage, Supported},
    target::Target,
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
    quirks: Quirks {
        stream_usage: StreamUsage::Ask,
        prefill: Prefill::LastTurn(anthropic::goes_on),
        says_stream_false: true,
        joins_texts: true,
        supported: Supported::ByModel(azure_claude::takes),
        request: Some(plain_history),
        notes: &[
            "what the assistant said before goes without its thoughts",
            "Claude is served at `/anthropic/v1/messages`",
        ],
        ..Quirks::NONE
    },
    rerank: Some(&rerank::FOUNDRY),
    ..OPENAI_COMPATIBLE
};

/// Members that the service does not know are refused.
fn plain_history(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    messages::without_thoughts(body);
    Ok(())
}
