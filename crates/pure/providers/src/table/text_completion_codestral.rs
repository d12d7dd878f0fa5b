//! Codestral's filling in the middle: a text completion whose answers are shaped like chat.

use serde_json::Value;
use tollgate_wire::RawBody;

use crate::{
    dialects::openai,
    provider::{Asked, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "text-completion-codestral",
    title: "Text-completion-codestral",
    base_url: "https://codestral.mistral.ai/v1",
    base_env: &["CODESTRAL_API_BASE"],
    key_env: &["CODESTRAL_API_KEY"],
    chat: None,
    completions: Some(&openai::COMPLETIONS),
    completions_path: "/fim/completions",
    embeddings: None,
    quirks: Quirks {
        supported: Supported::Only(TAKES),
        rename: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
        stream_usage: StreamUsage::Never,
        answer: Some(as_text),
        chunk: Some(as_text),
        notes: &["answers are shaped like chat and turned into text"],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

/// Takes the text out of the message, or out of its piece.
fn as_text(body: &mut RawBody, _asked: Asked) {
    let Some(mut choices) = body.typed::<Vec<Value>>("choices") else { return };
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        let message = choice.shift_remove("message").or_else(|| choice.shift_remove("delta"));
        let text = message.and_then(|message| message.get("content")?.as_str().map(str::to_owned));
        choice.insert("text".to_owned(), text.unwrap_or_default().into());
    }
    body.set("choices", &choices.into());
    body.set_str("object", "text_completion");
}

/// Mistral's reference of filling in the middle.
const TAKES: &[&str] = &["temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed"];
