//! The limits of all instances together: what a call takes is counted in Redis, by one script in one round trip for all of its
//! limits; when it is over a worker corrects that. While Redis is away or late each instance holds the limits by itself.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use moka::sync::Cache;
use tokio::sync::mpsc;
use tollgate_kv::{Kv, KvError, Script};
use tollgate_policy::{KeyDigest, Left, Limit, LimitScope, Reached, What};
use tollgate_wire::clock::Clock;

/// How long the corrections of calls that are over may take.
const CORRECTING: Duration = Duration::from_secs(1);
/// How long the start waits for a connection.
const FIRST: Duration = Duration::from_millis(500);
/// Between two tries to connect.
const TICK: Duration = Duration::from_millis(100);
/// Calls that are corrected by one script.
const AT_ONCE: usize = 64;
/// Corrections that wait for their turn; what comes on top is let go, and counted.
const MOST_WAITING: usize = 65_536;
/// Refusals that are remembered, so that whoever is refused again and again costs Redis nothing.
const MOST_REFUSED: u64 = 10_000;
/// Tokens that a call may say it needs: what Lua still writes as a whole number.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// How limits are shared.
#[derive(Clone, Copy, Debug)]
pub struct LimitSharing {
    /// How long a call waits for Redis.
    pub patience: Duration,
    /// After so long the place of a call whose instance is gone is free again.
    pub lease: Duration,
}

impl Default for LimitSharing {
    fn default() -> Self {
        Self { patience: Duration::from_millis(50), lease: Duration::from_secs(15) }
    }
}

/// How it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSharingState {
    /// Questions that Redis was asked for calls.
    pub asked: u64,
    /// Calls under limits for which Redis did not answer in time.
    pub alone: u64,
    /// Calls that are over and whose corrections were lost: what they took counts for a minute.
    pub lost: u64,
}

/// What a call has taken in Redis.
#[derive(Debug)]
pub(super) struct Counted {
    call: u64,
    /// A window and its running calls for each limit.
    places: Vec<[String; 2]>,
    /// Redis's second; 0: it is not known whether it was counted.
    second: i64,
    expected: u64,
    /// What was left then of each limit.
    left: Vec<(Limit, Left)>,
}

impl Counted {
    /// What was left of a limit when the call began.
    pub(super) fn left_of(&self, limit: &Limit) -> Option<Left> {
        self.left.iter().find(|(known, _)| known == limit).map(|(_, left)| *left)
    }
}

/// Why there is no place.
pub(super) enum NoPlace {
    /// A limit is reached.
    Reached(Box<Reached>),
    /// Redis does not answer. It may have counted the call all the same.
    Late,
    /// Redis was not asked, as it is away.
    Away,
}

struct Correction {
    counted: Counted,
    used: Option<u64>,
}

/// A refusal that holds for a moment.
#[derive(Clone)]
struct Refused {
    until: Duration,
    reached: Arc<Reached>,
}

/// The limits of all instances.
pub(crate) struct Shared {
    kv: Kv,
    clock: Arc<dyn Clock>,
    namespace: String,
    settings: LimitSharing,
    take: Script,
    settle: Script,
    renew: Script,
    /// Numbers of calls: of this process, and then one by one.
    process: u64,
    next: AtomicU64,
    refused: Cache<String, Refused>,
    /// Where those run that have a place at one time.
    running: Mutex<HashMap<u64, Vec<String>>>,
    corrections: mpsc::Sender<Correction>,
    received: Mutex<Option<mpsc::Receiver<Correction>>>,
    is_away: AtomicBool,
    asked: AtomicU64,
    alone: AtomicU64,
    lost: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    /// Through this Redis, under keys that begin with `namespace`.
    pub(crate) fn new(kv: Kv, namespace: String, settings: LimitSharing, process: u64, clock: Arc<dyn Clock>) -> Self {
        let script = |code: &str| Script::new(&format!("{}{code}", include_str!("window.lua")));
        let (corrections, received) = mpsc::channel(MOST_WAITING);
        Self {
            kv,
            clock,
            namespace,
            settings,
            take: script(include_str!("take.lua")),
            settle: script(include_str!("settle.lua")),
            renew: script(include_str!("renew.lua")),
            process,
            next: AtomicU64::new(0),
            refused: Cache::new(MOST_REFUSED),
            running: Mutex::default(),
            corrections,
            received: Mutex::new(Some(received)),
            is_away: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            alone: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    pub(crate) fn state(&self) -> LimitSharingState {
        LimitSharingState {
            asked: self.asked.load(Relaxed),
            alone: self.alone.load(Relaxed),
            lost: self.lost.load(Relaxed),
        }
    }

    /// Connects, once now and then as long as the process lives, and corrects what calls have taken.
    pub(crate) async fn start(self: &Arc<Self>, workers: &crate::workers::Workers) {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(received) = received else { return };
        let _ = tokio::time::timeout(FIRST, self.kv.connect()).await;
        let shared = Arc::clone(self);
        workers.spawn_loop(async move { shared.correct_all(received).await });
    }

    /// What a call will have taken under these limits. Whoever holds it corrects it at the end, however that comes.
    pub(super) fn begin(&self, limits: &[Limit], expected: u64) -> Counted {
        let places = limits.iter().map(|limit| {
            let window = self.key(limit);
            let runs = format!("{window}:runs");
            [window, runs]
        });
        let (call, places) = (self.next.fetch_add(1, Relaxed), places.collect());
        Counted { call, places, second: 0, expected: expected.min(MOST_TOKENS), left: Vec::new() }
    }

    /// Takes a place under all of these limits, for which `counted` was begun.
    pub(super) async fn take(&self, counted: &mut Counted, limits: &[Limit]) -> Result<(), NoPlace> {
        if let Some(reached) = self.remembered(counted) {
            return Err(NoPlace::Reached(reached));
        }
        self.asked.fetch_add(1, Relaxed);
        let keys: Vec<String> = counted.places.iter().flatten().cloned().collect();
        let lease = self.settings.lease.as_millis();
        let mut arguments = vec![self.name(counted.call), counted.expected.to_string(), lease.to_string()];
        let most = |most: Option<u64>| most.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX)).to_string();
        for Limit { most: bound, .. } in limits {
            arguments.extend([most(bound.rpm), most(bound.tpm), most(bound.parallel)]);
        }
        self.runs(counted, limits);
        let numbers = match self.kv.run(&self.take, &keys, &arguments, self.settings.patience).await {
            Ok(numbers) => numbers,
            Err(why) => {
                self.goes_alone(&why);
                return Err(if matches!(why, KvError::Away) { NoPlace::Away } else { NoPlace::Late });
            }
        };
        if self.is_away.swap(false, Relaxed) {
            tracing::info!(target: "tollgate::limits", "redis is back; limits are those of all instances together");
        }
        match numbers.split_first() {
            Some((1, [second, rows @ ..])) => {
                counted.second = *second;
                let told = limits.iter().zip(rows.chunks_exact(4));
                counted.left = told.map(|(limit, row)| (limit.clone(), left(limit, row))).collect();
                Ok(())
            }
            Some((_, row)) => Err(self.reached(limits, counted, row).map_or(NoPlace::Late, NoPlace::Reached)),
            None => Err(NoPlace::Late),
        }
    }

    /// A call under limits goes on without Redis.
    fn goes_alone(&self, why: &KvError) {
        self.alone.fetch_add(1, Relaxed);
        if !self.is_away.swap(true, Relaxed) {
            tracing::warn!(target: "tollgate::limits", %why, "redis does not answer; each instance holds the limits by itself");
        }
    }

    /// It has taken nothing.
    pub(super) fn forget(&self, counted: &Counted) {
        self.ends(counted.call);
    }

    /// The call is over: what it used counts; none: it counts as none. Somebody else tells Redis.
    pub(super) fn correct(&self, counted: Counted, used: Option<u64>) {
        self.ends(counted.call);
        for [window, _] in &counted.places {
            // There may be room now.
            self.refused.invalidate(window);
        }
        if self.corrections.try_send(Correction { counted, used }).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    fn name(&self, call: u64) -> String {
        format!("{:016x}{call:x}", self.process)
    }

    /// One place of a cluster holds all of them, and no name of anybody is told.
    fn key(&self, limit: &Limit) -> String {
        let model = limit.model.as_deref().unwrap_or_default();
        let named = format!("{}\0{}\0{model}", limit.scope.name(), limit.id);
        let hash = KeyDigest::of(&named).to_hex();
        format!("{{{}}}:limit:{}", self.namespace, hash.get(..32).unwrap_or(&hash))
    }

    fn remembered(&self, counted: &Counted) -> Option<Box<Reached>> {
        let now = self.clock.monotonic();
        let refused = |[window, _]: &[String; 2]| self.refused.get(window).filter(|refused| now < refused.until);
        counted.places.iter().find_map(refused).map(|refused| Box::new(Reached::clone(&refused.reached)))
    }

    fn reached(&self, limits: &[Limit], counted: &Counted, row: &[i64]) -> Option<Box<Reached>> {
        let &[index, what, requests, tokens, running, wait] = row else { return None };
        let index = usize::try_from(index).ok()?;
        let what = match what {
            1 => What::Parallel,
            2 => What::Requests,
            _ => What::Tokens,
        };
        let wait = (what != What::Parallel).then(|| positive(wait));
        let (requests, tokens, running) = (positive(requests), positive(tokens), positive(running));
        let reached = Reached { limit: limits.get(index)?.clone(), what, requests, tokens, running, wait };
        let refused = Refused { until: self.clock.monotonic() + lasts(&reached), reached: Arc::new(reached.clone()) };
        let [window, _] = counted.places.get(index)?;
        self.refused.insert(window.clone(), refused);
        Some(Box::new(reached))
    }

    fn runs(&self, counted: &Counted, limits: &[Limit]) {
        let at_one_time = |(limit, _): &(&Limit, _)| limit.most.parallel.is_some();
        let places = limits.iter().zip(&counted.places).filter(at_one_time);
        let runs: Vec<String> = places.map(|(_, [_, runs])| runs.clone()).collect();
        if !runs.is_empty() {
            self.running().insert(counted.call, runs);
        }
    }

    fn ends(&self, call: u64) {
        self.running().remove(&call);
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Vec<String>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn correct_all(&self, mut received: mpsc::Receiver<Correction>) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        let mut renewed = self.clock.monotonic();
        loop {
            tokio::select! {
                count = received.recv_many(&mut batch, AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    let calls = std::mem::take(&mut batch);
                    if self.tell(&calls).await.is_err() {
                        self.lost.fetch_add(u64::try_from(calls.len()).unwrap_or(u64::MAX), Relaxed);
                    }
                }
                () = tokio::time::sleep(TICK) => {}
            }
            // Calls never wait for a connection, so it is made here.
            let _ = self.kv.connect().await;
            if self.clock.monotonic().saturating_sub(renewed) >= self.settings.lease / 3 {
                renewed = self.clock.monotonic();
                self.keep_places().await;
            }
        }
    }

    async fn tell(&self, calls: &[Correction]) -> Result<(), KvError> {
        let (mut keys, mut arguments) = (Vec::new(), Vec::new());
        for Correction { counted, used } in calls {
            let (requests, back, more) = match used {
                // Of what may not have been counted nothing is taken back.
                _ if counted.second == 0 => (0, 0, used.unwrap_or_default().saturating_sub(counted.expected)),
                None => (1, counted.expected, 0),
                Some(used) => (0, counted.expected.saturating_sub(*used), used.saturating_sub(counted.expected)),
            };
            for [window, runs] in &counted.places {
                keys.extend([window.clone(), runs.clone()]);
                arguments.push(self.name(counted.call));
                arguments.push(counted.second.to_string());
                arguments.extend([requests, back, more.min(MOST_TOKENS)].map(|number| number.to_string()));
            }
        }
        self.kv.run(&self.settle, &keys, &arguments, CORRECTING).await.map(|_| ())
    }

    /// Calls that still run keep their places.
    async fn keep_places(&self) {
        let running: Vec<(u64, String)> = {
            let running = self.running();
            running.iter().flat_map(|(call, runs)| runs.iter().map(|runs| (*call, runs.clone()))).collect()
        };
        let lease = self.settings.lease.as_millis().to_string();
        for some in running.chunks(AT_ONCE) {
            let keys: Vec<String> = some.iter().map(|(_, runs)| runs.clone()).collect();
            let names = some.iter().map(|(call, _)| self.name(*call));
            let arguments: Vec<String> = std::iter::once(lease.clone()).chain(names).collect();
            if self.kv.run(&self.renew, &keys, &arguments, CORRECTING).await.is_err() {
                return;
            }
        }
    }
}

/// How long a refusal holds without asking again: requests come back when a second leaves the window, tokens also when a call
/// elsewhere used fewer than it said, and a place at any time.
fn lasts(reached: &Reached) -> Duration {
    match reached.what {
        What::Requests => Duration::from_millis(500),
        What::Tokens => Duration::from_millis(100),
        What::Parallel => Duration::from_millis(5),
    }
}

/// Whether a limit is held by all instances together; the whole gateway's is each one's own.
pub(super) fn is_shared(limit: &Limit) -> bool {
    limit.scope != LimitScope::Gateway
}

fn left(limit: &Limit, row: &[i64]) -> Left {
    let &[requests, tokens, _, reset] = row else { return Left::default() };
    Left {
        requests: limit.most.rpm.map(|most| most.saturating_sub(positive(requests))),
        tokens: limit.most.tpm.map(|most| most.saturating_sub(positive(tokens))),
        reset: positive(reset),
    }
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tollgate_kit::Redis;
    use tollgate_kv::Address;
    use tollgate_policy::{Limiter, Most, Taken};
    use tollgate_wire::clock::FixedClock;

    use super::*;

    /// The scripts with a clock of their own, which their last argument tells.
    struct Scripts {
        kv: Kv,
        take: Script,
        settle: Script,
    }

    impl Scripts {
        async fn start(redis: &Redis) -> Self {
            let address = Address { host: "127.0.0.1".to_owned(), port: Some(redis.port()), ..Address::default() };
            let kv = Kv::new(&address, Arc::new(FixedClock::default())).unwrap();
            kv.connect().await.unwrap();
            let window = include_str!("window.lua");
            let told = window.replace("redis.call('TIME')", "{ ARGV[#ARGV], '0' }");
            assert_ne!(window, told, "the clock is read in one place");
            let script = |code: &str| Script::new(&format!("{told}{code}"));
            Self { kv, take: script(include_str!("take.lua")), settle: script(include_str!("settle.lua")) }
        }

        async fn run(&self, script: &Script, keys: &[String], mut arguments: Vec<String>, second: u64) -> Vec<i64> {
            arguments.push(second.to_string());
            self.kv.run(script, keys, &arguments, Duration::from_secs(20)).await.unwrap()
        }
    }

    fn keys(limits: &[Limit]) -> Vec<String> {
        limits.iter().flat_map(|limit| [format!("w:{}", limit.id), format!("w:{}:runs", limit.id)]).collect()
    }

    /// Small numbers, the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, most: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % most
        }
    }

    /// The limits of one process and of all instances, of which the same is asked.
    struct Both {
        scripts: Scripts,
        limits: Vec<Limit>,
        keys: Vec<String>,
        limiter: Limiter,
        /// Calls, the second in which Redis has counted them, what they have taken here.
        running: Vec<(u64, i64, Taken)>,
        second: u64,
        taken: usize,
        refused: BTreeSet<i64>,
    }

    /// What a call is expected to use.
    fn expected(call: u64) -> u64 {
        call % 7 * 15
    }

    impl Both {
        async fn begins(&mut self, call: u64) {
            let mut arguments = vec![call.to_string(), expected(call).to_string(), "1000000".to_owned()];
            for Limit { most, .. } in &self.limits {
                let shown = |most: Option<u64>| most.map_or("-1".to_owned(), |most| most.to_string());
                arguments.extend([shown(most.rpm), shown(most.tpm), shown(most.parallel)]);
            }
            let answer = self.scripts.run(&self.scripts.take, &self.keys, arguments, self.second).await;
            match self.limiter.take(&self.limits, expected(call), self.second) {
                Ok(taken) => {
                    assert_eq!(answer[..2], [1, i64::try_from(self.second).unwrap()], "call {call}: {answer:?}");
                    for (limit, row) in self.limits.iter().zip(answer[2..].chunks_exact(4)) {
                        assert_eq!(left(limit, row), self.limiter.left(limit, self.second), "call {call}: {answer:?}");
                    }
                    self.running.push((call, answer[1], taken));
                    self.taken += 1;
                }
                Err(reached) => self.is_refused(call, &answer, &reached),
            }
        }

        fn is_refused(&mut self, call: u64, answer: &[i64], reached: &Reached) {
            let index = self.limits.iter().position(|limit| *limit == reached.limit).unwrap();
            let what = match reached.what {
                What::Parallel => 1,
                What::Requests => 2,
                What::Tokens => 3,
            };
            let numbers = [u64::try_from(index).unwrap(), what, reached.requests, reached.tokens];
            let numbers = numbers.map(|number| i64::try_from(number).unwrap());
            let wait = reached.wait.map_or(answer[6], |wait| i64::try_from(wait).unwrap());
            assert_eq!((answer[0], &answer[1..5], answer[6]), (0, &numbers[..], wait), "call {call}: {reached:?}");
            self.refused.insert(answer[2]);
        }

        /// One of those that run has used so much; none: nobody was asked.
        async fn ends(&mut self, at: usize, used: Option<u64>) {
            let (call, counted, taken) = self.running.swap_remove(at);
            let expected = expected(call);
            let (requests, back, more) = match used {
                None => {
                    self.limiter.give_back(&taken);
                    (1, expected, 0)
                }
                Some(used) => {
                    self.limiter.settle(&taken, used, self.second);
                    (0, expected.saturating_sub(used), used.saturating_sub(expected))
                }
            };
            let told = [counted.to_string(), requests.to_string(), back.to_string(), more.to_string()];
            let place = || std::iter::once(call.to_string()).chain(told.clone());
            let arguments = self.limits.iter().flat_map(|_| place()).collect();
            self.scripts.run(&self.scripts.settle, &self.keys, arguments, self.second).await;
        }
    }

    #[tokio::test]
    async fn all_instances_together_hold_a_limit_as_one_process_does() {
        let redis = Redis::start().await;
        let limit = |id: &str, rpm, tpm, parallel| {
            let most = Most { rpm, tpm, parallel };
            Limit { scope: LimitScope::Key, id: id.to_owned(), model: None, most }
        };
        let limits = vec![limit("a", Some(12), Some(900), None), limit("b", Some(40), None, Some(6))];
        let mut both = Both {
            scripts: Scripts::start(&redis).await,
            keys: keys(&limits),
            limits,
            limiter: Limiter::default(),
            running: Vec::new(),
            second: 1_000,
            taken: 0,
            refused: BTreeSet::new(),
        };
        let mut dice = Dice(7);
        for call in 0..3_000 {
            both.second += match dice.below(40) {
                0 => 70,
                1..=3 => 12,
                4..=20 => 1,
                _ => 0,
            };
            let running = both.running.len();
            if running > 8 || dice.below(3) == 0 && running > 0 {
                let at = dice.below(u64::try_from(running).unwrap());
                let (used, asked) = (dice.below(4) * 40, dice.below(5) > 0);
                both.ends(usize::try_from(at).unwrap(), asked.then_some(used)).await;
            } else {
                both.begins(call).await;
            }
        }
        assert!(both.taken > 500 && both.refused.len() == 3, "{} {:?}", both.taken, both.refused);
    }
}
