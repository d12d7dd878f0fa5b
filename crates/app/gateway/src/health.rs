//! How deployments are doing, heard from their own answers and seen in the background: `/health` costs nothing unless an
//! admin wants it to (decision 14).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tollgate_observe::{AttemptRecord, Outcome};
use tollgate_policy::Caller;
use tollgate_wire::{Blame, FailureKind};

use crate::{deployment::GoesTo, gateway::Gateway, probe, snapshot::Snapshot};

/// How long all deployments together may take to show that they are there.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long real calls of all together may take.
const LONGEST: Duration = Duration::from_secs(600);
/// How many are asked at the same time.
const AT_ONCE: usize = 128;
/// A failure of so long ago says nothing of now.
const STALE: Duration = Duration::from_secs(60);

/// The last word of each deployment. One entry a deployment that was ever called.
#[derive(Default)]
pub(crate) struct Health {
    last: Mutex<HashMap<Arc<str>, Heard>>,
}

/// How an attempt went.
#[derive(Clone, Copy)]
struct Heard {
    failed: Option<FailureKind>,
    /// When it ended, since 1970 by the gateway's clock.
    at: Duration,
}

impl Heard {
    fn is_stale(self, now: Duration) -> bool {
        // Either way: that clock may jump.
        self.failed.is_some() && now.abs_diff(self.at) > STALE
    }
}

impl Health {
    /// Takes note of an attempt's end. What the client caused, or left early, says nothing of the deployment.
    pub(crate) fn heard(&self, attempt: &AttemptRecord) {
        let failed = match attempt.outcome {
            Outcome::Answered => None,
            Outcome::Failed(kind) if kind.blame() == Blame::Provider => Some(kind),
            Outcome::Failed(_) | Outcome::ClientLeft | Outcome::Outrun => return,
        };
        let state = Heard { failed, at: ended(attempt) };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.get_mut(&attempt.deployment) {
            Some(known) => *known = state,
            None => {
                last.insert(Arc::clone(&attempt.deployment), state);
            }
        }
    }

    fn of(&self, deployment: &str) -> Option<Heard> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(deployment).copied()
    }
}

/// When an attempt ended: its id holds the moment of its beginning.
fn ended(attempt: &AttemptRecord) -> Duration {
    let began = attempt.id.get_timestamp().map(|stamp| stamp.to_unix()).unwrap_or_default();
    Duration::new(began.0, began.1).saturating_add(attempt.took)
}

impl Gateway {
    /// `GET /health`: one entry per deployment, healthy or not, in the seeds' shape (SEED-86). A deployment that was
    /// looked at in the background is judged by the last look; another one by its last answer, and one that was never
    /// called, or failed a while ago, by whether somebody listens at its address. All are asked at the same time.
    /// `generates`: all are really called, which costs what it costs.
    pub async fn health(self: &Arc<Self>, model: Option<&str>, generates: bool, caller: &Caller) -> Value {
        let snapshot = self.snapshot();
        // Surface chapter 14.18: where providers are is nothing for those who only call.
        let tells_addresses = caller.is_admin() || *caller == Caller::Anyone;
        let places = Semaphore::new(if generates { snapshot.checks.at_once } else { AT_ONCE });
        // Real calls have times of their own.
        let deadline = Instant::now() + if generates { LONGEST } else { PATIENCE };
        let wanted = snapshot
            .served
            .iter()
            .enumerate()
            .filter(|(_, served)| model.is_none_or(|model| model == served.group || *model == *served.id));
        let asked: Vec<usize> = wanted.map(|(index, _)| index).collect();
        let verdicts = join_all(asked.iter().map(|index| {
            let judged = self.verdict(&snapshot, *index, &places, generates);
            async move {
                let late = |_| Err("no answer in time".to_owned());
                timeout_at(deadline, judged).await.unwrap_or_else(late)
            }
        }));
        let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
        for (index, verdict) in asked.iter().zip(verdicts.await) {
            let mut entry = entry(&snapshot, *index, tells_addresses);
            match verdict {
                Ok(()) => healthy.push(Value::Object(entry)),
                Err(why) => {
                    entry.insert("error".to_owned(), why.into());
                    unhealthy.push(Value::Object(entry));
                }
            }
        }
        json!({
            "healthy_count": healthy.len(),
            "unhealthy_count": unhealthy.len(),
            "healthy_endpoints": healthy,
            "unhealthy_endpoints": unhealthy,
        })
    }

    async fn verdict(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        index: usize,
        places: &Semaphore,
        generates: bool,
    ) -> Result<(), String> {
        if let Some(why) = snapshot.fleet.deployments().get(index).and_then(|one| one.unservable.clone()) {
            return Err(why);
        }
        let Some(served) = snapshot.served.get(index) else { return Ok(()) };
        if generates {
            let _place = places.acquire().await;
            match self.check(snapshot, index, true, "admin").await {
                Ok(None) => return Ok(()),
                Err(failure) => return Err(failure.client_message()),
                // Who has no time for a call is judged by those that it has.
                Ok(Some(_)) => {}
            }
        } else if snapshot.checks.every.is_some()
            && let Some(checked) = self.checks.last(&served.id)
        {
            return checked.error.clone().map_or(Ok(()), Err);
        }
        let heard = self.health.of(&served.id).filter(|heard| !heard.is_stale(self.clock.unix()));
        match heard.map(|heard| heard.failed) {
            Some(None) => return Ok(()),
            Some(Some(kind)) => return Err(format!("the last call failed: {kind:?}")),
            None => {}
        }
        let GoesTo::Fixed(place) = &served.goes_to else { return Ok(()) };
        let _place = places.acquire().await;
        probe::reachable(&self.client, place).await
    }
}

fn entry(snapshot: &Snapshot, index: usize, tells_addresses: bool) -> Map<String, Value> {
    let mut entry = Map::new();
    let Some(served) = snapshot.served.get(index) else { return entry };
    entry.insert("model".to_owned(), served.model.as_str().into());
    entry.insert("model_id".to_owned(), served.id.as_ref().into());
    if !snapshot.checks.details {
        return entry;
    }
    if let (GoesTo::Fixed(place), true) = (&served.goes_to, tells_addresses) {
        entry.insert("api_base".to_owned(), place.address.as_str().into());
    }
    entry.insert("model_name".to_owned(), served.group.as_str().into());
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failure_gets_old() {
        let at = Duration::from_secs(1_000);
        let failed = Heard { failed: Some(FailureKind::InvalidKey), at };
        let minute = Duration::from_secs(60);
        assert!(!failed.is_stale(at) && !failed.is_stale(at + minute));
        assert!(failed.is_stale(at + minute + Duration::from_secs(1)));
        assert!(failed.is_stale(Duration::ZERO), "the clock was set back");
        assert!(!Heard { failed: None, at }.is_stale(at + 100 * minute));
    }
}
