//! Changes of a request's messages that several providers need. Bodies without what is to be changed are not parsed.

use memchr::memmem;
use serde_json::{Map, Value, json};
use tollgate_wire::RawBody;

/// One message of a request.
pub(crate) type Members = Map<String, Value>;

/// Changes the messages with `change`, if their text holds `sign` at all.
pub(crate) fn edit_where(body: &mut RawBody, sign: &str, mut change: impl FnMut(&mut Members)) {
    let signed = body.get("messages").is_some_and(|raw| memmem::find(raw, sign.as_bytes()).is_some());
    if !signed {
        return;
    }
    let Some(mut messages) = body.typed::<Vec<Value>>("messages") else { return };
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        change(message);
    }
    body.set("messages", &messages.into());
}

/// A single text to make a vector of becomes a list of one.
pub(crate) fn list_input(body: &mut RawBody) {
    if let Some(text) = body.typed::<String>("input") {
        body.set("input", &json!([text]));
    }
}

/// Whether this message is of `role`.
pub(crate) fn is(message: &Members, role: &str) -> bool {
    message.get("role").and_then(Value::as_str) == Some(role)
}

/// `OpenAI` itself takes both words; the compatible servers know only the older one.
pub(super) fn developer_as_system(body: &mut RawBody) {
    edit_where(body, "\"developer\"", |message| {
        if is(message, "developer") {
            message.insert("role".to_owned(), "system".into());
        }
    });
}

/// A content that is a list of texts only becomes one text.
pub(crate) fn join_texts(body: &mut RawBody) {
    edit_where(body, "\"text\"", join_content);
}

/// As [`join_texts`], of one message.
pub(crate) fn join_content(message: &mut Members) {
    if let Some(text) = message.get("content").and_then(Value::as_array).and_then(|parts| joined(parts)) {
        message.insert("content".to_owned(), text.into());
    }
}

fn joined(parts: &[Value]) -> Option<String> {
    let is_text = |part: &Value| part.get("type").and_then(Value::as_str) == Some("text");
    // A mark for prompt caching that is still there belongs to its part.
    let only_texts = parts.iter().all(|part| is_text(part) && part.get("cache_control").is_none());
    only_texts.then(|| parts.iter().filter_map(|part| part.get("text")?.as_str()).collect())
}

/// What the assistant said before is sent without members that are `null`.
pub(crate) fn without_nulls(body: &mut RawBody) {
    edit_where(body, "null", |message| {
        if is(message, "assistant") {
            message.retain(|_, value| !value.is_null());
        }
    });
}

/// What the assistant said before goes without its thoughts, for servers that refuse members they do not know.
pub(crate) fn without_thoughts(body: &mut RawBody) {
    for name in ["reasoning_content", "thinking_blocks"] {
        edit_where(body, &format!("\"{name}\""), |message| {
            message.shift_remove(name);
        });
    }
}

/// Names of speakers stay only in messages of `roles`.
pub(crate) fn names_only_of(body: &mut RawBody, roles: &[&str]) {
    edit_where(body, "\"name\"", |message| {
        if !roles.iter().any(|role| is(message, role)) {
            message.shift_remove("name");
        }
    });
}

/// Images and files in the form that servers insist on: an address within an object, a name beside a file's bytes.
pub(super) fn complete_media(body: &mut RawBody) {
    let says = |sign: &str| body.get("messages").is_some_and(|raw| memmem::find(raw, sign.as_bytes()).is_some());
    let signs = [r#""image_url":""#, r#""image_url": ""#, r#""format""#, r#""file_data""#];
    if !signs.iter().any(|sign| says(sign)) {
        return;
    }
    edit_where(body, "\"type\"", |message| {
        for part in message.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
            complete_part(part);
        }
    });
}

fn complete_part(part: &mut Value) {
    let Some(part) = part.as_object_mut() else { return };
    match part.get_mut("image_url") {
        Some(image) if image.is_string() => *image = json!({"url": image.take()}),
        Some(Value::Object(image)) => {
            // The gateway's own word for addresses that do not show what they lead to.
            image.shift_remove("format");
        }
        _ => {}
    }
    if let Some(file) = part.get_mut("file").and_then(Value::as_object_mut)
        && let Some(data) = file.get("file_data").and_then(Value::as_str)
        && !file.contains_key("filename")
    {
        let name = if data.starts_with("data:application/pdf") { "my_file.pdf" } else { "my_file" };
        file.insert("filename".to_owned(), name.into());
    }
}

/// Marks for prompt caching that stand on a message move to the last part of its content, where gateways before Claude
/// look for them.
pub(crate) fn cache_control_into_content(body: &mut RawBody) {
    edit_where(body, "\"cache_control\"", |message| {
        let Some(mark) = message.shift_remove("cache_control") else { return };
        if let Some(Value::String(text)) = message.get("content") {
            let part = json!({"type": "text", "text": text});
            message.insert("content".to_owned(), json!([part]));
        }
        let parts = message.get_mut("content").and_then(Value::as_array_mut);
        if let Some(last) = parts.and_then(|parts| parts.last_mut()).and_then(Value::as_object_mut) {
            last.insert("cache_control".to_owned(), mark);
        }
    });
}

/// Anthropic's marks for prompt caching, wherever they stand.
pub(crate) fn without_cache_control(body: &mut RawBody) {
    for name in ["messages", "tools"] {
        without_member(body, name, "cache_control");
    }
}

/// A field without the members of one name, however deep.
pub(crate) fn without_member(body: &mut RawBody, field: &str, name: &str) {
    let quoted = format!("\"{name}\"");
    let there = body.get(field).is_some_and(|raw| memmem::find(raw, quoted.as_bytes()).is_some());
    if there && let Some(mut value) = body.typed::<Value>(field) {
        prune(&mut value, name);
        body.set(field, &value);
    }
}

/// As [`without_member`], of any value.
pub(crate) fn prune(value: &mut Value, name: &str) {
    match value {
        Value::Object(members) => {
            members.shift_remove(name);
            members.values_mut().for_each(|value| prune(value, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prune(item, name)),
        _ => {}
    }
}
