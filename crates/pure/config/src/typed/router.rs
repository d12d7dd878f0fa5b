//! `router_settings`.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::{
    fields::{Fields, flag},
    yaml::{Entry, Node, Value},
};

/// How one deployment of a group is picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `simple-shuffle`: by chance, weighted.
    #[default]
    SimpleShuffle,
    /// `least-busy`: the fewest calls in flight.
    LeastBusy,
    /// `usage-based-routing` and `-v2`: the fewest tokens this minute.
    UsageBased,
    /// `latency-based-routing`: the fastest.
    LatencyBased,
    /// `cost-based-routing`: the cheapest.
    CostBased,
    /// `provider-budget-routing`: by what is left of each provider's budget.
    ProviderBudget,
}

impl Strategy {
    fn of(name: &str) -> Option<Self> {
        match name {
            "simple-shuffle" => Some(Self::SimpleShuffle),
            "least-busy" => Some(Self::LeastBusy),
            "usage-based-routing" | "usage-based-routing-v2" => Some(Self::UsageBased),
            "latency-based-routing" => Some(Self::LatencyBased),
            "cost-based-routing" => Some(Self::CostBased),
            "provider-budget-routing" => Some(Self::ProviderBudget),
            _ => None,
        }
    }
}

/// Another name for a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupAlias {
    /// The name clients send.
    pub alias: String,
    /// The group that answers.
    pub model: String,
    /// Whether `/models` leaves it out.
    pub hidden: bool,
}

/// How a deployment is chosen, as far as this version uses it.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct RouterSettings {
    pub routing_strategy: Strategy,
    pub num_retries: Option<u64>,
    pub retry_after: Option<Duration>,
    pub timeout: Option<Duration>,
    pub stream_timeout: Option<Duration>,
    pub model_group_alias: Vec<GroupAlias>,
    /// The names of `default_litellm_params`; their values are in the deployments already.
    pub default_litellm_params: Vec<String>,
    pub enable_pre_call_checks: bool,
}

impl RouterSettings {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let aliases = fields.node("model_group_alias").and_then(Node::entries).unwrap_or_default();
        let defaults: Map<String, Json> = fields.map("default_litellm_params");
        Self {
            routing_strategy: fields.text("routing_strategy").and_then(|name| Strategy::of(&name)).unwrap_or_default(),
            num_retries: fields.whole("num_retries"),
            retry_after: fields.duration("retry_after"),
            timeout: fields.duration("timeout"),
            stream_timeout: fields.duration("stream_timeout"),
            model_group_alias: aliases.iter().filter_map(alias).collect(),
            default_litellm_params: defaults.into_iter().map(|(name, _)| name).collect(),
            enable_pre_call_checks: fields.is_on("enable_pre_call_checks"),
        }
    }
}

fn alias(entry: &Entry) -> Option<GroupAlias> {
    let (model, hidden) = match &entry.value.value {
        Value::Text(model) => (model.clone(), false),
        Value::Map(_) => {
            let hidden = entry.value.get("hidden").and_then(flag).unwrap_or_default();
            (entry.value.get("model")?.as_text()?.to_owned(), hidden)
        }
        _ => return None,
    };
    Some(GroupAlias { alias: entry.key.clone(), model, hidden })
}
