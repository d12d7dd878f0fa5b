//! The gateway: one object that everything of the journey hangs on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tollgate_journal::Journal;
use tollgate_net::Client;
use tollgate_store::Store;
use tollgate_wire::clock::{Clock, Random};

use crate::{
    arrivals::Arrivals,
    batches::Followed,
    books::Books,
    budgets::Budgets,
    callers::{Callers, KeyBounds},
    checks::Checks,
    credentials::Credentials,
    decisions::Decisions,
    documents::Documents,
    health::Health,
    kept::KeptAnswers,
    ledger::Ledger,
    limits::Limits,
    projection::Projector,
    readiness::LastReload,
    reload::Source,
    sealed::SealKey,
    sharing::Sharing,
    snapshot::Snapshot,
    store_models::Stored,
    unpriced::Unpriced,
    waiting::Lines,
    workers::Workers,
};

/// What a gateway is built from; everything that waits, ticks or rolls dice comes in here.
pub struct Parts {
    /// All outgoing HTTP.
    pub client: Client,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// The first configuration.
    pub snapshot: Snapshot,
    /// Where background work runs.
    pub workers: Workers,
    /// What is shared with other instances, and how.
    pub sharing: Option<Sharing>,
    /// Where keys are kept, and how long they are remembered; none: there is the master key alone.
    pub store: Option<(Arc<Store>, KeyBounds)>,
    /// Where attempts are written down; none: their cost is in memory only.
    pub journal: Option<Journal>,
}

/// The gateway.
pub struct Gateway {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) ledger: Ledger,
    pub(crate) health: Health,
    pub(crate) checks: Checks,
    pub(crate) workers: Workers,
    pub(crate) credentials: Credentials,
    pub(crate) documents: Documents,
    pub(crate) kept: KeptAnswers,
    pub(crate) followed: Followed,
    pub(crate) sharing: Option<Sharing>,
    pub(crate) decisions: Decisions,
    /// The virtual keys, where there is a store.
    pub(crate) callers: Option<Arc<Callers>>,
    pub(crate) limits: Arc<Limits>,
    /// What calls are paid from.
    pub(crate) budgets: Arc<Budgets>,
    /// Carries the journal into the store.
    pub(crate) projector: Option<tokio::sync::Mutex<Projector>>,
    /// How far the journal is in the store.
    pub(crate) arrivals: Arc<Arrivals>,
    /// Models without a price that were told of.
    pub(crate) unpriced: Unpriced,
    /// Calls that wait for a deployment.
    pub(crate) lines: Arc<Lines>,
    /// Of this process: tells our own requests when they come back to us.
    pub(crate) instance: String,
    /// Where configurations come from.
    pub(crate) source: std::sync::OnceLock<Arc<dyn Source>>,
    pub(crate) last_reload: LastReload,
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// Models and credentials of the store, as they were read last.
    pub(crate) stored_models: std::sync::Mutex<Arc<Stored>>,
    snapshot: ArcSwap<Snapshot>,
    /// Seals ids where no secret of the configuration does: they open in this process only.
    seal: SealKey,
    draining: Closed,
    closed: Closed,
}

/// Tells whoever waits for it that something is over: streams that their time is up, followers that we are going down, calls
/// that their client has left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed {
    flag: Arc<AtomicBool>,
    told: Arc<tokio::sync::Notify>,
}

impl Closed {
    pub(crate) fn set(&self) {
        self.flag.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    /// It is over.
    pub(crate) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Resolves when it is over.
    pub(crate) async fn wait(self) {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.is_set() {
                return;
            }
            told.await;
        }
    }
}

impl Gateway {
    /// A gateway of these parts.
    #[must_use]
    pub fn new(mut parts: Parts) -> Arc<Self> {
        let mut secret = [0; 32];
        parts.random.fill(&mut secret);
        let mut name = [0; 16];
        parts.random.fill(&mut name);
        let instance = format!("{:016x}", parts.random.u64());
        let shared_limits = parts.sharing.as_mut().and_then(|sharing| sharing.take_limits(parts.random.u64()));
        let (clock, workers) = (&parts.clock, &parts.workers);
        let projector = parts.journal.as_ref().zip(parts.store.as_ref()).map(|(journal, (store, _))| {
            let (journal, store, clock) = (journal.clone(), Arc::clone(store), Arc::clone(clock));
            Projector::new(journal, store, clock)
        });
        let store = parts.store.as_ref().map(|(store, bounds)| (Arc::clone(store), bounds.patience));
        let journal =
            parts.journal.as_ref().map_or_else(|| uuid::Builder::from_random_bytes(name).into_uuid(), Journal::id);
        let budgets = Budgets::new(store, journal, Arc::clone(clock), workers.clone());
        budgets.set_zone(parts.snapshot.zone.clone());
        let arrivals = projector.as_ref().map(|projector| Arc::clone(projector.arrivals())).unwrap_or_default();
        let books = parts.journal.map(|journal| Books::new(journal, Arc::clone(clock)));
        let callers =
            parts.store.map(|(store, bounds)| Callers::new(store, Arc::clone(clock), workers.clone(), bounds));
        Arc::new(Self {
            callers,
            limits: Limits::new(Arc::clone(&parts.clock), shared_limits),
            budgets,
            client: parts.client,
            clock: parts.clock,
            random: parts.random,
            ledger: Ledger::of(books),
            projector: projector.map(tokio::sync::Mutex::new),
            arrivals,
            health: Health::default(),
            checks: Checks::default(),
            workers: parts.workers,
            credentials: Credentials::default(),
            documents: Documents::default(),
            kept: KeptAnswers::default(),
            followed: Followed::default(),
            sharing: parts.sharing,
            decisions: Decisions::default(),
            unpriced: Unpriced::default(),
            lines: Arc::default(),
            instance,
            seal: SealKey::of(&secret),
            source: std::sync::OnceLock::new(),
            last_reload: LastReload::default(),
            reloading: tokio::sync::Mutex::new(()),
            stored_models: std::sync::Mutex::default(),
            snapshot: ArcSwap::from_pointee(parts.snapshot),
            draining: Closed::default(),
            closed: Closed::default(),
        })
    }

    /// The configuration as it is now. Read once per call.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a new configuration in place, with what the store has; calls in flight keep theirs.
    pub fn swap(&self, snapshot: Snapshot) {
        let has_more = snapshot.keeps_models && !self.stored_models().is_empty();
        self.put_in_place(if has_more { self.with_stored(&snapshot.origin) } else { snapshot });
    }

    pub(crate) fn put_in_place(&self, mut snapshot: Snapshot) {
        let before = self.snapshot();
        self.budgets.set_zone(snapshot.zone.clone());
        let mut fleet = std::mem::take(&mut snapshot.fleet);
        fleet.inherit(&before.fleet, |new, old| snapshot.goes_where(new, &before, old));
        snapshot.fleet = fleet;
        // What was sealed is opened on: another master key is no reason to lose files and answers.
        let seal = snapshot.seal.take().unwrap_or_else(|| self.seal.clone());
        snapshot.seal = Some(seal.after(self.seal_key(&before)));
        self.snapshot.store(Arc::new(snapshot));
        self.checks.changed.notify_one();
        self.lines.ring_all();
    }

    /// Readiness fails from now on.
    pub fn start_draining(&self) {
        self.draining.set();
    }

    /// Streams that still run end now, each with an error event of its dialect.
    pub fn end_streams(&self) {
        self.closed.set();
    }

    pub(crate) fn closed(&self) -> Closed {
        self.closed.clone()
    }

    /// The gateway is on its way down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_set()
    }

    /// Resolves when the gateway is on its way down.
    pub(crate) async fn draining(&self) {
        self.draining.clone().wait().await;
    }

    /// Where background work runs.
    #[must_use]
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Whether the store does not answer; none: there is no store.
    #[must_use]
    pub fn store_is_away(&self) -> Option<bool> {
        self.callers.as_ref().map(|callers| callers.store_is_away())
    }

    /// How often the store was asked for a key; none: there is no store.
    #[must_use]
    pub fn key_look_ups(&self) -> Option<u64> {
        self.callers.as_ref().map(|callers| callers.looked_up())
    }

    /// It is known which keys there are: one that is not among them costs the store next to nothing.
    #[must_use]
    pub fn knows_keys(&self) -> bool {
        self.callers.as_ref().is_some_and(|callers| callers.tokens.verdict(0) != crate::known::Verdict::CannotTell)
    }

    /// Hears of what other instances change of keys and models, until the gateway goes down.
    pub fn start_hearing(self: &Arc<Self>) {
        if let Some(callers) = &self.callers {
            let stopping = self.draining.clone();
            self.workers.spawn_following(Arc::clone(callers).follow(stopping.wait()));
            self.workers.spawn_following(Arc::clone(self).follow_models());
        }
    }

    /// Calls that wait for a deployment to be free, or back.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lines.waiting()
    }

    /// What was used and spent since the start.
    #[must_use]
    pub fn totals(&self) -> crate::Totals {
        self.ledger.totals()
    }

    /// Writes the totals down, once, when nothing runs any more: whether every attempt was settled is seen here.
    pub fn close_books(&self) {
        let crate::Totals { opened, settled, unpriced, unstated, .. } = self.totals();
        tracing::info!(target: "tollgate::ledger", opened, settled, unpriced, unstated, "the books are closed");
    }

    /// What ids are sealed with.
    pub(crate) fn seal_key<'s>(&'s self, snapshot: &'s Snapshot) -> &'s SealKey {
        snapshot.seal.as_ref().unwrap_or(&self.seal)
    }

    pub(crate) fn now_unix(&self) -> u64 {
        self.clock.unix().as_secs()
    }

    pub(crate) fn uuid_v4(&self) -> uuid::Uuid {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    pub(crate) fn uuid_v7(&self) -> uuid::Uuid {
        let mut bytes = [0; 10];
        self.random.fill(&mut bytes);
        let millis = u64::try_from(self.clock.unix().as_millis()).unwrap_or(u64::MAX);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    pub(crate) fn since(&self, start: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(start)
    }
}
