//! Setting money aside: for an attempt that goes out, and more for one that runs.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tollgate_ledger::{
    Nanos, Slot,
    book::{Refusal, Verdict},
    estimate::{self, Asked},
    lease::{self, Wish},
};
use tollgate_wire::Failure;
use uuid::Uuid;

use super::{Budgets, FOR_OTHERS, FOR_STORE, FRESH, Payers, State, leases::Request, words};

/// Tokens that a stream holds at first, at most.
const FIRST: u64 = 512;

/// Money that is set aside for an attempt. Its drop gives it back, unless the attempt was closed before.
#[derive(Debug)]
pub(crate) struct Hold {
    budgets: Arc<Budgets>,
    attempt: Uuid,
}

impl Drop for Hold {
    fn drop(&mut self) {
        {
            let mut state = self.budgets.state.lock().unwrap_or_else(PoisonError::into_inner);
            if !state.guarded.remove(&self.attempt) {
                return;
            }
            state.book.give_up(self.attempt);
        }
        self.budgets.told.notify_waiters();
    }
}

/// What was set aside.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// Its guard.
    pub(crate) hold: Hold,
    pub(crate) amount: Nanos,
    /// For so many tokens of the answer.
    pub(crate) tokens: u64,
    /// The answer must not be longer than that.
    pub(crate) lowered: Option<u64>,
}

/// A call that waits for the store.
struct Waiting<'b>(&'b Budgets);

impl<'b> Waiting<'b> {
    fn of(budgets: &'b Budgets) -> Self {
        budgets.state().waiting += 1;
        Self(budgets)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

/// What came of a try.
enum Tried {
    Done(Reserved),
    /// The store is being asked.
    Asking,
    /// The same, and this is what holds if it does not answer.
    Doubted(Failure),
    /// It is merely held by others.
    Held(Failure),
    Refused(Failure),
    /// The store does not answer, and what is here is not enough.
    Away,
    /// A window has begun meanwhile: the attempt is to be paid from others.
    Moved,
}

/// What came of topping up.
#[derive(Clone, Debug)]
pub(crate) enum Topped {
    /// More is held.
    Held,
    /// Not now; there may be more soon.
    Later,
    /// The store does not answer.
    Away,
    /// There is no more.
    Refused(Failure),
}

/// Why nothing was set aside.
#[derive(Debug)]
pub(crate) enum NotReserved {
    /// For good.
    Refused(Failure),
    /// The windows are others now: to be tried with those.
    Moved,
}

impl Budgets {
    /// Sets aside what an attempt may cost, in all of its budgets or in none.
    ///
    /// # Errors
    /// 400 `budget_exceeded` where it is too dear for one of them; 429 where others hold the money for longer than a call can
    /// wait; 503 where the store does not answer and what was moved here is used up.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        attempt: Uuid,
        payers: &Payers,
        asked: &Asked,
    ) -> Result<Reserved, NotReserved> {
        let began = self.clock.monotonic();
        let (mut asked_since, mut answers) = (None, 0);
        let mut waiting = None;
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            let now = self.clock.monotonic();
            let (left, last) = match self.attempt(attempt, payers, asked, now) {
                Tried::Done(reserved) => return Ok(reserved),
                Tried::Refused(failure) => return Err(NotReserved::Refused(failure)),
                Tried::Away => return Err(NotReserved::Refused(words::away())),
                Tried::Moved => return Err(NotReserved::Moved),
                tried @ (Tried::Asking | Tried::Doubted(_)) => {
                    // Each question has its time: one that was answered is no sign of a store that is away.
                    let heard = self.state().answers;
                    if std::mem::replace(&mut answers, heard) != heard {
                        asked_since = None;
                    }
                    let since = *asked_since.get_or_insert(now);
                    waiting.get_or_insert_with(|| Waiting::of(self));
                    let last = if let Tried::Doubted(failure) = tried { failure } else { words::away() };
                    ((since + self.patience).saturating_sub(now), last)
                }
                Tried::Held(failure) => {
                    asked_since = None;
                    ((began + FOR_OTHERS).saturating_sub(now), failure)
                }
            };
            let left = left.min((began + FOR_OTHERS + self.patience).saturating_sub(now));
            if left.is_zero() || tokio::time::timeout(left, told).await.is_err() {
                return Err(NotReserved::Refused(last));
            }
        }
    }

    fn attempt(self: &Arc<Self>, attempt: Uuid, payers: &Payers, asked: &Asked, now: Duration) -> Tried {
        let mut state = self.state();
        match self.funded(&mut state, payers, asked, now) {
            Funded::Yes => {}
            Funded::Asking => return Tried::Asking,
            Funded::Away => return Tried::Away,
            Funded::Moved => return Tried::Moved,
        }
        let slots = payers.slots();
        let free = state.book.within_reach(slots).unwrap_or(Nanos::MAX);
        let (amount, tokens, lowered) = match estimate::stake(asked, free) {
            estimate::Stake::Holds { amount, tokens, lowered } => (amount, tokens, lowered),
            estimate::Stake::TooDear { needs } => return self.too_dear(&mut state, payers, needs, now),
        };
        match state.book.reserve(attempt, slots, amount, asked.input) {
            Verdict::Holds => {
                state.guarded.insert(attempt);
                self.renew(&mut state, payers, now);
                Tried::Done(Reserved { hold: Hold { budgets: Arc::clone(self), attempt }, amount, tokens, lowered })
            }
            Verdict::Ask(wishes) => match self.want(&mut state, payers, wishes, now) {
                true => Tried::Asking,
                false => Tried::Away,
            },
            Verdict::Wait(refusal) => Tried::Held(words::held(&self.known(&state, &refusal))),
            Verdict::Refused(refusal) => self.too_dear(&mut state, payers, refusal.needs, now),
        }
    }

    /// Not even the least can be held. What the store said of the budgets may be old, and what is held may be free soon.
    fn too_dear(self: &Arc<Self>, state: &mut State, payers: &Payers, needs: Nanos, now: Duration) -> Tried {
        let (mut stale, mut is_unheard) = (Vec::new(), false);
        let (mut held_by_others, mut refused) = (None, None);
        for (slot, budget) in payers.each() {
            let Some(purse) = state.book.purse(slot) else { continue };
            let held = state.book.balance(slot).held;
            let reach = purse.free(held).plus(purse.left());
            if needs <= reach {
                continue;
            }
            let side = state.sides.get(slot).copied().unwrap_or_default();
            if self.store.is_some() && (side.is_old || now.saturating_sub(side.heard) >= FRESH) {
                is_unheard |= side.heard.is_zero();
                stale.push((slot.clone(), Wish { need: Nanos::ZERO, want: purse.wish(needs).want }));
            }
            let refusal = || Refusal { slot: slot.clone(), budget, spent: purse.gone(), held, needs };
            if needs <= reach.plus(held) {
                held_by_others.get_or_insert_with(refusal);
            } else {
                refused.get_or_insert_with(refusal);
            }
        }
        let asks = !stale.is_empty() && self.want(state, payers, stale, now);
        if is_unheard {
            // Nothing is known of it at all.
            return if asks { Tried::Asking } else { Tried::Away };
        }
        match (refused, held_by_others) {
            (Some(refusal), _) => {
                let failure = words::refused(&self.known(state, &refusal));
                if asks { Tried::Doubted(failure) } else { Tried::Refused(failure) }
            }
            (None, Some(refusal)) => Tried::Held(words::held(&self.known(state, &refusal))),
            // It has changed in the meantime.
            (None, None) => Tried::Asking,
        }
    }

    /// Sets more aside for an attempt that runs. Never waits.
    pub(crate) fn top_up(self: &Arc<Self>, attempt: Uuid, payers: &Payers, by: Nanos) -> Topped {
        let now = self.clock.monotonic();
        let mut state = self.state();
        payers.slots().iter().for_each(|slot| {
            state.meet(slot, now);
        });
        match state.book.top_up(attempt, by) {
            Verdict::Holds => {
                self.renew(&mut state, payers, now);
                Topped::Held
            }
            Verdict::Ask(wishes) => {
                if self.want(&mut state, payers, wishes, now) {
                    Topped::Later
                } else {
                    Topped::Away
                }
            }
            Verdict::Wait(_) => Topped::Later,
            Verdict::Refused(refusal) => match self.too_dear(&mut state, payers, by, now) {
                Tried::Asking | Tried::Doubted(_) | Tried::Held(_) => Topped::Later,
                Tried::Refused(failure) => Topped::Refused(failure),
                _ => Topped::Refused(words::refused(&self.known(&state, &refusal))),
            },
        }
    }

    /// Waits until more is set aside for an attempt that runs and can do nothing without it.
    ///
    /// # Errors
    /// Why there is no more.
    pub(crate) async fn raise(self: Arc<Self>, attempt: Uuid, payers: Payers, by: Nanos) -> Result<(), Failure> {
        let began = self.clock.monotonic();
        let mut is_away = false;
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            match self.top_up(attempt, &payers, by) {
                Topped::Held => return Ok(()),
                Topped::Refused(failure) => return Err(failure),
                Topped::Later => {}
                Topped::Away => is_away = true,
            }
            let until = began + if is_away { FOR_STORE } else { FOR_OTHERS };
            let left = until.saturating_sub(self.clock.monotonic());
            // What the store answered without moving anything is asked for again once that is old.
            let _ = tokio::time::timeout(left.min(FRESH), told).await;
            if left.is_zero() {
                return Err(if is_away { words::away() } else { words::ended() });
            }
        }
    }

    /// Asks the store for what is wanted; false: it does not answer just now.
    fn want(self: &Arc<Self>, state: &mut State, payers: &Payers, wishes: Vec<(Slot, Wish)>, now: Duration) -> bool {
        // For those who wait, too: each would ask for itself otherwise, one after the other.
        let waiting = state.waiting.clamp(0, 64);
        let request = wishes.into_iter().filter_map(|(slot, mut wish)| {
            let budget = payers.each().find(|(own, _)| **own == slot)?.1;
            wish.want = wish.want.plus(wish.need.part(waiting, 1));
            Some(Request { slot, wish, budget, back: Nanos::ZERO })
        });
        self.ask(state, request.collect(), now)
    }

    /// Asks in the background for what will be missing soon.
    fn renew(self: &Arc<Self>, state: &mut State, payers: &Payers, now: Duration) {
        let mut requests = Vec::new();
        for (slot, budget) in payers.each() {
            let held = state.book.balance(slot).held;
            let wish = state.book.purse(slot).and_then(|purse| purse.renewal(held));
            let is_asked = state.sides.get(slot).is_none_or(|side| side.is_asked);
            if let Some(wish) = wish.filter(|_| !is_asked && self.store.is_some()) {
                requests.push(Request { slot: slot.clone(), wish, budget, back: Nanos::ZERO });
            }
        }
        if !requests.is_empty() {
            self.ask(state, requests, now);
        }
    }

    /// Whether all of the budgets have money here, or had, and are as large as they are now.
    fn funded(self: &Arc<Self>, state: &mut State, payers: &Payers, asked: &Asked, now: Duration) -> Funded {
        let mut requests = Vec::new();
        for (slot, budget) in payers.each() {
            state.meet(slot, now);
            let purse = state.book.purse(slot);
            if purse.is_some_and(|purse| purse.budget() == budget) {
                continue;
            }
            let before = purse.map_or(Nanos::ZERO, |purse| purse.budget());
            if self.store.is_none() {
                state.book.fund(slot, budget.minus(before), budget, Nanos::ZERO);
                continue;
            }
            // A smaller budget is not passed by what was moved before.
            let back = if budget < before { state.book.give_back(slot, Nanos::ZERO) } else { Nanos::ZERO };
            // What the call needs comes with the first slice, as far as one call may hold it.
            let most = if asked.watch == estimate::Watch::Visible { asked.most.min(FIRST) } else { asked.most };
            let needs = asked.input.plus(asked.output.times(most)).min(budget.part(1, 2));
            let want = lease::slice(budget).plus(needs);
            requests.push(Request { slot: slot.clone(), wish: Wish { need: Nanos::ZERO, want }, budget, back });
        }
        if requests.is_empty() {
            return Funded::Yes;
        }
        if requests.iter().any(|request| self.payers.has_moved(&request.slot)) {
            return Funded::Moved;
        }
        if self.ask(state, requests, now) { Funded::Asking } else { Funded::Away }
    }

    /// A refusal, with what is spent as far as the store and this instance know.
    fn known(&self, state: &State, refusal: &Refusal) -> Refusal {
        let purse = state.book.purse(&refusal.slot).unwrap_or_default();
        let side = state.sides.get(&refusal.slot).copied().unwrap_or_default();
        let here = if self.store.is_some() { purse.used().less(side.booked_then) } else { purse.used() };
        Refusal { spent: side.gone.plus(here), ..refusal.clone() }
    }
}

enum Funded {
    Yes,
    Asking,
    Away,
    Moved,
}
