//! How a deployment is doing: calls in flight, the last minute, latency, and whether it rests. Shared by all snapshots
//! that hold the deployment, so that a reload forgets nothing. Time comes in as the monotonic clock's reading.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tollgate_wire::window::{Counts, Window};

use crate::{
    hedging::{Awaits, Waits},
    pace::{Pace, Paces},
    share::Held,
};

/// What a deployment may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Calls at one time.
    pub parallel: Option<u64>,
}

/// Why a deployment cannot take a call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// It rests after failures.
    Resting {
        /// Until then.
        until: Duration,
    },
    /// Its rest is over, and one call tries whether it is back.
    Probing,
    /// It has all the calls it takes at one time.
    Full,
    /// Its requests or tokens of this minute are used.
    Spent {
        /// When there may be room.
        until: Duration,
    },
}

/// When what other instances hold may have come here.
const LENT: Duration = Duration::from_millis(100);

/// One deployment's state.
#[derive(Debug, Default)]
// In this order: who looks at a thousand deployments reads the first lines of each, and nothing of the minute behind them.
#[repr(C)]
pub struct Vitals {
    in_flight: AtomicU32,
    /// Failures since the last answer.
    in_a_row: AtomicU32,
    /// Milliseconds; 0: it does not rest.
    resting_until: AtomicU64,
    /// Milliseconds; 0: when it was last looked at it was well, or nobody has looked.
    unwell_until: AtomicU64,
    /// How often it became another one: another key, another address.
    era: AtomicU32,
    probing: AtomicBool,
    sums: Sums,
    elsewhere: Elsewhere,
    paces: Paces,
    pub(crate) held: Held,
    /// Kept only where calls are hedged.
    waits: OnceLock<Box<Waits>>,
    window: Mutex<Window>,
}

/// The window's sums as they were last counted, so that a look at a deployment takes no lock in the same second. A look may see
/// some of them older than others; what is claimed is claimed under the lock.
#[derive(Debug, Default)]
struct Sums {
    second: AtomicU64,
    requests: AtomicU64,
    successes: AtomicU64,
    failures: AtomicU64,
    tokens: AtomicU64,
}

impl Sums {
    fn set(&self, second: u64, counts: &Counts) {
        self.requests.store(counts.requests, Relaxed);
        self.successes.store(counts.successes, Relaxed);
        self.failures.store(counts.failures, Relaxed);
        self.tokens.store(counts.tokens, Relaxed);
        self.second.store(second, Relaxed);
    }

    fn at(&self, second: u64) -> Option<Counts> {
        (self.second.load(Relaxed) == second).then(|| Counts {
            requests: self.requests.load(Relaxed),
            successes: self.successes.load(Relaxed),
            failures: self.failures.load(Relaxed),
            tokens: self.tokens.load(Relaxed),
        })
    }
}

/// What other instances of the gateway have in flight, and did in the last minute.
#[derive(Debug, Default)]
struct Elsewhere {
    in_flight: AtomicU32,
    requests: AtomicU64,
    successes: AtomicU64,
    failures: AtomicU64,
    tokens: AtomicU64,
}

impl Elsewhere {
    fn minute(&self) -> Counts {
        Counts {
            requests: self.requests.load(Relaxed),
            successes: self.successes.load(Relaxed),
            failures: self.failures.load(Relaxed),
            tokens: self.tokens.load(Relaxed),
        }
    }
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

impl Vitals {
    /// Calls that it has now, of all instances.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed).saturating_add(self.elsewhere.in_flight.load(Relaxed))
    }

    /// Calls that it has of this instance.
    #[must_use]
    pub fn own_in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// What it did in the last minute for this instance.
    pub fn own_minute(&self, now: Duration) -> Counts {
        self.window().at(now.as_secs())
    }

    /// What it did in the last minute, of all instances.
    pub fn last_minute(&self, now: Duration) -> Counts {
        let own = self.counted(now.as_secs());
        let other = self.elsewhere.minute();
        Counts {
            requests: own.requests + other.requests,
            successes: own.successes + other.successes,
            failures: own.failures + other.failures,
            tokens: own.tokens + other.tokens,
        }
    }

    fn counted(&self, second: u64) -> Counts {
        self.sums.at(second).unwrap_or_else(|| {
            let counts = self.window().seen_from(second);
            self.sums.set(second, &counts);
            counts
        })
    }

    /// The mean of its last latencies of that kind, seconds. `None`: unknown.
    #[must_use]
    pub fn latency(&self, pace: Pace, now: Duration) -> Option<f64> {
        self.paces.mean(pace, now)
    }

    /// What 95 of 100 of its last answers did not keep anybody waiting for longer than; `None`: too few are known.
    #[must_use]
    pub fn p95(&self, awaits: Awaits, now: Duration) -> Option<Duration> {
        self.waits.get()?.p95(awaits, now)
    }

    /// An answer was waited for so long.
    pub fn waited(&self, awaits: Awaits, now: Duration, wait: Duration) {
        self.waits.get_or_init(Box::default).add(awaits, now, wait);
    }

    /// Until when it rests; a rest that is over counts until a call has shown that the deployment is back.
    #[must_use]
    pub fn resting_until(&self) -> Option<Duration> {
        match self.resting_until.load(Relaxed) {
            0 => None,
            until => Some(Duration::from_millis(until)),
        }
    }

    /// How many attempts have failed since the last one that was answered.
    #[must_use]
    pub fn failures_in_a_row(&self) -> u32 {
        self.in_a_row.load(Relaxed)
    }

    /// Lets it rest, at least until then: a call that fails later does not shorten what a provider asked for.
    pub fn rest(&self, until: Duration) {
        // Up to the next millisecond: a rest is never shorter than was said.
        let until = until.saturating_add(Duration::from_nanos(999_999));
        self.resting_until.fetch_max(millis(until).max(1), Relaxed);
    }

    /// It is back.
    pub fn wake(&self) {
        self.resting_until.store(0, Relaxed);
    }

    /// It is another one from now on, with another key or at another address: no rest, failure or latency holds for it, and what
    /// comes of calls that are on their way to the one before says nothing of it. What they use still counts.
    pub fn renew(&self) {
        self.era.fetch_add(1, Relaxed);
        self.in_a_row.store(0, Relaxed);
        let mut window = self.window();
        window.forget_failures();
        let second = window.newest();
        self.sums.set(second, &window.at(second));
        drop(window);
        self.paces.forget();
        self.set_unwell(None);
        if let Some(waits) = self.waits.get() {
            waits.forget();
        }
        self.wake();
    }

    /// What a look at it came to: it counts as unwell until then, or as well.
    pub fn set_unwell(&self, until: Option<Duration>) {
        self.unwell_until.store(until.map_or(0, |until| millis(until).max(1)), Relaxed);
    }

    /// It was not well when it was last looked at, which was not long ago.
    #[must_use]
    pub fn is_unwell(&self, now: Duration) -> bool {
        millis(now) < self.unwell_until.load(Relaxed)
    }

    /// What other instances say of it.
    pub fn set_elsewhere(&self, minute: Counts, in_flight: u32) {
        self.elsewhere.in_flight.store(in_flight, Relaxed);
        self.elsewhere.requests.store(minute.requests, Relaxed);
        self.elsewhere.successes.store(minute.successes, Relaxed);
        self.elsewhere.failures.store(minute.failures, Relaxed);
        self.elsewhere.tokens.store(minute.tokens, Relaxed);
    }

    /// Why it cannot take a call of so many tokens now.
    #[must_use]
    pub fn busy(&self, now: Duration, limits: &Limits, tokens: u64) -> Option<Busy> {
        if let Some(until) = self.resting_until() {
            if now < until {
                return Some(Busy::Resting { until });
            }
            if self.probing.load(Relaxed) {
                return Some(Busy::Probing);
            }
        }
        if self.most_parallel(limits).is_some_and(|most| u64::from(self.in_flight()) >= most) {
            return Some(Busy::Full);
        }
        if limits.rpm.is_some() || limits.tpm.is_some() {
            let spent = self.is_spent(&self.counted(now.as_secs()), limits, tokens);
            return spent.then(|| self.no_room(&self.window(), now, tokens));
        }
        None
    }

    fn most_parallel(&self, limits: &Limits) -> Option<u64> {
        // A share is one of a limit: where there is none, nobody looks.
        let most = limits.parallel?;
        Some(self.held.get().parallel.map_or(most, |share| share.min(most)))
    }

    fn is_spent(&self, own: &Counts, limits: &Limits, tokens: u64) -> bool {
        let (other, share) = (self.elsewhere.minute(), self.held.get());
        // What the others use is out of a share already.
        let no_request = limits.rpm.is_some_and(|rpm| match share.requests {
            Some(share) => own.requests >= share.min(rpm),
            None => own.requests + other.requests >= rpm,
        });
        let no_token = limits.tpm.is_some_and(|tpm| {
            let is_first = own.tokens + other.tokens == 0;
            // A call larger than the limit itself goes when nothing else does, or never would.
            let goes_alone = is_first && (tokens > tpm || share.tokens.is_none() || !share.grows);
            let wanted = |used: u64| used.saturating_add(tokens.max(1));
            !goes_alone
                && match share.tokens {
                    Some(share) => wanted(own.tokens) > share.min(tpm),
                    None => wanted(own.tokens + other.tokens) > tpm,
                }
        });
        no_request || no_token
    }

    /// When there may be room for a call that found none.
    fn no_room(&self, window: &Window, now: Duration, tokens: u64) -> Busy {
        let share = self.held.get();
        let mut until = Duration::from_secs(now.as_secs() + window.until_room(now.as_secs()));
        if share.requests.is_some() || share.tokens.is_some() {
            self.held.want(tokens);
        }
        if share.grows {
            until = until.min(now + LENT);
        }
        Busy::Spent { until }
    }

    /// Takes a call of so many tokens, if it can: what was only looked at before is claimed here, once.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn begin(self: &Arc<Self>, now: Duration, limits: &Limits, tokens: u64) -> Result<Flight, Busy> {
        let probes = match self.resting_until() {
            Some(until) if now < until => return Err(Busy::Resting { until }),
            Some(_) if self.probing.swap(true, Relaxed) => return Err(Busy::Probing),
            Some(_) => true,
            None => false,
        };
        let (vitals, counted, era) = (Arc::clone(self), now.as_secs(), self.era.load(Relaxed));
        let mut flight = Flight { vitals, era, counted, tokens, probes, claimed: false, charged: false };
        let others = self.elsewhere.in_flight.load(Relaxed);
        let most = self.most_parallel(limits).map_or(u32::MAX, |most| u32::try_from(most).unwrap_or(u32::MAX));
        let room = |flying: u32| (flying.saturating_add(others) < most).then_some(flying.saturating_add(1));
        if self.in_flight.fetch_update(Relaxed, Relaxed, room).is_err() {
            return Err(Busy::Full);
        }
        flight.claimed = true;
        let (mut window, second) = (self.window(), now.as_secs());
        if self.is_spent(&window.at(second), limits, tokens) {
            return Err(self.no_room(&window, now, tokens));
        }
        flight.counted = window.add(second, &Counts { requests: 1, tokens, ..Counts::default() });
        flight.charged = true;
        self.sums.set(flight.counted, &window.at(second));
        drop(window);
        Ok(flight)
    }

    pub(crate) fn window(&self) -> std::sync::MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Landing {
    /// It was answered.
    Well {
        /// Tokens it used, input and output.
        tokens: u64,
        /// Its latency, seconds of that kind.
        latency: Option<(Pace, f64)>,
    },
    /// It failed, and the provider is to blame.
    Badly {
        /// It ran into a timeout: slower than any of its kind that were answered.
        late: Option<Pace>,
        /// Tokens it used all the same.
        tokens: u64,
    },
    /// It says nothing about the deployment: the client's mistake, or its leaving.
    Aside {
        /// Tokens it used.
        tokens: u64,
    },
}

/// A call on its way. Dropped without a landing it never left: what it was charged is given back.
#[derive(Debug)]
pub struct Flight {
    vitals: Arc<Vitals>,
    era: u32,
    /// The second in which its tokens are counted.
    counted: u64,
    tokens: u64,
    probes: bool,
    claimed: bool,
    /// It stands in the window.
    charged: bool,
}

impl Flight {
    /// The deployment answers: it is back, whatever comes after.
    pub fn is_answered(&mut self) {
        if !self.is_current() {
            return;
        }
        self.vitals.in_a_row.store(0, Relaxed);
        if std::mem::take(&mut self.probes) {
            self.vitals.wake();
            self.vitals.probing.store(false, Relaxed);
        }
    }

    /// The deployment is the one that the call went to, with the same key and at the same address.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.vitals.era.load(Relaxed) == self.era
    }

    /// The call goes on, and has used so many tokens since the last time: a socket is one call of many turns.
    pub fn uses(&self, now: Duration, tokens: u64) {
        let mut window = self.vitals.window();
        let second = window.add(now.as_secs(), &Counts { tokens, ..Counts::default() });
        self.vitals.sums.set(second, &window.at(second));
    }

    /// The call is over. Its place is held until what is given back is dropped: a deployment that is to rest must do so before
    /// the next call can take the place.
    pub fn land(mut self, now: Duration, landing: Landing) -> Landed {
        let counts = match landing {
            Landing::Well { tokens, .. } | Landing::Badly { tokens, .. } if !self.is_current() => {
                Counts { tokens, ..Counts::default() }
            }
            Landing::Well { tokens, latency } => {
                self.is_answered();
                if let Some((pace, seconds)) = latency {
                    self.vitals.paces.sample(pace, now, seconds);
                }
                Counts { successes: 1, tokens, ..Counts::default() }
            }
            Landing::Badly { late, tokens } => {
                self.vitals.in_a_row.fetch_add(1, Relaxed);
                if let Some(pace) = late {
                    self.vitals.paces.late(pace, now);
                }
                Counts { failures: 1, tokens, ..Counts::default() }
            }
            Landing::Aside { tokens } => Counts { tokens, ..Counts::default() },
        };
        let mut window = self.vitals.window();
        // What was expected at the beginning makes place for what it came to.
        window.at(now.as_secs());
        window.give_back(self.counted, &Counts { tokens: self.tokens, ..Counts::default() });
        self.charged = false;
        let second = window.add(now.as_secs(), &counts);
        self.vitals.sums.set(second, &window.at(second));
        drop(window);
        Landed { _flight: self }
    }
}

/// A flight that is over, and still has its place.
#[derive(Debug)]
pub struct Landed {
    _flight: Flight,
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.charged {
            let mut window = self.vitals.window();
            window.give_back(self.counted, &Counts { requests: 1, tokens: self.tokens, ..Counts::default() });
            let second = window.newest();
            self.vitals.sums.set(second, &window.at(second));
        }
        if self.claimed {
            self.vitals.in_flight.fetch_sub(1, Relaxed);
        }
        if self.probes {
            self.vitals.probing.store(false, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Limits = Limits { rpm: None, tpm: None, parallel: None };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn calls_at_one_time_are_bounded_and_given_back() {
        let vitals = Arc::<Vitals>::default();
        let limits = Limits { parallel: Some(1), ..NONE };
        let flight = vitals.begin(at(1), &limits, 0).unwrap();
        assert_eq!(vitals.begin(at(1), &limits, 0).unwrap_err(), Busy::Full);
        drop(flight);
        assert!(vitals.begin(at(1), &limits, 0).is_ok());
        assert_eq!(vitals.in_flight(), 0);
    }

    #[test]
    fn a_call_that_never_left_gives_back_what_it_was_charged() {
        let vitals = Arc::<Vitals>::default();
        let limits = Limits { rpm: Some(1), tpm: Some(100), parallel: Some(1) };
        for _ in 0..3 {
            drop(vitals.begin(at(10), &limits, 60).unwrap());
        }
        assert_eq!((vitals.last_minute(at(10)), vitals.in_flight()), (Counts::default(), 0));
        vitals.begin(at(11), &limits, 60).unwrap().land(at(11), Landing::Aside { tokens: 60 });
        assert!(matches!(vitals.begin(at(12), &limits, 10), Err(Busy::Spent { .. })));
        assert_eq!(vitals.last_minute(at(12)).requests, 1);
    }

    #[test]
    fn requests_and_tokens_of_a_minute_are_bounded() {
        let vitals = Arc::<Vitals>::default();
        let limits = Limits { rpm: Some(2), tpm: Some(100), parallel: None };
        vitals.begin(at(10), &limits, 60).unwrap().land(at(11), Landing::Well { tokens: 70, latency: None });
        assert!(matches!(vitals.busy(at(12), &limits, 40), Some(Busy::Spent { .. })));
        assert_eq!(vitals.busy(at(12), &limits, 30), None);
        vitals.begin(at(12), &limits, 0).unwrap().land(at(12), Landing::Aside { tokens: 0 });
        assert_eq!(vitals.begin(at(13), &limits, 0).unwrap_err(), Busy::Spent { until: at(71) });
        assert_eq!(vitals.busy(at(71), &limits, 0), None);
    }

    #[test]
    fn after_a_rest_one_call_shows_whether_it_is_back() {
        let vitals = Arc::<Vitals>::default();
        vitals.rest(at(10));
        assert_eq!(vitals.busy(at(9), &NONE, 0), Some(Busy::Resting { until: at(10) }));
        assert_eq!(vitals.busy(at(10), &NONE, 0), None);
        let probe = vitals.begin(at(10), &NONE, 0).unwrap();
        assert_eq!(vitals.busy(at(10), &NONE, 0), Some(Busy::Probing));
        assert_eq!(vitals.begin(at(10), &NONE, 0).unwrap_err(), Busy::Probing);
        drop(probe);
        let mut probe = vitals.begin(at(11), &NONE, 0).expect("a probe that came to nothing leaves its place");
        probe.is_answered();
        assert_eq!(vitals.busy(at(11), &NONE, 0), None);
    }

    #[test]
    fn a_rehearsal_that_looks_a_minute_ahead_forgets_nothing_of_this_one() {
        let vitals = Arc::<Vitals>::default();
        let limits = Limits { rpm: Some(1), ..NONE };
        drop(vitals.begin(at(10), &limits, 0).unwrap().land(at(11), Landing::Aside { tokens: 0 }));
        assert_eq!(vitals.busy(at(71), &limits, 0), None);
        assert!(vitals.busy(at(12), &limits, 0).is_some() && vitals.begin(at(12), &limits, 0).is_err());
        assert_eq!(vitals.last_minute(at(12)).requests, 1);
    }

    #[test]
    fn what_a_call_uses_on_its_way_counts_at_once() {
        let vitals = Arc::<Vitals>::default();
        let limits = Limits { tpm: Some(100), ..NONE };
        let flight = vitals.begin(at(10), &limits, 0).unwrap();
        flight.uses(at(11), 60);
        flight.uses(at(30), 40);
        assert!(matches!(vitals.busy(at(31), &limits, 1), Some(Busy::Spent { .. })));
        flight.land(at(32), Landing::Well { tokens: 0, latency: None });
        assert_eq!((vitals.last_minute(at(32)).tokens, vitals.last_minute(at(80)).tokens), (100, 40));
    }

    #[test]
    fn a_rest_is_not_shorter_than_was_said() {
        let vitals = Vitals::default();
        for until in
            [Duration::from_micros(110_344_500), Duration::from_nanos(110_345_000_001), Duration::from_secs(111)]
        {
            vitals.rest(until);
            let rests = vitals.resting_until().unwrap();
            assert!((until..until + Duration::from_millis(1)).contains(&rests), "{rests:?}");
        }
    }

    #[test]
    fn a_rest_is_not_made_shorter() {
        let vitals = Arc::<Vitals>::default();
        vitals.rest(at(60));
        vitals.rest(at(15));
        assert_eq!(vitals.resting_until(), Some(at(60)));
    }

    #[test]
    fn a_call_that_failed_has_its_place_until_the_deployment_can_be_sent_to_rest() {
        let vitals = Arc::<Vitals>::default();
        vitals.rest(at(10));
        let place = vitals.begin(at(10), &NONE, 0).unwrap().land(at(11), Landing::Badly { late: None, tokens: 0 });
        assert_eq!(vitals.begin(at(11), &NONE, 0).unwrap_err(), Busy::Probing);
        vitals.rest(at(16));
        drop(place);
        assert_eq!(vitals.begin(at(11), &NONE, 0).unwrap_err(), Busy::Resting { until: at(16) });
    }

    #[test]
    fn what_becomes_another_one_rests_no_more_and_old_calls_say_nothing_of_it() {
        let vitals = Arc::<Vitals>::default();
        let old = vitals.begin(at(10), &NONE, 50).unwrap();
        vitals.begin(at(10), &NONE, 0).unwrap().land(at(10), Landing::Badly { late: Some(Pace::Token), tokens: 0 });
        vitals.rest(at(70));
        vitals.renew();
        assert_eq!(
            (vitals.busy(at(11), &NONE, 0), vitals.latency(Pace::Token, at(11)), vitals.failures_in_a_row()),
            (None, None, 0)
        );
        assert!(!old.is_current());
        old.land(at(12), Landing::Badly { late: None, tokens: 70 });
        let minute = vitals.last_minute(at(12));
        assert_eq!((minute.failures, minute.requests, minute.tokens, vitals.failures_in_a_row()), (0, 2, 70, 0));
        assert_eq!(vitals.in_flight(), 0);
    }

    #[test]
    fn with_all_tokens_used_a_call_of_unknown_size_waits_too() {
        let vitals = Arc::<Vitals>::default();
        let limits = Limits { tpm: Some(100), ..NONE };
        vitals.begin(at(10), &limits, 0).unwrap().land(at(11), Landing::Well { tokens: 100, latency: None });
        assert!(matches!(vitals.busy(at(12), &limits, 0), Some(Busy::Spent { .. })));
    }

    #[test]
    fn a_clock_that_is_behind_gives_back_what_it_took() {
        let vitals = Arc::<Vitals>::default();
        let first = vitals.begin(at(11), &NONE, 50).unwrap();
        let behind = vitals.begin(at(10), &NONE, 70).unwrap();
        behind.land(at(12), Landing::Aside { tokens: 0 });
        first.land(at(12), Landing::Aside { tokens: 0 });
        assert_eq!(vitals.last_minute(at(12)).tokens, 0);
    }
}
