//! AWS `SageMaker`: endpoints that generate text, or make vectors, in Hugging Face's words.

use crate::{
    dialects::sagemaker,
    provider::{Auth, KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "sagemaker",
    title: "Sagemaker",
    base_url: "https://runtime.sagemaker.{AWS_REGION}.amazonaws.com",
    key: KeyNeed::Optional,
    auth: Auth::Aws("sagemaker"),
    chat: Some(&sagemaker::TEXT),
    embeddings: None,
    embed: Some(&sagemaker::EMBEDDINGS),
    locate: Some(sagemaker::locate),
    chat_path: "/endpoints",
    quirks: Quirks {
        supported: Supported::Only(&["temperature", "max_tokens", "max_completion_tokens", "top_p", "stop", "n"]),
        vectors_take: Some(&[]),
        stream_usage: StreamUsage::Never,
        notes: &[
            "requests are signed with AWS keys; the model is the endpoint's name, `sagemaker_base_url` another address of it",
            "the conversation becomes one prompt",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
