//! Mistral.

use serde_json::{Value, json};
use tollgate_wire::{Failure, RawBody};

use crate::{
    dialects::openai::{self, messages},
    params::CallParams,
    provider::{OPENAI_COMPATIBLE, Prefill, Provider, Quirks, StreamUsage, Supported},
    target::Target,
    translate::Operation,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "mistral",
    title: "Mistral",
    base_url: "https://api.mistral.ai/v1",
    base_suffix: "/v1",
    base_env: &["MISTRAL_AZURE_API_BASE", "MISTRAL_API_BASE"],
    key_env: &["MISTRAL_AZURE_API_KEY", "MISTRAL_API_KEY"],
    also: &[(Operation::Transcriptions, "/audio/transcriptions")],
    quirks: QUIRKS,
    ..OPENAI_COMPATIBLE
};

/// Codestral's own endpoint speaks the same.
pub(super) const QUIRKS: Quirks = Quirks {
    vectors_take: Some(&["encoding_format"]),
    supported: Supported::ByModel(takes),
    rename: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
    stream_usage: StreamUsage::Never,
    // docs.mistral.ai, chat completion, AssistantMessage.
    prefill: Prefill::Marked("prefix"),
    request: Some(own_words),
    notes: &[
        "`tool_choice: required` is sent as `any`",
        "Magistral is asked to think by a system prompt",
        "lists of texts are joined where no picture is in the conversation",
        "`name` only in tool messages, no members that are `null`, no silent turns of the assistant",
    ],
    ..Quirks::NONE
};

const TAKES: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "seed",
    "stop",
    "response_format",
    "parallel_tool_calls",
    "reasoning_effort",
    "thinking",
];

fn takes(name: &str, target: &Target) -> bool {
    match name {
        "thinking" => target.model.contains("magistral"),
        _ => TAKES.contains(&name) && openai::compatible_takes(name, target),
    }
}

fn own_words(body: &mut RawBody, target: &Target, _call: &CallParams) -> Result<(), Failure> {
    if body.typed::<String>("tool_choice").as_deref() == Some("required") {
        body.set_str("tool_choice", "any");
    }
    let asked_to_think = body.has("reasoning_effort") || body.has("thinking");
    body.remove("thinking");
    if target.model.contains("magistral") {
        // How much Magistral thinks cannot be said, only that it should.
        body.remove("reasoning_effort");
        if asked_to_think {
            ask_to_think(body);
        }
    }
    let media = body.get("messages").is_some_and(|raw| memchr::memmem::find(raw, b"_url\"").is_some());
    if !media {
        messages::join_texts(body);
    }
    messages::names_only_of(body, &["tool"]);
    messages::without_nulls(body);
    messages::without_thoughts(body);
    drop_silent_turns(body);
    Ok(())
}

/// What makes a Magistral model think before it answers.
const THINK: &str = "First think about the task in a draft, as long and as loose as you need it, between <think> and \
                     </think>. Then answer: short, complete, formatted with Markdown, in the language of the task.";

/// Puts the request to think before what the operator says.
fn ask_to_think(body: &mut RawBody) {
    let Some(mut messages) = body.typed::<Vec<Value>>("messages") else { return };
    let said = messages.first().filter(|first| first.get("role").is_some_and(|role| role == "system"));
    let said = said.and_then(|first| first.get("content")?.as_str().map(str::to_owned));
    match (said, messages.first_mut()) {
        (Some(said), Some(first)) => *first = json!({"role": "system", "content": format!("{THINK}\n\n{said}")}),
        _ => messages.insert(0, json!({"role": "system", "content": THINK})),
    }
    body.set("messages", &messages.into());
}

/// A turn of the assistant with neither words nor calls is refused.
fn drop_silent_turns(body: &mut RawBody) {
    let may_be = body.get("messages").is_some_and(|raw| memchr::memmem::find(raw, b"\"assistant\"").is_some());
    if !may_be {
        return;
    }
    let Some(mut messages) = body.typed::<Vec<Value>>("messages") else { return };
    let before = messages.len();
    messages.retain(|message| !is_silent(message));
    if messages.len() < before {
        body.set("messages", &messages.into());
    }
}

fn is_silent(message: &Value) -> bool {
    let speaks = match message.get("content") {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    message.get("role").and_then(Value::as_str) == Some("assistant") && !speaks && message.get("tool_calls").is_none()
}
