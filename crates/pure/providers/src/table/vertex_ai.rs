//! Google Cloud's Vertex AI: Gemini, and the models of partners.

use crate::{
    dialects::{anthropic, gemini, vertex},
    provider::{Auth, KeyNeed, OPENAI_COMPATIBLE, Prefill, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "vertex_ai",
    aliases: &["vertex_ai_beta"],
    title: "Vertex_ai",
    base_url: "",
    base_env: &["VERTEXAI_API_BASE"],
    key: KeyNeed::Optional,
    auth: Auth::Bearer,
    chat: Some(&gemini::CONTENT),
    chat_by_model: Some(vertex::of_model),
    embeddings: None,
    embed: Some(&gemini::PREDICT_VECTORS),
    draw: Some(&gemini::DRAW),
    locate: Some(vertex::locate),
    address: vertex::address,
    quirks: Quirks {
        supported: Supported::ByModel(vertex::takes),
        stream_usage: StreamUsage::IfAsked,
        prefill: Prefill::LastTurn(anthropic::goes_on),
        notes: &[
            "the address is that of `vertex_location` (us-central1; global for Gemini 3); `api_base` may be a host, a \
             place or a model",
            "tokens come from `vertex_credentials`, the environment, gcloud's file or the metadata server",
            "Claude and Mistral answer at addresses of their models, other publishers' models \
             (`vertex_ai/meta/llama-…`) at `endpoints/openapi`",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
