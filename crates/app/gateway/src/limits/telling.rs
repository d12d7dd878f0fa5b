//! What clients are told of limits: the words of a refusal, and what is left in the headers of answers.

use http::HeaderMap;
use tollgate_policy::{Left, Limit, LimitScope, Reached, What};
use tollgate_wire::{Failure, FailureKind};

use super::{Limits, Permit};

impl Limits {
    pub(super) fn refusal(&self, reached: &Reached) -> Failure {
        let wait = std::time::Duration::from_secs(reached.wait.unwrap_or(1));
        let until = i64::try_from((self.clock.unix() + wait).as_secs()).unwrap_or(i64::MAX);
        let until = jiff::Timestamp::from_second(until).unwrap_or(jiff::Timestamp::MAX);
        let mut words = words(reached);
        if reached.what != What::Parallel {
            words.push_str(&format!(". Limit resets at: {}", until.strftime("%Y-%m-%d %H:%M:%S UTC")));
        }
        let mut failure = Failure::new(FailureKind::LimitExceeded, words);
        failure.retry_after = Some(wait);
        failure
    }
}

/// The seeds' text for a key (SEED-145), `LiteLLM`'s own for the whole gateway, its later one for whatever else there is.
fn words(reached: &Reached) -> String {
    let Reached { limit, requests, tokens, running, what, .. } = reached;
    let shown = |most: Option<u64>| most.map_or_else(|| "None".to_owned(), |most| most.to_string());
    let (tpm, rpm, id) = (shown(limit.most.tpm), shown(limit.most.rpm), &limit.id);
    let parallel = shown(limit.most.parallel);
    match limit.scope {
        LimitScope::Gateway => {
            format!("Max parallel request limit reached Hit Global Limit: Limit={parallel}, current: {running}")
        }
        LimitScope::Key => {
            let mut words = format!(
                "Max parallel request limit reached Hit limit for api_key: {id}. tpm_limit: {tpm}, current_tpm {tokens} , \
                 rpm_limit: {rpm} current rpm {requests}"
            );
            if *what == What::Parallel {
                words.push_str(&format!(" , max_parallel_requests: {parallel} current {running}"));
            }
            words
        }
        scope => {
            let model = limit.model.as_deref().map(|model| format!(" model={model}")).unwrap_or_default();
            let (scope, what) = (scope.name(), what.name());
            format!(
                "Rate limit exceeded for {scope}: {id}{model}. Limit type: {what}. tpm_limit: {tpm}, current_tpm {tokens} , \
                 rpm_limit: {rpm} current rpm {requests} , max_parallel_requests: {parallel} current {running}"
            )
        }
    }
}

impl Permit {
    /// What is left, in the headers of the answer: of all instances together as it was when the call began, else of this one.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let second = self.limits.second();
        let mut limiter = self.limits.limiter();
        for limit in self.held.iter().filter(|limit| limit.model.is_none() && limit.scope != LimitScope::Gateway) {
            let of_all = self.counted.iter().find_map(|counted| counted.left_of(limit));
            let left = of_all.unwrap_or_else(|| limiter.left(limit, second));
            tell(limit, &left, headers);
        }
    }
}

fn tell(limit: &Limit, left: &Left, headers: &mut HeaderMap) {
    let mut put = |name: String, number: u64| {
        if let Ok(name) = http::HeaderName::try_from(name) {
            headers.insert(name, number.into());
        }
    };
    let scope = limit.scope.name();
    for (what, most, left_over) in
        [("requests", limit.most.rpm, left.requests), ("tokens", limit.most.tpm, left.tokens)]
    {
        let (Some(most), Some(left_over)) = (most, left_over) else { continue };
        put(format!("x-ratelimit-{scope}-limit-{what}"), most);
        put(format!("x-ratelimit-{scope}-remaining-{what}"), left_over);
        if limit.scope == LimitScope::Key {
            put(format!("x-ratelimit-limit-{what}"), most);
            put(format!("x-ratelimit-remaining-{what}"), left_over);
            put(format!("x-ratelimit-reset-{what}"), left.reset);
            let short = if what == "requests" { "rpm" } else { "tpm" };
            put(format!("x-litellm-key-{short}-limit"), most);
        }
    }
}
