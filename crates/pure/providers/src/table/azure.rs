//! Azure `OpenAI`.

use crate::{
    dialects::{azure, openai, openai_responses},
    provider::{Auth, JsonSchema, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "azure",
    title: "Azure",
    base_env: &["AZURE_API_BASE"],
    key_env: &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
    auth: Auth::Azure,
    also: openai::FURTHER,
    chat_by_model: Some(openai_responses::of_model),
    address: azure::url,
    quirks: Quirks {
        supported: Supported::ByModel(openai::openai_takes),
        stream_usage: StreamUsage::Ask,
        says_stream_false: true,
        json_schema: JsonSchema::ByTool(azure::lacks_json_schema),
        base64_vectors: true,
        request: Some(azure::settle_request),
        notes: &[
            "`azure/responses/<model>` is served by the Responses API, which has no `stop`, `n`, `seed`, `logit_bias` and penalties",
            "`tool_choice` needs API version 2023-12, its `required` 2024-06",
            "JSON schemas go out as a tool before API version 2024-08 and to GPT-3.5",
        ],
        ..Quirks::NONE
    },
    responses: Some(crate::dialects::openai_responses::PATH),
    ..OPENAI_COMPATIBLE
};
