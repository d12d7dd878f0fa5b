//! The virtual keys that were seen lately. A key is looked up once, however many calls bring it at the same time; what the
//! store says is remembered for a while, a change in the store is heard within half a second, and no call waits for the
//! store longer than a set bound.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture, future::Shared};
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollgate_policy::{Key, KeyDigest};
use tollgate_store::{EpochMs, Store, StoreError};
use tollgate_wire::{Failure, FailureKind, clock::Clock};

use crate::{
    admin::rows,
    customers::Customers,
    known::{KnownIds, Verdict},
    tags::Tags,
    workers::Workers,
};

/// Bounds of what is remembered of keys, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct KeyBounds {
    /// Keys that are remembered.
    pub most: u64,
    /// How long one is remembered before the store is asked again.
    pub ttl: Duration,
    /// How much longer while the store does not answer.
    pub stale_ttl: Duration,
    /// Keys are good for as long as the store is away (`allow_requests_on_db_unavailable`).
    pub outlive_store: bool,
    /// How long a call waits for the store to tell of a key.
    pub patience: Duration,
}

impl Default for KeyBounds {
    fn default() -> Self {
        Self {
            most: 100_000,
            ttl: Duration::from_secs(60),
            stale_ttl: Duration::from_secs(60),
            outlive_store: false,
            patience: Duration::from_millis(50),
        }
    }
}

/// The store is not asked again so soon after it did not answer.
const AWAY: Duration = Duration::from_secs(1);
/// Keys that are looked up at one time.
const MOST_ASKED: usize = 1000;
/// Keys that nobody knows, remembered so that they are not asked for again and again.
const MOST_UNKNOWN: u64 = 100_000;
/// How long such a key is remembered, where no change tells of it before.
const UNKNOWN_TTL: Duration = Duration::from_secs(10);
/// Look-ups at one time of keys that are not known to be in the store. One that comes to nothing keeps its place for a second,
/// so that random keys cost the store no more than so many look-ups a second.
const STRANGERS: usize = 10;
/// How many of these places one address may have, so that it does not keep others from them.
const STRANGERS_OF_ADDRESS: usize = 5;
const MISS: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
struct Known {
    key: Arc<Key>,
    /// When the store said so, by the monotonic clock.
    heard: Duration,
}

type Answer = Result<Option<Known>, Away>;
type Asking = Shared<BoxFuture<'static, Answer>>;

/// The store does not answer.
#[derive(Clone, Copy, Debug)]
struct Away;

/// Who comes with a key that is not known to be in the store.
enum Stranger {
    /// It is looked up in one of few places.
    Placed { _place: OwnedSemaphorePermit, _turn: Turn },
    /// Nobody has it.
    Nobody,
}

/// One of an address's places.
struct Turn {
    callers: Arc<Callers>,
    address: Option<IpAddr>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut addresses = self.callers.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = addresses.get_mut(&address) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                addresses.remove(&address);
            }
        }
    }
}

/// What is known of keys.
pub(crate) struct Callers {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    workers: Workers,
    bounds: KeyBounds,
    known: Cache<KeyDigest, Known>,
    unknown: Cache<KeyDigest, ()>,
    /// How often something was forgotten: an answer that was asked for before that is not remembered.
    era: AtomicU64,
    asking: Mutex<HashMap<KeyDigest, Asking>>,
    /// The store is left alone until then, milliseconds of the monotonic clock.
    away_until: AtomicU64,
    strangers: Arc<Semaphore>,
    /// Whose places those are.
    addresses: Mutex<HashMap<IpAddr, usize>>,
    /// Which keys there are.
    pub(crate) tokens: KnownIds,
    /// When keys that nobody knew came first, by the monotonic clock.
    suspects: Cache<KeyDigest, Duration>,
    /// Of all changes before this moment was heard, milliseconds of the monotonic clock.
    pub(crate) heard_upto: AtomicU64,
    customers: Arc<Customers>,
    tags: Arc<Tags>,
    looked_up: AtomicU64,
    /// What keys have spent that is on its way into the store, by their origin. Nano-dollars.
    pending: Mutex<HashMap<String, i64>>,
    /// Rings when models or credentials of the store are others.
    pub(crate) models_changed: tokio::sync::Notify,
}

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callers").field("known", &self.known.entry_count()).finish_non_exhaustive()
    }
}

impl Callers {
    pub(crate) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, workers: Workers, bounds: KeyBounds) -> Arc<Self> {
        let customers = Customers::new(Arc::clone(&store), Arc::clone(&clock), workers.clone(), bounds);
        Arc::new(Self {
            customers,
            tags: Arc::default(),
            addresses: Mutex::default(),
            tokens: KnownIds::default(),
            suspects: Cache::builder().max_capacity(MOST_UNKNOWN).time_to_live(UNKNOWN_TTL).build(),
            heard_upto: AtomicU64::new(0),
            looked_up: AtomicU64::new(0),
            store,
            clock,
            workers,
            bounds,
            known: Cache::new(bounds.most),
            unknown: Cache::builder().max_capacity(MOST_UNKNOWN).time_to_live(UNKNOWN_TTL).build(),
            era: AtomicU64::new(0),
            asking: Mutex::default(),
            away_until: AtomicU64::new(0),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            pending: Mutex::default(),
            models_changed: tokio::sync::Notify::new(),
        })
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(crate) fn customers(&self) -> &Arc<Customers> {
        &self.customers
    }

    pub(crate) fn tags(&self) -> &Arc<Tags> {
        &self.tags
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// How often the store was asked for a key.
    pub(crate) fn looked_up(&self) -> u64 {
        self.looked_up.load(Ordering::Relaxed)
    }

    /// The key of this digest, if there is one; who asks comes from this address.
    ///
    /// # Errors
    /// 503 where that cannot be told now.
    pub(crate) async fn find(
        self: &Arc<Self>,
        digest: KeyDigest,
        address: Option<IpAddr>,
    ) -> Result<Option<Arc<Key>>, Failure> {
        let now = self.clock.monotonic();
        let known = self.known.get(&digest);
        if let Some(known) = known.as_ref().filter(|known| now.saturating_sub(known.heard) < self.bounds.ttl) {
            return Ok(Some(Arc::clone(&known.key)));
        }
        if self.unknown.contains_key(&digest) {
            return Ok(None);
        }
        let place = if known.is_some() { None } else { self.place_of(digest, now, address).await? };
        if matches!(place, Some(Stranger::Nobody)) {
            return Ok(None);
        }
        let answer = match self.ask(digest, now, place) {
            Some(asking) => tokio::time::timeout(self.bounds.patience, asking).await.unwrap_or(Err(Away)),
            None => Err(Away),
        };
        let lasts = |known: &Known| {
            self.bounds.outlive_store || now.saturating_sub(known.heard) < self.bounds.ttl + self.bounds.stale_ttl
        };
        match (answer, known) {
            (Ok(found), _) => Ok(found.map(|known| known.key)),
            (Err(Away), Some(known)) if lasts(&known) => Ok(Some(known.key)),
            (Err(Away), _) => Err(unavailable()),
        }
    }

    /// The look-up of a key, begun by whoever comes first; none while it cannot be made.
    fn ask(self: &Arc<Self>, digest: KeyDigest, now: Duration, place: Option<Stranger>) -> Option<Asking> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = asking.get(&digest) {
            return Some(running.clone());
        }
        if self.is_away(now) || asking.len() >= MOST_ASKED {
            return None;
        }
        let callers = Arc::clone(self);
        let look_up = async move {
            let answer = callers.look(digest, place).await;
            callers.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
            answer
        };
        let look_up = look_up.boxed().shared();
        asking.insert(digest, look_up.clone());
        // The answer is wanted by the next call, too, should this one not wait for it.
        let driven = look_up.clone();
        self.workers.spawn(async move {
            let _ = driven.await;
        });
        Some(look_up)
    }

    /// Whoever is not known to be in the store may be new there, and is looked up in one of few places.
    ///
    /// # Errors
    /// 503 while there is none.
    async fn place_of(
        self: &Arc<Self>,
        digest: KeyDigest,
        now: Duration,
        address: Option<IpAddr>,
    ) -> Result<Option<Stranger>, Failure> {
        let waits = match self.tokens.verdict(digest.prefix()) {
            Verdict::Here => return Ok(None),
            Verdict::CannotTell => true,
            Verdict::NotHere => {
                let first = self.suspects.get(&digest);
                if first.is_some_and(|first| millis(first) < self.heard_upto.load(Ordering::SeqCst)) {
                    // Had it been made somewhere before it came first, that would have been heard.
                    return Ok(Some(Stranger::Nobody));
                }
                if first.is_none() {
                    self.suspects.insert(digest, now);
                }
                false
            }
        };
        let running = || self.asking.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&digest);
        if running() {
            return Ok(None);
        }
        let turn = self.turn_of(address).ok_or_else(unavailable)?;
        let strangers = Arc::clone(&self.strangers);
        let place = match strangers.try_acquire_owned() {
            Ok(place) => place,
            // While nobody knows which keys there are, each of them may be a good one.
            Err(_) if waits => {
                let waiting = Arc::clone(&self.strangers).acquire_owned();
                let place = tokio::time::timeout(self.bounds.patience, waiting).await;
                place.ok().and_then(Result::ok).ok_or_else(unavailable)?
            }
            Err(_) => return Err(unavailable()),
        };
        Ok(Some(Stranger::Placed { _place: place, _turn: turn }))
    }

    /// One of the places that an address may have at one time.
    fn turn_of(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Turn> {
        let Some(address) = address else { return Some(Turn { callers: Arc::clone(self), address: None }) };
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let held = addresses.entry(address).or_default();
        if *held >= STRANGERS_OF_ADDRESS {
            return None;
        }
        *held += 1;
        Some(Turn { callers: Arc::clone(self), address: Some(address) })
    }

    async fn look(&self, digest: KeyDigest, place: Option<Stranger>) -> Answer {
        self.looked_up.fetch_add(1, Ordering::Relaxed);
        let unix = self.clock.unix();
        let heard = self.clock.monotonic();
        let moment = EpochMs(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX));
        let token = digest.to_hex();
        // Before the store is asked: what arrives there meanwhile counts twice for a while, never not at all.
        let mut pending = self.pending_of(&token);
        let era = self.era.load(Ordering::SeqCst);
        let mut found = self.store.find_key(&token, moment).await;
        if let Ok(Some(view)) = &found
            && view.key.origin != token
        {
            // It was regenerated: only now is it known what its spend is kept under.
            pending = self.pending_of(&view.key.origin);
            found = self.store.find_key(&token, moment).await;
        }
        match found {
            Ok(Some(view)) => {
                let known = Known { key: Arc::new(rows::key(digest, &view, pending, moment)), heard };
                self.known.insert(digest, known.clone());
                self.unless_changed(era, &digest);
                Ok(Some(known))
            }
            Ok(None) => {
                self.known.invalidate(&digest);
                self.unknown.insert(digest, ());
                self.unless_changed(era, &digest);
                // Whoever guesses keys gets so many guesses a second; those who have one do not wait for them.
                if let Some(place) = place {
                    self.workers.spawn_loop(async move {
                        tokio::time::sleep(MISS).await;
                        drop(place);
                    });
                }
                Ok(None)
            }
            Err(error) => {
                self.is_gone(&error);
                Err(Away)
            }
        }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<String, i64>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending_of(&self, origin: &str) -> i64 {
        self.pending().get(origin).copied().unwrap_or_default()
    }

    /// A key has spent so much.
    pub(crate) fn spent(&self, key: &Key, nanos: i64) {
        key.spending.add(nanos);
        let mut pending = self.pending();
        match pending.get_mut(&key.origin) {
            Some(sum) => *sum += nanos,
            None => {
                pending.insert(key.origin.clone(), nanos);
            }
        }
    }

    /// So much of what a key has spent is in the store now.
    pub(crate) fn arrived(&self, origin: &str, nanos: i64) {
        let mut pending = self.pending();
        if let Some(sum) = pending.get_mut(origin) {
            *sum -= nanos;
            if *sum <= 0 {
                pending.remove(origin);
            }
        }
    }

    fn is_away(&self, now: Duration) -> bool {
        millis(now) < self.away_until.load(Ordering::Relaxed)
    }

    /// Whether the store has not answered lately.
    pub(crate) fn store_is_away(&self) -> bool {
        self.is_away(self.clock.monotonic())
    }

    pub(crate) fn is_gone(&self, error: &StoreError) {
        let until = millis(self.clock.monotonic() + AWAY);
        if self.away_until.swap(until, Ordering::Relaxed) < millis(self.clock.monotonic()) {
            tracing::warn!(target: "tollgate::store", %error, "the store does not answer; keys in memory go on");
        }
    }

    /// A key is another now, or there is one: it is looked up anew.
    pub(crate) fn forget(&self, digest: &KeyDigest) {
        self.tokens.add(digest.prefix());
        self.era.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate(digest);
        self.unknown.invalidate(digest);
    }

    /// What the store said is forgotten again where a change was heard of while it was asked.
    fn unless_changed(&self, era: u64, digest: &KeyDigest) {
        if self.era.load(Ordering::SeqCst) != era {
            self.known.invalidate(digest);
            self.unknown.invalidate(digest);
        }
    }

    /// Whatever was remembered may be another now.
    pub(crate) fn forget_all(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
        self.unknown.invalidate_all();
        self.known.invalidate_all();
    }
}

/// The refusal while nobody can tell whether a key is good.
pub(crate) fn unavailable() -> Failure {
    let words = "the key cannot be checked now, as the database does not answer; try again shortly";
    let mut failure = Failure::new(FailureKind::Overloaded, words);
    failure.retry_after = Some(AWAY);
    failure
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
