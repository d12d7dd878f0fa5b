//! NLP Cloud.

use crate::{
    dialects::nlp_cloud,
    provider::{Auth, OPENAI_COMPATIBLE, Provider, Quirks, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "nlp_cloud",
    title: "Nlp_cloud",
    base_url: "https://api.nlpcloud.io/v1/gpu",
    base_env: &["NLP_CLOUD_API_BASE"],
    key_env: &["NLP_CLOUD_API_KEY"],
    auth: Auth::Scheme("Token"),
    chat: Some(&nlp_cloud::GENERATION),
    embeddings: None,
    quirks: Quirks {
        supported: Supported::Only(nlp_cloud::TAKES),
        notes: &["a conversation becomes a prompt; streams are told from the whole answer"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
