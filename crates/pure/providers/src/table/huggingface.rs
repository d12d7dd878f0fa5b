//! Hugging Face: its router, its inference endpoints, text generation and embedding servers of one's own.

use crate::{
    dialects::huggingface,
    provider::{KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "huggingface",
    title: "Huggingface",
    base_url: huggingface::ROUTER,
    base_env: huggingface::BASE_ENV,
    key_env: &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
    key: KeyNeed::Optional,
    chat: Some(&huggingface::CHAT),
    completions: Some(&huggingface::COMPLETE),
    embeddings: None,
    embed: Some(&huggingface::embed::EMBED),
    rerank: Some(&huggingface::rerank::RERANK),
    locate: Some(huggingface::locate),
    address: huggingface::address,
    quirks: Quirks {
        supported: Supported::ByModel(huggingface::takes),
        stream_usage: StreamUsage::Ask,
        says_stream_false: true,
        keeps_cache_control: true,
        notes: &[
            "without `api_base`, `<provider>/<org>/<model>` goes to the router as `<org>/<model>:<provider>`",
            "a prompt template of the configuration, or the prefix `text-generation-inference/`, makes it a prompt for \
             `generate`; a server without chat (404) is asked that way, too",
            "the chat template is the configuration's, the model's published one, its family's, or the words alone",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
