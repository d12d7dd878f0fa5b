//! Events of an event stream, as a client reads them.

use serde_json::Value;

use super::find;

/// One event of an event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `event:` line.
    pub name: Option<String>,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
    /// The comment lines, without their colon.
    pub comments: Vec<String>,
}

impl Event {
    /// The data as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }
}

/// Takes the first whole event off a text; pieces without data or comment are passed over.
pub(super) fn take(text: &mut Vec<u8>) -> Option<Event> {
    loop {
        let end = find(text, b"\n\n")?;
        let block: Vec<u8> = text.drain(..end + 2).collect();
        let mut event = Event { name: None, data: String::new(), comments: Vec::new() };
        let mut data = Vec::new();
        for line in String::from_utf8_lossy(&block).lines() {
            if let Some(comment) = line.strip_prefix(':') {
                event.comments.push(comment.trim().to_owned());
            } else if let Some(text) = line.strip_prefix("data:") {
                data.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            } else if let Some(name) = line.strip_prefix("event:") {
                event.name = Some(name.trim().to_owned());
            }
        }
        event.data = data.join("\n");
        if !data.is_empty() || event.name.is_some() || !event.comments.is_empty() {
            return Some(event);
        }
    }
}
