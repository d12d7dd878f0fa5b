//! The turns of a client's conversation as `OpenAI`'s messages.

use serde_json::{Map, Value, json};
use tollgate_wire::Failure;

use super::request::{either, wrong};

/// Instructions, as text or as content.
pub(super) fn instruction(instruction: &Value) -> Option<Value> {
    let text = match instruction {
        Value::String(text) => text.clone(),
        content => {
            let parts = content.get("parts").and_then(Value::as_array).into_iter().flatten();
            parts.filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n")
        }
    };
    (!text.is_empty()).then(|| json!({"role": "system", "content": text}))
}

/// # Errors
/// When it is no list of contents, or a part cannot be said to other models.
pub(super) fn messages(contents: &Value) -> Result<Vec<Value>, Failure> {
    let contents = match contents {
        Value::Array(contents) => contents.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return Err(wrong("contents", "must be a list")),
    };
    let mut reader = Reader::default();
    for content in contents {
        reader.content(content)?;
    }
    Ok(reader.out)
}

#[derive(Default)]
struct Reader {
    out: Vec<Value>,
    /// Calls that have no result yet: id and function.
    open: Vec<(String, String)>,
    made: usize,
}

/// A turn that is being read.
#[derive(Default)]
struct Turn {
    said: Vec<Value>,
    thoughts: Vec<Value>,
    calls: Vec<Value>,
    seals: Vec<Value>,
}

impl Reader {
    fn content(&mut self, content: &Value) -> Result<(), Failure> {
        let is_model = content.get("role").and_then(Value::as_str) == Some("model");
        let parts = content.get("parts").ok_or_else(|| wrong("contents", "holds a content without parts"))?;
        let parts = match parts {
            Value::Array(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut turn = Turn::default();
        for part in parts {
            if let Some(result) = either(part, "functionResponse") {
                self.result(result);
            } else if let Some(call) = either(part, "functionCall") {
                let seal = either(part, "thoughtSignature");
                turn.calls.push(self.call(call, seal));
            } else {
                turn.part(part)?;
            }
        }
        self.out.extend(turn.message(is_model));
        Ok(())
    }

    fn call(&mut self, call: &Value, seal: Option<&Value>) -> Value {
        let name = call.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map_or_else(
            || {
                self.made += 1;
                format!("call_{}", self.made)
            },
            str::to_owned,
        );
        let arguments = call.get("args").map_or_else(|| "{}".to_owned(), Value::to_string);
        let mut out = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        if let (Some(out), Some(seal)) = (out.as_object_mut(), seal) {
            out.insert("provider_specific_fields".to_owned(), json!({ "thought_signature": seal }));
        }
        self.open.push((id, name));
        out
    }

    /// A result belongs to the call that it names, else to the oldest open call of its function.
    fn result(&mut self, result: &Value) {
        let text = |name: &str| result.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (id, name) = (text("id"), text("name").unwrap_or_default());
        let open = self.open.iter().position(|(open, function)| match id {
            Some(id) => open == id,
            None => function == name,
        });
        let call = open.map(|place| self.open.remove(place).0);
        let id = call.or_else(|| id.map(str::to_owned)).unwrap_or_else(|| name.to_owned());
        let content = content_of(result.get("response").unwrap_or(&Value::Null));
        self.out.push(json!({"role": "tool", "tool_call_id": id, "name": name, "content": content}));
    }
}

/// What a function answered: the text alone where Google's libraries wrapped one.
fn content_of(response: &Value) -> String {
    if let Value::Object(members) = response
        && members.len() == 1
        && let Some(Value::String(text)) =
            ["result", "output", "content", "error"].iter().find_map(|name| members.get(*name))
    {
        return text.clone();
    }
    response.to_string()
}

impl Turn {
    fn part(&mut self, part: &Value) -> Result<(), Failure> {
        let seal = either(part, "thoughtSignature");
        if let Some(text) = part.get("text").and_then(Value::as_str) {
            if part.get("thought") == Some(&Value::Bool(true)) {
                self.thoughts.push(json!({"type": "thinking", "thinking": text, "signature": seal}));
            } else if !text.is_empty() {
                self.said.push(json!({"type": "text", "text": text}));
            }
            self.seals.extend(seal.cloned());
        } else if let Some(held) = either(part, "inlineData") {
            self.said.push(inline(held));
        } else if let Some(file) = either(part, "fileData") {
            self.said.push(by_address(file));
        } else if let Some(code) = either(part, "executableCode").and_then(|code| code.get("code")?.as_str()) {
            self.said.push(json!({"type": "text", "text": format!("```\n{code}\n```")}));
        } else if let Some(result) = either(part, "codeExecutionResult") {
            let output = result.get("output").and_then(Value::as_str).unwrap_or_default();
            self.said.push(json!({"type": "text", "text": format!("```output\n{output}\n```")}));
        } else if seal.is_none() {
            return Err(wrong("contents", "holds a part that only Google's models know"));
        }
        Ok(())
    }

    fn message(self, is_model: bool) -> Option<Value> {
        if self.said.is_empty() && self.calls.is_empty() && self.thoughts.is_empty() {
            return None;
        }
        if !is_model {
            return Some(json!({"role": "user", "content": self.said}));
        }
        let texts: Vec<&str> = self.said.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        let content = if texts.is_empty() { Value::Null } else { texts.concat().into() };
        let mut out = Map::from_iter([("role".to_owned(), "assistant".into()), ("content".to_owned(), content)]);
        if !self.calls.is_empty() {
            out.insert("tool_calls".to_owned(), self.calls.into());
        }
        // Without its seal a thought is nothing that another model could read.
        let sealed: Vec<Value> = self
            .thoughts
            .into_iter()
            .filter(|thought| thought.get("signature").is_some_and(Value::is_string))
            .collect();
        if !sealed.is_empty() {
            out.insert("thinking_blocks".to_owned(), sealed.into());
        }
        Some(out.into())
    }
}

fn inline(held: &Value) -> Value {
    let kind = either(held, "mimeType").and_then(Value::as_str).unwrap_or("application/octet-stream");
    let data = held.get("data").and_then(Value::as_str).unwrap_or_default();
    // Google reads base64 of either alphabet.
    let data = data.replace('-', "+").replace('_', "/");
    let address = format!("data:{kind};base64,{data}");
    match kind.split_once('/') {
        Some(("image", _)) => json!({"type": "image_url", "image_url": {"url": address}}),
        Some(("audio", format)) => {
            let format = if matches!(format, "mpeg" | "mp3") { "mp3" } else { format.trim_start_matches("x-") };
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        _ => json!({"type": "file", "file": {"file_data": address}}),
    }
}

fn by_address(file: &Value) -> Value {
    let address = either(file, "fileUri").and_then(Value::as_str).unwrap_or_default();
    match either(file, "mimeType").and_then(Value::as_str) {
        Some(kind) if kind.starts_with("image/") => json!({"type": "image_url", "image_url": {"url": address}}),
        kind => json!({"type": "file", "file": {"file_id": address, "format": kind}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_find_their_results_without_ids() {
        let read = messages(&json!([
            {"role": "user", "parts": [{"text": "Both?"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "g"}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "g", "response": {"result": "noon"}}},
                {"functionResponse": {"name": "f", "response": {"t": 2}}}, {"text": "So?"}]},
        ]))
        .unwrap();
        let calls = &read[1]["tool_calls"];
        assert_eq!((&calls[0]["id"], &calls[0]["function"]["arguments"]), (&json!("call_1"), &json!(r#"{"a":1}"#)));
        assert_eq!((&read[2]["tool_call_id"], &read[2]["content"]), (&json!("call_2"), &json!("noon")));
        assert_eq!((&read[3]["tool_call_id"], &read[3]["content"]), (&json!("call_1"), &json!(r#"{"t":2}"#)));
        assert_eq!(read[4]["content"][0]["text"], "So?");
    }

    #[test]
    fn media_become_what_other_models_know() {
        let read = messages(&json!([{"parts": [
            {"inlineData": {"mimeType": "image/png", "data": "a-_="}}, {"inline_data": {"mime_type": "audio/mpeg", "data": "aa=="}},
            {"inlineData": {"mimeType": "application/pdf", "data": "aa=="}}, {"fileData": {"mimeType": "image/png", "fileUri": "https://h/c"}},
        ]}]))
        .unwrap();
        let parts = &read[0]["content"];
        assert_eq!(parts[0]["image_url"]["url"], "data:image/png;base64,a+/=");
        assert_eq!(parts[1]["input_audio"]["format"], "mp3");
        assert_eq!(parts[2]["file"]["file_data"], "data:application/pdf;base64,aa==");
        assert_eq!(parts[3]["image_url"]["url"], "https://h/c");
    }
}
