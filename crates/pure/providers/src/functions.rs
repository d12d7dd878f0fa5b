//! Functions as words, for providers that have no tools: where the configuration allows it (`add_function_to_prompt`), the
//! functions and the form of their calls are told to the model in the operator's message. Its answer stays text.

use serde_json::{Value, json};
use tollgate_wire::RawBody;

/// What the model is told before the functions.
const HOW_TO_CALL: &str = "Answer with JSON only, in this form: \
    {\"name\": \"function_name\", \"arguments\": {\"argument_name\": \"argument_value\"}}. \
    These functions can be called:";

/// Members that mean nothing once the functions are words.
const CHOICES: &[&str] = &["tool_choice", "function_call", "parallel_tool_calls"];

/// Moves functions that the provider does not take into the messages.
pub(crate) fn into_prompt(body: &mut RawBody, takes: impl Fn(&str) -> bool) {
    let Some(mut messages) = body.typed::<Vec<Value>>("messages") else { return };
    let mut words = String::new();
    for name in ["tools", "functions"] {
        if takes(name) {
            continue;
        }
        for function in body.typed::<Vec<Value>>(name).unwrap_or_default() {
            let function = function.get("function").cloned().unwrap_or(function);
            words.push('\n');
            words.push_str(&function.to_string());
        }
        body.remove(name);
    }
    if words.is_empty() {
        return;
    }
    for name in CHOICES {
        body.remove(name);
    }
    tell(&mut messages, &format!("{HOW_TO_CALL}{words}"));
    body.set("messages", &messages.into());
}

/// Adds to the operator's words, or says them in the operator's place.
fn tell(messages: &mut Vec<Value>, words: &str) {
    let operators = messages.iter_mut().find(|message| message.get("role").is_some_and(|role| role == "system"));
    match operators.and_then(|message| message.get_mut("content")) {
        Some(Value::String(content)) => {
            content.push_str("\n\n");
            content.push_str(words);
        }
        Some(Value::Array(parts)) => parts.push(json!({"type": "text", "text": words})),
        _ => messages.insert(0, json!({"role": "system", "content": words})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &Value, expected_content: &str) {
        let mut body = RawBody::from_map(given.as_object().unwrap());
        into_prompt(&mut body, |_| false);
        let body = body.to_map();
        let first = &body["messages"][0];
        assert_eq!(first["role"], "system");
        let said = first["content"].as_str().map_or_else(|| first["content"][1]["text"].to_string(), str::to_owned);
        assert!(said.contains(expected_content) && said.contains(r"get_weather"), "{said}");
        for gone in ["tools", "functions", "tool_choice", "function_call"] {
            assert!(!body.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn functions_become_the_operators_words() {
        let tools = json!([{"type": "function", "function": {"name": "get_weather"}}]);
        let said = json!([{"role": "user", "content": "W?"}]);
        check(&json!({"messages": said, "tools": tools, "tool_choice": "auto"}), "JSON only");
        check(
            &json!({"messages": [{"role": "system", "content": "Brief"}], "functions": [{"name": "get_weather"}], "function_call": "auto"}),
            "Brief\n\nAnswer",
        );
        check(
            &json!({"messages": [{"role": "system", "content": [{"type": "text", "text": "Brief"}]}], "tools": tools}),
            "JSON only",
        );
    }

    #[test]
    fn functions_that_the_provider_takes_stay() {
        let given = json!({"messages": [{"role": "user", "content": "W?"}], "tools": [{"type": "function", "function": {"name": "f"}}]});
        let mut body = RawBody::from_map(given.as_object().unwrap());
        into_prompt(&mut body, |_| true);
        assert_eq!(Value::Object(body.to_map()), given);
    }
}
