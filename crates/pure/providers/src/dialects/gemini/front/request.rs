//! A client's `generateContent` in the words of `OpenAI`'s chat.

use serde_json::{Map, Value, json};
use tollgate_wire::{Failure, RawBody};

use super::contents;

/// A member in either of the spellings that Google takes.
pub(super) fn either<'v>(value: &'v Value, camel: &str) -> Option<&'v Value> {
    let found = value.get(camel).or_else(|| value.get(snake(camel)));
    found.filter(|value| !value.is_null())
}

fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

pub(super) fn wrong(member: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{member}` {what}")).with_param(member)
}

/// The request as a client of `OpenAI`'s would have written it. What only a Gemini can do is refused; safety settings,
/// labels and marks of Google's bills are dropped.
///
/// # Errors
/// When it is no request of `generateContent`, or wants what only a Gemini has.
pub fn in_openai_words(body: &RawBody) -> Result<RawBody, Failure> {
    let body = Value::Object(body.to_map());
    let mut out = Map::new();
    let mut messages = Vec::new();
    if let Some(instruction) = either(&body, "systemInstruction") {
        messages.extend(contents::instruction(instruction));
    }
    messages.extend(contents::messages(either(&body, "contents").unwrap_or(&Value::Null))?);
    out.insert("messages".to_owned(), messages.into());
    if either(&body, "cachedContent").is_some() {
        return Err(wrong("cachedContent", "names a cache of Google's, and this model is not Google's"));
    }
    if let Some(settings) = either(&body, "generationConfig") {
        read_settings(settings, &mut out)?;
    }
    if let Some(tools) = either(&body, "tools") {
        read_tools(tools, &mut out)?;
    }
    if let Some(choice) = either(&body, "toolConfig").and_then(|config| either(config, "functionCallingConfig")) {
        out.extend(read_choice(choice).map(|choice| ("tool_choice".to_owned(), choice)));
    }
    if body.get("stream") == Some(&Value::Bool(true)) {
        out.insert("stream".to_owned(), true.into());
    }
    Ok(RawBody::from_map(&out))
}

/// Settings by Google's names and by `OpenAI`'s.
const SETTINGS: [(&str, &str); 10] = [
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("topK", "top_k"),
    ("candidateCount", "n"),
    ("maxOutputTokens", "max_tokens"),
    ("stopSequences", "stop"),
    ("presencePenalty", "presence_penalty"),
    ("frequencyPenalty", "frequency_penalty"),
    ("seed", "seed"),
    ("responseLogprobs", "logprobs"),
];

fn read_settings(settings: &Value, out: &mut Map<String, Value>) -> Result<(), Failure> {
    if !settings.is_object() {
        return Err(wrong("generationConfig", "must be an object"));
    }
    for (google, openai) in SETTINGS {
        if let Some(value) = either(settings, google) {
            out.insert(openai.to_owned(), value.clone());
        }
    }
    if let Some(most) = either(settings, "logprobs").filter(|most| most.is_number()) {
        out.insert("top_logprobs".to_owned(), most.clone());
    }
    out.extend(read_form(settings).map(|form| ("response_format".to_owned(), form)));
    out.extend(read_effort(settings).map(|effort| ("reasoning_effort".to_owned(), effort.into())));
    let modalities = either(settings, "responseModalities").and_then(Value::as_array).into_iter().flatten();
    let modalities: Vec<String> = modalities.filter_map(|one| one.as_str().map(str::to_ascii_lowercase)).collect();
    if modalities.iter().any(|modality| modality != "text") {
        out.insert("modalities".to_owned(), modalities.into());
    }
    Ok(())
}

fn read_form(settings: &Value) -> Option<Value> {
    let plain = either(settings, "responseSchema").map(lower_types);
    let schema = either(settings, "responseJsonSchema").cloned().or(plain);
    if let Some(schema) = schema {
        return Some(json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}));
    }
    let kind = either(settings, "responseMimeType").and_then(Value::as_str);
    (kind == Some("application/json")).then(|| json!({"type": "json_object"}))
}

/// A level as it is; a budget as the effort that is nearest. No budget, and one that the model chooses, say nothing.
fn read_effort(settings: &Value) -> Option<String> {
    let config = either(settings, "thinkingConfig")?;
    if let Some(level) = either(config, "thinkingLevel").and_then(Value::as_str) {
        return Some(level.to_ascii_lowercase()).filter(|level| level != "thinking_level_unspecified");
    }
    let word = match either(config, "thinkingBudget")?.as_i64()? {
        ..=0 => return None,
        1..=1024 => "low",
        1025..=8192 => "medium",
        _ => "high",
    };
    Some(word.to_owned())
}

/// Google writes types in capitals, JSON schemas do not.
pub(super) fn lower_types(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let lowered = members.iter().filter(|(name, _)| *name != "propertyOrdering").map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("type", Value::String(kind)) => kind.to_ascii_lowercase().into(),
                    // What a value may be, or has been, is not a schema.
                    ("enum" | "example" | "default" | "required", value) => value.clone(),
                    ("properties", Value::Object(properties)) => {
                        let inner = properties.iter().map(|(name, schema)| (name.clone(), lower_types(schema)));
                        Value::Object(inner.collect())
                    }
                    (_, value) => lower_types(value),
                };
                (name.clone(), value)
            });
            Value::Object(lowered.collect())
        }
        Value::Array(items) => items.iter().map(lower_types).collect(),
        other => other.clone(),
    }
}

/// Functions, and the search, which other models have as well.
fn read_tools(tools: &Value, out: &mut Map<String, Value>) -> Result<(), Failure> {
    let tools = tools.as_array().ok_or_else(|| wrong("tools", "must be a list"))?;
    let mut functions = Vec::new();
    for tool in tools {
        let declared = either(tool, "functionDeclarations").and_then(Value::as_array);
        for declaration in declared.into_iter().flatten() {
            functions.push(read_function(declaration));
        }
        if ["googleSearch", "googleSearchRetrieval"].iter().any(|name| either(tool, name).is_some()) {
            out.insert("web_search_options".to_owned(), json!({}));
        }
        for name in ["codeExecution", "urlContext", "googleMaps", "computerUse", "fileSearch", "retrieval"] {
            if either(tool, name).is_some() {
                return Err(wrong("tools", &format!("holds {name}, which only Google's models have")));
            }
        }
    }
    if !functions.is_empty() {
        out.insert("tools".to_owned(), functions.into());
    }
    Ok(())
}

fn read_function(declaration: &Value) -> Value {
    let mut function = Map::new();
    for name in ["name", "description"] {
        if let Some(value) = declaration.get(name) {
            function.insert(name.to_owned(), value.clone());
        }
    }
    let plain = either(declaration, "parameters").map(lower_types);
    if let Some(parameters) = either(declaration, "parametersJsonSchema").cloned().or(plain) {
        function.insert("parameters".to_owned(), parameters);
    }
    json!({"type": "function", "function": function})
}

fn read_choice(choice: &Value) -> Option<Value> {
    let names = either(choice, "allowedFunctionNames").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Some(match (either(choice, "mode")?.as_str()?.to_ascii_uppercase().as_str(), names) {
        ("NONE", _) => "none".into(),
        ("ANY", [only]) => json!({"type": "function", "function": {"name": only}}),
        ("ANY", _) => "required".into(),
        _ => "auto".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &Value) -> Value {
        let body = RawBody::from_map(body.as_object().unwrap());
        Value::Object(in_openai_words(&body).unwrap().to_map())
    }

    #[test]
    fn settings_and_tools_are_said_in_openais_words() {
        let told = told(&json!({
            "contents": [{"parts": [{"text": "Hi"}]}],
            "generationConfig": {"maxOutputTokens": 5, "top_k": 3, "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"type": {"type": "STRING"}}},
                "thinkingConfig": {"thinkingBudget": 2000}},
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}, {"google_search": {}}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        }));
        let schema = json!({"type": "object", "properties": {"type": {"type": "string"}}});
        assert_eq!(
            told,
            json!({
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
                "top_k": 3, "max_tokens": 5,
                "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
                "reasoning_effort": "medium", "web_search_options": {},
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            })
        );
    }

    #[test]
    fn what_only_google_has_is_refused() {
        for body in [
            json!({"contents": [], "cachedContent": "c"}),
            json!({"contents": [{"parts": [{"text": "a"}]}], "tools": [{"codeExecution": {}}]}),
            json!({"contents": 3}),
            json!({"contents": [{"parts": [{"text": "a"}]}], "generationConfig": 3}),
        ] {
            assert!(in_openai_words(&RawBody::from_map(body.as_object().unwrap())).is_err(), "{body}");
        }
    }
}
