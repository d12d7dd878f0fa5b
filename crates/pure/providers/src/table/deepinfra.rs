//! `DeepInfra`.

use tollgate_wire::{Failure, FailureKind, RawBody};

use crate::{
    dialects::{openai::messages, rerank},
    params::CallParams,
    provider::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    target::Target,
    translate::Operation,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "deepinfra",
    title: "Deepinfra",
    base_url: "https://api.deepinfra.com/v1/openai",
    base_env: &["DEEPINFRA_API_BASE"],
    key_env: &["DEEPINFRA_API_KEY"],
    also: &[
        (Operation::Images, "/images/generations"),
        (Operation::ImageEdits, "/images/edits"),
        (Operation::ImageVariations, "/images/variations"),
        (Operation::Transcriptions, "/audio/transcriptions"),
        (Operation::Translations, "/audio/translations"),
        (Operation::Speech, "/audio/speech"),
    ],
    quirks: Quirks {
        supported: Supported::Only(TAKES),
        rename: MAX_TOKENS_ONLY,
        stream_usage: StreamUsage::Never,
        request: Some(check_choice),
        notes: &["`tool_choice` can only be `auto` or `none`", "answers of tools are one text"],
        ..Quirks::NONE
    },
    rerank: Some(&rerank::DEEPINFRA),
    ..OPENAI_COMPATIBLE
};

const TAKES: &[&str] = &[
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "presence_penalty",
    "stop",
    "temperature",
    "top_p",
    "response_format",
    "tools",
    "tool_choice",
    "reasoning_effort",
];

/// A tool cannot be forced here, and what it answered must be one text.
fn check_choice(body: &mut RawBody, target: &Target, call: &CallParams) -> Result<(), Failure> {
    messages::edit_where(body, "\"tool\"", |message| {
        if messages::is(message, "tool") {
            messages::join_content(message);
        }
    });
    let Some(choice) = body.typed::<serde_json::Value>("tool_choice") else { return Ok(()) };
    // What it does anyway.
    if choice == "auto" {
        body.remove("tool_choice");
    }
    if choice == "auto" || choice == "none" {
        return Ok(());
    }
    if !call.drop_params.unwrap_or(target.params.drop_params) {
        let choice = choice.as_str().map_or_else(|| choice.to_string(), str::to_owned);
        let message = format!(
            "Deepinfra doesn't support tool_choice={choice}. To drop unsupported openai params from the call, set \
             `litellm.drop_params = True`"
        );
        return Err(Failure::new(FailureKind::UnsupportedParams, message));
    }
    body.remove("tool_choice");
    Ok(())
}
