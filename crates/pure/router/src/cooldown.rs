//! Who rests after a failure, and how long (surface chapter 6.5).

use std::time::Duration;

use tollgate_wire::{Failure, FailureKind};

use crate::fleet::{Deployment, Fleet};

/// Attempts in a minute before a share of them says anything, and failures in a row after which it is not asked.
const ENOUGH: u64 = 5;
/// The longest rest that a provider can ask for.
const LONGEST: Duration = Duration::from_secs(3600);

impl Fleet {
    /// Until when a deployment rests after a failure, which its vitals have counted. `None`: it does not.
    ///
    /// A connection that cannot be made counts among the failures, other than with `LiteLLM`: a host that is gone is what
    /// rests are for.
    #[must_use]
    pub fn rest_after(&self, index: usize, failure: &Failure, now: Duration) -> Option<Duration> {
        let rules = &self.rules().rest;
        let one = self.deployments().get(index)?;
        let time = one.rest_time.unwrap_or_else(|| {
            let asked = failure.retry_after.filter(|asked| !asked.is_zero());
            asked.map_or(rules.time, |asked| asked.min(LONGEST))
        });
        if rules.disabled || time.is_zero() || !counts(failure) {
            return None;
        }
        // A client can name a model that does not exist to a pattern: that is its own mistake.
        if one.group.contains('*') && failure.http_status() == 404 {
            return None;
        }
        if one.vitals.resting_until().is_some() {
            // It was tried whether it is back, and it is not.
            return Some(now + time);
        }
        let failures = one.vitals.last_minute(now).failures;
        let policies = [one.allowed_fails_policy.as_ref(), rules.allowed_fails_policy.as_ref()];
        let allowed = policies.into_iter().flatten().find_map(|policy| policy.of(failure.kind));
        let rests = match allowed.or(one.allowed_fails).or(rules.allowed_fails) {
            Some(allowed) => failures > allowed,
            None => self.rests_by_default(index, one, failure, now),
        };
        rests.then_some(now + time)
    }

    fn rests_by_default(&self, index: usize, one: &Deployment, failure: &Failure, now: Duration) -> bool {
        let mates = self.group_of(index);
        let servable = |index: &&usize| self.deployments().get(**index).is_some_and(|one| one.unservable.is_none());
        let size = mates.iter().filter(servable).count();
        // Without anybody else there is nobody to take its place.
        if size < 2 {
            return false;
        }
        if matches!(failure.http_status(), 401 | 404 | 429) {
            return true;
        }
        let minute = one.vitals.last_minute(now);
        // What went well before it broke down says nothing: a busy deployment that is gone would take calls for half a minute.
        let is_down = u64::from(one.vitals.failures_in_a_row()) >= ENOUGH;
        let ended = minute.failures + minute.successes;
        if ended < ENOUGH || (minute.failures * 2 <= ended && !is_down) {
            return false;
        }
        // One whose rest is over has yet to show that it is back.
        let rests =
            |index: &&usize| self.deployments().get(**index).is_some_and(|one| one.vitals.resting_until().is_some());
        let resting = mates.iter().filter(|mate| **mate != index).filter(rests).count();
        #[expect(clippy::cast_precision_loss, reason = "no group has 2^52 members")]
        let share = (resting + 1) as f64 / size as f64;
        share <= self.rules().rest.most_resting
    }
}

/// Only what says something about the deployment.
fn counts(failure: &Failure) -> bool {
    // Our own refusals before anything was sent say nothing.
    if failure.kind.class().is_empty() || failure.kind == FailureKind::UnsupportedParams {
        return false;
    }
    matches!(failure.http_status(), 401 | 402 | 404 | 408 | 429 | 500..)
}
