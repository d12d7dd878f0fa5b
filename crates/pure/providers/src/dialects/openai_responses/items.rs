//! A conversation as the items of the Responses API.

use serde_json::{Map, Value, json};
use tollgate_wire::chat::{Extras, Media, Message, Part, Role, ToolCall};

/// What sealed thoughts begin with: the version of the Fernet token that `OpenAI` makes of them. Another provider's seal
/// would be refused.
pub(crate) const SEAL: &str = "gAAAA";

/// The conversation, as the two members of a request that hold it.
#[derive(Debug, PartialEq)]
pub struct Conversation {
    /// What the operator says before anybody else speaks.
    pub instructions: Option<String>,
    /// The rest.
    pub input: Vec<Value>,
}

/// Splits a conversation. Only what the operator says at its beginning becomes instructions; later words of his keep
/// their place.
#[must_use]
pub fn split(messages: &[Message]) -> Conversation {
    let opening: Vec<String> = messages.iter().map_while(operator_words).collect();
    let rest = messages.get(opening.len()..).unwrap_or_default();
    // A request must have an input.
    if opening.is_empty() || rest.is_empty() {
        return Conversation { instructions: None, input: write(messages) };
    }
    Conversation { instructions: Some(opening.join("\n\n")), input: write(rest) }
}

/// The words of an operator's message; `None` for other messages, and for one that holds more than words.
fn operator_words(message: &Message) -> Option<String> {
    if message.role != Role::System {
        return None;
    }
    let texts =
        message.parts.iter().map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None });
    texts.collect::<Option<Vec<_>>>().map(|texts| texts.join("\n"))
}

/// Messages as items. One message can be many items: thoughts, words, calls and results stand side by side here.
#[must_use]
pub fn write(messages: &[Message]) -> Vec<Value> {
    messages.iter().flat_map(write_message).collect()
}

fn write_message(message: &Message) -> Vec<Value> {
    let mut items = Vec::new();
    let mut said = Vec::new();
    for part in &message.parts {
        let item = match part {
            Part::ToolCall(call) => Some(write_call(call)),
            Part::ToolResult { call_id, parts, .. } => Some(write_result(call_id, parts)),
            Part::Thinking { text, signature } => {
                signature.as_deref().filter(|seal| seal.starts_with(SEAL)).map(|seal| write_thought(text, seal))
            }
            other => {
                said.extend(write_part(other, message.role));
                None
            }
        };
        if let Some(item) = item {
            close(message.role, &mut said, &mut items);
            items.push(item);
        }
    }
    close(message.role, &mut said, &mut items);
    items
}

/// Puts what was said so far into an item of its own.
fn close(role: Role, said: &mut Vec<Value>, items: &mut Vec<Value>) {
    if said.is_empty() {
        return;
    }
    let role = match role {
        Role::System => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    };
    items.push(json!({"type": "message", "role": role, "content": std::mem::take(said)}));
}

fn write_call(call: &ToolCall) -> Value {
    json!({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments})
}

fn write_result(call_id: &str, parts: &[Part]) -> Value {
    let output: Value = match parts {
        [] => "".into(),
        [Part::Text { text, .. }] => text.as_str().into(),
        parts => parts.iter().filter_map(|part| write_part(part, Role::Tool)).collect::<Vec<_>>().into(),
    };
    json!({"type": "function_call_output", "call_id": call_id, "output": output})
}

/// Thoughts that the provider sealed. They go without their id, under which only the provider that still stores them
/// would find them.
fn write_thought(text: &str, seal: &str) -> Value {
    let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
    json!({"type": "reasoning", "summary": summary, "encrypted_content": seal})
}

/// One piece of a message; `None` for what has no place here.
#[must_use]
pub fn write_part(part: &Part, role: Role) -> Option<Value> {
    let assistant = role == Role::Assistant;
    Some(match part {
        // Clients send an empty text beside calls.
        Part::Text { text, .. } if assistant && text.is_empty() => return None,
        Part::Text { text, .. } => {
            json!({"type": if assistant { "output_text" } else { "input_text" }, "text": text})
        }
        Part::Image { source, extras } => write_image(source, extras),
        Part::Audio { data, format } => {
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        Part::Document { source, name, .. } => write_file(source, name.as_deref()),
        Part::Refusal(text) => json!({"type": "refusal", "refusal": text}),
        Part::Opaque { dialect: "openai" | "openai_responses", raw } => raw.clone(),
        Part::Opaque { .. }
        | Part::Thinking { .. }
        | Part::RedactedThinking { .. }
        | Part::ToolCall(_)
        | Part::ToolResult { .. } => return None,
    })
}

fn write_image(source: &Media, extras: &Extras) -> Value {
    let mut out = Map::from_iter([("type".to_owned(), "input_image".into())]);
    let name = if matches!(source, Media::FileId(_)) { "file_id" } else { "image_url" };
    out.insert(name.to_owned(), place_of(source).into());
    if let Some(detail) = extras.get("detail") {
        out.insert("detail".to_owned(), detail.clone());
    }
    Value::Object(out)
}

fn write_file(source: &Media, name: Option<&str>) -> Value {
    let mut out = Map::from_iter([("type".to_owned(), "input_file".into())]);
    let (member, name) = match source {
        Media::Url(_) => ("file_url", None),
        // A file in the message must have a name.
        Media::Inline { media_type, .. } => ("file_data", name.or_else(|| Some(usual_name(media_type)))),
        Media::FileId(_) => ("file_id", None),
    };
    out.insert(member.to_owned(), place_of(source).into());
    if let Some(name) = name {
        out.insert("filename".to_owned(), name.into());
    }
    Value::Object(out)
}

fn usual_name(media_type: &str) -> &'static str {
    if media_type.starts_with("text/") { "document.txt" } else { "document.pdf" }
}

fn place_of(source: &Media) -> String {
    match source {
        Media::Url(place) | Media::FileId(place) => place.clone(),
        Media::Inline { media_type, data } => format!("data:{media_type};base64,{data}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, parts: Vec<Part>) -> Message {
        Message { role, parts, name: None, extras: Extras::new() }
    }

    fn said(role: Role, text: &str) -> Message {
        message(role, vec![Part::text(text)])
    }

    fn call() -> Part {
        Part::ToolCall(ToolCall {
            id: "call_1".into(),
            name: "f".into(),
            arguments: "{}".into(),
            extras: Extras::new(),
        })
    }

    #[test]
    fn only_the_operators_first_words_are_instructions() {
        let user = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]});
        let system = |text: &str| json!({"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]});
        let conversation =
            split(&[said(Role::System, "A"), said(Role::System, "B"), said(Role::User, "Hi"), said(Role::System, "C")]);
        assert_eq!(conversation.instructions.as_deref(), Some("A\n\nB"));
        assert_eq!(conversation.input, [user, system("C")]);

        let alone = split(&[said(Role::System, "A")]);
        assert_eq!(alone, Conversation { instructions: None, input: vec![system("A")] });
    }

    #[test]
    fn a_turn_keeps_the_order_of_words_calls_and_results() {
        let result = Part::ToolResult {
            call_id: "call_1".into(),
            parts: vec![
                Part::text("21"),
                Part::Image { source: Media::Url("https://x/a.png".into()), extras: Extras::new() },
            ],
            is_error: false,
            extras: Extras::new(),
        };
        let items = write(&[
            message(Role::Assistant, vec![Part::text("Let me see"), call(), Part::text("")]),
            message(Role::User, vec![result, Part::text("Well?")]),
        ]);
        assert_eq!(
            Value::from(items),
            json!([
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see"}]},
                {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": [
                    {"type": "input_text", "text": "21"}, {"type": "input_image", "image_url": "https://x/a.png"}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Well?"}]},
            ])
        );
    }

    #[test]
    fn only_thoughts_with_a_seal_of_openais_return() {
        let thought = |seal: Option<&str>| Part::Thinking { text: "so".into(), signature: seal.map(str::to_owned) };
        let items =
            write(&[message(Role::Assistant, vec![thought(Some("gAAAAB1")), thought(Some("EqQB")), thought(None)])]);
        assert_eq!(
            items,
            [
                json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": "gAAAAB1"})
            ]
        );
    }

    #[test]
    fn files_are_named_by_where_they_are() {
        let file = |source, name: Option<&str>| {
            let part = Part::Document { source, name: name.map(str::to_owned), extras: Extras::new() };
            write_part(&part, Role::User).unwrap()
        };
        let inline = Media::Inline { media_type: "application/pdf".into(), data: "JVBE".into() };
        let data = "data:application/pdf;base64,JVBE";
        assert_eq!(
            file(inline.clone(), Some("a.pdf")),
            json!({"type": "input_file", "file_data": data, "filename": "a.pdf"})
        );
        assert_eq!(file(inline, None), json!({"type": "input_file", "file_data": data, "filename": "document.pdf"}));
        assert_eq!(
            file(Media::Url("https://x/a.pdf".into()), Some("a.pdf")),
            json!({"type": "input_file", "file_url": "https://x/a.pdf"})
        );
        assert_eq!(file(Media::FileId("file-1".into()), None), json!({"type": "input_file", "file_id": "file-1"}));
    }
}
