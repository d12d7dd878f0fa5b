//! Ollama: [`generate`] takes a prompt, [`chat`] takes turns; both stream a JSON document a line.

mod calls;
pub mod chat;
pub mod embed;
pub mod generate;

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatChunk, ChatRequest, Extras, Finish, Media, Message, Part, ResponseFormat},
};

use crate::{codec::Wanted, dialects::text_answer::Telling, target::Target};

/// `OpenAI`'s parameters that a request with a prompt has a word for, or puts into the prompt.
pub const TAKES: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "frequency_penalty",
    "response_format",
    "reasoning_effort",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
];

/// The type that `LiteLLM`'s requests have always had: the server reads none, and what stands before it may know this one.
const CONTENT_TYPE: &str = "application/octet-stream";

/// The headers of a request for words.
fn headers(target: &Target) -> Result<HeaderMap, Failure> {
    let mut headers = target.request_headers()?;
    if !target.headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    }
    Ok(headers)
}

/// Members of a request that are no options of the model.
const BESIDE_OPTIONS: &[&str] = &["keep_alive", "think", "system", "template", "raw", "context", "suffix", "format"];

/// The members that both ways share: options, form of the answer, thinking.
fn shared(request: &ChatRequest, target: &Target) -> Map<String, Value> {
    let mut options = Map::new();
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(name.to_owned(), value);
        }
    };
    set("temperature", request.temperature.clone().map(Value::Number));
    set("top_p", request.top_p.clone().map(Value::Number));
    set("stop", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    set("num_predict", request.max_output_tokens.map(Value::from));
    for (name, value) in &request.extras {
        match (name.as_str(), value) {
            ("options", Value::Object(given)) => given.iter().for_each(|(name, value)| set(name, Some(value.clone()))),
            (name, _) if BESIDE_OPTIONS.contains(&name) => {
                body.insert(name.to_owned(), value.clone());
            }
            (name, _) => set(name, Some(value.clone())),
        }
    }
    body.insert("options".to_owned(), options.into());
    body.insert("stream".to_owned(), request.stream.into());
    match &request.response_format {
        Some(ResponseFormat::JsonObject) => body.insert("format".to_owned(), "json".into()),
        Some(ResponseFormat::JsonSchema { schema, .. }) => body.insert("format".to_owned(), schema.clone()),
        Some(ResponseFormat::Text) | None => None,
    };
    if let Some(effort) = &request.reasoning_effort {
        body.entry("think").or_insert(think(effort, &target.model));
    }
    body
}

/// Models think or do not; only one family knows how hard.
fn think(effort: &str, model: &str) -> Value {
    if model.starts_with("gpt-oss") {
        effort.into()
    } else {
        (!matches!(effort, "none" | "disable" | "minimal")).into()
    }
}

/// Pictures elsewhere: the server takes them in the message only.
fn pictures_elsewhere(request: &ChatRequest) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        if let Part::Image { source: Media::Url(url), .. } = part
            && !wanted.iter().any(|known| matches!(known, Wanted::Media(known) if known == url))
        {
            wanted.push(Wanted::Media(url.clone()));
        }
    }
    wanted
}

/// The pictures of a message, base64.
fn pictures(message: &Message) -> Result<Vec<&str>, Failure> {
    let mut found = Vec::new();
    for part in &message.parts {
        match part {
            Part::Image { source: Media::Inline { data, .. } | Media::Url(data), .. } => found.push(data.as_str()),
            Part::Image { .. } | Part::Document { .. } | Part::Audio { .. } => {
                return Err(Failure::invalid("ollama takes text and pictures only").with_param("messages"));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What was used, where the server says so.
fn usage(told: &Value) -> Option<Usage> {
    let count = |name: &str| told.get(name).and_then(Value::as_u64);
    let output = count("eval_count")?;
    // What the server remembers of the last prompt it does not count.
    Some(Usage { input: count("prompt_eval_count").unwrap_or_default(), output, ..Usage::default() })
}

fn finish(told: &Value) -> (Finish, Option<String>) {
    match told.get("done_reason").and_then(Value::as_str) {
        None | Some("stop") => (Finish::Stop, None),
        Some("length") => (Finish::Length, None),
        Some(other) => (Finish::Stop, Some(other.to_owned())),
    }
}

/// The last words of a streamed answer, which may have made calls.
fn end(telling: &mut Telling, told: &Value, calls: bool, out: &mut Vec<ChatChunk>) {
    let (finish, native) = finish(told);
    telling.end(if calls { Finish::ToolCalls } else { finish }, native, out);
    if let Some(usage) = usage(told) {
        out.push(ChatChunk::Usage { usage, extras: no_extras() });
    }
}

/// An event, or a whole answer.
fn read(data: &[u8], target: &Target) -> Result<Value, Failure> {
    let told = target.event(data)?;
    match told.get("error") {
        Some(error) => {
            let words = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            Err(target.failure(FailureKind::Internal, words))
        }
        None => Ok(told),
    }
}

/// An id for a tool call, which the server gives none: made of what was told and when, in the form of a UUID, so that it is
/// another in every answer.
fn call_id(told: &Value, index: usize) -> String {
    let when = told.get("created_at").map(Value::to_string).unwrap_or_default();
    let what = json!([when, told.get("message"), index]).to_string();
    let [high, low] = [0xcbf2_9ce4_8422_2325_u64, 0x6c62_272e_07bb_0142].map(|seed| fnv(seed, what.as_bytes()));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Fowler, Noll and Vo's hash, 1a, 64 bits; nothing secret hangs on it.
fn fnv(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn no_extras() -> Extras {
    Extras::new()
}
