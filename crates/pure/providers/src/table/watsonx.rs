//! IBM watsonx.ai.

use crate::{
    dialects::watsonx,
    provider::{Auth, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "watsonx",
    title: "Watsonx",
    base_env: &["WATSONX_API_BASE", "WATSONX_URL", "WX_URL", "WML_URL"],
    key_env: watsonx::KEY_ENV,
    auth: Auth::Scheme("ZenApiKey"),
    chat: Some(&watsonx::CHAT),
    embeddings: None,
    embed: Some(&watsonx::VECTORS),
    rerank: Some(&watsonx::RERANK),
    locate: Some(watsonx::locate),
    chat_path: "/ml/v1/text/chat",
    quirks: Quirks {
        supported: Supported::Only(watsonx::CHAT_TAKES),
        stream_usage: StreamUsage::Never,
        keeps_cache_control: true,
        request: Some(watsonx::own_words),
        notes: &[
            "needs `project_id` or `space_id`, but for `watsonx/deployment/<id>`",
            "keys buy tokens at `WATSONX_IAM_URL` (IBM Cloud's where it is not set); `zen_api_key` goes out as it is",
            "`tool_choice` words are sent as `tool_choice_option`, `strict` and `additionalProperties` are left out",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
