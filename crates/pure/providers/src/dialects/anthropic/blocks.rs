//! One part of a message as Anthropic's content block.

use base64::Engine as _;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{Extras, Media, Part, ToolCall},
};

use super::names;
use crate::{codec::Wanted, dialects::openai_responses::items::SEAL};

/// What stands where a client says nothing, as Anthropic refuses empty text. `LiteLLM`'s words.
const NOTHING_SAID: &str = "[System: Empty message content sanitised to satisfy protocol]";

/// Members of our clients' parts that Anthropic's blocks have as well.
const SHARED: [&str; 4] = ["cache_control", "citations", "title", "context"];

/// What must be fetched first: Anthropic fetches from https only.
pub(super) fn wanted(parts: &[Part]) -> Vec<Wanted> {
    parts
        .iter()
        .flat_map(|part| match part {
            Part::Image { source: Media::Url(url), .. } | Part::Document { source: Media::Url(url), .. }
                if begins_with(url, "http://") =>
            {
                vec![Wanted::Media(url.clone())]
            }
            Part::ToolResult { parts, .. } => wanted(parts),
            _ => Vec::new(),
        })
        .collect()
}

fn begins_with(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
}

/// A text block.
pub(super) fn text(text: &str, extras: &Extras) -> Value {
    let said = if text.trim().is_empty() { NOTHING_SAID } else { text };
    with_shared(json!({"type": "text", "text": said}), extras)
}

/// The block where a message says nothing at all.
pub(super) fn nothing() -> Value {
    text("", &Extras::new())
}

/// A part as a block; `None` for what Anthropic need not see again.
///
/// # Errors
/// When Claude has no ear or eye for it.
pub(super) fn write(part: &Part) -> Result<Option<Value>, Failure> {
    Ok(Some(match part {
        Part::Text { text: words, extras } => text(words, extras),
        Part::Refusal(words) => text(words, &Extras::new()),
        Part::Image { source, extras } => media(source, extras, Kind::Image)?,
        Part::Document { source, extras, .. } => media(source, extras, Kind::Document)?,
        Part::Audio { .. } => return Err(refused("Claude does not take sound; `input_audio` cannot be sent to it")),
        // Thoughts without their seal are refused.
        // So are thoughts under another provider's seal, which clients return when they change the model.
        Part::Thinking { text, signature } => match signature.as_deref().filter(|seal| !seal.starts_with(SEAL)) {
            Some(signature) => json!({"type": "thinking", "thinking": text, "signature": signature}),
            None => return Ok(None),
        },
        Part::RedactedThinking { data } => json!({"type": "redacted_thinking", "data": data}),
        Part::ToolCall(call) => tool_use(call, "tool_use"),
        Part::ToolResult { call_id, parts, is_error, extras } => tool_result(call_id, parts, *is_error, extras)?,
        Part::Opaque { raw, .. } => raw.clone(),
    }))
}

fn refused(why: &str) -> Failure {
    Failure::invalid(why).with_param("messages")
}

#[derive(Clone, Copy)]
enum Kind {
    Image,
    Document,
}

fn media(source: &Media, extras: &Extras, kind: Kind) -> Result<Value, Failure> {
    let format = extras.get("format").and_then(Value::as_str);
    let block = match source {
        Media::Url(url) if begins_with(url, "https://") || begins_with(url, "http://") => {
            let is_pdf = format == Some("application/pdf") || url.ends_with(".pdf");
            let name = if is_pdf { "document" } else { kind.block() };
            json!({"type": name, "source": {"type": "url", "url": url}})
        }
        // A file's data is found in the wild without its `data:` header.
        Media::Url(data) if matches!(kind, Kind::Document) && !data.contains(':') && !data.is_empty() => {
            inline(format.unwrap_or("application/pdf"), data)?
        }
        Media::Url(_) => return Err(refused("an image or file must be a `data:`, http or https URL")),
        Media::Inline { media_type, data } => inline(format.unwrap_or(media_type), data)?,
        Media::FileId(id) => {
            let is_image = format.is_some_and(|format| format.starts_with("image/"));
            let name = if is_image { "image" } else { kind.block() };
            json!({"type": name, "source": {"type": "file", "file_id": id}})
        }
    };
    Ok(with_shared(block, extras))
}

impl Kind {
    fn block(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Document => "document",
        }
    }
}

/// What the message holds itself: its type says which block it is.
fn inline(media_type: &str, data: &str) -> Result<Value, Failure> {
    let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
    if media_type.starts_with("text/") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(data).ok();
        let Some(words) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Err(refused("a text file must be UTF-8 in base64"));
        };
        return Ok(json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}}));
    }
    let name = if media_type.starts_with("image/") { "image" } else { "document" };
    Ok(json!({"type": name, "source": {"type": "base64", "media_type": media_type, "data": data}}))
}

/// A call of a tool, by the client (`tool_use`) or by Anthropic itself (`server_tool_use`).
pub(super) fn tool_use(call: &ToolCall, kind: &str) -> Value {
    let block = json!({"type": kind, "id": names::call(&call.id), "name": names::tool(&call.name),
        "input": arguments(&call.arguments)});
    with_shared(block, &call.extras)
}

/// A call's arguments, which must be an object. What is none is shown to the model as it wrote it.
fn arguments(text: &str) -> Value {
    if text.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Value::Object(members),
        Ok(Value::Null) => json!({}),
        _ => json!({ "arguments": text }),
    }
}

fn tool_result(call_id: &str, parts: &[Part], is_error: bool, extras: &Extras) -> Result<Value, Failure> {
    let content: Value = match parts {
        [] => "".into(),
        [Part::Text { text, extras }] if extras.is_empty() => text.as_str().into(),
        parts => {
            let said = parts.iter().filter(|part| !matches!(part, Part::Text { text, .. } if text.trim().is_empty()));
            let blocks = said.map(write).collect::<Result<Vec<_>, _>>()?;
            blocks.into_iter().flatten().collect()
        }
    };
    let mut block = json!({"type": "tool_result", "tool_use_id": names::call(call_id), "content": content});
    if (is_error || extras.get("is_error") == Some(&Value::Bool(true)))
        && let Some(members) = block.as_object_mut()
    {
        members.insert("is_error".to_owned(), Value::Bool(true));
    }
    Ok(with_shared(block, extras))
}

fn with_shared(mut block: Value, extras: &Extras) -> Value {
    if let Some(members) = block.as_object_mut() {
        share(members, extras, &SHARED);
    }
    block
}

/// Copies members of these names that are there.
pub(super) fn share(into: &mut Map<String, Value>, from: &Map<String, Value>, names: &[&str]) {
    for name in names {
        if let Some(value) = from.get(*name).filter(|value| !value.is_null()) {
            into.insert((*name).to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(part: &Part, expected: &Value) {
        assert_eq!(write(part).unwrap().as_ref(), Some(expected));
    }

    fn call(arguments: &str) -> Part {
        let (id, name) = ("call/1".to_owned(), "f".to_owned());
        Part::ToolCall(ToolCall { id, name, arguments: arguments.to_owned(), extras: Extras::new() })
    }

    #[test]
    fn arguments_are_always_an_object() {
        let expected = |input: Value| json!({"type": "tool_use", "id": "call_1", "name": "f", "input": input});
        check(&call(r#"{"a":1}"#), &expected(json!({"a": 1})));
        check(&call(""), &expected(json!({})));
        check(&call("null"), &expected(json!({})));
        check(&call(r#"{"a":"#), &expected(json!({"arguments": r#"{"a":"#})));
    }

    fn file(source: Media) -> Part {
        Part::Document { source, name: None, extras: Extras::new() }
    }

    #[test]
    fn a_file_is_what_its_type_says() {
        let held = |media_type: &str, data: &str| {
            file(Media::Inline { media_type: media_type.to_owned(), data: data.to_owned() })
        };
        check(
            &held("text/markdown", "aGk="),
            &json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}),
        );
        check(
            &held("image/jpg", "AA=="),
            &json!({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}}),
        );
        check(
            &file(Media::Url("JVBERi0=".to_owned())),
            &json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}),
        );
        check(
            &file(Media::FileId("file_1".to_owned())),
            &json!({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        );
        assert!(write(&file(Media::Url("ftp://host/a".to_owned()))).is_err());
        assert!(write(&held("text/plain", "!")).is_err());
    }

    #[test]
    fn thoughts_without_a_seal_stay_at_home() {
        let thought =
            |signature: Option<&str>| Part::Thinking { text: "so".to_owned(), signature: signature.map(str::to_owned) };
        assert_eq!(write(&thought(None)).unwrap(), None);
        check(&thought(Some("S")), &json!({"type": "thinking", "thinking": "so", "signature": "S"}));
    }

    #[test]
    fn only_what_anthropic_cannot_fetch_itself_is_wanted() {
        let image = |url: &str| Part::Image { source: Media::Url(url.to_owned()), extras: Extras::new() };
        let result = Part::ToolResult {
            call_id: String::new(),
            parts: vec![image("HTTP://b/2.png")],
            is_error: false,
            extras: Extras::new(),
        };
        let found = wanted(&[image("http://a/1.png"), image("https://a/1.png"), result]);
        assert_eq!(found, ["http://a/1.png", "HTTP://b/2.png"].map(|url| Wanted::Media(url.to_owned())));
    }
}
