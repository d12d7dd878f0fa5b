//! Looks at deployments, one after the other in the background or when somebody asks: what they came to, and when the next
//! one is due. Nothing is generated unless the configuration, or an admin, says so (decision 14).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Notify;
use tollgate_config::Config;
use tollgate_router::Busy;
use tollgate_wire::{Failure, FailureKind};

use crate::{deployment::GoesTo, gateway::Gateway, probe, snapshot::Snapshot, trial::Trial};

/// How deployments are looked at.
#[derive(Clone, Debug)]
pub(crate) struct CheckRules {
    /// In the background, so often; `None`: not at all.
    pub(crate) every: Option<Duration>,
    /// So many at one time.
    pub(crate) at_once: usize,
    /// A look in the background is a real call.
    pub(crate) generates: bool,
    /// Only these groups; empty: all.
    pub(crate) groups: Vec<String>,
    /// `/health` tells all it knows.
    pub(crate) details: bool,
    /// A deployment that is not well gets no calls.
    pub(crate) routes: bool,
    /// For so long.
    pub(crate) stale: Duration,
    /// But for these: 408 and 429.
    pub(crate) ignores_transient: bool,
    /// So many looks are remembered.
    pub(crate) kept: usize,
}

/// `LiteLLM`'s interval.
const EVERY: Duration = Duration::from_secs(300);
/// Nobody is to be looked at without a pause.
const SHORTEST: Duration = Duration::from_millis(10);
const AT_ONCE: usize = 16;
const KEPT: usize = 10_000;
/// New deployments are looked at within a tenth of the interval, and at most this.
const FIRST: Duration = Duration::from_secs(5);
/// Until somebody has changed something.
const NOTHING_DUE: Duration = Duration::from_secs(3600);

impl CheckRules {
    pub(crate) fn of(config: &Config) -> Self {
        let health = &config.general.health;
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        // Of no time at all, as in LiteLLM, is not at all: such looks may cost money.
        let every = health.interval.unwrap_or(EVERY);
        let runs = health.background && !every.is_zero();
        let every = every.max(SHORTEST);
        Self {
            every: runs.then_some(every),
            at_once: health.at_once.map_or(AT_ONCE, size).max(1),
            generates: health.generates,
            groups: health.groups.clone(),
            details: health.details.unwrap_or(true),
            routes: runs && health.routes,
            stale: health.staleness.unwrap_or(every * 2),
            ignores_transient: health.ignores_transient,
            kept: health.kept.map_or(KEPT, size),
        }
    }

    fn holds_for(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|one| one == group)
    }
}

/// What a look came to.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) id: uuid::Uuid,
    pub(crate) deployment: Arc<str>,
    pub(crate) group: String,
    /// The model string as configured.
    pub(crate) model: String,
    /// Why it is not well, if it is not.
    pub(crate) error: Option<String>,
    /// Since 1970.
    pub(crate) at: Duration,
    pub(crate) took: Duration,
    pub(crate) by: &'static str,
}

/// What looks came to: the last of each deployment, and as many before as are kept.
#[derive(Default)]
pub(crate) struct Checks {
    known: Mutex<Known>,
    /// The configuration is another.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct Known {
    last: HashMap<Arc<str>, Arc<Checked>>,
    all: VecDeque<Arc<Checked>>,
}

impl Checks {
    fn put(&self, checked: Checked, most: usize) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = Arc::new(checked);
        known.last.insert(Arc::clone(&checked.deployment), Arc::clone(&checked));
        known.all.push_back(checked);
        while known.all.len() > most {
            known.all.pop_front();
        }
    }

    /// What is gone from the configuration is not looked at any more, and says nothing.
    fn keep(&self, wanted: impl Fn(&str) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.last.retain(|id, _| wanted(id));
    }

    /// The last look at a deployment.
    pub(crate) fn last(&self, deployment: &str) -> Option<Arc<Checked>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).last.get(deployment).cloned()
    }

    /// The last look at each.
    pub(crate) fn latest(&self) -> Vec<Arc<Checked>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).last.values().cloned().collect()
    }

    /// Looks that fit, the newest first: so many of them after so many, and how many there are.
    pub(crate) fn history(
        &self,
        fits: impl Fn(&Checked) -> bool,
        offset: usize,
        limit: usize,
    ) -> (Vec<Arc<Checked>>, usize) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = || known.all.iter().rev().filter(|one| fits(one));
        (fitting().skip(offset).take(limit).cloned().collect(), fitting().count())
    }
}

/// When each deployment is looked at next.
#[derive(Default)]
struct Agenda {
    due: HashMap<Arc<str>, Due>,
}

#[derive(Clone, Copy)]
struct Due {
    at: Duration,
    runs: bool,
}

impl Agenda {
    /// Takes in what is new in the configuration, and forgets what is gone.
    fn follow(&mut self, snapshot: &Snapshot, now: Duration, mut chance: impl FnMut() -> u64) {
        let Some(every) = snapshot.checks.every else { return self.due.clear() };
        let wanted: HashMap<&Arc<str>, ()> =
            snapshot.served.iter().filter(|one| looks_at(snapshot, one)).map(|one| (&one.id, ())).collect();
        self.due.retain(|id, _| wanted.contains_key(id));
        for id in wanted.into_keys() {
            let within = (every / 10).min(FIRST);
            self.due
                .entry(Arc::clone(id))
                // An interval that is shorter now holds from now on.
                .and_modify(|due| due.at = due.at.min(now + every + every / 10))
                .or_insert_with(|| Due { at: now + share(within, chance()), runs: false });
        }
    }

    fn take(&mut self, now: Duration) -> Option<Arc<str>> {
        let (id, due) =
            self.due.iter_mut().filter(|(_, due)| !due.runs && due.at <= now).min_by_key(|(_, due)| due.at)?;
        due.runs = true;
        Some(Arc::clone(id))
    }

    /// A look is over; the next one is due a tenth of the interval earlier or later than it would be, so that those that
    /// began together do not stay together.
    fn over(&mut self, id: &str, every: Duration, now: Duration, chance: u64) {
        if let Some(due) = self.due.get_mut(id) {
            *due = Due { at: now + every - every / 10 + share(every / 5, chance), runs: false };
        }
    }

    /// How long nothing is due.
    fn idle(&self, now: Duration) -> Duration {
        let next = self.due.values().filter(|due| !due.runs).map(|due| due.at).min();
        next.map_or(NOTHING_DUE, |at| at.saturating_sub(now)).min(NOTHING_DUE)
    }
}

fn looks_at(snapshot: &Snapshot, served: &crate::deployment::Served) -> bool {
    !served.health.disabled && snapshot.checks.holds_for(&served.group)
}

/// As much of a time as chance says.
fn share(of: Duration, chance: u64) -> Duration {
    of.mul_f64(f64::from(u32::try_from(chance >> 32).unwrap_or_default()) / f64::from(u32::MAX))
}

impl Gateway {
    /// Looks at deployments in the background from now on, as far and as often as each configuration says.
    pub fn start_checks(self: &Arc<Self>) {
        let gateway = Arc::clone(self);
        self.workers.spawn_following(async move { gateway.keep_checking().await });
    }

    async fn keep_checking(self: &Arc<Self>) {
        let (mut agenda, mut running) = (Agenda::default(), FuturesUnordered::new());
        loop {
            let snapshot = self.snapshot();
            let (every, now) = (snapshot.checks.every.unwrap_or(EVERY), self.clock.monotonic());
            agenda.follow(&snapshot, now, || self.random.u64());
            self.checks.keep(|id| snapshot.served.iter().any(|one| *one.id == *id));
            while running.len() < snapshot.checks.at_once
                && let Some(id) = agenda.take(now)
            {
                running.push(self.check_in_background(Arc::clone(&snapshot), id));
            }
            let is_full = running.len() >= snapshot.checks.at_once;
            drop(snapshot);
            tokio::select! {
                // What runs is dropped, and settles as what nobody waited for.
                () = self.draining() => return,
                () = self.checks.changed.notified() => {}
                Some(id) = running.next(), if !running.is_empty() => {
                    agenda.over(&id, every, self.clock.monotonic(), self.random.u64());
                }
                () = tokio::time::sleep(agenda.idle(now)), if !is_full => {}
            }
        }
    }

    async fn check_in_background(self: &Arc<Self>, snapshot: Arc<Snapshot>, id: Arc<str>) -> Arc<str> {
        let Some(index) = snapshot.served.iter().position(|one| one.id == id) else { return id };
        let generates = snapshot.checks.generates;
        let checked = self.check(&snapshot, index, generates, "background").await;
        if let (Ok(None) | Err(_), true) = (&checked, snapshot.checks.routes) {
            let is_ignored =
                |failure: &Failure| snapshot.checks.ignores_transient && matches!(failure.http_status(), 408 | 429);
            let ill = checked.as_ref().err().filter(|failure| !is_ignored(failure));
            if let Some(one) = snapshot.fleet.deployments().get(index) {
                one.vitals.set_unwell(ill.map(|_| self.clock.monotonic() + snapshot.checks.stale));
            }
        }
        id
    }

    /// Looks at one deployment, and remembers what came of it.
    ///
    /// # Errors
    /// Why it is not well. `Ok` with a word: it cannot be asked just now, and what was known before holds.
    pub(crate) async fn check(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        index: usize,
        generates: bool,
        by: &'static str,
    ) -> Result<Option<&'static str>, Failure> {
        let Some(served) = snapshot.served.get(index) else { return Ok(None) };
        let (began, at) = (self.clock.monotonic(), self.clock.unix());
        let result = self.look(snapshot, index, generates).await;
        if let Ok(Some(_)) = result {
            return result;
        }
        let checked = Checked {
            id: self.uuid_v7(),
            deployment: Arc::clone(&served.id),
            group: served.group.clone(),
            model: served.model.clone(),
            error: result.as_ref().err().map(Failure::client_message),
            at,
            took: self.since(began),
            by,
        };
        self.checks.put(checked, snapshot.checks.kept);
        result
    }

    async fn look(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        index: usize,
        generates: bool,
    ) -> Result<Option<&'static str>, Failure> {
        let (Some(served), Some(one)) = (snapshot.served.get(index), snapshot.fleet.deployments().get(index)) else {
            return Ok(None);
        };
        if let Some(why) = &one.unservable {
            return Err(Failure::new(FailureKind::Misconfigured, why.clone()));
        }
        let trial = if generates { Trial::of(served.mode.as_deref(), &served.health) } else { None };
        let Some(trial) = trial else {
            let GoesTo::Fixed(place) = &served.goes_to else { return Ok(Some("a pattern has no address of its own")) };
            let reached = probe::reachable(&self.client, place).await;
            return reached.map(|()| None).map_err(|why| Failure::new(FailureKind::ServiceUnavailable, why));
        };
        let model = served.checked_as();
        if matches!(served.goes_to, GoesTo::Pattern) && model.is_none() {
            return Ok(Some("a pattern is called by model_info.health_check_model only"));
        }
        match one.vitals.busy(self.clock.monotonic(), &one.limits(), 0) {
            Some(Busy::Resting { .. }) => {
                return Err(Failure::new(FailureKind::ServiceUnavailable, "it rests after failures"));
            }
            Some(_) => return Ok(Some("it has all the calls that it takes")),
            None => {}
        }
        self.try_out(snapshot, &served.id, trial, model).await.map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(number: u8, deployment: &str, error: Option<&str>) -> Checked {
        Checked {
            id: uuid::Uuid::from_bytes([number; 16]),
            deployment: deployment.into(),
            group: "g".to_owned(),
            model: "openai/x".to_owned(),
            error: error.map(str::to_owned),
            at: Duration::from_secs(u64::from(number)),
            took: Duration::ZERO,
            by: "background",
        }
    }

    #[test]
    fn so_many_looks_are_kept_and_told_page_by_page() {
        let checks = Checks::default();
        for number in 0..10 {
            checks.put(checked(number, if number % 2 == 0 { "a" } else { "b" }, (number > 7).then_some("down")), 6);
        }
        let (page, all) = checks.history(|one| &*one.deployment == "a", 1, 5);
        assert_eq!((page.iter().map(|one| one.at.as_secs()).collect::<Vec<_>>(), all), (vec![6, 4], 3));
        assert_eq!(checks.history(|one| one.error.is_some(), 0, 100).1, 2);
        assert_eq!(checks.last("b").and_then(|one| one.error.clone()), Some("down".to_owned()));
        checks.keep(|id| id == "a");
        assert_eq!(checks.latest().len(), 1);
    }

    #[test]
    fn what_began_together_does_not_stay_together() {
        let mut agenda = Agenda::default();
        let (every, now) = (Duration::from_secs(100), Duration::from_secs(1_000));
        for (id, chance) in [("a", 0), ("b", u64::MAX)] {
            agenda.due.insert(id.into(), Due { at: now, runs: true });
            agenda.over(id, every, now, chance);
        }
        assert_eq!((agenda.due["a"].at.as_secs(), agenda.due["b"].at.as_secs()), (1_090, 1_110));
        assert_eq!(agenda.idle(now), Duration::from_secs(90));
        assert_eq!(agenda.take(Duration::from_secs(1_095)).as_deref(), Some("a"));
        assert_eq!(agenda.take(Duration::from_secs(1_095)), None, "what runs is not begun again");
    }
}
