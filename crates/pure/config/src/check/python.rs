//! Python plug points (decision 19): what guards refuses the start, what watches is left out with a warning.

use crate::{
    Finding, Severity,
    yaml::{Entry, Node, Value},
};

/// Refuses guardrails that are Python code, in the newer and in the older form.
pub(super) fn guardrails(root: &Node, findings: &mut Vec<Finding>) {
    for (index, item) in root.get("guardrails").and_then(Node::items).unwrap_or_default().iter().enumerate() {
        let Some(node) = item.get("litellm_params").and_then(|params| params.get("guardrail")) else { continue };
        if node.as_text().is_some_and(|name| is_python(name) || name == "custom_code") {
            refuse(node, format!("guardrails[{index}].litellm_params.guardrail"), findings);
        }
    }
    let older = root.get("litellm_settings").and_then(|settings| settings.get("guardrails"));
    for (index, item) in older.and_then(Node::items).unwrap_or_default().iter().enumerate() {
        for Entry { key, value, .. } in item.entries().unwrap_or_default() {
            let callbacks = value.get("callbacks").and_then(Node::items).unwrap_or_default();
            for node in callbacks.iter().filter(|node| node.as_text().is_some_and(is_python)) {
                refuse(node, format!("litellm_settings.guardrails[{index}].{key}.callbacks"), findings);
            }
        }
    }
}

fn refuse(node: &Node, path: String, findings: &mut Vec<Finding>) {
    let message = "names a guardrail in Python, which is not run here; starting without it would let through what it \
                   blocks. Put an HTTP guard (`generic_guardrail_api`) in its place";
    findings.push(Finding::fatal(path, &node.at, message));
}

/// Warns of callbacks that are Python code.
pub(super) fn callbacks(root: &Node, findings: &mut Vec<Finding>) {
    const LISTS: &[&str] = &[
        "callbacks",
        "success_callback",
        "failure_callback",
        "service_callback",
        "service_callbacks",
        "audit_log_callbacks",
    ];
    let Some(settings) = root.get("litellm_settings") else { return };
    for list in LISTS {
        let nodes = match settings.get(list).map(|node| &node.value) {
            Some(Value::List(items)) => items.iter().collect(),
            Some(Value::Text(_)) => settings.get(list).into_iter().collect(),
            _ => Vec::new(),
        };
        for node in nodes.into_iter().filter(|node| node.as_text().is_some_and(is_python)) {
            let message = "names a callback in Python, which is not run here; the start goes on without it";
            findings.push(Finding::new(Severity::Warning, format!("litellm_settings.{list}"), &node.at, message));
        }
    }
}

/// Whether `name` is `module.thing`.
fn is_python(name: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit())
    };
    name.contains('.') && name.split('.').all(word)
}
