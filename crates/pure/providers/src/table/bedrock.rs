//! AWS Bedrock.

use crate::{
    dialects::{anthropic, bedrock},
    provider::{Auth, JsonSchema, KeyNeed, OPENAI_COMPATIBLE, Prefill, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "bedrock",
    aliases: &["bedrock_converse"],
    title: "Bedrock",
    base_url: "https://bedrock-runtime.{AWS_REGION}.amazonaws.com",
    key_env: bedrock::KEY_ENV,
    key: KeyNeed::Optional,
    auth: Auth::Aws("bedrock"),
    chat: Some(&bedrock::CONVERSE),
    chat_by_model: Some(bedrock::of_model),
    embeddings: None,
    embed: Some(&bedrock::EMBEDDINGS),
    rerank: Some(&bedrock::RERANK),
    draw: Some(&bedrock::IMAGES),
    locate: Some(bedrock::locate),
    chat_path: "/model",
    quirks: Quirks {
        supported: Supported::ByModel(bedrock::takes),
        stream_usage: StreamUsage::Never,
        prefill: Prefill::LastTurn(anthropic::goes_on),
        json_schema: JsonSchema::Native,
        notes: &[
            "requests are signed with AWS keys (`aws_…`, the environment, AWS's own chain); an API key is a bearer token",
            "Converse for chat, `InvokeModel` for `invoke/…` and the oldest families; region and ARN in the model string",
            "Titan's vectors are fetched one text at a time",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
