//! OpenRouter.

use serde_json::Value;

use crate::provider::{OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openrouter",
    title: "Openrouter",
    base_url: "https://openrouter.ai/api/v1",
    base_env: &["OPENROUTER_API_BASE"],
    key_env: &["OPENROUTER_API_KEY", "OR_API_KEY"],
    quirks: Quirks {
        stream_usage: StreamUsage::Ask,
        says_stream_false: true,
        keeps_cache_control: true,
        headers: &[("http-referer", "https://litellm.ai"), ("x-title", "liteLLM")],
        header_env: &[("OR_SITE_URL", "http-referer"), ("OR_APP_NAME", "x-title")],
        fixed: &[("usage", r#"{"include":true}"#)],
        in_band: Some(words_of_error),
        notes: &["errors in streams carry metadata and user"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

/// `LiteLLM`'s words, which clients grep for.
fn words_of_error(message: &str, error: &Value) -> String {
    let metadata = error.get("metadata").map_or_else(|| "{}".to_owned(), Value::to_string);
    let user = error.get("user_id").and_then(Value::as_str).unwrap_or_default();
    format!("Message: {message}, Metadata: {metadata}, User ID: {user}")
}
