//! Content blocks of Anthropic's clients as parts of the hub's messages.

use base64::Engine as _;
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure,
    chat::{Extras, Media, Message, Part, Role, ToolCall},
};

use super::front::wrong;

/// The dialect of parts that only Claude reads.
pub(super) const DIALECT: &str = "anthropic";

/// The operator's instructions; none where there are no words.
pub(super) fn system(value: Value) -> Result<Option<Message>, Failure> {
    let parts = match value {
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![Part::text(text)],
        Value::Array(blocks) => {
            blocks.into_iter().map(|block| text_block(block).ok_or_else(no_words)).collect::<Result<_, _>>()?
        }
        _ => return Err(no_words()),
    };
    Ok((!parts.is_empty()).then(|| message(Role::System, parts)))
}

fn no_words() -> Failure {
    wrong("system", "text or a list of text blocks")
}

fn text_block(block: Value) -> Option<Part> {
    let Value::Object(mut members) = block else { return None };
    (members.get("type")? == "text").then_some(())?;
    words(&mut members)
}

/// A text block. Its type stays among the members: so it remains a block for dialects that know texts and blocks, where
/// a lone text would be written plainly.
fn words(members: &mut Map<String, Value>) -> Option<Part> {
    match members.remove("text")? {
        Value::String(text) => Some(Part::Text { text, extras: std::mem::take(members) }),
        _ => None,
    }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Extras::new() }
}

/// One message as the hub's: the results of tools are messages of their own, before what is said beside them.
pub(super) fn messages(role: Role, content: Value, at: usize) -> Result<Vec<Message>, Failure> {
    let place = format!("messages.{at}.content");
    let blocks = match content {
        Value::String(text) => return Ok(vec![message(role, vec![Part::text(text)])]),
        Value::Array(blocks) => blocks,
        _ => return Err(wrong(&place, "text or a list of blocks")),
    };
    let mut read = Vec::new();
    let mut said = Vec::new();
    for (at, block) in blocks.into_iter().enumerate() {
        match part(block, &format!("{place}.{at}"), role)? {
            result @ Part::ToolResult { .. } => read.push(message(Role::Tool, vec![result])),
            part => said.push(part),
        }
    }
    if !said.is_empty() || read.is_empty() {
        read.push(message(role, said));
    }
    Ok(read)
}

fn part(block: Value, place: &str, role: Role) -> Result<Part, Failure> {
    let bad = |wanted: &str| wrong(place, wanted);
    let Value::Object(mut members) = block else { return Err(bad("an object")) };
    let Some(kind) = members.get("type").and_then(Value::as_str).map(str::to_owned) else {
        return Err(bad("an object with a type"));
    };
    let text = |name: &str| match members.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    Ok(match kind.as_str() {
        "text" => {
            if role == Role::Assistant {
                // What the model said was never anything but a text to others.
                members.remove("type");
            }
            words(&mut members).ok_or_else(|| bad("a block with a text"))?
        }
        "thinking" => {
            let signature = text("signature").filter(|signature| !signature.is_empty());
            Part::Thinking { text: text("thinking").unwrap_or_default(), signature }
        }
        "redacted_thinking" => Part::RedactedThinking { data: text("data").unwrap_or_default() },
        "image" | "document" => return media(&kind, members).map_err(bad),
        "tool_use" => call(members).ok_or_else(|| bad("a call with an id and a name"))?,
        "tool_result" => result(members, place)?,
        // Searches and what they found, files in a container, whatever comes: for Claude alone.
        _ => Part::Opaque { dialect: DIALECT, raw: Value::Object(members) },
    })
}

fn media(kind: &str, mut members: Map<String, Value>) -> Result<Part, &'static str> {
    let source = members.get("source").cloned().unwrap_or_default();
    let text = |name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
    let media_type = || text("media_type").unwrap_or_default();
    let found = match text("type").as_deref() {
        Some("base64") => text("data").map(|data| Media::Inline { media_type: media_type(), data }),
        Some("url") => text("url").map(Media::Url),
        Some("file") => text("file_id").map(Media::FileId),
        Some("text") if kind == "document" => text("data").map(|words| {
            let data = base64::engine::general_purpose::STANDARD.encode(words);
            Media::Inline { media_type: "text/plain".to_owned(), data }
        }),
        // Blocks within a document, and what may come.
        Some(_) if kind == "document" => return Ok(Part::Opaque { dialect: DIALECT, raw: Value::Object(members) }),
        _ => None,
    };
    let source = found.ok_or("a block with a source of type base64, url or file")?;
    members.remove("source");
    members.remove("type");
    Ok(if kind == "image" {
        Part::Image { source, extras: members }
    } else {
        let name = members.get("title").and_then(Value::as_str).map(str::to_owned);
        Part::Document { source, name, extras: members }
    })
}

fn call(mut members: Map<String, Value>) -> Option<Part> {
    let (Value::String(id), Value::String(name)) = (members.remove("id")?, members.remove("name")?) else {
        return None;
    };
    let arguments = match members.remove("input") {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(input) => input.to_string(),
    };
    members.remove("type");
    Some(Part::ToolCall(ToolCall { id, name, arguments, extras: members }))
}

fn result(mut members: Map<String, Value>, place: &str) -> Result<Part, Failure> {
    let Some(Value::String(call_id)) = members.remove("tool_use_id") else {
        return Err(wrong(place, "a result with its tool_use_id"));
    };
    members.remove("type");
    let is_error = members.remove("is_error").is_some_and(|flag| flag == true);
    let parts = match members.remove("content") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => vec![Part::text(text)],
        Some(Value::Array(blocks)) => {
            let inner = |(at, block)| part(block, &format!("{place}.content.{at}"), Role::Tool);
            let mut parts = blocks.into_iter().enumerate().map(inner).collect::<Result<Vec<_>, _>>()?;
            // A lone text is a result's usual form everywhere.
            if let [Part::Text { extras, .. }] = parts.as_mut_slice() {
                extras.remove("type");
            }
            parts
        }
        Some(_) => return Err(wrong(&format!("{place}.content"), "text or a list of blocks")),
    };
    Ok(Part::ToolResult { call_id, parts, is_error, extras: members })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(blocks: Value) -> Vec<Message> {
        messages(Role::User, blocks, 0).unwrap()
    }

    #[test]
    fn results_come_before_what_is_said_beside_them() {
        let found = read(json!([{"type": "text", "text": "and?"},
            {"type": "tool_result", "tool_use_id": "a", "content": "21"},
            {"type": "tool_result", "tool_use_id": "b", "is_error": true,
                "content": [{"type": "text", "text": "no"}]}]));
        let roles: Vec<Role> = found.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::Tool, Role::Tool, Role::User]);
        assert!(
            matches!(&found[1].parts[..], [Part::ToolResult { is_error: true, parts, .. }] if parts == &[Part::text("no")])
        );
    }

    #[test]
    fn every_source_is_understood() {
        let check = |block: Value, expected: Media| {
            let found = read(json!([block]));
            let source = match &found[0].parts[0] {
                Part::Image { source, .. } | Part::Document { source, .. } => source,
                other => panic!("{other:?}"),
            };
            assert_eq!(source, &expected);
        };
        let inline =
            |media_type: &str, data: &str| Media::Inline { media_type: media_type.to_owned(), data: data.to_owned() };
        let image = |source: Value| json!({"type": "image", "source": source});
        let document = |source: Value| json!({"type": "document", "title": "t", "source": source});
        check(image(json!({"type": "base64", "media_type": "image/png", "data": "AA=="})), inline("image/png", "AA=="));
        check(image(json!({"type": "url", "url": "https://a.test/1"})), Media::Url("https://a.test/1".to_owned()));
        check(image(json!({"type": "file", "file_id": "file_1"})), Media::FileId("file_1".to_owned()));
        check(
            document(json!({"type": "text", "media_type": "text/plain", "data": "hi"})),
            inline("text/plain", "aGk="),
        );
    }

    #[test]
    fn what_only_claude_reads_is_kept_as_it_is() {
        for block in [
            json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
            json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
            json!({"type": "document", "source": {"type": "content", "content": []}}),
            json!({"type": "of_tomorrow"}),
        ] {
            let found = read(json!([block]));
            assert_eq!(found[0].parts, [Part::Opaque { dialect: DIALECT, raw: block }]);
        }
    }
}
