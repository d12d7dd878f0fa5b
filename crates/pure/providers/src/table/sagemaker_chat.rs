//! AWS `SageMaker`: endpoints that speak `OpenAI`'s chat.

use crate::{
    dialects::sagemaker,
    provider::{Auth, KeyNeed, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "sagemaker_chat",
    title: "Sagemaker",
    base_url: "https://runtime.sagemaker.{AWS_REGION}.amazonaws.com",
    key: KeyNeed::Optional,
    auth: Auth::Aws("sagemaker"),
    chat: Some(&sagemaker::CHAT),
    embeddings: None,
    locate: Some(sagemaker::locate),
    quirks: Quirks {
        stream_usage: StreamUsage::Ask,
        says_stream_false: true,
        notes: &["requests are signed with AWS keys; streams come in AWS's frames"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
