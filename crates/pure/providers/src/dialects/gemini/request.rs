//! A hub request as Gemini's body.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatRequest, ResponseFormat},
};

use super::{contents, schema, thinking, tools};
use crate::target::Target;

/// Parameters of Google's own that stand in `generationConfig`, by their names there, which clients use as well.
const SETTINGS: &[&str] = &[
    "top_k",
    "topK",
    "response_mime_type",
    "responseMimeType",
    "response_schema",
    "responseSchema",
    "response_json_schema",
    "responseJsonSchema",
    "responseModalities",
    "imageConfig",
    "thinkingConfig",
    "speechConfig",
    "mediaResolution",
    "enableEnhancedCivicAnswers",
    "audioTimestamp",
];
/// Parameters of Google's own beside `generationConfig`: what clients write, and what goes out.
const BESIDE: &[(&str, &str)] = &[
    ("safety_settings", "safetySettings"),
    ("safetySettings", "safetySettings"),
    ("cached_content", "cachedContent"),
    ("cachedContent", "cachedContent"),
    ("model_armor_config", "modelArmorConfig"),
    ("modelArmorConfig", "modelArmorConfig"),
];

/// The body of `generateContent`.
///
/// # Errors
/// When the request cannot be said in this dialect.
pub fn request_body(request: &ChatRequest, target: &Target) -> Result<Map<String, Value>, Failure> {
    let conversation = contents::write(&request.messages, &target.model)?;
    let mut settings = sampling(request, target);
    let asked_in_words = answer_form(request, target, &mut settings);
    let mut contents = conversation.contents;
    if let Some(words) = asked_in_words {
        say(&mut contents, &words);
    }
    if let Some(config) = thinking::config(request, target)? {
        settings.insert("thinkingConfig".to_owned(), config);
    }
    further(request, &mut settings);
    if let Some(resolution) = conversation.resolution {
        settings.entry("mediaResolution").or_insert_with(|| resolution.into());
    }
    if thinking::thinks_by_level(&target.model) {
        // Google: below 1.0 the third generation may loop.
        settings.entry("temperature").or_insert_with(|| json!(1.0));
    }
    let offered = tools::offered(request, target)?;
    let mut out = Map::from_iter([("contents".to_owned(), contents.into())]);
    if !conversation.system.is_empty() {
        out.insert("system_instruction".to_owned(), json!({ "parts": conversation.system }));
    }
    if !offered.tools.is_empty() {
        out.insert("tools".to_owned(), offered.tools.into());
    }
    if !offered.config.is_empty() {
        out.insert("toolConfig".to_owned(), offered.config.into());
    }
    beside(request, target, &mut out);
    if !settings.is_empty() {
        out.insert("generationConfig".to_owned(), settings.into());
    }
    Ok(out)
}

fn sampling(request: &ChatRequest, target: &Target) -> Map<String, Value> {
    let mut out = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    set("temperature", request.temperature.clone().map(Value::Number));
    set("top_p", request.top_p.clone().map(Value::Number));
    set("candidate_count", request.extra("n").cloned());
    set("stop_sequences", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    set("max_output_tokens", request.max_output_tokens.map(Value::from));
    if super::takes_penalties(&target.model) {
        set("presence_penalty", request.extra("presence_penalty").cloned());
        set("frequency_penalty", request.extra("frequency_penalty").cloned());
    }
    set("seed", request.extra("seed").cloned());
    set("responseLogprobs", request.extra("logprobs").cloned());
    set("logprobs", request.extra("top_logprobs").cloned());
    set("responseModalities", request.extra("modalities").and_then(modalities));
    if let Some(voice) = request.extra("audio").and_then(|audio| audio.get("voice")) {
        set("speechConfig", Some(json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}})));
        speak(&mut out);
    }
    out
}

fn modalities(wanted: &Value) -> Option<Value> {
    let words = wanted.as_array()?.iter().map(|word| match word.as_str() {
        Some(word) => word.to_ascii_uppercase(),
        None => "MODALITY_UNSPECIFIED".to_owned(),
    });
    Some(words.collect())
}

/// Who is given a voice is to speak.
fn speak(settings: &mut Map<String, Value>) {
    let modalities = settings.entry("responseModalities").or_insert_with(|| json!([]));
    if let Some(modalities) = modalities.as_array_mut()
        && !modalities.iter().any(|modality| modality == "AUDIO")
    {
        modalities.push("AUDIO".into());
    }
}

/// How the form of the answer is asked for. Models without a parameter for it are told in words, which are returned.
fn answer_form(request: &ChatRequest, target: &Target, settings: &mut Map<String, Value>) -> Option<String> {
    let kind = match request.response_format.as_ref()? {
        ResponseFormat::Text => "text/plain",
        _ => "application/json",
    };
    settings.insert("response_mime_type".to_owned(), kind.into());
    let Some(ResponseFormat::JsonSchema { schema, .. }) = &request.response_format else { return None };
    // From the second generation on schemas are taken as they are.
    if super::generation(&target.model).is_none_or(|generation| generation >= 2) {
        let mut schema = schema.clone();
        if let Some(members) = schema.as_object_mut() {
            members.shift_remove("strict");
        }
        settings.insert("response_json_schema".to_owned(), schema);
        return None;
    }
    let schema = schema::plain(schema, true);
    if target.facts.response_schema {
        settings.insert("response_schema".to_owned(), schema);
        return None;
    }
    Some(format!("Use this JSON schema: \n    ```json \n    {}\n    ```", single_quoted(&schema)))
}

/// The schema as `LiteLLM` shows it to models without a parameter for it.
fn single_quoted(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Array(items) => format!("[{}]", list(items.iter().map(single_quoted).collect())),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("'{name}': {}", single_quoted(value)));
            format!("{{{}}}", list(members.collect()))
        }
    }
}

/// Adds words to the person's last turn, or as one.
fn say(contents: &mut Vec<Value>, words: &str) {
    let part = json!({ "text": words });
    let last = contents.last_mut().filter(|turn| turn.get("role").and_then(Value::as_str) == Some("user"));
    match last.and_then(|turn| turn.get_mut("parts")).and_then(Value::as_array_mut) {
        Some(parts) => parts.push(part),
        None => contents.push(json!({"role": "user", "parts": [part]})),
    }
}

/// Google's own settings, as the client wrote them.
fn further(request: &ChatRequest, settings: &mut Map<String, Value>) {
    for name in SETTINGS {
        if let Some(value) = request.extra(name) {
            settings.insert((*name).to_owned(), value.clone());
        }
    }
    for name in ["generationConfig", "generation_config"] {
        if let Some(Value::Object(members)) = request.extra(name) {
            settings.extend(members.clone());
        }
    }
}

fn beside(request: &ChatRequest, target: &Target, out: &mut Map<String, Value>) {
    for (name, sent) in BESIDE {
        if let Some(value) = request.extra(name) {
            out.insert((*sent).to_owned(), value.clone());
        }
    }
    if let Some(tier) = request.extra("service_tier").and_then(Value::as_str) {
        let tier = if tier.eq_ignore_ascii_case("auto") { "priority".to_owned() } else { tier.to_ascii_lowercase() };
        out.insert("serviceTier".to_owned(), tier.into());
    }
    // Labels are for Google Cloud's bills.
    let labels = request.extra("labels").filter(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty()));
    if let (Some(labels), "vertex_ai") = (labels, target.provider.name) {
        out.insert("labels".to_owned(), labels.clone());
    }
}
