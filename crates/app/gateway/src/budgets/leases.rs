//! What moves between the store and this instance: money on request, what is not needed back, signs of life, and the leases of
//! instances that are gone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tollgate_ledger::{Nanos, Slot, lease};
use tollgate_store::{EpochMs, Grant, Instance, Leased, NanoDollars, Store, StoreError, Window, Wish};
use uuid::Uuid;

use super::{Budgets, Side, State};
use crate::projection;

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// An instance that gave none for so long is dead (HOUSE: ledger rule 2).
const DEAD: Duration = Duration::from_secs(30);
/// Between two looks at whether what is held is what runs.
const LOOK: Duration = Duration::from_secs(10);
/// After the store did not answer it is left alone for so long.
const AWAY: Duration = Duration::from_secs(1);
/// What no call wanted for so long goes back to the store but for a slice, and is forgotten after a longer while.
const IDLE: Duration = Duration::from_secs(2);
const FORGET: Duration = Duration::from_secs(600);
/// Slots that go back at one time.
const AT_ONCE: usize = 500;

/// What is asked of the store for one slot.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) slot: Slot,
    pub(super) wish: lease::Wish,
    pub(super) budget: Nanos,
    /// What goes back before.
    pub(super) back: Nanos,
}

impl Request {
    fn window(&self) -> Window {
        projection::window(&self.slot)
    }
}

impl Budgets {
    /// Asks the store in the background; whoever waits is told. False: it is not asked now, as it does not answer.
    pub(super) fn ask(self: &Arc<Self>, state: &mut State, requests: Vec<Request>, now: Duration) -> bool {
        if now < state.away_until {
            state.keep_back(&requests);
            return false;
        }
        let Some(store) = &self.store else { return false };
        // One question at a time for each slot: what comes of it is everybody's.
        let is_asked = |request: &Request| state.sides.get(&request.slot).is_some_and(|side| side.is_asked);
        if requests.iter().any(is_asked) {
            state.keep_back(&requests);
            return true;
        }
        for request in &requests {
            if let Some(side) = state.sides.get_mut(&request.slot) {
                side.is_asked = true;
            }
        }
        let (budgets, store) = (Arc::clone(self), Arc::clone(store));
        self.workers.spawn_loop(async move { budgets.asked(&store, requests).await });
        true
    }

    async fn asked(self: Arc<Self>, store: &Store, requests: Vec<Request>) {
        let asking = Asking { budgets: Arc::clone(&self), requests };
        let outcome = match self.entered(store).await {
            Ok(instance) => self.moved(store, &instance, &asking.requests).await.map(|leased| (instance, leased)),
            Err(error) => Err(error),
        };
        {
            let now = self.clock.monotonic();
            let mut state = self.state();
            state.answers += u64::from(outcome.is_ok());
            match outcome {
                // The store has taken this instance for dead meanwhile, and it has another name.
                Ok((instance, _)) if state.instance.as_ref() != Some(&instance) => {}
                Ok((_, leased)) => state.hear(&asking.requests, &leased, now),
                Err(error) => {
                    if now >= state.away_until {
                        tracing::warn!(target: "tollgate::budgets", %error, "the store does not move money; calls spend what is here");
                    }
                    state.away_until = now + AWAY;
                    // Whether money was moved is not known; the next sign of life asks.
                    for request in &asking.requests {
                        state.doubt(&request.slot, request.budget);
                    }
                }
            }
        }
        // Whoever waits is told when nothing is being asked any more.
        drop(asking);
    }

    async fn moved(&self, store: &Store, instance: &str, requests: &[Request]) -> Result<Leased, StoreError> {
        let back: Vec<_> = requests.iter().filter(|request| request.back > Nanos::ZERO).collect();
        if !back.is_empty() {
            let back: Vec<_> = back.iter().map(|request| (request.window(), NanoDollars(request.back.get()))).collect();
            store.give_back(instance, &back).await?;
        }
        for request in requests.iter().filter(|request| request.slot.period.is_some()) {
            // A window that others have begun is not left for an earlier one, whatever this machine's clock says.
            let window = request.window();
            if let Some(latest) = store.latest_window(&window.kind, &window.id).await? {
                self.payers.is_ahead(&request.slot, latest.0.div_euclid(1000));
            }
        }
        let wishes: Vec<Wish> = requests
            .iter()
            .map(|request| Wish {
                window: request.window(),
                budget: NanoDollars(request.budget.get()),
                need: NanoDollars(request.wish.need.get()),
                want: NanoDollars(request.wish.want.get()),
            })
            .collect();
        store.lease(instance, self.now(), &wishes).await
    }

    fn now(&self) -> EpochMs {
        EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX))
    }

    /// Keeps the leases: signs of life, and what is idle back to the store.
    pub(crate) async fn keep(self: Arc<Self>) {
        let Some(store) = self.store.clone() else { return };
        let mut looked = Duration::ZERO;
        loop {
            tokio::time::sleep(BEAT).await;
            let instance = self.state().instance.clone();
            let now = self.clock.monotonic();
            let is_due = now.saturating_sub(looked) >= LOOK;
            let kept = async {
                if let Some(instance) = &instance {
                    self.beat(&store, instance).await?;
                }
                if is_due {
                    looked = now;
                    self.sweep();
                }
                Ok::<_, StoreError>(())
            };
            if let Err(error) = kept.await {
                tracing::debug!(target: "tollgate::budgets", %error, "no sign of life reaches the store");
            }
        }
    }

    /// The name under which the store moves money here; the first who needs it tells the store.
    async fn entered(&self, store: &Store) -> Result<Arc<str>, StoreError> {
        if let Some(instance) = self.state().instance.clone() {
            return Ok(instance);
        }
        let mut names = self.names.lock().await;
        if let Some(instance) = self.state().instance.clone() {
            return Ok(instance);
        }
        loop {
            let (now, journal) = (self.now(), names.journal.to_string());
            let (instance, host) = (names.next(), std::env::var("HOSTNAME").unwrap_or_default());
            let row = Instance { instance, journal, host, started_at: now, heartbeat_at: now };
            match store.enter(&row).await {
                Ok(()) => {
                    let instance: Arc<str> = row.instance.into();
                    self.state().instance = Some(Arc::clone(&instance));
                    return Ok(instance);
                }
                // An answer was lost: the store knows the name, and the next one is free.
                Err(StoreError::Taken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A sign of life, with what is reserved; what nobody wants goes back.
    async fn beat(self: &Arc<Self>, store: &Store, instance: &str) -> Result<(), StoreError> {
        let news = self.state().news();
        let reserved: Vec<_> =
            news.iter().map(|(slot, amount)| (projection::window(slot), NanoDollars(amount.get()))).collect();
        if !store.heartbeat(instance, self.now(), &reserved).await? {
            tracing::warn!(target: "tollgate::budgets", "this instance was taken for dead; it asks for its money anew");
            self.state().begin_anew();
            return Ok(());
        }
        {
            let mut state = self.state();
            for (slot, amount) in &news {
                if let Some(side) = state.sides.get_mut(slot) {
                    side.told = *amount;
                }
            }
        }
        self.ask_what_is_doubtful(store, instance).await?;
        let (back, forgotten) = self.state().idle(self.clock.monotonic(), |slot| self.is_over(slot));
        for some in back.chunks(AT_ONCE) {
            let outcome = store.give_back(instance, some).await;
            if outcome.is_err() {
                let mut state = self.state();
                for slot in some.iter().filter_map(|(window, _)| state.slots.get(window).cloned()).collect::<Vec<_>>() {
                    state.doubt(&slot, Nanos::ZERO);
                }
            }
            outcome?;
        }
        for some in forgotten.chunks(AT_ONCE) {
            store.forget_leases(instance, some).await?;
        }
        Ok(())
    }

    /// Takes what the store has moved here and this instance was not told of, as the answer was lost.
    async fn ask_what_is_doubtful(self: &Arc<Self>, store: &Store, instance: &str) -> Result<(), StoreError> {
        let doubtful = |(slot, side): (&Slot, &Side)| (side.is_doubtful && !side.is_asked).then(|| slot.clone());
        let slots: Vec<Slot> = self.state().sides.iter().filter_map(doubtful).collect();
        if slots.is_empty() {
            return Ok(());
        }
        // Nothing is asked for them meanwhile, and whoever waits is told in the end.
        let looking = {
            let mut state = self.state();
            for slot in &slots {
                if let Some(side) = state.sides.get_mut(slot) {
                    side.is_asked = true;
                }
            }
            let nothing = lease::Wish { need: Nanos::ZERO, want: Nanos::ZERO };
            let request =
                |slot: &Slot| Request { slot: slot.clone(), wish: nothing, budget: Nanos::ZERO, back: Nanos::ZERO };
            Asking { budgets: Arc::clone(self), requests: slots.iter().map(request).collect() }
        };
        let granted: HashMap<Window, NanoDollars> = store.leases_of(instance).await?.into_iter().collect();
        {
            let mut state = self.state();
            for slot in slots {
                let (Some(purse), Some(side)) = (state.book.purse(&slot), state.sides.get_mut(&slot)) else { continue };
                side.is_doubtful = false;
                let there = granted.get(&projection::window(&slot)).map_or(Nanos::ZERO, |amount| Nanos::new(amount.0));
                let missing = there.minus(purse.granted());
                state.book.fund(&slot, missing, purse.budget(), purse.left());
            }
        }
        drop(looking);
        Ok(())
    }

    fn is_over(&self, slot: &Slot) -> bool {
        self.payers.is_over(slot, i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX))
    }

    /// Compares what is held with those who hold it (HOUSE: ledger rule 3).
    fn sweep(&self) {
        let mut state = self.state();
        let State { book, guarded, .. } = &mut *state;
        let swept = book.sweep(|attempt| guarded.contains(&attempt));
        for attempt in &swept.abandoned {
            book.give_up(*attempt);
        }
        let (repaired, abandoned) = (swept.repaired.len(), swept.abandoned.len());
        if repaired + abandoned > 0 {
            tracing::error!(target: "tollgate::budgets", repaired, abandoned, "what was held was not what runs; it is now");
        }
    }

    /// Instances that gave no sign of life for so long that they are dead.
    pub(crate) async fn silent(&self, store: &Store) -> Result<Vec<Instance>, StoreError> {
        let own = self.state().instance.clone();
        let mut silent = store.silent_instances(self.before(DEAD)).await?;
        silent.retain(|dead| Some(dead.instance.as_str()) != own.as_deref());
        Ok(silent)
    }

    /// Settles the leases of one of them, if nobody else did. With its journal booked all goes back that it has not spent; without
    /// it, what it had reserved is unknown.
    pub(crate) async fn bury(&self, store: &Store, dead: &Instance, is_booked: bool) -> Result<(), StoreError> {
        if let Some(burial) = store.bury(&dead.instance, self.before(DEAD), is_booked, self.now()).await? {
            let (instance, host) = (&dead.instance, &dead.host);
            let (unknown, returned) = (burial.unknown.0, burial.returned.0);
            tracing::warn!(target: "tollgate::budgets", %instance, %host, unknown, returned, "an instance is gone; its leases are settled");
            self.unhear();
        }
        Ok(())
    }

    fn before(&self, time: Duration) -> EpochMs {
        EpochMs(self.now().0.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// A journal is booked to its end, and its process is gone: what it had of budgets goes back.
    pub(crate) async fn bury_journal(&self, store: &Store, journal: Uuid) -> Result<(), StoreError> {
        let (journal, soon) = (journal.to_string(), EpochMs(self.now().0.saturating_add(1)));
        for dead in store.silent_instances(soon).await? {
            if dead.journal == journal {
                store.bury(&dead.instance, soon, true, self.now()).await?;
            }
        }
        Ok(())
    }

    /// This instance leaves; all that it spent is booked.
    pub(crate) async fn leave(&self) {
        let instance = self.state().begin_anew();
        if let (Some(store), Some(instance)) = (&self.store, instance)
            && let Err(error) = store.leave(&instance, self.now()).await
        {
            tracing::warn!(target: "tollgate::budgets", %error, "the leases could not be given back; others will do it");
        }
    }
}

/// The names of an instance: its journal's, and further ones for when it was taken for dead.
pub(super) struct Names {
    journal: Uuid,
    used: u64,
}

impl Names {
    pub(super) fn of(journal: Uuid) -> Self {
        Self { journal, used: 0 }
    }

    fn next(&mut self) -> String {
        self.used += 1;
        if self.used == 1 { self.journal.to_string() } else { format!("{}.{}", self.journal, self.used) }
    }
}

/// A question to the store. However it ends, its slots may be asked for again, and whoever waits is told.
struct Asking {
    budgets: Arc<Budgets>,
    requests: Vec<Request>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        {
            let mut state = self.budgets.state();
            for request in &self.requests {
                if let Some(side) = state.sides.get_mut(&request.slot) {
                    side.is_asked = false;
                }
            }
        }
        self.budgets.told.notify_waiters();
    }
}

impl State {
    /// What the store answered.
    fn hear(&mut self, requests: &[Request], leased: &Leased, now: Duration) {
        match leased {
            Leased::Granted(grants) => {
                for (request, Grant { granted, left, gone }) in requests.iter().zip(grants) {
                    let nanos = |amount: &NanoDollars| Nanos::new(amount.0);
                    self.told(request, nanos(granted), nanos(left), nanos(gone), now);
                }
            }
            Leased::Refused { wish, left, gone } => {
                if let Some(request) = requests.get(*wish) {
                    self.told(request, Nanos::ZERO, Nanos::new(left.0), Nanos::new(gone.0), now);
                }
            }
            // The next sign of life finds out, and begins anew.
            Leased::Buried => {}
        }
    }

    fn told(&mut self, request: &Request, granted: Nanos, left: Nanos, gone: Nanos, now: Duration) {
        self.book.fund(&request.slot, granted, request.budget, left);
        let side = self.sides.entry(request.slot.clone()).or_default();
        (side.heard, side.gone, side.booked_then, side.is_old) = (now, gone, side.booked, false);
    }

    /// What was to go back does not go now: the next sign of life asks what is here, so that nothing is lost between the two.
    fn keep_back(&mut self, requests: &[Request]) {
        for request in requests.iter().filter(|request| request.back > Nanos::ZERO) {
            self.doubt(&request.slot, request.budget);
        }
    }

    /// What the store has moved here of a slot is not known.
    fn doubt(&mut self, slot: &Slot, budget: Nanos) {
        if self.book.purse(slot).is_none() {
            self.book.fund(slot, Nanos::ZERO, budget, Nanos::ZERO);
        }
        if let Some(side) = self.sides.get_mut(slot) {
            side.is_doubtful = true;
        }
    }

    /// The leases are others' from now on; gives the name under which they were had.
    fn begin_anew(&mut self) -> Option<Arc<str>> {
        self.book.disinherit();
        self.sides.values_mut().for_each(|side| *side = Side { wanted: side.wanted, ..Side::default() });
        self.instance.take()
    }

    /// What is under way or spent and not booked, of the slots of which the store was last told something else.
    fn news(&self) -> Vec<(Slot, Nanos)> {
        let of = |(slot, side): (&Slot, &Side)| {
            let purse = self.book.purse(slot)?;
            let amount = self.book.balance(slot).held.plus(purse.used()).less(side.booked);
            (amount != side.told).then(|| (slot.clone(), amount))
        };
        self.sides.iter().filter_map(of).collect()
    }

    /// What goes back to the store: of slots that nobody wants all that is free, of others what is beyond two slices. And slots
    /// that are forgotten, as all that was spent of them is booked.
    fn idle(&mut self, now: Duration, is_over: impl Fn(&Slot) -> bool) -> (Vec<(Window, NanoDollars)>, Vec<Window>) {
        let (mut back, mut forgotten) = (Vec::new(), Vec::new());
        let State { book, sides, slots, .. } = self;
        sides.retain(|slot, side| {
            let Some(purse) = book.purse(slot) else {
                return side.is_asked || now.saturating_sub(side.wanted) < FORGET;
            };
            let (held, quiet) = (book.balance(slot).held, now.saturating_sub(side.wanted));
            let slice = lease::slice(purse.budget());
            let is_past = quiet >= FORGET || is_over(slot);
            // A slice stays, so that a key goes on while the store is away, unless others need it: nothing else is left.
            let keep = match (is_past, quiet >= IDLE, purse.left() > Nanos::ZERO) {
                (true, _, _) | (_, true, false) => Nanos::ZERO,
                (_, true, true) => slice,
                (_, false, _) => slice.plus(slice),
            };
            // A question that is under way was asked with what is here in mind.
            let given = if side.is_asked { Nanos::ZERO } else { book.give_back(slot, keep) };
            if given > Nanos::ZERO {
                back.push((projection::window(slot), NanoDollars(given.get())));
            }
            let is_booked = side.booked >= purse.used() && held == Nanos::ZERO && !side.is_asked;
            let goes = is_booked && is_past && quiet >= IDLE;
            if goes {
                let window = projection::window(slot);
                slots.remove(&window);
                forgotten.push(window);
                book.forget(|other| other == slot);
            }
            !goes
        });
        (back, forgotten)
    }
}
