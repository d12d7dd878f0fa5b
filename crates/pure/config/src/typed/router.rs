//! `router_settings`.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use tollgate_wire::Secret;

use super::{Budget, ContinuationSettings, Failover, HedgingSettings};
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
    /// `power-of-two-choices`: of two by chance the one with less work.
    TwoChoices,
    /// `cache-affinity`: the same prompt prefix to the same deployment.
    CacheAffinity,
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
            "power-of-two-choices" => Some(Self::TwoChoices),
            "cache-affinity" => Some(Self::CacheAffinity),
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
    pub stream_idle_timeout: Option<Duration>,
    pub max_stream_duration: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub model_group_alias: Vec<GroupAlias>,
    /// The names of `default_litellm_params`; their values are in the deployments already.
    pub default_litellm_params: Vec<String>,
    pub enable_pre_call_checks: bool,
    pub optional_pre_call_checks: Vec<String>,
    /// `routing_strategy_args.lowest_latency_buffer`.
    pub lowest_latency_buffer: f64,
    /// By name: `RateLimitErrorRetries`.
    pub retry_policy: Vec<(String, u64)>,
    /// The same by group.
    pub model_group_retry_policy: Vec<(String, Vec<(String, u64)>)>,
    /// By name: `RateLimitErrorAllowedFails`.
    pub allowed_fails_policy: Vec<(String, u64)>,
    pub disable_cooldowns: bool,
    pub max_resting_share: Option<f64>,
    pub kept_decisions: Option<u64>,
    pub hedging: HedgingSettings,
    pub continuation: ContinuationSettings,
    pub max_waiting_calls: Option<u64>,
    pub max_client_retries: Option<u64>,
    pub enable_tag_filtering: bool,
    pub tag_filtering_match_any: bool,
    pub default_max_parallel_requests: Option<u64>,
    pub provider_budget_config: Vec<(String, Budget)>,
    pub failover: Failover,
    pub redis: RedisSettings,
    pub share_interval: Option<Duration>,
    pub share_namespace: Option<String>,
}

/// The Redis that instances share their state through; the environment fills in what is not said here.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct RedisSettings {
    pub url: Option<Secret>,
    pub host: Option<String>,
    pub port: Option<u64>,
    pub password: Option<Secret>,
    pub db: Option<u64>,
}

impl RedisSettings {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            url: fields.secret("redis_url"),
            host: fields.text("redis_host").filter(|host| !host.is_empty()),
            port: fields.whole("redis_port"),
            password: fields.secret("redis_password"),
            db: fields.whole("redis_db"),
        }
    }
}

impl RouterSettings {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let aliases = fields.node("model_group_alias").and_then(Node::entries).unwrap_or_default();
        let arguments = fields.map("routing_strategy_args");
        let defaults: Map<String, Json> = fields.map("default_litellm_params");
        Self {
            routing_strategy: fields.text("routing_strategy").and_then(|name| Strategy::of(&name)).unwrap_or_default(),
            num_retries: fields.whole("num_retries"),
            retry_after: fields.duration("retry_after"),
            timeout: fields.duration("timeout"),
            stream_timeout: fields.duration("stream_timeout"),
            stream_idle_timeout: fields.duration("stream_idle_timeout"),
            max_stream_duration: fields.duration("max_stream_duration"),
            connect_timeout: fields.duration("connect_timeout"),
            model_group_alias: aliases.iter().filter_map(alias).collect(),
            default_litellm_params: defaults.into_iter().map(|(name, _)| name).collect(),
            enable_pre_call_checks: fields.is_on("enable_pre_call_checks"),
            optional_pre_call_checks: fields.texts("optional_pre_call_checks"),
            lowest_latency_buffer: arguments.get("lowest_latency_buffer").and_then(Json::as_f64).unwrap_or_default(),
            retry_policy: fields.counts("retry_policy"),
            model_group_retry_policy: fields.counts_by_name("model_group_retry_policy"),
            allowed_fails_policy: fields.counts("allowed_fails_policy"),
            disable_cooldowns: fields.is_on("disable_cooldowns"),
            max_resting_share: fields.number("max_resting_share"),
            kept_decisions: fields.whole("kept_decisions"),
            hedging: HedgingSettings::read(&fields.within("hedging")),
            continuation: ContinuationSettings::read(&fields.within("continuation")),
            max_waiting_calls: fields.whole("max_waiting_calls"),
            max_client_retries: fields.whole("max_client_retries"),
            enable_tag_filtering: fields.is_on("enable_tag_filtering"),
            tag_filtering_match_any: fields.flag("tag_filtering_match_any").unwrap_or(true),
            default_max_parallel_requests: fields.whole("default_max_parallel_requests"),
            provider_budget_config: Budget::all(fields, "provider_budget_config"),
            failover: Failover::read(fields),
            redis: RedisSettings::read(fields),
            share_interval: fields.duration("share_interval"),
            share_namespace: fields.text("share_namespace").filter(|name| !name.is_empty()),
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
