//! The virtual keys that were seen lately. A key is looked up once, however many calls bring it at the same time; what the
//! store says is remembered for a while, a change in the store is heard within half a second, and no call waits for the
//! store longer than a set bound.

use std::{
    collections::HashMap,
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
use tollgate_store::{EpochMs, Kind, Store, StoreError};
use tollgate_wire::{Failure, FailureKind, clock::Clock};

use crate::{admin::rows, workers::Workers};

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

/// Between two questions for changes (decision 32).
const CHANGES_EVERY: Duration = Duration::from_millis(500);
/// The store is not asked again so soon after it did not answer.
const AWAY: Duration = Duration::from_secs(1);
/// Keys that are looked up at one time.
const MOST_ASKED: usize = 1000;
/// Keys that nobody knows, remembered so that they are not asked for again and again.
const MOST_UNKNOWN: u64 = 100_000;
/// How long such a key is remembered, where no change tells of it before.
const UNKNOWN_TTL: Duration = Duration::from_secs(10);
/// Look-ups of keys not seen before at one time. One that comes to nothing keeps its place for a second, so that random keys
/// cost the store no more than so many look-ups a second.
const STRANGERS: usize = 10;
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
        Arc::new(Self {
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

    /// The key of this digest, if there is one.
    ///
    /// # Errors
    /// 503 where that cannot be told now.
    pub(crate) async fn find(self: &Arc<Self>, digest: KeyDigest) -> Result<Option<Arc<Key>>, Failure> {
        let now = self.clock.monotonic();
        let known = self.known.get(&digest);
        if let Some(known) = known.as_ref().filter(|known| now.saturating_sub(known.heard) < self.bounds.ttl) {
            return Ok(Some(Arc::clone(&known.key)));
        }
        if self.unknown.contains_key(&digest) {
            return Ok(None);
        }
        let answer = match self.ask(digest, now, known.is_some()) {
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
    fn ask(self: &Arc<Self>, digest: KeyDigest, now: Duration, was_known: bool) -> Option<Asking> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = asking.get(&digest) {
            return Some(running.clone());
        }
        if self.is_away(now) || asking.len() >= MOST_ASKED {
            return None;
        }
        let callers = Arc::clone(self);
        let look_up = async move { callers.look_up(digest, was_known).await }.boxed().shared();
        asking.insert(digest, look_up.clone());
        // The answer is wanted by the next call, too, should this one not wait for it.
        let driven = look_up.clone();
        self.workers.spawn(async move {
            let _ = driven.await;
        });
        Some(look_up)
    }

    async fn look_up(&self, digest: KeyDigest, was_known: bool) -> Answer {
        let answer = match was_known {
            true => self.look(digest, None).await,
            false => {
                match tokio::time::timeout(self.bounds.patience, Arc::clone(&self.strangers).acquire_owned()).await {
                    Ok(Ok(place)) => self.look(digest, Some(place)).await,
                    _ => Err(Away),
                }
            }
        };
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
        answer
    }

    async fn look(&self, digest: KeyDigest, place: Option<OwnedSemaphorePermit>) -> Answer {
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
                self.workers.spawn_loop(async move {
                    tokio::time::sleep(MISS).await;
                    drop(place);
                });
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

    fn is_gone(&self, error: &StoreError) {
        let until = millis(self.clock.monotonic() + AWAY);
        if self.away_until.swap(until, Ordering::Relaxed) < millis(self.clock.monotonic()) {
            tracing::warn!(target: "tollgate::store", %error, "the store does not answer; keys in memory go on");
        }
    }

    /// A key is another now, or there is one: it is looked up anew.
    pub(crate) fn forget(&self, digest: &KeyDigest) {
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

    /// Hears of changes until the gateway goes down.
    pub(crate) async fn follow(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut seen = self.store.last_change().await.ok();
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(CHANGES_EVERY) => {}
            }
            let Some(from) = seen else {
                // Nothing was heard so far, so anything may have happened.
                if let Ok(last) = self.store.last_change().await {
                    seen = Some(last);
                    self.forget_all();
                    self.models_changed.notify_one();
                }
                continue;
            };
            match self.store.changes_since(from).await {
                Ok(changes) => {
                    seen = Some(changes.last);
                    if changes.gap {
                        self.models_changed.notify_one();
                        self.forget_all();
                    }
                    for change in &changes.changes {
                        match (change.kind, KeyDigest::from_hex(&change.id)) {
                            (Kind::Key, Some(digest)) => self.forget(&digest),
                            (Kind::Model | Kind::Credential, _) => self.models_changed.notify_one(),
                            (Kind::Config, _) => {}
                            // Whatever stands above keys concerns many of them; it changes seldom.
                            _ => self.forget_all(),
                        }
                    }
                }
                Err(error) => self.is_gone(&error),
            }
        }
    }
}

/// The refusal while nobody can tell whether a key is good.
pub(crate) fn unavailable() -> Failure {
    let words = "the key cannot be checked now, as the database does not answer; try again shortly";
    let mut failure = Failure::new(FailureKind::Overloaded, words);
    failure.retry_after = Some(AWAY);
    failure
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
