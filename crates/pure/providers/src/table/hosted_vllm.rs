//! A vLLM server of the customer's.

use serde_json::{Value, json};
use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::openai::{self, messages},
    dialects::rerank,
    params::CallParams,
    provider::{KeyNeed, OPENAI_COMPATIBLE, Prefill, Provider, Quirks, StreamUsage, Supported},
    target::Target,
    translate::Operation,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "hosted_vllm",
    title: "Hosted_vllm",
    base_env: &["HOSTED_VLLM_API_BASE"],
    key_env: &["HOSTED_VLLM_API_KEY"],
    key: KeyNeed::Optional,
    also: &[(Operation::Transcriptions, "/audio/transcriptions"), (Operation::Translations, "/audio/translations")],
    quirks: QUIRKS,
    completions: Some(&openai::COMPLETIONS),
    rerank: Some(&rerank::VLLM),
    responses: Some(crate::dialects::openai_responses::PATH),
    ..OPENAI_COMPATIBLE
};

/// What all vLLM servers have in common.
pub(super) const QUIRKS: Quirks = Quirks {
    supported: Supported::Except(&["user", "verbosity"]),
    stream_usage: StreamUsage::Ask,
    // docs.vllm.ai, OpenAI-compatible server, chat's extra parameters.
    prefill: Prefill::Asked(&[("continue_final_message", "true"), ("add_generation_prompt", "false")]),
    says_stream_false: true,
    request: Some(own_words),
    notes: &[
        "`thinking` becomes `reasoning_effort`",
        "`strict` and `additionalProperties` are taken out of tools",
        "files that are videos become `video_url`",
        "what the assistant said before is one text, without `thinking_blocks`",
    ],
    ..Quirks::NONE
};

fn own_words(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    messages::list_input(body);
    effort_for_thinking(body);
    plain_history(body);
    messages::without_member(body, "tools", "strict");
    messages::without_member(body, "tools", "additionalProperties");
    messages::edit_where(body, "\"file\"", |message| {
        for part in message.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(url) = video_of(part) {
                *part = json!({"type": "video_url", "video_url": {"url": url}});
            }
        }
    });
    Ok(())
}

/// vLLM knows efforts, not budgets. The bounds are `LiteLLM`'s, tokens.
fn effort_for_thinking(body: &mut RawBody) {
    let Some(thinking) = body.typed::<Value>("thinking") else { return };
    body.remove("thinking");
    if thinking.get("type").is_none_or(|kind| kind != "enabled") || body.has("reasoning_effort") {
        return;
    }
    let effort = match thinking.get("budget_tokens").and_then(Value::as_u64).unwrap_or_default() {
        4096.. => "high",
        2048.. => "medium",
        1024.. => "low",
        _ => "minimal",
    };
    body.set_str("reasoning_effort", effort);
}

/// What the assistant said before goes as one text, and without blocks of thoughts, which vLLM does not know.
fn plain_history(body: &mut RawBody) {
    messages::edit_where(body, "\"assistant\"", |message| {
        if messages::is(message, "assistant") {
            message.shift_remove("thinking_blocks");
            messages::join_content(message);
        }
    });
}

/// The address or data of a file part that is a video.
fn video_of(part: &Value) -> Option<String> {
    (part.get("type")? == "file").then_some(())?;
    let text = |name: &str| part.pointer(&format!("/file/{name}")).and_then(Value::as_str);
    let place = text("file_id").or_else(|| text("file_data"))?;
    let named = text("format").is_some_and(|format| format.starts_with("video/"));
    let plain = place.split(['?', '#']).next().unwrap_or(place).to_ascii_lowercase();
    let ends =
        [".mp4", ".mpeg", ".mpg", ".mov", ".avi", ".wmv", ".flv", ".webm"].iter().any(|end| plain.ends_with(end));
    (named || ends || place.starts_with("data:video/")).then(|| place.to_owned())
}
