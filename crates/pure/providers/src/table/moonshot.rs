//! Moonshot's Kimi.

use serde_json::{Value, json};
use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::openai::{self, messages},
    params::CallParams,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Prefill, Provider, Quirks, StreamUsage, Supported},
    target::Target,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "moonshot",
    title: "Moonshot",
    base_url: "https://api.moonshot.ai/v1",
    base_env: &["MOONSHOT_API_BASE"],
    key_env: &["MOONSHOT_API_KEY"],
    quirks: Quirks {
        stream_usage: StreamUsage::Ask,
        // platform.moonshot.ai, "Partial Mode".
        prefill: Prefill::Marked("partial"),
        supported: Supported::ByModel(takes),
        rename: MAX_TOKENS_ONLY,
        joins_texts: true,
        request: Some(within_bounds),
        notes: &[
            "`tool_choice: required` becomes a message",
            "`temperature` is kept between 0 and 1, and left out for models that think",
        ],
        ..Quirks::NONE
    },
    completions: Some(&openai::COMPLETIONS),
    ..OPENAI_COMPATIBLE
};

fn takes(name: &str, target: &Target) -> bool {
    match name {
        "functions" => false,
        "tools" | "tool_choice" => !target.model.contains("kimi-thinking-preview"),
        // From K2.5 on thinking can be turned off.
        "thinking" => target.model.contains("kimi-k2.5"),
        _ => openai::compatible_takes(name, target),
    }
}

fn within_bounds(body: &mut RawBody, target: &Target, _call: &CallParams) -> Result<(), Failure> {
    bound_temperature(body, target);
    ask_for_a_tool(body);
    if target.facts.reasoning {
        // Models that think want their thoughts back with every call of a tool; a blank will do.
        messages::edit_where(body, "\"tool_calls\"", |message| {
            if message.contains_key("tool_calls") && !message.get("reasoning_content").is_some_and(is_said) {
                message.insert("reasoning_content".to_owned(), " ".into());
            }
        });
    }
    Ok(())
}

fn is_said(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// From 0 to 1, at least 0.3 for several answers; models that think take none.
fn bound_temperature(body: &mut RawBody, target: &Target) {
    let Some(temperature) = body.typed::<f64>("temperature") else { return };
    let several = body.typed::<u64>("n").is_some_and(|n| n > 1);
    if target.facts.reasoning {
        body.remove("temperature");
    } else if temperature > 1.0 {
        body.set_raw("temperature", "1");
    } else if several && temperature < 0.3 {
        body.set_raw("temperature", "0.3");
    }
}

/// That some tool must be called can only be said in words, as Moonshot's own guide does it.
fn ask_for_a_tool(body: &mut RawBody) {
    if body.typed::<String>("tool_choice").as_deref() != Some("required") {
        return;
    }
    let Some(mut messages) = body.typed::<Vec<Value>>("messages") else { return };
    messages.push(json!({"role": "user", "content": "Please select a tool to handle the current issue."}));
    body.set("messages", &messages.into());
    body.remove("tool_choice");
}
