//! How a fleet is routed: the settings of `router_settings` and `litellm_settings` that routing reads.

use std::{collections::HashMap, time::Duration};

use tollgate_wire::FailureKind;

use crate::{fallbacks::Fallbacks, fleet::Group, hedging::Hedging, purse::Purses};

/// How one deployment of several is picked (surface chapter 6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `simple-shuffle`: by chance, in proportion to `weight`, else `rpm`, else `tpm`, else all alike.
    #[default]
    Shuffle,
    /// `least-busy`: the fewest calls in flight.
    LeastBusy,
    /// `usage-based-routing` and `-v2`: the fewest tokens this minute.
    LeastUsed,
    /// `latency-based-routing`: by chance among those that are about as fast as the fastest.
    Fastest,
    /// `cost-based-routing`: the cheapest.
    Cheapest,
    /// `power-of-two-choices` (ours): of two by chance, the one with less work outstanding, weighed by its latency.
    TwoChoices,
    /// `cache-affinity` (ours): the same prompt prefix goes to the same deployment, as long as that has no more than 1.25
    /// times its share of the work.
    CacheAffinity,
}

impl Strategy {
    /// Its name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shuffle => "simple-shuffle",
            Self::LeastBusy => "least-busy",
            Self::LeastUsed => "usage-based-routing",
            Self::Fastest => "latency-based-routing",
            Self::Cheapest => "cost-based-routing",
            Self::TwoChoices => "power-of-two-choices",
            Self::CacheAffinity => "cache-affinity",
        }
    }
}

/// A number by class of error, as `retry_policy` and `allowed_fails_policy` have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    by_class: Vec<(String, u64)>,
    default: Option<u64>,
}

impl Policy {
    /// A number for a class, by `LiteLLM`'s name of it (`RateLimitError`, `TimeoutError`, `Default`).
    pub fn set(&mut self, class: &str, number: u64) {
        match class {
            "Default" => self.default = Some(number),
            // The exception's own name is the only one without "Error".
            "TimeoutError" => self.by_class.push(("Timeout".to_owned(), number)),
            class => self.by_class.push((class.to_owned(), number)),
        }
    }

    /// The number for a kind of failure.
    #[must_use]
    pub fn of(&self, kind: FailureKind) -> Option<u64> {
        let named = self.by_class.iter().find(|(class, _)| class == kind.class());
        named.map(|(_, number)| *number).or(self.default)
    }
}

/// When a deployment rests after failures (surface chapter 6.5).
#[derive(Clone, Debug)]
pub struct RestRules {
    /// Nobody ever rests.
    pub disabled: bool,
    /// How long, where neither the deployment nor its provider says so.
    pub time: Duration,
    /// Failures a minute that are allowed; replaces the default rules where it is set.
    pub allowed_fails: Option<u64>,
    /// The same by class of error.
    pub allowed_fails_policy: Option<Policy>,
    /// The largest share of a group that rests because of its share of failures.
    pub most_resting: f64,
}

impl Default for RestRules {
    fn default() -> Self {
        Self {
            disabled: false,
            // LiteLLM's DEFAULT_COOLDOWN_TIME_SECONDS.
            time: Duration::from_secs(5),
            allowed_fails: None,
            allowed_fails_policy: None,
            most_resting: 0.5,
        }
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How one deployment is picked.
    pub strategy: Strategy,
    /// Of `latency-based-routing`: those within this share of the fastest are as good.
    pub latency_buffer: f64,
    /// Retries inside a group, where nothing else says so.
    pub retries: u64,
    /// The shortest wait before a retry of the same deployment.
    pub retry_after: Duration,
    /// Retries by class of error; replaces both the number and the rule what is retried.
    pub retry_policy: Option<Policy>,
    /// The same by group; wins.
    pub group_retry_policy: HashMap<String, Policy>,
    /// Who answers when a group does not.
    pub fallbacks: Fallbacks,
    /// When a deployment rests.
    pub rest: RestRules,
    /// Requests choose by tags (surface chapter 6.8).
    pub tag_filtering: bool,
    /// One common tag is enough; else a deployment must have all.
    pub any_tag: bool,
    /// Deployments are left out whose window is too small, whose region or abilities do not fit.
    pub pre_call_checks: bool,
    /// Deployments that were not well when they were last looked at get no calls, unless all of a group were not.
    pub health_routing: bool,
    /// What may be spent.
    pub purses: Purses,
    /// Calls of one session, key or long prompt go to the same deployment.
    pub affinity: bool,
    /// When a second attempt is made beside one that says nothing; `None`: never.
    pub hedging: Option<Hedging>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            latency_buffer: 0.0,
            // LiteLLM's router retries this often.
            retries: 2,
            retry_after: Duration::ZERO,
            retry_policy: None,
            group_retry_policy: HashMap::new(),
            fallbacks: Fallbacks::default(),
            rest: RestRules::default(),
            tag_filtering: false,
            any_tag: true,
            pre_call_checks: false,
            health_routing: false,
            purses: Purses::default(),
            affinity: false,
            hedging: None,
        }
    }
}

impl Rules {
    /// The retry policy that holds for a group.
    pub(crate) fn policy(&self, group: &Group<'_>) -> Option<&Policy> {
        let of = |name: &str| self.group_retry_policy.get(name);
        of(group.label()).or_else(|| of(group.name)).or(self.retry_policy.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_knows_litellms_names() {
        let mut policy = Policy::default();
        policy.set("RateLimitError", 4);
        policy.set("TimeoutError", 1);
        assert_eq!(policy.of(FailureKind::RateLimited), Some(4));
        assert_eq!(policy.of(FailureKind::Timeout), Some(1));
        assert_eq!(policy.of(FailureKind::Internal), None);
        policy.set("Default", 0);
        assert_eq!(policy.of(FailureKind::Internal), Some(0));
    }
}
