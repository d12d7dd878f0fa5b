//! Raw JSON, in whatever dialect: the words in it, for a count of our own where a provider sends none.

use serde_json::Value;
use tollgate_wire::chat::Media;

use super::{
    Tokenizer,
    chat::{DOCUMENT, PER_ANSWER, PER_MESSAGE},
    images,
};

/// Members of a request that its model reads. If a body has none of them, all of it is read.
const READ: &[&str] = &[
    "messages",
    "prompt",
    "input",
    "inputs",
    "instructions",
    "system",
    "systemInstruction",
    "system_instruction",
    "contents",
    "content",
    "message",
    "chat_history",
    "preamble",
    "documents",
    "query",
    "queries",
    "texts",
    "inputText",
    "instances",
];
/// Members whose whole JSON is put before the model.
const WRITTEN: &[&str] = &["tools", "functions", "toolConfig"];
/// Members of an answer that its model wrote. If a body has none of them, all of it was written.
const SAID: &[&str] = &[
    "choices",
    "content",
    "output",
    "outputs",
    "candidates",
    "message",
    "text",
    "response",
    "completion",
    "generated_text",
    "results",
];
/// Members that frame and name things.
pub(super) const SILENT: &[&str] = &[
    "type",
    "id",
    "object",
    "model",
    "index",
    "detail",
    "status",
    "format",
    "media_type",
    "mime_type",
    "mimeType",
    "cache_control",
    "cachePoint",
    "signature",
    "thoughtSignature",
    "encrypted_content",
    "call_id",
    "finish_reason",
    "finishReason",
    "stop_reason",
    "native_finish_reason",
    "logprobs",
    "embedding",
];
/// From this length on a text without a space may be bytes in base64. Characters.
const MAYBE_BYTES: usize = 512;

impl Tokenizer {
    /// Input tokens of a provider's request.
    #[must_use]
    pub fn request(&self, body: &Value) -> u64 {
        let read = Self::members(body, READ, |value| self.strings(value)).unwrap_or_else(|| self.strings(body));
        let written = WRITTEN.iter().filter_map(|name| body.get(name)).map(|value| self.text(&value.to_string()));
        let framed = if body.get("messages").is_some() { PER_ANSWER } else { 0 };
        read + written.sum::<u64>() + framed
    }

    /// Output tokens of a whole answer.
    #[must_use]
    pub fn answer(&self, body: &Value) -> u64 {
        Self::members(body, SAID, |value| self.said(value)).unwrap_or_else(|| self.said(body))
    }

    fn members(body: &Value, names: &[&str], count: impl Fn(&Value) -> u64) -> Option<u64> {
        let found: Vec<u64> = names.iter().filter_map(|name| body.get(name)).map(count).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    /// The texts in a value that a model wrote: whose they are was not, and frames no message of an answer.
    fn said(&self, value: &Value) -> u64 {
        match value {
            Value::Array(items) => items.iter().map(|item| self.said(item)).sum(),
            Value::Object(members) => {
                let spoken = members.iter().filter(|(name, _)| *name != "role" && !SILENT.contains(&name.as_str()));
                spoken
                    .map(|(name, value)| if name == "image_url" { self.member(name, value) } else { self.said(value) })
                    .sum()
            }
            other => self.strings(other),
        }
    }

    /// The texts in a value, without what only frames them.
    pub(super) fn strings(&self, value: &Value) -> u64 {
        match value {
            Value::String(text) => self.text_or_bytes(text),
            Value::Array(items) => items.iter().map(|item| self.strings(item)).sum(),
            Value::Object(members) => {
                let framed = if members.contains_key("role") { PER_MESSAGE } else { 0 };
                let spoken = members.iter().filter(|(name, _)| !SILENT.contains(&name.as_str()));
                framed + spoken.map(|(name, value)| self.member(name, value)).sum::<u64>()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    fn member(&self, name: &str, value: &Value) -> u64 {
        if name != "image_url" {
            return self.strings(value);
        }
        let detail = value.get("detail").and_then(Value::as_str);
        let url = value.get("url").unwrap_or(value).as_str().unwrap_or_default();
        let source = match url.split_once(";base64,") {
            Some((media_type, data)) => Media::Inline { media_type: media_type.to_owned(), data: data.to_owned() },
            None => Media::Url(url.to_owned()),
        };
        images::tokens(&source, detail)
    }

    fn text_or_bytes(&self, text: &str) -> u64 {
        if !holds_bytes(text) {
            return self.text(text);
        }
        let data = text.split_once(";base64,").map_or(text, |(_, data)| data);
        images::tokens_of_base64(data).unwrap_or(DOCUMENT)
    }
}

/// Whether a text is a picture or file in base64, by its beginning.
pub(super) fn holds_bytes(text: &str) -> bool {
    if text.starts_with("data:") {
        return text.get(..MAYBE_BYTES).unwrap_or(text).contains(";base64,");
    }
    let Some(start) = text.as_bytes().get(..MAYBE_BYTES) else { return false };
    start.iter().any(u8::is_ascii_digit)
        && start.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'))
}
