//! `DeepSeek`.

use serde_json::json;
use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::deepseek_claude,
    params::CallParams,
    provider::{OPENAI_COMPATIBLE, Prefill, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "deepseek",
    title: "Deepseek",
    base_url: "https://api.deepseek.com/beta",
    base_env: &["DEEPSEEK_API_BASE"],
    key_env: &["DEEPSEEK_API_KEY"],
    embeddings: None,
    messages: Some(&deepseek_claude::MESSAGES),
    quirks: Quirks {
        supported: Supported::Except(&["user", "verbosity"]),
        stream_usage: StreamUsage::Ask,
        // api-docs.deepseek.com, "Chat Prefix Completion": at the address for trials, which the row has.
        prefill: Prefill::Marked("prefix"),
        says_stream_false: true,
        joins_texts: true,
        request: Some(switch_thinking),
        notes: &[
            "Anthropic's clients are answered at `/anthropic/v1/messages`",
            "`reasoning_effort` becomes `thinking`, which is on or off",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

/// Thinking is on or off at `DeepSeek`; there is neither an effort nor a budget.
fn switch_thinking(body: &mut RawBody, _target: &Target, _call: &CallParams) -> Result<(), Failure> {
    let effort = body.typed::<String>("reasoning_effort");
    body.remove("reasoning_effort");
    let said = effort.is_some();
    let by_effort = effort.is_some_and(|effort| !matches!(effort.as_str(), "none" | "disable"));
    let thinking = body.typed::<serde_json::Value>("thinking");
    let wanted = thinking.as_ref().and_then(|thinking| thinking.get("type")?.as_str());
    match wanted {
        Some("enabled") => body.set("thinking", &json!({"type": "enabled"})),
        None if by_effort => body.set("thinking", &json!({"type": "enabled"})),
        None if said => body.set("thinking", &json!({"type": "disabled"})),
        _ => {}
    }
    Ok(())
}
