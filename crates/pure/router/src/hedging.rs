//! Hedged requests: a second attempt at another deployment of the group, beside a first one that has said nothing for longer
//! than its deployment's answers nearly always take. How long that is, how many there may be, and for whom.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::fleet::Group;

/// The rules of `router_settings.hedging`; without them nobody is hedged.
#[derive(Clone, Debug, PartialEq)]
pub struct Hedging {
    /// How long the first attempt may say nothing; `None`: as long as 95 of 100 answers of its deployment took.
    pub after: Option<Duration>,
    /// The least of that; what holds while a deployment has answered too seldom.
    pub min_delay: Duration,
    /// The largest share of second attempts: so many for each call that might have one.
    pub max_share: f64,
    /// The groups that it holds for; none are all.
    pub groups: Vec<String>,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { after: None, min_delay: Duration::from_secs(1), max_share: 0.05, groups: Vec::new() }
    }
}

impl Hedging {
    /// Whether calls of a group may have a second attempt.
    pub(crate) fn holds_for(&self, group: &Group<'_>) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|name| name == group.name || name == group.label())
    }
}

/// What a call waits for, before which its attempt has given nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// A whole answer.
    Whole,
    /// The first content of a stream.
    Content,
}

/// One hedge, in millionths.
const ONE: u64 = 1_000_000;
/// Hedges that are saved up at most, so that a quiet hour does not pay for a storm.
const SAVED: u64 = 10;

/// What calls have earned: each one its share of a hedge. So hedges are never more than the share of the calls before them.
#[derive(Debug, Default)]
pub struct HedgeBudget {
    earned: AtomicU64,
}

impl HedgeBudget {
    /// A call came in that may be hedged.
    pub fn request(&self, max_share: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
        let earned = (max_share.clamp(0.0, 1.0) * 1_000_000.0) as u64;
        let add = |known: u64| Some(known.saturating_add(earned).min(SAVED * ONE));
        let _ = self.earned.fetch_update(Relaxed, Relaxed, add);
    }

    /// Whether a hedge may be made; if so it is paid.
    pub fn hedge(&self) -> bool {
        self.earned.fetch_update(Relaxed, Relaxed, |known| known.checked_sub(ONE)).is_ok()
    }

    /// Whether a hedge could be paid.
    #[must_use]
    pub fn has_one(&self) -> bool {
        self.earned.load(Relaxed) >= ONE
    }

    /// A hedge that was paid has not been made.
    pub fn give_back(&self) {
        self.earned.fetch_add(ONE, Relaxed);
    }
}

/// Answers whose waits are remembered.
const KEPT: usize = 64;
/// Fewer say nothing about what is nearly always.
const ENOUGH: usize = 20;
/// A wait of so long ago says nothing of now.
const STALE: Duration = Duration::from_secs(3600);

/// How long a deployment's last answers were waited for.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    whole: Mutex<Last>,
    content: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    waits: [Duration; KEPT],
    count: usize,
    next: usize,
    at: Duration,
}

impl Default for Last {
    fn default() -> Self {
        Self { waits: [Duration::ZERO; KEPT], count: 0, next: 0, at: Duration::ZERO }
    }
}

impl Waits {
    fn of(&self, awaits: Awaits) -> std::sync::MutexGuard<'_, Last> {
        let last = match awaits {
            Awaits::Whole => &self.whole,
            Awaits::Content => &self.content,
        };
        last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, awaits: Awaits, now: Duration, wait: Duration) {
        let mut last = self.of(awaits);
        if now.saturating_sub(last.at) > STALE {
            (last.count, last.next) = (0, 0);
        }
        let next = last.next;
        if let Some(slot) = last.waits.get_mut(next) {
            *slot = wait;
        }
        last.next = (next + 1) % KEPT;
        last.count = (last.count + 1).min(KEPT);
        last.at = now;
    }

    /// The deployment is another one now.
    pub(crate) fn forget(&self) {
        *self.of(Awaits::Whole) = Last::default();
        *self.of(Awaits::Content) = Last::default();
    }

    /// What 95 of 100 did not pass; `None`: too few are known.
    pub(crate) fn p95(&self, awaits: Awaits, now: Duration) -> Option<Duration> {
        let last = self.of(awaits);
        let (mut waits, count) = (last.waits, last.count);
        let is_stale = now.saturating_sub(last.at) > STALE;
        drop(last);
        if count < ENOUGH || is_stale {
            return None;
        }
        let known = waits.get_mut(..count)?;
        known.sort_unstable();
        known.get((count * 95).div_ceil(100).saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn hedges_are_never_more_than_the_share_of_the_calls_before_them() {
        let budget = HedgeBudget::default();
        let mut made = 0;
        for calls in 1..=1_000 {
            budget.request(0.05);
            made += u64::from(budget.hedge());
            assert!(made * 20 <= calls, "{made} of {calls}");
        }
        assert_eq!(made, 50);
    }

    #[test]
    fn what_is_saved_up_is_bounded_and_what_was_not_made_is_given_back() {
        let budget = HedgeBudget::default();
        (0..10_000).for_each(|_| budget.request(0.5));
        assert_eq!((0..100).filter(|_| budget.hedge()).count(), 10);
        budget.give_back();
        assert!(budget.has_one() && budget.hedge() && !budget.has_one());
        (0..100).for_each(|_| budget.request(0.0));
        assert!(!budget.hedge(), "a share of nothing");
    }

    #[test]
    fn nearly_always_is_what_nineteen_of_twenty_took() {
        let waits = Waits::default();
        for number in 1..=19 {
            waits.add(Awaits::Whole, at(100), at(number));
        }
        assert_eq!(waits.p95(Awaits::Whole, at(100)), None, "nineteen are too few");
        waits.add(Awaits::Whole, at(100), at(100));
        assert_eq!(waits.p95(Awaits::Whole, at(100)), Some(at(19)));
        assert_eq!(waits.p95(Awaits::Content, at(100)), None, "streams are another matter");
        assert_eq!(waits.p95(Awaits::Whole, at(5_000)), None, "an hour ago");
        (0..64).for_each(|_| waits.add(Awaits::Whole, at(200), at(7)));
        assert_eq!(waits.p95(Awaits::Whole, at(200)), Some(at(7)), "old ones are forgotten");
    }
}
