//! OpenRouter.

use serde_json::Value;
use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::openai::{self, messages},
    params::CallParams,
    provider::{OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openrouter",
    title: "Openrouter",
    base_url: "https://openrouter.ai/api/v1",
    base_env: &["OPENROUTER_API_BASE"],
    key_env: &["OPENROUTER_API_KEY", "OR_API_KEY"],
    quirks: Quirks {
        supported: Supported::ByModel(openai::thinking_takes),
        stream_usage: StreamUsage::Ask,
        says_stream_false: true,
        keeps_cache_control: true,
        headers: &[("http-referer", "https://litellm.ai"), ("x-title", "liteLLM")],
        header_env: &[("OR_SITE_URL", "http-referer"), ("OR_APP_NAME", "x-title")],
        fixed: &[("usage", r#"{"include":true}"#)],
        // OpenRouter's own models are called openrouter/auto and the like.
        model_prefix: "openrouter/",
        request: Some(place_cache_control),
        in_band: Some(words_of_error),
        notes: &[
            "`cache_control` stays only for models that take it, within contents",
            "errors in streams carry metadata and user",
        ],
        ..Quirks::NONE
    },
    responses: Some(crate::dialects::openai_responses::PATH),
    ..OPENAI_COMPATIBLE
};

/// Families of models behind `OpenRouter` that take marks for prompt caching.
const CACHE_CONTROL: &[&str] = &["claude", "gemini", "minimax", "glm", "z-ai"];

fn place_cache_control(body: &mut RawBody, target: &Target, _call: &CallParams) -> Result<(), Failure> {
    messages::list_input(body);
    if !body.has("messages") {
        body.remove("usage");
        return Ok(());
    }
    let model = target.model.to_ascii_lowercase();
    if CACHE_CONTROL.iter().any(|family| model.contains(family)) {
        messages::cache_control_into_content(body);
    } else {
        messages::without_cache_control(body);
    }
    Ok(())
}

/// `LiteLLM`'s words, which clients grep for.
fn words_of_error(message: &str, error: &Value) -> String {
    let metadata = error.get("metadata").map_or_else(|| "{}".to_owned(), Value::to_string);
    let user = error.get("user_id").and_then(Value::as_str).unwrap_or_default();
    format!("Message: {message}, Metadata: {metadata}, User ID: {user}")
}
