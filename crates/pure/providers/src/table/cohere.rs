//! Cohere: Command, its vectors and rerankers.

use crate::{
    dialects::cohere,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "cohere",
    aliases: &["cohere_chat"],
    title: "Cohere",
    base_url: "https://api.cohere.com",
    base_env: &["COHERE_API_BASE"],
    key_env: &["COHERE_API_KEY", "CO_API_KEY"],
    chat: Some(&cohere::CHAT),
    chat_by_model: Some(cohere::of_model),
    embeddings: None,
    embed: Some(&cohere::EMBED),
    rerank: Some(&cohere::RERANK),
    chat_path: "/v2/chat",
    quirks: Quirks {
        supported: Supported::ByModel(cohere::takes),
        refuses_as: Some(cohere::refuses_as),
        stream_usage: StreamUsage::Never,
        notes: &[
            "`cohere/v1/<model>`, or an `api_base` that ends with `/v1/chat`, speaks the first version of chat",
            "an `api_base` that ends with `/v1/generate` speaks the text completion of 2023",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
