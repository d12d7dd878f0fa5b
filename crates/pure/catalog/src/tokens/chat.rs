//! A conversation's tokens, message by message.

use serde_json::Value;
use tollgate_wire::chat::{ChatRequest, Media, Message, Part, Role, ToolChoice};

use super::{Tokenizer, images, tools};

/// What frames a message.
pub(super) const PER_MESSAGE: u64 = 3;
/// What frames a name.
const PER_NAME: u64 = 1;
/// What begins the answer.
pub(super) const PER_ANSWER: u64 = 3;
/// What frames the list of tools.
const TOOLS: u64 = 9;
/// What a system message and the list of tools share.
const SHARED: u64 = 4;
/// Files are read by the page, and how many there are only their reader knows: what Anthropic states for one page.
pub(super) const DOCUMENT: u64 = 2_000;
/// Bytes of sound per token: 10 tokens a second of 24 kHz PCM, or of a compressed 128 kbit/s.
const WAV_BYTES: u64 = 4_800;
const COMPRESSED_BYTES: u64 = 1_600;

impl Tokenizer {
    /// Input tokens of a chat call; see [`count_chat`](super::count_chat).
    #[must_use]
    pub fn chat(&self, request: &ChatRequest) -> u64 {
        if request.messages.is_empty() && request.tools.is_empty() {
            return 0;
        }
        let messages: u64 = request.messages.iter().map(|message| self.message(message)).sum();
        let mut tokens = messages + PER_ANSWER;
        if !request.tools.is_empty() {
            tokens += self.text(&tools::written(&request.tools)) + TOOLS;
            if request.messages.iter().any(|message| message.role == Role::System) {
                tokens -= SHARED;
            }
        }
        tokens
            + match &request.tool_choice {
                Some(ToolChoice::None) => 1,
                Some(ToolChoice::Named(name)) => 7 + self.text(name),
                Some(ToolChoice::Auto | ToolChoice::Required) | None => 0,
            }
    }

    fn message(&self, message: &Message) -> u64 {
        // Each result is a message of its own in the words that are counted.
        let results = message.parts.iter().filter(|part| matches!(part, Part::ToolResult { .. })).count();
        let role = self.text(match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        });
        let frame = (PER_MESSAGE + role) * results.max(1) as u64;
        let name = message.name.as_ref().map_or(0, |name| self.text(name) + PER_NAME);
        let extras: u64 = message.extras.values().filter_map(Value::as_str).map(|text| self.text(text)).sum();
        frame + name + extras + self.parts(&message.parts)
    }

    fn parts(&self, parts: &[Part]) -> u64 {
        parts.iter().map(|part| self.part(part)).sum()
    }

    fn part(&self, part: &Part) -> u64 {
        match part {
            Part::Text { text, .. } | Part::Thinking { text, .. } | Part::Refusal(text) => self.text(text),
            Part::Image { source, extras } => images::tokens(source, extras.get("detail").and_then(Value::as_str)),
            Part::Audio { data, format } => {
                let bytes = data.len() as u64 / 4 * 3;
                bytes.div_ceil(if format == "wav" { WAV_BYTES } else { COMPRESSED_BYTES })
            }
            Part::Document { source, .. } => match source {
                Media::Inline { media_type, data } if media_type.starts_with("text/") => self.text_of_base64(data),
                _ => DOCUMENT,
            },
            // Sealed thoughts of earlier turns are not read again as text.
            Part::RedactedThinking { .. } => 0,
            Part::ToolCall(call) => self.text(&call.arguments),
            Part::ToolResult { call_id, parts, .. } => self.text(call_id) + self.parts(parts),
            Part::Opaque { raw, .. } => self.strings(raw),
        }
    }

    fn text_of_base64(&self, data: &str) -> u64 {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.decode(data).ok();
        // Text may stand there as it is: Anthropic's `text` sources do.
        text.and_then(|bytes| String::from_utf8(bytes).ok()).map_or_else(|| self.text(data), |text| self.text(&text))
    }
}
