//! Snowflake Cortex.

use crate::{
    dialects::snowflake,
    provider::{Auth, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "snowflake",
    title: "Snowflake",
    base_url: "https://{SNOWFLAKE_ACCOUNT_ID}.snowflakecomputing.com",
    base_env: &["SNOWFLAKE_API_BASE"],
    key_env: &["SNOWFLAKE_JWT"],
    auth: Auth::Snowflake,
    chat_by_model: Some(snowflake::of_model),
    chat_path: "/api/v2/cortex/v1/chat/completions",
    embeddings: None,
    embed: Some(&snowflake::VECTORS),
    quirks: Quirks {
        supported: Supported::Only(&[
            "temperature",
            "max_tokens",
            "max_completion_tokens",
            "top_p",
            "response_format",
            "tools",
            "tool_choice",
        ]),
        rename: &[("max_tokens", "max_completion_tokens")],
        stream_usage: StreamUsage::Never,
        says_stream_false: true,
        keeps_cache_control: true,
        own_stream_id: true,
        notes: &["Claude is served at `/api/v2/cortex/v1/messages`"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};
