//! Discounts and margins: shares are numbers from 0 on, a discount at most 1. What is none is left out, and said to be.

use serde_json::Value as Json;

use crate::{
    Finding, Severity,
    yaml::{Entry, Node},
};

/// Looks at `cost_discount_config` and `cost_margin_config`.
pub(super) fn check(root: &Node, findings: &mut Vec<Finding>) {
    let Some(settings) = root.get("litellm_settings") else { return };
    for (name, most, wanted) in [
        ("cost_discount_config", 1.0, "a share from 0 to 1, such as 0.05"),
        ("cost_margin_config", f64::MAX, "a share such as 0.1, or {percentage: 0.1, fixed_amount: 0.001}"),
    ] {
        for Entry { key: provider, value, .. } in settings.get(name).and_then(Node::entries).unwrap_or_default() {
            let is_share = |node: &Node| {
                let number = match node.to_json() {
                    Json::String(text) => text.trim().parse().ok(),
                    number => number.as_f64(),
                };
                number.is_some_and(|number: f64| (0.0..=most).contains(&number))
            };
            let fits = match value.entries().filter(|_| name == "cost_margin_config") {
                Some(parts) => parts
                    .iter()
                    .all(|part| matches!(part.key.as_str(), "percentage" | "fixed_amount") && is_share(&part.value)),
                None => is_share(value),
            };
            if !fits {
                let path = format!("litellm_settings.{name}.{provider}");
                findings.push(Finding::new(Severity::Warning, path, &value.at, format!("is not {wanted}; left out")));
            }
        }
    }
}
