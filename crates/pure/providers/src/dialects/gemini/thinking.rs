//! How much Gemini is to think: a budget of tokens up to 2.5, a level from 3 on («Gemini thinking» of the Gemini API).

use serde_json::{Value, json};
use tollgate_wire::{Failure, chat::ChatRequest};

use crate::target::Target;

/// Whether the model is of the third generation or a later one.
pub(super) fn thinks_by_level(model: &str) -> bool {
    super::generation(model).is_some_and(|generation| generation >= 3)
}

/// The `thinkingConfig`, if the request says anything about it.
///
/// # Errors
/// When the effort is no word that is known.
pub(super) fn config(request: &ChatRequest, target: &Target) -> Result<Option<Value>, Failure> {
    let by_level = thinks_by_level(&target.model);
    if let Some(thinking) = request.extra("thinking") {
        return Ok(Some(of_parameter(thinking, by_level)));
    }
    let Some(effort) = request.reasoning_effort.as_deref() else { return Ok(None) };
    let known = if by_level { level(effort, &target.model) } else { budget(effort, &target.model) };
    let unknown = || {
        Failure::invalid(format!("`reasoning_effort` is none of none, minimal, low, medium, high: '{effort}'"))
            .with_param("reasoning_effort")
    };
    known.map(Some).ok_or_else(unknown)
}

/// Anthropic's parameter, which clients use for every provider.
fn of_parameter(thinking: &Value, by_level: bool) -> Value {
    let enabled = matches!(thinking.get("type").and_then(Value::as_str), Some("enabled" | "adaptive"));
    let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
    if by_level {
        return json!({"includeThoughts": enabled && budget != Some(0)});
    }
    let mut config = json!({});
    if let Some(members) = config.as_object_mut() {
        if enabled && budget != Some(0) {
            members.insert("includeThoughts".to_owned(), true.into());
        }
        if let Some(budget) = budget {
            members.insert("thinkingBudget".to_owned(), budget.into());
        }
    }
    config
}

fn level(effort: &str, model: &str) -> Option<Value> {
    let low = model.to_ascii_lowercase();
    let is_flash = low.contains("flash");
    let least = if is_flash { "minimal" } else { "low" };
    let (level, shown) = match effort {
        "minimal" => (least, true),
        "low" => ("low", true),
        // The first model of the generation has but two levels.
        "medium" if is_flash || !low.contains("gemini-3-pro") => ("medium", true),
        "medium" | "high" | "xhigh" | "max" => ("high", true),
        // Thinking cannot be switched off.
        "none" | "disable" => (least, false),
        _ => return None,
    };
    Some(json!({"thinkingLevel": level, "includeThoughts": shown}))
}

fn budget(effort: &str, model: &str) -> Option<Value> {
    let low = model.to_ascii_lowercase();
    let tokens = match effort {
        // What each model thinks at the very least.
        "minimal" if low.contains("gemini-2.5-flash-lite") => 512,
        "minimal" if low.contains("gemini-2.5-flash") => 1,
        "minimal" => 128,
        "low" => 1024,
        "medium" => 2048,
        "high" | "xhigh" | "max" => 4096,
        "none" | "disable" => 0,
        _ => return None,
    };
    Some(json!({"thinkingBudget": tokens, "includeThoughts": tokens > 0}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_become_budgets_or_levels() {
        let said = |model: &str, effort: &str| {
            if thinks_by_level(model) { level(effort, model) } else { budget(effort, model) }
        };
        for (model, effort, expected) in [
            ("gemini-2.5-flash", "minimal", json!({"thinkingBudget": 1, "includeThoughts": true})),
            ("gemini-2.5-pro", "high", json!({"thinkingBudget": 4096, "includeThoughts": true})),
            ("gemini-2.5-flash", "disable", json!({"thinkingBudget": 0, "includeThoughts": false})),
            ("gemini-3-pro-preview", "medium", json!({"thinkingLevel": "high", "includeThoughts": true})),
            ("gemini-3-flash-preview", "none", json!({"thinkingLevel": "minimal", "includeThoughts": false})),
            ("gemini-3.1-pro-preview", "medium", json!({"thinkingLevel": "medium", "includeThoughts": true})),
        ] {
            assert_eq!(said(model, effort), Some(expected), "{model} {effort}");
        }
        assert_eq!(said("gemini-2.5-pro", "much"), None);
    }
}
