//! The budgets that calls are paid from (HOUSE: ledger rules 2, 3, 10). Before an attempt goes out, what it may cost is set
//! aside in all budgets that hold for it, or in none; when it has ended, what it did cost is gone and the rest is free. Budgets
//! are at home in the store, which moves money here in slices ([`leases`]); calls spend from memory and never wait for the store
//! longer than a set bound.

mod leases;
mod payers;
mod reserve;
mod stake;
mod words;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tollgate_ledger::{Book, Nanos, Slot};
use tollgate_policy::Budget;
use tollgate_store::{Store, Window};
use tollgate_wire::clock::Clock;
use uuid::Uuid;

pub(crate) use payers::Payers;
pub(crate) use reserve::{Hold, NotReserved, Topped};
pub(crate) use stake::{Learned, Size, Stake, Wanted};

use crate::{projection, workers::Workers};

/// How long a call waits for money that others merely hold.
const FOR_OTHERS: Duration = Duration::from_secs(1);
/// How long a stream waits for a store that does not answer, before it is ended.
const FOR_STORE: Duration = Duration::from_secs(10);
/// What the store said of a budget is taken for true so long where it would refuse a call.
const FRESH: Duration = Duration::from_millis(250);

/// All budgets, as this instance knows them.
pub(crate) struct Budgets {
    state: Mutex<State>,
    /// None: budgets are this process's alone, and begin with it.
    store: Option<Arc<Store>>,
    clock: Arc<dyn Clock>,
    workers: Workers,
    payers: payers::Starts,
    pub(crate) learned: Learned,
    /// Money came, or is free again.
    told: Notify,
    /// How long a call waits for the store to move money.
    patience: Duration,
    /// By which names the store knows this instance, one after the other.
    names: tokio::sync::Mutex<leases::Names>,
}

impl std::fmt::Debug for Budgets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Budgets")
    }
}

#[derive(Default)]
struct State {
    book: Book,
    sides: HashMap<Slot, Side>,
    slots: HashMap<Window, Slot>,
    /// Attempts that somebody looks after.
    guarded: HashSet<Uuid>,
    /// How often the store has answered, and how many calls wait for it.
    answers: u64,
    waiting: i64,
    /// The store does not answer; until then it is not asked.
    away_until: Duration,
    /// Under which name money is moved here; none: the store does not know this instance (yet).
    instance: Option<Arc<str>>,
}

/// What is known of a slot beside its purse.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// The store is being asked.
    is_asked: bool,
    /// When the store last spoke of it, by the monotonic clock; zero: it never did.
    heard: Duration,
    /// What it said does not hold any more.
    is_old: bool,
    /// When a call last wanted it.
    wanted: Duration,
    /// What was spent and unknown then, in the store, and what of this instance's spending was part of it.
    gone: Nanos,
    booked_then: Nanos,
    /// What of this instance's spending is in the store.
    booked: Nanos,
    /// An answer of the store was lost: what it has moved here is to be asked.
    is_doubtful: bool,
    /// What the store was last told to be reserved.
    told: Nanos,
}

impl Budgets {
    /// `journal` is this process's, by which others find it when it is gone; where there is none, a name that no other has.
    pub(crate) fn new(
        store: Option<(Arc<Store>, Duration)>,
        journal: Uuid,
        clock: Arc<dyn Clock>,
        workers: Workers,
    ) -> Arc<Self> {
        let patience = store.as_ref().map_or(Duration::ZERO, |(_, patience)| *patience);
        Arc::new(Self {
            state: Mutex::default(),
            store: store.map(|(store, _)| store),
            clock,
            workers,
            payers: payers::Starts::default(),
            learned: Learned::default(),
            told: Notify::new(),
            patience,
            names: tokio::sync::Mutex::new(leases::Names::of(journal)),
        })
    }

    /// By which clock days begin, from now on.
    pub(crate) fn set_zone(&self, zone: tollgate_ledger::windows::Zone) {
        self.payers.set_zone(zone);
    }

    /// These budgets, in their windows of now.
    pub(crate) fn payers<'b>(&self, budgets: impl Iterator<Item = &'b Budget>) -> Payers {
        self.payers.payers(budgets, i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX))
    }

    /// When the window of a slot is over, seconds since 1970.
    pub(crate) fn end_of(&self, slot: &Slot) -> i64 {
        self.payers.end_of(slot)
    }

    /// The name under which the store moves money here, if it does.
    pub(crate) fn instance(&self) -> Option<String> {
        self.state().instance.as_deref().map(str::to_owned)
    }

    /// What the store said of budgets may be old at once: somebody has changed what is spent.
    pub(crate) fn unhear(&self) {
        self.state().sides.values_mut().for_each(|side| side.is_old = true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt has ended and cost so much, or so much is kept for it while nobody knows.
    pub(crate) fn close(&self, attempt: Uuid, payers: &Payers, amount: Nanos) {
        if payers.is_empty() {
            return;
        }
        {
            let mut state = self.state();
            state.guarded.remove(&attempt);
            state.book.close(attempt, payers.slots(), amount);
        }
        self.told.notify_waiters();
    }

    /// What was spent here of a window is in the store now.
    pub(crate) fn booked(&self, window: &Window, amount: i64) {
        let mut state = self.state();
        let Some(slot) = state.slots.get(window).cloned() else { return };
        if let Some(side) = state.sides.get_mut(&slot) {
            side.booked = side.booked.plus(Nanos::new(amount));
        }
    }

    /// These budgets are used up, as far as is known here.
    pub(crate) fn is_spent(&self, payers: &Payers) -> bool {
        let state = self.state();
        !payers.is_empty() && state.book.within_reach(payers.slots()).is_some_and(|reach| reach <= Nanos::ZERO)
    }
}

impl State {
    /// The slot is known from now on.
    fn meet(&mut self, slot: &Slot, now: Duration) -> &mut Side {
        if !self.sides.contains_key(slot) {
            self.slots.insert(projection::window(slot), slot.clone());
        }
        let side = self.sides.entry(slot.clone()).or_default();
        side.wanted = now;
        side
    }
}
