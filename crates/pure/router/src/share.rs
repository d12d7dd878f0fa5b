//! What of a deployment's limits this instance may use, where several instances of the gateway share them.
//!
//! The limits are handed out: each instance holds a claim, the claims together never pass the limit, and nobody counts
//! more than it holds. A claim is lowered here first and told afterwards; it is raised only by what was granted. So an
//! answer that comes late, or never, leaves a limit unused rather than passed.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tollgate_wire::window::Counts;

use crate::vitals::{Limits, Vitals};

/// The most that this instance may count in a minute, or have in flight. `None`: what the limits say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Requests a minute.
    pub requests: Option<u64>,
    /// Tokens a minute.
    pub tokens: Option<u64>,
    /// Calls at one time.
    pub parallel: Option<u64>,
    /// Others hold what nobody has used: it comes when it is asked for.
    pub grows: bool,
}

impl Share {
    /// An equal part of the limits, at least one of each: what an instance takes that hears nothing of the others.
    #[must_use]
    pub fn equal(limits: &Limits, instances: u64) -> Self {
        let part = |limit: Option<u64>| limit.map(|limit| (limit / instances.max(1)).max(1));
        Self { requests: part(limits.rpm), tokens: part(limits.tpm), parallel: part(limits.parallel), grows: false }
    }
}

/// What is known of the other instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Instances that live, this one included.
    pub live: u64,
    /// What the others did in the last minute.
    pub minute: Counts,
    /// What they have in flight.
    pub in_flight: u32,
    /// One of them has a call that finds no room.
    pub want: bool,
}

/// Of one limit: what this instance keeps whatever is answered, and what it would like to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The limit.
    pub limit: u64,
    /// What is kept.
    pub kept: u64,
    /// What is asked for.
    pub asked: u64,
}

/// What this instance tells the others of a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What it did in the last minute.
    pub minute: Counts,
    /// What it has in flight.
    pub in_flight: u32,
    /// It has a call that finds no room.
    pub want: bool,
    /// Of requests a minute.
    pub requests: Option<Claim>,
    /// Of tokens a minute.
    pub tokens: Option<Claim>,
}

/// No share is set.
const NONE: u64 = u64::MAX;

/// A share that calls read while it changes. It is written with the window's lock held, so that no call begins between
/// what is counted and what is claimed.
#[derive(Debug)]
pub(crate) struct Held {
    requests: AtomicU64,
    tokens: AtomicU64,
    parallel: AtomicU64,
    grows: AtomicU64,
    /// Tokens, and one more, of the largest call that found no room.
    wanted: AtomicU64,
    /// Requests of the last minute when the others were last told.
    before: AtomicU64,
}

impl Default for Held {
    fn default() -> Self {
        let none = || AtomicU64::new(NONE);
        let nothing = AtomicU64::default;
        let (grows, wanted, before) = (nothing(), nothing(), nothing());
        Self { requests: none(), tokens: none(), parallel: none(), grows, wanted, before }
    }
}

impl Held {
    pub(crate) fn get(&self) -> Share {
        let read = |one: &AtomicU64| Some(one.load(Relaxed)).filter(|number| *number != NONE);
        Share {
            requests: read(&self.requests),
            tokens: read(&self.tokens),
            parallel: read(&self.parallel),
            grows: self.grows.load(Relaxed) != 0,
        }
    }

    fn set(&self, share: &Share) {
        self.requests.store(share.requests.unwrap_or(NONE), Relaxed);
        self.tokens.store(share.tokens.unwrap_or(NONE), Relaxed);
        self.parallel.store(share.parallel.unwrap_or(NONE), Relaxed);
        self.grows.store(u64::from(share.grows), Relaxed);
    }

    /// A call of so many tokens found no room.
    pub(crate) fn want(&self, tokens: u64) {
        self.wanted.fetch_max(tokens.saturating_add(1), Relaxed);
    }
}

impl Vitals {
    /// What the others are told now, from what is known of them. `most`: no more is asked for than an equal part among so
    /// many, as not all of them may have been heard yet. What is given up is given up before it is told.
    pub fn tell(&self, now: Duration, limits: &Limits, others: &Others, most: Option<u64>) -> Told {
        let window = &mut self.window();
        let minute = window.at(now.as_secs());
        let wanted = self.held.wanted.swap(0, Relaxed);
        let begun = minute.requests > self.held.before.swap(minute.requests, Relaxed);
        let idle = wanted == 0 && !begun;
        let held = self.held.get();
        let claim = |limit: Option<u64>, held: Option<u64>, used: u64, theirs: u64, wanted: u64| {
            let limit = limit?;
            let free = limit.saturating_sub(used).saturating_sub(theirs);
            // Who does nothing lets the others have it, once they ask.
            let part = if idle && others.want { 0 } else { free.div_ceil(others.live.max(1)).max(wanted) };
            let bound = most.map_or(limit, |instances| limit / instances.max(1)).max(used);
            let asked = used.saturating_add(part).min(bound);
            Some(Claim { limit, kept: held.map_or(used, |held| held.min(asked).max(used)), asked })
        };
        let requests = claim(limits.rpm, held.requests, minute.requests, others.minute.requests, u64::from(wanted > 0));
        let tokens = claim(limits.tpm, held.tokens, minute.tokens, others.minute.tokens, wanted.saturating_sub(1));
        let kept = |claim: Option<Claim>| claim.map(|claim| claim.kept);
        self.held.set(&Share { requests: kept(requests), tokens: kept(tokens), ..held });
        Told { minute, in_flight: self.own_in_flight(), want: wanted > 0, requests, tokens }
    }

    /// What came back: the others, and how much of each claim was granted.
    pub fn hear(&self, now: Duration, limits: &Limits, others: &Others, requests: Option<u64>, tokens: Option<u64>) {
        self.set_elsewhere(others.minute, others.in_flight);
        let window = &mut self.window();
        let own = window.at(now.as_secs());
        let is_left = |limit: Option<u64>, used: u64| limit.is_none_or(|limit| used < limit);
        let grows = is_left(limits.rpm, own.requests + others.minute.requests)
            && is_left(limits.tpm, own.tokens + others.minute.tokens);
        self.held.set(&Share { requests, tokens, parallel: None, grows });
    }

    /// Nothing is heard of the others any more: what they did is forgotten, and a share of the limits holds.
    pub fn alone(&self, share: &Share) {
        self.set_elsewhere(Counts::default(), 0);
        let _window = self.window();
        self.held.set(share);
    }

    /// What this instance may use.
    #[must_use]
    pub fn share(&self) -> Share {
        self.held.get()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::vitals::{Busy, Landing};

    const NOW: Duration = Duration::from_secs(100);

    fn rpm(rpm: u64) -> Limits {
        Limits { rpm: Some(rpm), ..Limits::default() }
    }

    fn begin(vitals: &Arc<Vitals>, now: Duration, limits: &Limits, tokens: u64) -> bool {
        let flight = vitals.begin(now, limits, tokens);
        flight.map(|flight| flight.land(now, Landing::Aside { tokens })).is_ok()
    }

    /// The script's arithmetic: what is held by all, and what one of them is granted.
    #[derive(Default)]
    struct Table(Vec<(Counts, u64, u64, bool)>);

    impl Table {
        fn sync(&mut self, at: usize, vitals: &Vitals, limits: &Limits, seen: &mut Others, now: Duration) {
            let told = vitals.tell(now, limits, seen, None);
            let grant = |claim: Option<Claim>, theirs: u64| {
                claim.map(|claim| claim.kept.max(claim.asked.min(claim.limit.saturating_sub(theirs))))
            };
            let others = self.0.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, row)| *row);
            let (mut sum, mut claims, mut want) = (Counts::default(), (0, 0), false);
            for (minute, requests, tokens, wants) in others {
                sum.requests += minute.requests;
                sum.tokens += minute.tokens;
                claims = (claims.0 + requests, claims.1 + tokens);
                want |= wants;
            }
            let granted = (grant(told.requests, claims.0), grant(told.tokens, claims.1));
            let row = (told.minute, granted.0.unwrap_or_default(), granted.1.unwrap_or_default(), told.want);
            self.0[at] = row;
            *seen = Others { live: self.0.len() as u64, minute: sum, in_flight: 0, want };
            vitals.hear(now, limits, seen, granted.0, granted.1);
        }
    }

    #[test]
    fn a_share_is_an_equal_part_and_at_least_one() {
        let limits = Limits { rpm: Some(20), tpm: None, parallel: Some(1) };
        let share = Share::equal(&limits, 3);
        assert_eq!((share.requests, share.tokens, share.parallel), (Some(6), None, Some(1)));
        let vitals = Arc::<Vitals>::default();
        vitals.alone(&share);
        assert_eq!((0..20).filter(|_| begin(&vitals, NOW, &limits, 0)).count(), 6);
        assert_eq!(vitals.own_minute(NOW).requests, 6);
    }

    #[test]
    fn a_call_larger_than_a_share_goes_when_nothing_else_does() {
        let vitals = Arc::<Vitals>::default();
        let limits = Limits { tpm: Some(100), ..Limits::default() };
        vitals.alone(&Share::equal(&limits, 2));
        assert!(begin(&vitals, NOW, &limits, 80));
        assert!(!begin(&vitals, NOW, &limits, 10));
    }

    #[test]
    fn what_is_given_up_is_given_up_before_it_is_told() {
        let vitals = Arc::<Vitals>::default();
        let limits = rpm(20);
        let alone = Others { live: 1, ..Others::default() };
        vitals.tell(NOW, &limits, &alone, None);
        vitals.hear(NOW, &limits, &alone, Some(20), None);
        let two = Others { live: 2, ..Others::default() };
        let told = vitals.tell(NOW, &limits, &two, None);
        assert_eq!(told.requests, Some(Claim { limit: 20, kept: 10, asked: 10 }));
        // The answer never comes: no more than what was told is used.
        assert_eq!((0..20).filter(|_| begin(&vitals, NOW, &limits, 0)).count(), 10);
    }

    #[test]
    fn what_others_hold_is_lent_to_whoever_asks() {
        let (a, b) = (Arc::<Vitals>::default(), Arc::<Vitals>::default());
        let limits = Limits { rpm: Some(20), tpm: Some(1_000), parallel: None };
        let (mut table, mut seen) = (Table(vec![Default::default(); 2]), [Others::default(); 2]);
        let mut went = 0;
        for tick in 0..40_u64 {
            let now = NOW + Duration::from_millis(100 * tick);
            table.sync(0, &a, &limits, &mut seen[0], now);
            table.sync(1, &b, &limits, &mut seen[1], now);
            went += u64::from(begin(&a, now, &limits, 49));
        }
        assert_eq!(went, 20, "all of it, though the other one lives");
        // A call of most tokens of the limit gets them, though an equal part would never hold it.
        let later = NOW + Duration::from_secs(100);
        let big = (0..6_u64).any(|tick| {
            let now = later + Duration::from_millis(100 * tick);
            table.sync(0, &a, &limits, &mut seen[0], now);
            table.sync(1, &b, &limits, &mut seen[1], now);
            begin(&b, now, &limits, 900)
        });
        assert!(big);
    }

    #[test]
    fn instances_together_never_pass_a_limit_in_any_minute() {
        let limits = rpm(30);
        let mut seed = 7_u64;
        let mut chance = move |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        let all: Vec<Arc<Vitals>> = (0..3).map(|_| Arc::default()).collect();
        let (mut table, mut seen) = (Table(vec![Default::default(); 3]), [Others::default(); 3]);
        for (at, one) in all.iter().enumerate() {
            table.sync(at, one, &limits, &mut seen[at], NOW);
        }
        let mut begun: Vec<u64> = Vec::new();
        for step in 0..40_000_u64 {
            let now = NOW + Duration::from_millis(step * 10);
            let at = usize::try_from(chance(3)).unwrap();
            if chance(4) == 0 {
                table.sync(at, &all[at], &limits, &mut seen[at], now);
            } else if begin(&all[at], now, &limits, 0) {
                begun.push(step * 10);
            }
        }
        let most = begun.iter().map(|from| begun.iter().filter(|at| (*from..from + 60_000).contains(at)).count()).max();
        assert_eq!(most, Some(30), "the limit is reached and not passed");
        assert!(begun.len() > 30 * 6, "and reached in every minute: {}", begun.len());
    }

    #[test]
    fn coming_back_nothing_counts_twice_and_no_more_is_asked_than_a_part() {
        let vitals = Arc::<Vitals>::default();
        let limits = rpm(20);
        vitals.alone(&Share::equal(&limits, 2));
        assert_eq!((0..20).filter(|_| begin(&vitals, NOW, &limits, 0)).count(), 10);
        let fresh = Others { live: 1, ..Others::default() };
        let told = vitals.tell(NOW, &limits, &fresh, Some(2));
        assert_eq!((told.minute.requests, told.requests), (10, Some(Claim { limit: 20, kept: 10, asked: 10 })));
        let other = Others { live: 2, minute: Counts { requests: 10, ..Counts::default() }, ..Others::default() };
        for _ in 0..5 {
            vitals.hear(NOW, &limits, &other, Some(10), None);
            assert_eq!(vitals.tell(NOW, &limits, &other, None).minute.requests, 10, "its own only");
        }
        assert_eq!(vitals.last_minute(NOW).requests, 20);
        assert!(matches!(vitals.begin(NOW, &limits, 0), Err(Busy::Spent { .. })));
    }

    #[test]
    fn a_rest_heard_of_prolongs_and_never_shortens() {
        let vitals = Vitals::default();
        vitals.rest(Duration::from_secs(20));
        vitals.rest(Duration::from_secs(10));
        assert_eq!(vitals.resting_until(), Some(Duration::from_secs(20)));
    }
}
