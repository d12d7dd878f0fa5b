//! One part of a message as Converse's content block.

use serde_json::{Value, json};
use tollgate_wire::{
    Failure,
    chat::{Extras, Media, Part, ToolCall},
};

use super::names;
use crate::{codec::Wanted, target::Target};

/// What must be fetched first: Converse takes bytes, or what lies in S3.
pub(super) fn wanted(parts: &[Part]) -> Vec<Wanted> {
    let web = |url: &str| url.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("http"));
    parts
        .iter()
        .flat_map(|part| match part {
            Part::Image { source: Media::Url(url), .. } | Part::Document { source: Media::Url(url), .. }
                if web(url) =>
            {
                vec![Wanted::Media(url.clone())]
            }
            Part::ToolResult { parts, .. } => wanted(parts),
            _ => Vec::new(),
        })
        .collect()
}

/// Which call or document of a conversation this is, to name what has no name.
#[derive(Debug, Default)]
pub(super) struct Count {
    documents: usize,
}

/// The blocks of a part, the mark behind it among them; none for what is empty or need not be said again.
///
/// # Errors
/// When Converse has no block for it.
pub(super) fn write(part: &Part, count: &mut Count, target: &Target) -> Result<Vec<Value>, Failure> {
    let (block, extras) = match part {
        // Empty text is refused.
        Part::Text { text, .. } | Part::Refusal(text) if text.trim().is_empty() => (None, None),
        Part::Text { text, extras } => (Some(json!({ "text": text })), Some(extras)),
        Part::Refusal(text) => (Some(json!({ "text": text })), None),
        Part::Image { source, extras } => (Some(media(source, None, extras, count)?), Some(extras)),
        Part::Document { source, name, extras } => (Some(media(source, name.as_deref(), extras, count)?), Some(extras)),
        Part::Audio { .. } => return Err(refused("Bedrock's Converse takes no `input_audio`")),
        Part::Thinking { text, signature: Some(signature) } => {
            (Some(json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}})), None)
        }
        // Thoughts without their seal are refused.
        Part::Thinking { signature: None, .. } => (None, None),
        Part::RedactedThinking { data } => (Some(json!({"reasoningContent": {"redactedContent": data}})), None),
        Part::ToolCall(call) => (Some(tool_use(call)), Some(&call.extras)),
        Part::ToolResult { call_id, parts, is_error, extras } => {
            (Some(tool_result(call_id, parts, *is_error, count, target)?), Some(extras))
        }
        Part::Opaque { raw, .. } => (Some(opaque(raw)), None),
    };
    Ok(block.into_iter().chain(extras.and_then(|extras| cache_point(extras, target))).collect())
}

fn refused(why: &str) -> Failure {
    Failure::invalid(why).with_param("messages")
}

/// Anthropic's mark for prompt caching in Bedrock's words, if there is one.
pub(super) fn cache_point(extras: &Extras, target: &Target) -> Option<Value> {
    let mark = extras.get("cache_control").filter(|mark| mark.is_object() && names::keeps_prompts(target))?;
    let mut point = json!({"type": "default"});
    let ttl = mark.get("ttl").and_then(Value::as_str).filter(|_| names::is_recent_claude(target));
    if let (Some(ttl), Some(members)) = (ttl, point.as_object_mut()) {
        members.insert("ttl".to_owned(), ttl.into());
    }
    Some(json!({ "cachePoint": point }))
}

/// A piece that only Bedrock knows; words to be looked at by a guardrail in `LiteLLM`'s form.
fn opaque(raw: &Value) -> Value {
    match (raw.get("type").and_then(Value::as_str), raw.get("text").and_then(Value::as_str)) {
        (Some("guarded_text"), Some(text)) => guarded(text),
        _ => raw.clone(),
    }
}

/// Words that the guardrail looks at.
pub(super) fn guarded(text: &str) -> Value {
    json!({"guardContent": {"text": {"text": text}}})
}

fn tool_use(call: &ToolCall) -> Value {
    let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let input = match serde_json::from_str(text) {
        Ok(input @ Value::Object(_)) => input,
        Ok(Value::Null) => json!({}),
        _ => json!({"arguments": call.arguments}),
    };
    json!({"toolUse": {"input": input, "name": names::tool(&call.name), "toolUseId": call.id}})
}

fn tool_result(
    call_id: &str,
    parts: &[Part],
    is_error: bool,
    count: &mut Count,
    target: &Target,
) -> Result<Value, Failure> {
    let mut content = Vec::new();
    for part in parts {
        content.extend(write(part, count, target)?);
    }
    if content.is_empty() {
        content.push(json!({"text": ""}));
    }
    let mut result = json!({"content": content, "toolUseId": call_id});
    if let (true, Some(members)) = (is_error, result.as_object_mut()) {
        members.insert("status".to_owned(), "error".into());
    }
    Ok(json!({ "toolResult": result }))
}

/// Kinds of media: type, Converse's block, Converse's word.
const FORMATS: &[(&str, &str, &str)] = &[
    ("image/png", "image", "png"),
    ("image/jpeg", "image", "jpeg"),
    ("image/jpg", "image", "jpeg"),
    ("image/gif", "image", "gif"),
    ("image/webp", "image", "webp"),
    ("application/pdf", "document", "pdf"),
    ("text/csv", "document", "csv"),
    ("application/msword", "document", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document", "docx"),
    ("application/vnd.ms-excel", "document", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "document", "xlsx"),
    ("text/html", "document", "html"),
    ("text/plain", "document", "txt"),
    ("text/markdown", "document", "md"),
    ("video/mp4", "video", "mp4"),
    ("video/quicktime", "video", "mov"),
    ("video/x-matroska", "video", "mkv"),
    ("video/webm", "video", "webm"),
    ("video/x-flv", "video", "flv"),
    ("video/mpeg", "video", "mpeg"),
    ("video/x-ms-wmv", "video", "wmv"),
    ("video/3gpp", "video", "three_gp"),
];

fn media(source: &Media, name: Option<&str>, extras: &Extras, count: &mut Count) -> Result<Value, Failure> {
    let stated = extras.get("format").and_then(Value::as_str);
    let (source, media_type) = match source {
        Media::Inline { media_type, data } => (json!({ "bytes": data }), stated.unwrap_or(media_type).to_owned()),
        Media::Url(url) | Media::FileId(url) if url.starts_with("s3://") => {
            (json!({"s3Location": {"uri": url}}), stated.map_or_else(|| type_of(url), str::to_owned))
        }
        Media::Url(data) if !data.contains(':') && !data.is_empty() => {
            // A file's data is found in the wild without its `data:` header.
            (json!({ "bytes": data }), stated.unwrap_or("application/pdf").to_owned())
        }
        Media::Url(_) | Media::FileId(_) => {
            return Err(refused("an image or file must be a `data:`, http, https or s3 URL"));
        }
    };
    let found = FORMATS.iter().find(|(known, ..)| *known == media_type);
    let Some((_, block, word)) = found else {
        return Err(refused(&format!("Bedrock takes no media of type '{media_type}'")));
    };
    let mut inner = json!({"source": source, "format": word});
    if *block == "document"
        && let Some(members) = inner.as_object_mut()
    {
        count.documents += 1;
        members.insert("name".to_owned(), document_name(name, count.documents).into());
    }
    Ok(json!({ *block: inner }))
}

/// The type that the end of a name says.
fn type_of(url: &str) -> String {
    let end = url.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let word = if end == "jpg" { "jpeg" } else { &end };
    FORMATS
        .iter()
        .find(|(.., known)| *known == word)
        .map_or_else(String::new, |(media_type, ..)| (*media_type).to_owned())
}

/// Names of documents are letters, digits, single spaces, `-`, `(`, `)`, `[` and `]`, and each is there once.
fn document_name(name: Option<&str>, number: usize) -> String {
    let stem = name.map(|name| name.rsplit_once('.').map_or(name, |(stem, _)| stem)).unwrap_or_default();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '(' | ')' | '[' | ']');
    let plain: String = stem.chars().take(150).map(|letter| if fits(letter) { letter } else { '-' }).collect();
    if plain.is_empty() { format!("document-{number}") } else { format!("{plain}-{number}") }
}
