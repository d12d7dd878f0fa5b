//! Budgets: so many dollars in a window.

use std::time::Duration;

use crate::{
    fields::{Fields, duration, number},
    yaml::Node,
};

/// What may be spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// USD; nothing may be spent of 0.
    pub usd: f64,
    /// `None`: for good.
    pub window: Option<Duration>,
}

impl Budget {
    /// By LiteLLM's names, of which there are two for each. `None`: the node says no such thing.
    pub(crate) fn of(node: &Node) -> Option<Self> {
        let either =
            |names: [&str; 2]| names.into_iter().find_map(|name| node.get(name).filter(|node| !node.is_null()));
        let window = either(["time_period", "budget_duration"]);
        let window = match window {
            Some(node) => Some(duration(node)?),
            None => None,
        };
        Some(Self { usd: number(either(["budget_limit", "max_budget"])?)?, window })
    }

    /// Those of a mapping, by name.
    pub(crate) fn all(fields: &Fields<'_>, name: &str) -> Vec<(String, Self)> {
        let entries = fields.node(name).and_then(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|entry| Some((entry.key.clone(), Self::of(&entry.value)?))).collect()
    }
}
