//! `OpenAI`, and any server that speaks like it (`openai/<model>` with `api_base`).

use crate::{
    dialects::{openai, openai_responses},
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openai",
    title: "OpenAI",
    base_url: "https://api.openai.com/v1",
    base_env: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    key_env: &["OPENAI_API_KEY"],
    chat_by_model: Some(openai_responses::of_model),
    quirks: Quirks {
        supported: Supported::ByModel(openai::openai_takes),
        stream_usage: StreamUsage::Ask,
        notes: &[
            "`openai/responses/<model>` is served by the Responses API, which has no `stop`, `n`, `seed`, `logit_bias` and penalties",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
