//! The limits of keys and of those above them, as calls meet them: taken before the first attempt, settled with what was
//! used when the call is over, given back where nobody was asked.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use tollgate_policy::{Key, Left, Limit, LimitScope, Limiter, Reached, Taken, What};
use tollgate_router::{Group, Plan};
use tollgate_wire::{Failure, FailureKind, clock::Clock};

use crate::{dispatch::Ask, meter::Meter, routing::prompt_tokens};

/// What is in use of all limits.
pub(crate) struct Limits {
    limiter: Mutex<Limiter>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limits")
    }
}

/// A place under all limits that hold for a call.
#[derive(Debug)]
pub(crate) struct Permit {
    limits: Arc<Limits>,
    taken: Vec<Taken>,
    /// What held for the call, for its answer's headers.
    held: Vec<Limit>,
}

impl Limits {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { limiter: Mutex::default(), clock })
    }

    /// Takes a place for a call of a key: none where nothing limits it.
    ///
    /// # Errors
    /// 429 naming the limit, with the time after which there may be room.
    pub(crate) fn take(self: &Arc<Self>, key: &Key, models: &[&str], expected: u64) -> Result<Option<Permit>, Failure> {
        let holds = |limit: &&Limit| limit.model.as_deref().is_none_or(|only| models.contains(&only));
        let held: Vec<Limit> = key.limits.iter().filter(holds).cloned().collect();
        if held.is_empty() {
            return Ok(None);
        }
        let second = self.clock.monotonic().as_secs();
        let taken = self.limiter().take(&held, expected, second);
        let taken = taken.map_err(|reached| self.refusal(&reached))?;
        Ok(Some(Permit { limits: Arc::clone(self), taken: vec![taken], held }))
    }

    fn limiter(&self) -> std::sync::MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(&self, reached: &Reached) -> Failure {
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

/// The seeds' text for a key (SEED-145), `LiteLLM`'s later one for whatever is above it.
fn words(reached: &Reached) -> String {
    let Reached { limit, requests, tokens, running, what, .. } = reached;
    let shown = |most: Option<u64>| most.map_or_else(|| "None".to_owned(), |most| most.to_string());
    let (tpm, rpm, id) = (shown(limit.most.tpm), shown(limit.most.rpm), &limit.id);
    match limit.scope {
        LimitScope::Key => {
            let mut words = format!(
                "Max parallel request limit reached Hit limit for api_key: {id}. tpm_limit: {tpm}, current_tpm {tokens} , \
                 rpm_limit: {rpm} current rpm {requests}"
            );
            if *what == What::Parallel {
                words.push_str(&format!(" , max_parallel_requests: {} current {running}", shown(limit.most.parallel)));
            }
            words
        }
        scope => {
            let model = limit.model.as_deref().map(|model| format!(" model={model}")).unwrap_or_default();
            let (scope, what) = (scope.name(), what.name());
            format!(
                "Rate limit exceeded for {scope}: {id}{model}. Limit type: {what}. tpm_limit: {tpm}, current_tpm {tokens} , \
                 rpm_limit: {rpm} current rpm {requests} , max_parallel_requests: {} current {running}",
                shown(limit.most.parallel)
            )
        }
    }
}

impl Ask {
    /// Takes a place for the call under the limits of its key.
    ///
    /// # Errors
    /// 429, as [`Limits::take`].
    pub(crate) fn take_place(&self, group: &Group<'_>, meter: &mut Meter) -> Result<(), Failure> {
        let Some(key) = self.caller.key() else { return Ok(()) };
        let counts_tokens = key.limits.iter().any(|limit| limit.most.tpm.is_some());
        let expected = if counts_tokens { prompt_tokens(&self.body) } else { 0 };
        meter.holds(self.gateway.limits.take(key, &[group.name, group.label()], expected)?);
        Ok(())
    }
}

impl Ask {
    /// Why the key may not ask the fallback whose turn it is: what limits that model for it is taken, too.
    pub(crate) fn refused_there(&self, plan: &Plan<'_>, meter: &mut Meter) -> Option<Failure> {
        let key = self.caller.key().filter(|key| key.limits.iter().any(|limit| limit.model.is_some()))?;
        let group = plan.group().filter(|_| plan.fallbacks() > 0)?;
        let expected = prompt_tokens(&self.body);
        meter.holds_more(&self.gateway.limits, key, &[group.name, group.label()], expected).err()
    }
}

impl Permit {
    /// Takes what else limits the key where these models are asked.
    ///
    /// # Errors
    /// 429, as [`Limits::take`].
    pub(crate) fn extend(&mut self, key: &Key, models: &[&str], expected: u64) -> Result<(), Failure> {
        let is_new = |limit: &&Limit| {
            limit.model.as_deref().is_some_and(|only| models.contains(&only)) && !self.held.contains(limit)
        };
        let more: Vec<Limit> = key.limits.iter().filter(is_new).cloned().collect();
        if more.is_empty() {
            return Ok(());
        }
        let second = self.limits.clock.monotonic().as_secs();
        let taken = self.limits.limiter().take(&more, expected, second);
        self.taken.push(taken.map_err(|reached| self.limits.refusal(&reached))?);
        self.held.extend(more);
        Ok(())
    }

    /// The call is over: what it used counts. Nobody was asked: it counts as none.
    pub(crate) fn settle(mut self, used: Option<u64>) {
        let all = std::mem::take(&mut self.taken);
        let second = self.limits.clock.monotonic().as_secs();
        let mut limiter = self.limits.limiter();
        all.iter().for_each(|taken| match used {
            Some(used) => limiter.settle(taken, used, second),
            None => limiter.give_back(taken),
        });
    }

    /// What is left, in the headers of the answer.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let second = self.limits.clock.monotonic().as_secs();
        let mut limiter = self.limits.limiter();
        for limit in self.held.iter().filter(|limit| limit.model.is_none()) {
            let left = limiter.left(limit, second);
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

impl Drop for Permit {
    /// A call that ended without its meter: its place is free, its request counts.
    fn drop(&mut self) {
        for taken in std::mem::take(&mut self.taken) {
            let second = self.limits.clock.monotonic().as_secs();
            self.limits.limiter().settle(&taken, 0, second);
        }
    }
}
