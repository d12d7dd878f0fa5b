//! Calls that wait for a deployment: first come, first served in each group, woken when a place is free, a rest is over or a
//! probe has its outcome. Nothing is looked at in between, and nothing is paid while nobody waits.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering, fence},
    },
    time::Duration,
};

use tokio::sync::Notify;
use tollgate_router::Plan;
use tollgate_wire::{Failure, FailureKind};

use crate::{dispatch::Ask, news::News};

/// All who wait.
#[derive(Default)]
pub(crate) struct Lines {
    /// How many; looked at before anything is locked.
    waiting: AtomicUsize,
    /// By the group's name.
    lines: Mutex<HashMap<String, Line>>,
}

/// Those who wait for a group.
#[derive(Default)]
struct Line {
    next: u64,
    /// By which of its deployments can take the call ([`Plan::candidates`]): nobody is kept back by whom only a deployment
    /// that is taken can help.
    queues: HashMap<u64, Queue>,
}

/// Those who wait for the same deployments, in the order in which they came.
type Queue = BTreeMap<u64, Arc<Notify>>;

impl Lines {
    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Somebody waits for the same as a call of this plan, and came before it.
    fn comes_after(&self, plan: &Plan<'_>, now: Duration) -> bool {
        if self.waiting() == 0 {
            return false;
        }
        let Some(group) = plan.group() else { return false };
        let is_waited_for = |line: &Line| line.queues.contains_key(&plan.candidates(now));
        self.lock().get(group.name).is_some_and(is_waited_for)
    }

    /// A place at the end of the line; `None`: as many wait as may.
    fn enter(self: &Arc<Self>, group: &str, candidates: u64, most: usize) -> Option<Spot> {
        let mut lines = self.lock();
        let line = lines.entry(group.to_owned()).or_default();
        if line.queues.values().map(BTreeMap::len).sum::<usize>() >= most {
            if line.queues.is_empty() {
                lines.remove(group);
            }
            return None;
        }
        line.next += 1;
        let (ticket, told) = (line.next, Arc::<Notify>::default());
        line.queues.entry(candidates).or_default().insert(ticket, Arc::clone(&told));
        drop(lines);
        // With the fence in `ring`: either whoever frees a place sees this, or the look that follows sees the place.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Some(Spot { lines: Arc::clone(self), group: group.to_owned(), candidates, ticket, told })
    }

    /// A deployment of this group may have room: the first of each queue look.
    pub(crate) fn ring(&self, group: &str) {
        fence(Ordering::SeqCst);
        if self.waiting() == 0 {
            return;
        }
        if let Some(line) = self.lock().get(group) {
            line.ring();
        }
    }

    /// Any deployment may have room.
    pub(crate) fn ring_all(&self) {
        fence(Ordering::SeqCst);
        if self.waiting() > 0 {
            self.lock().values().for_each(Line::ring);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn ring(&self) {
        self.queues.values().for_each(ring);
    }
}

/// Who is told while it is looking looks once more.
fn ring(queue: &Queue) {
    if let Some((_, told)) = queue.first_key_value() {
        told.notify_one();
    }
}

/// A place in a line. Dropped, the next one has its turn, whatever became of this one.
pub(crate) struct Spot {
    lines: Arc<Lines>,
    group: String,
    candidates: u64,
    ticket: u64,
    told: Arc<Notify>,
}

impl Spot {
    /// Nobody comes before it.
    fn is_first(&self) -> bool {
        let lines = self.lines.lock();
        let queue = lines.get(&self.group).and_then(|line| line.queues.get(&self.candidates));
        queue.and_then(BTreeMap::first_key_value).is_some_and(|(ticket, _)| *ticket == self.ticket)
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get_mut(&self.group) {
            if let Some(queue) = line.queues.get_mut(&self.candidates) {
                queue.remove(&self.ticket);
                // There may be room for more than one.
                ring(queue);
                if queue.is_empty() {
                    line.queues.remove(&self.candidates);
                }
            }
            if line.queues.is_empty() {
                lines.remove(&self.group);
            }
        }
        drop(lines);
        self.lines.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ask {
    /// Others wait for what the call is about to start at, which is new to it and to the line.
    pub(crate) fn comes_after_others(&self, plan: &Plan<'_>, spot: Option<&Spot>) -> bool {
        spot.is_none() && plan.is_fresh() && self.gateway.lines.comes_after(plan, self.now())
    }

    /// Waits in line for the deployments of the plan's group, until there may be room, or until this time, or until the client has
    /// left. Gives what the plan is told.
    ///
    /// # Errors
    /// 503 when the gateway is on its way down.
    pub(crate) async fn wait_in_line(
        &self,
        plan: &Plan<'_>,
        spot: &mut Option<Spot>,
        until: Option<Duration>,
    ) -> Result<News, Failure> {
        let group = plan.group().map_or("", |group| group.name);
        if spot.as_ref().is_none_or(|spot| spot.group != group) {
            let most = self.snapshot.bounds.max_waiting;
            let Some(entered) = self.gateway.lines.enter(group, plan.candidates(self.now()), most) else {
                return Ok(News::Crowded);
            };
            let is_first = entered.is_first();
            *spot = Some(entered);
            if is_first {
                // What came free while it entered was told to nobody.
                return Ok(News::Woken);
            }
        }
        let Some(spot) = spot else { return Ok(News::Woken) };
        // Only the first has a use for what comes by itself; the others look when they are the first.
        let until = until.filter(|_| spot.is_first());
        let until = [until, plan.deadline()].into_iter().flatten().min();
        let patience = until.map_or(Duration::MAX, |until| until.saturating_sub(self.now()));
        tokio::select! {
            () = spot.told.notified() => Ok(News::Woken),
            () = tokio::time::sleep(patience) => Ok(News::Woken),
            () = self.gateway.draining() => Err(Failure::new(FailureKind::Overloaded, "the gateway is shutting down; try again")),
            () = self.left.clone().wait() => Ok(News::Woken),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use tokio::task::JoinSet;
    use tollgate_router::{Limits, Vitals};

    use super::*;

    const LIMITS: Limits = Limits { rpm: None, tpm: None, parallel: Some(3) };

    /// As `dispatch` does it, without a clock: whoever is not woken never ends.
    async fn call(lines: Arc<Lines>, vitals: Arc<Vitals>, group: &'static str, most_at_once: Arc<AtomicU32>) {
        let mut spot: Option<Spot> = None;
        loop {
            let is_behind = spot.is_none() && lines.lock().contains_key(group);
            if !is_behind && let Ok(flight) = vitals.begin(Duration::ZERO, &LIMITS, 0) {
                most_at_once.fetch_max(vitals.in_flight(), Ordering::Relaxed);
                drop(spot);
                tokio::task::yield_now().await;
                drop(flight);
                lines.ring(group);
                return;
            }
            match &spot {
                Some(spot) => spot.told.notified().await,
                None => {
                    let entered = lines.enter(group, 1, usize::MAX).unwrap();
                    let is_first = entered.is_first();
                    let spot = spot.insert(entered);
                    if !is_first {
                        spot.told.notified().await;
                    }
                }
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_tasks_nobody_waits_for_ever() {
        let (lines, most) = (Arc::<Lines>::default(), Arc::<AtomicU32>::default());
        let mut tasks = JoinSet::new();
        for group in ["a", "b"] {
            let vitals = Arc::<Vitals>::default();
            for _ in 0..5_000 {
                tasks.spawn(call(Arc::clone(&lines), Arc::clone(&vitals), group, Arc::clone(&most)));
            }
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("somebody was not woken");
        assert_eq!((lines.waiting(), lines.lock().len(), most.load(Ordering::Relaxed)), (0, 0, 3));
    }

    #[tokio::test]
    async fn who_came_first_is_told_first_and_then_the_next() {
        let lines = Arc::<Lines>::default();
        let mut spots: Vec<Spot> = (0..3).map(|_| lines.enter("g", 1, 4).unwrap()).collect();
        let other = lines.enter("g", 2, 4).unwrap();
        assert!(lines.enter("g", 1, 4).is_none() && lines.enter("new", 1, 0).is_none(), "the line is full");
        let is_told = |spot: &Spot| {
            let told = spot.told.notified();
            futures_util::FutureExt::now_or_never(told).is_some()
        };
        lines.ring("g");
        assert!(is_told(&spots[0]) && !is_told(&spots[1]) && is_told(&other), "the first of each queue");
        drop(spots.remove(1));
        assert!(is_told(&spots[0]), "to look in vain does no harm");
        drop(spots.remove(0));
        assert!(spots[0].is_first() && is_told(&spots[0]));
        drop((spots, other));
        assert_eq!((lines.waiting(), lines.lock().len()), (0, 0));
    }
}
