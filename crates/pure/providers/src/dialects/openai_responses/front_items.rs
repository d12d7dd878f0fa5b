//! The conversation as clients of the Responses API write it: a text, or items. What the assistant said, thought and
//! called stands in items of their own here; in the hub it is one message.

use serde_json::{Value, json};
use tollgate_wire::{
    Failure,
    chat::{Extras, Media, Message, Part, Role},
};

use super::front_tools;

/// What sealed thoughts begin with that only another provider can read whole.
pub(super) const REDACTED: &str = "redacted:";

/// Items that tell of tools which the provider ran itself, and of the client's own bookkeeping: another provider can do
/// nothing with them.
const UNTOLD: &[&str] = &[
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "compaction",
    "compaction_summary",
    "ghost_snapshot",
];

/// Reads `input`.
///
/// # Errors
/// When it is neither a text nor a list of items that can be told to another provider.
pub(super) fn read(input: &Value) -> Result<Vec<Message>, Failure> {
    match input {
        Value::String(text) => Ok(vec![message(Role::User, vec![Part::text(text.as_str())])]),
        Value::Array(items) => {
            let mut messages = Vec::new();
            for (at, item) in items.iter().enumerate() {
                read_item(item, at, &mut messages)?;
            }
            Ok(messages)
        }
        _ => Err(Failure::invalid("`input` must be text or a list of items").with_param("input")),
    }
}

pub(super) fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Extras::new() }
}

fn wrong(at: usize, words: &str) -> Failure {
    Failure::invalid(format!("`input[{at}]` {words}")).with_param(format!("input[{at}]"))
}

fn read_item(item: &Value, at: usize, messages: &mut Vec<Message>) -> Result<(), Failure> {
    if !item.is_object() {
        return Err(wrong(at, "must be an object"));
    }
    match text(item, "type") {
        "message" | "" => {
            let role =
                read_role(item).ok_or_else(|| wrong(at, "has no role of user, assistant, system or developer"))?;
            let parts = read_content(item.get("content").unwrap_or(&Value::Null), at)?;
            match role {
                Role::Assistant => of_assistant(parts, messages),
                _ => messages.push(message(role, parts)),
            }
        }
        "reasoning" => of_assistant(read_thought(item).into_iter().collect(), messages),
        "function_call" | "custom_tool_call" | "local_shell_call" => {
            of_assistant(vec![Part::ToolCall(front_tools::read_call(item))], messages);
        }
        "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
            messages.push(message(Role::Tool, vec![read_result(item, at)?]));
        }
        "item_reference" => {
            return Err(wrong(at, "refers to an item that only OpenAI keeps; send the item itself to this model"));
        }
        kind if UNTOLD.contains(&kind) => {}
        kind => return Err(wrong(at, &format!("is of type '{kind}', which this model's provider does not know"))),
    }
    Ok(())
}

/// What the assistant says joins what it said just before.
fn of_assistant(parts: Vec<Part>, messages: &mut Vec<Message>) {
    match messages.last_mut() {
        _ if parts.is_empty() => {}
        Some(last) if last.role == Role::Assistant => last.parts.extend(parts),
        _ => messages.push(message(Role::Assistant, parts)),
    }
}

fn read_role(item: &Value) -> Option<Role> {
    Some(match text(item, "role") {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" | "developer" => Role::System,
        _ => return None,
    })
}

fn read_content(content: &Value, at: usize) -> Result<Vec<Part>, Failure> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text.as_str())]),
        Value::Array(parts) => parts.iter().map(|part| read_part(part, at)).collect(),
        Value::Null => Ok(Vec::new()),
        _ => Err(wrong(at, "has a content that is neither text nor a list")),
    }
}

fn read_part(part: &Value, at: usize) -> Result<Part, Failure> {
    Ok(match text(part, "type") {
        "input_text" | "output_text" | "text" => {
            let extras = part.get("cache_control").map(|mark| ("cache_control".to_owned(), mark.clone()));
            Part::Text { text: text(part, "text").to_owned(), extras: extras.into_iter().collect() }
        }
        "refusal" => Part::Refusal(text(part, "refusal").to_owned()),
        "input_image" => {
            let extras = part.get("detail").map(|detail| ("detail".to_owned(), detail.clone())).into_iter().collect();
            let source =
                place(part, "image_url").ok_or_else(|| wrong(at, "has an image without image_url or file_id"))?;
            Part::Image { source, extras }
        }
        "input_file" => {
            let source = place(part, "file_data").or_else(|| place(part, "file_url"));
            let source = source.ok_or_else(|| wrong(at, "has a file without file_data, file_url or file_id"))?;
            let name = Some(text(part, "filename")).filter(|name| !name.is_empty()).map(str::to_owned);
            Part::Document { source, name, extras: Extras::new() }
        }
        "input_audio" => {
            let sound = part.get("input_audio").unwrap_or(part);
            Part::Audio { data: text(sound, "data").to_owned(), format: text(sound, "format").to_owned() }
        }
        kind => return Err(wrong(at, &format!("has a part of type '{kind}', which is none"))),
    })
}

/// Where a picture or file is. An address may also be wrapped, as in chat.
fn place(part: &Value, name: &str) -> Option<Media> {
    let address = part.get(name).and_then(|value| value.as_str().or_else(|| value.get("url")?.as_str()));
    match address {
        Some(address) => Some(inline(address).unwrap_or_else(|| Media::Url(address.to_owned()))),
        None => Some(text(part, "file_id")).filter(|id| !id.is_empty()).map(|id| Media::FileId(id.to_owned())),
    }
}

/// The content of a `data:` address.
fn inline(address: &str) -> Option<Media> {
    let (media_type, data) = address.strip_prefix("data:")?.split_once(',')?;
    let media_type = media_type.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    Some(Media::Inline { media_type: media_type.to_owned(), data: data.to_owned() })
}

/// Thoughts of an earlier turn, with the seal under which a provider takes them back.
fn read_thought(item: &Value) -> Option<Part> {
    let seal = text(item, "encrypted_content");
    if let Some(data) = seal.strip_prefix(REDACTED) {
        return Some(Part::RedactedThinking { data: data.to_owned() });
    }
    let list = |name: &str| item.get(name).and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<&str> = list("summary").chain(list("content")).map(|part| text(part, "text")).collect();
    let thoughts = texts.join("\n\n");
    let signature = Some(seal).filter(|seal| !seal.is_empty()).map(str::to_owned);
    (!thoughts.is_empty() || signature.is_some()).then_some(Part::Thinking { text: thoughts, signature })
}

fn read_result(item: &Value, at: usize) -> Result<Part, Failure> {
    let call_id = match text(item, "call_id") {
        "" => text(item, "id"),
        id => id,
    };
    if call_id.is_empty() {
        return Err(wrong(at, "has no call_id"));
    }
    let output = item.get("output").unwrap_or(&Value::Null);
    let parts = match output {
        Value::Array(parts) if parts.iter().all(|part| part.get("type").is_some()) => read_content(output, at)?,
        Value::String(_) | Value::Null => read_content(output, at)?,
        // Clients return values as they are, too.
        other => vec![Part::text(other.to_string())],
    };
    Ok(Part::ToolResult { call_id: call_id.to_owned(), parts, is_error: false, extras: Extras::new() })
}

/// The items of a text that stands for a conversation.
#[must_use]
pub fn as_items(input: Value) -> Vec<Value> {
    match input {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        text => vec![json!({"type": "message", "role": "user", "content": text})],
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_assistant_did_in_one_turn_is_one_message() {
        let messages = read(&json!([
            {"role": "user", "content": "Weather?"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": "EqQB"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see"}]},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call", "call_id": "b", "name": "f", "arguments": ""},
            {"type": "web_search_call", "id": "ws_1"},
            {"type": "function_call_output", "call_id": "a", "output": "21"},
            {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_image", "image_url": "data:image/png;base64,aGk="}]},
        ]))
        .unwrap();
        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool]);
        assert_eq!(messages[1].parts.len(), 4);
        assert_eq!(messages[1].parts[0], Part::Thinking { text: "so".into(), signature: Some("EqQB".into()) });
        assert!(matches!(&messages[1].parts[3], Part::ToolCall(call) if call.arguments == "{}"));
        let image = Media::Inline { media_type: "image/png".into(), data: "aGk=".into() };
        assert!(matches!(&messages[3].parts[0], Part::ToolResult { parts, .. }
            if parts[0] == Part::Image { source: image.clone(), extras: Extras::new() }));
    }

    #[test]
    fn what_is_no_conversation_is_refused_by_its_place() {
        let check = |input: Value, param: &str| {
            assert_eq!(read(&input).unwrap_err().param.as_deref(), Some(param), "{input}");
        };
        check(json!(3), "input");
        check(json!(["Hi"]), "input[0]");
        check(json!([{"content": "Hi"}]), "input[0]");
        check(json!([{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": "msg_1"}]), "input[1]");
        check(json!([{"type": "of_tomorrow"}]), "input[0]");
        check(json!([{"role": "user", "content": [{"type": "input_image"}]}]), "input[0]");
        check(json!([{"type": "function_call_output", "output": "x"}]), "input[0]");
    }
}
