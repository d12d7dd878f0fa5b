//! What is not yet for everyone: the features that a request must ask for by header.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tollgate_wire::Secret;

use crate::target::{Credential, Target, set_header};

/// The header that lists them, separated by commas.
pub const BETA_HEADER: &str = "anthropic-beta";

/// A token of a person's subscription, not a key: it travels as a bearer token.
#[must_use]
pub fn is_oauth(key: &Secret) -> bool {
    key.expose().starts_with("sk-ant-oat")
}

/// The list that is there with the new features at its end; `None` if there is no list or it cannot be read.
#[must_use]
pub fn join(headers: &HeaderMap, more: &HeaderValue) -> Option<HeaderValue> {
    let old = headers.get(BETA_HEADER)?.to_str().ok()?;
    let mut all: Vec<&str> = list(old).collect();
    for feature in list(more.to_str().ok()?) {
        if !all.contains(&feature) {
            all.push(feature);
        }
    }
    all.join(",").try_into().ok()
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|feature| !feature.is_empty())
}

/// Asks for features, beside those that the configuration asks for.
pub(super) fn add(headers: &mut HeaderMap, features: &[&'static str]) {
    for feature in features {
        set_header(headers, &HeaderName::from_static(BETA_HEADER), &HeaderValue::from_static(feature));
    }
}

/// Tools of Anthropic's own, by how their types begin, with the feature they belong to.
const TOOLS: &[(&str, &str)] = &[
    ("computer_20241022", "computer-use-2024-10-22"),
    ("bash_20241022", "computer-use-2024-10-22"),
    ("text_editor_20241022", "computer-use-2024-10-22"),
    ("computer_20250124", "computer-use-2025-01-24"),
    ("computer_20251124", "computer-use-2025-11-24"),
    ("code_execution_20250522", "code-execution-2025-05-22"),
    ("code_execution_20250825", "code-execution-2025-08-25"),
    ("web_fetch_20250910", "web-fetch-2025-09-10"),
    ("memory_20250818", "context-management-2025-06-27"),
    ("tool_search_tool_", "advanced-tool-use-2025-11-20"),
];

/// The features that this request needs.
pub(super) fn needed(body: &Map<String, Value>, target: &Target) -> Vec<&'static str> {
    let mut features = Vec::new();
    if let Credential::Key(key) | Credential::Token(key) = &target.credential
        && is_oauth(key)
    {
        features.push("oauth-2025-04-20");
    }
    if body.contains_key("output_format") {
        features.push("structured-outputs-2025-11-13");
    }
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
        // Where Anthropic itself has ended the trial, Google asks for the header still.
        if kind.starts_with("web_search_") && target.provider.name == "vertex_ai" {
            features.push("web-search-2025-03-05");
        }
        features.extend(TOOLS.iter().filter(|(begin, _)| kind.starts_with(begin)).map(|(_, feature)| *feature));
        if ["defer_loading", "allowed_callers", "input_examples"].iter().any(|name| tool.get(name).is_some()) {
            features.push("advanced-tool-use-2025-11-20");
        }
    }
    if body.get("speed").is_some_and(|speed| speed == "fast") {
        features.push("fast-mode-2026-02-01");
    }
    if body.contains_key("mcp_servers") {
        features.push("mcp-client-2025-04-04");
    }
    if body.contains_key("context_management") {
        features.push("context-management-2025-06-27");
    }
    if body.get("container").is_some_and(|container| container.get("skills").is_some()) {
        features.push("skills-2025-10-02");
    }
    let has_effort = body.get("output_config").is_some_and(|config| config.get("effort").is_some());
    if has_effort && !target.facts.adaptive_thinking {
        features.push("effort-2025-11-24");
    }
    if body.get("messages").is_some_and(refers_to_files) {
        features.push("files-api-2025-04-14");
    }
    features
}

/// Whether a block names a file that lies at Anthropic's.
fn refers_to_files(messages: &Value) -> bool {
    match messages {
        Value::Array(items) => items.iter().any(refers_to_files),
        Value::Object(members) => match members.get("source") {
            Some(source) => source.get("file_id").is_some(),
            None => members.get("content").is_some_and(refers_to_files),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(there: &str, more: &str, expected: &str) {
        let mut headers = HeaderMap::new();
        if !there.is_empty() {
            headers.insert(BETA_HEADER, there.parse().unwrap());
        }
        set_header(&mut headers, &HeaderName::from_static(BETA_HEADER), &more.parse().unwrap());
        assert_eq!(headers[BETA_HEADER], expected);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn features_add_up_and_none_is_asked_for_twice() {
        check("", "a", "a");
        check("a", "b", "a,b");
        check("a, b", "b,c", "a,b,c");
    }
}
