//! The books of one instance: what is spent, held and unknown in each slot, and who holds it. A fold of records; live, money
//! is held before its record is written, and the record then says nothing new.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use crate::{
    Nanos, Record, Slot,
    lease::{Purse, Wish},
    records::{Certainty, Corrected, Facts, Open, Outcome, Progress, Settled},
};

/// So many ended attempts are remembered, so that a record that is written twice is booked once.
const REMEMBERED: usize = 65_536;

/// What one slot comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Spent, corrections included.
    pub settled: Nanos,
    /// Held for what runs.
    pub held: Nanos,
    /// Held for what nobody knows the cost of.
    pub unknown: Nanos,
}

impl Balance {
    /// Nothing was ever booked here, or all of it is gone again.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether money is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In all slots.
    Holds,
    /// In none; the store may have enough, and is to be asked.
    Ask(Vec<(Slot, Wish)>),
    /// In none; what is missing is merely held by others, who may free it soon.
    Wait(Refusal),
    /// In none; the budget is used up.
    Refused(Refusal),
}

/// A budget that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose, and in which window.
    pub slot: Slot,
    /// The budget.
    pub budget: Nanos,
    /// What is gone of it, as far as is known here.
    pub spent: Nanos,
    /// What is held here for others.
    pub held: Nanos,
    /// What would have been needed.
    pub needs: Nanos,
}

/// What a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was booked.
    Booked,
    /// It, or another one that says the same, had been booked before.
    Again,
}

/// An attempt whose cost nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Where its amount is held.
    pub slots: Arc<[Slot]>,
    /// What is held.
    pub amount: Nanos,
    /// What it is charged if nobody ever says more.
    pub at_least: Nanos,
    /// Since when, since 1970.
    pub since: Duration,
}

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Slots whose sum was not what runs and is unknown comes to; it is now.
    pub repaired: Vec<Slot>,
    /// Attempts that hold money and that nobody looks after.
    pub abandoned: Vec<Uuid>,
}

#[derive(Clone, Debug, Default)]
struct Account {
    balance: Balance,
    /// Where there is a budget.
    purse: Option<Purse>,
}

#[derive(Clone, Debug)]
struct Running {
    slots: Arc<[Slot]>,
    held: Nanos,
    input: Nanos,
    so_far: Nanos,
    /// Of an attempt of a process that has ended.
    facts: Option<Facts>,
}

/// The books.
#[derive(Clone, Debug, Default)]
pub struct Book {
    accounts: HashMap<Slot, Account>,
    running: HashMap<Uuid, Running>,
    doubts: HashMap<Uuid, Doubt>,
    ended: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Account {
    fn free(&self) -> Option<Nanos> {
        self.purse.map(|purse| purse.free(self.balance.held))
    }
}

impl Book {
    /// What a slot comes to.
    #[must_use]
    pub fn balance(&self, slot: &Slot) -> Balance {
        self.accounts.get(slot).map_or_else(Balance::default, |account| account.balance)
    }

    /// All slots in which something is booked.
    pub fn balances(&self) -> impl Iterator<Item = (&Slot, Balance)> {
        self.accounts.iter().map(|(slot, account)| (slot, account.balance)).filter(|(_, balance)| !balance.is_empty())
    }

    /// Attempts whose cost nobody knows.
    pub fn doubts(&self) -> impl Iterator<Item = (Uuid, &Doubt)> {
        self.doubts.iter().map(|(attempt, doubt)| (*attempt, doubt))
    }

    /// How many attempts run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// What the store moved here for a slot, and says of its budget. From now on the slot has one.
    pub fn fund(&mut self, slot: &Slot, granted: Nanos, budget: Nanos, left: Nanos) {
        let account = self.accounts.entry(slot.clone()).or_default();
        account.purse.get_or_insert_default().receive(granted, budget, left);
    }

    /// What an instance has of a slot; `None` where the store was never asked for it.
    #[must_use]
    pub fn purse(&self, slot: &Slot) -> Option<Purse> {
        self.accounts.get(slot).and_then(|account| account.purse)
    }

    /// The leases are gone, as the store has taken this instance for dead: all that is spent from now on has to be asked for
    /// anew. What runs stays held.
    pub fn disinherit(&mut self) {
        self.accounts.values_mut().for_each(|account| account.purse = None);
    }

    /// What a call could hold at most, were the store asked as well; `None` where no slot has a budget.
    #[must_use]
    pub fn within_reach(&self, slots: &[Slot]) -> Option<Nanos> {
        let accounts = slots.iter().filter_map(|slot| self.accounts.get(slot));
        accounts.filter_map(|account| Some(account.free()?.plus(account.purse?.left()))).min()
    }

    /// What to ask the store for in the background.
    pub fn renewals(&self) -> impl Iterator<Item = (&Slot, Wish)> {
        self.accounts.iter().filter_map(|(slot, account)| Some((slot, account.purse?.renewal(account.balance.held)?)))
    }

    /// Takes out of a slot what is free beyond `keep`, to be given back to the store.
    pub fn give_back(&mut self, slot: &Slot, keep: Nanos) -> Nanos {
        let account = self.accounts.get_mut(slot);
        let purse = account.and_then(|account| Some((account.balance.held, account.purse.as_mut()?)));
        purse.map_or(Nanos::ZERO, |(held, purse)| purse.give_back(held, keep))
    }

    /// Holds money for an attempt, in all of its slots or in none. `input` is the part that the request alone costs.
    pub fn reserve(&mut self, attempt: Uuid, slots: &Arc<[Slot]>, amount: Nanos, input: Nanos) -> Verdict {
        let verdict = self.judge(slots, amount, Nanos::ZERO);
        if verdict == Verdict::Holds {
            self.hold(slots, amount);
            let slots = Arc::clone(slots);
            self.running.insert(attempt, Running { slots, held: amount, input, so_far: input, facts: None });
        }
        verdict
    }

    /// Holds more for an attempt that runs, in all of its slots or in none.
    pub fn top_up(&mut self, attempt: Uuid, by: Nanos) -> Verdict {
        let running = self.running.get(&attempt).map(|running| (Arc::clone(&running.slots), running.held));
        let Some((slots, own)) = running else { return Verdict::Holds };
        let verdict = self.judge(&slots, by, own);
        if verdict == Verdict::Holds {
            self.hold(&slots, by);
            if let Some(running) = self.running.get_mut(&attempt) {
                running.held = running.held.plus(by);
            }
        }
        verdict
    }

    /// An attempt of this process has ended, and cost so much, or nobody knows and so much is kept for it: what it held is free,
    /// and the amount is gone from its purses. One that held nothing is paid from `slots`.
    pub fn close(&mut self, attempt: Uuid, slots: &[Slot], amount: Nanos) {
        let running = self.running.remove(&attempt);
        let held = running.as_ref().map_or(Nanos::ZERO, |running| running.held);
        for slot in running.as_ref().map_or(slots, |running| &running.slots) {
            let Some(account) = self.accounts.get_mut(slot) else { continue };
            account.balance.held = account.balance.held.minus(held);
            if let Some(purse) = &mut account.purse {
                purse.spend(amount);
            }
        }
    }

    /// Nothing was sent for the attempt: what it holds is free again.
    pub fn give_up(&mut self, attempt: Uuid) {
        if let Some(running) = self.running.remove(&attempt) {
            self.hold(&running.slots, Nanos::ZERO.minus(running.held));
        }
    }

    /// Books a record.
    pub fn apply(&mut self, record: &Record) -> Applied {
        match record {
            Record::Open(open) => self.opened(open),
            Record::Progress(progress) => self.progressed(progress),
            Record::Settled(settled) => self.settled(settled),
            Record::Corrected(corrected) => self.corrected(corrected),
            // Nothing of it is money.
            Record::Noted(_) => Applied::Booked,
        }
    }

    /// What was found open when all records of an ended process had been booked: each is settled as unknown.
    #[must_use]
    pub fn left_open(&self) -> Vec<Settled> {
        let died = |(attempt, running): (&Uuid, &Running)| {
            let facts = running.facts.clone()?;
            Some(Settled {
                attempt: *attempt,
                cost: Some(running.held),
                at_least: running.input.max(running.so_far).min(running.held),
                certainty: Certainty::Unknown,
                usage: tollgate_wire::Usage::default(),
                outcome: Outcome::Died,
                status: 0,
                first_byte: None,
                took: Duration::ZERO,
                answer: Arc::default(),
                facts,
            })
        };
        self.running.iter().filter_map(died).collect()
    }

    /// Attempts that have been unknown for so long that they are charged what they cost at least.
    #[must_use]
    pub fn overdue(&self, now: Duration, after: Duration) -> Vec<(Uuid, Doubt)> {
        let is_due = |doubt: &Doubt| doubt.since.saturating_add(after) <= now;
        self.doubts
            .iter()
            .filter(|(_, doubt)| is_due(doubt))
            .map(|(attempt, doubt)| (*attempt, doubt.clone()))
            .collect()
    }

    /// Compares what is held and unknown with those who hold it, and repairs differences. `has_guard` says whether somebody
    /// still looks after an attempt.
    pub fn sweep(&mut self, has_guard: impl Fn(Uuid) -> bool) -> Swept {
        let mut held: HashMap<&Slot, Nanos> = HashMap::new();
        let mut unknown: HashMap<&Slot, Nanos> = HashMap::new();
        for running in self.running.values() {
            add(&mut held, &running.slots, running.held);
        }
        for doubt in self.doubts.values() {
            add(&mut unknown, &doubt.slots, doubt.amount);
        }
        let mut swept = Swept::default();
        for (slot, account) in &mut self.accounts {
            let balance = &mut account.balance;
            let right = (held.get(slot).copied().unwrap_or_default(), unknown.get(slot).copied().unwrap_or_default());
            if (balance.held, balance.unknown) != right {
                (balance.held, balance.unknown) = right;
                swept.repaired.push(slot.clone());
            }
        }
        swept.abandoned = self.running.keys().copied().filter(|attempt| !has_guard(*attempt)).collect();
        swept
    }

    /// Forgets slots in which nothing is held or unknown and that `is_over`: their windows are past.
    pub fn forget(&mut self, is_over: impl Fn(&Slot) -> bool) {
        let is_idle = |balance: Balance| balance.held == Nanos::ZERO && balance.unknown == Nanos::ZERO;
        self.accounts.retain(|slot, account| !(is_idle(account.balance) && is_over(slot)));
    }

    /// `own` is what the attempt holds already, for which it need not wait.
    fn judge(&self, slots: &[Slot], amount: Nanos, own: Nanos) -> Verdict {
        let (mut asks, mut waits, mut refused) = (Vec::new(), None::<Refusal>, None::<Refusal>);
        for slot in slots {
            let Some((account, purse)) = self.accounts.get(slot).and_then(|account| Some((account, account.purse?)))
            else {
                continue;
            };
            let held = account.balance.held;
            let lacking = amount.less(purse.free(held));
            if lacking == Nanos::ZERO || amount == Nanos::ZERO {
                continue;
            }
            let refusal =
                || Refusal { slot: slot.clone(), budget: purse.budget(), spent: purse.gone(), held, needs: amount };
            if lacking <= purse.left() {
                asks.push((slot.clone(), purse.wish(lacking)));
            } else if lacking <= purse.left().plus(held.less(own)) {
                waits = waits.or_else(|| Some(refusal()));
            } else {
                refused = refused.or_else(|| Some(refusal()));
            }
        }
        match (refused, waits) {
            (Some(refusal), _) => Verdict::Refused(refusal),
            (None, Some(refusal)) => Verdict::Wait(refusal),
            (None, None) if asks.is_empty() => Verdict::Holds,
            (None, None) => Verdict::Ask(asks),
        }
    }

    /// Changes an account; a slot that is new is copied, no other.
    fn on(&mut self, slot: &Slot, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get_mut(slot) {
            change(account);
        } else {
            let mut account = Account::default();
            change(&mut account);
            self.accounts.insert(slot.clone(), account);
        }
    }

    fn hold(&mut self, slots: &[Slot], amount: Nanos) {
        for slot in slots {
            self.on(slot, |account| account.balance.held = account.balance.held.plus(amount));
        }
    }

    fn opened(&mut self, open: &Open) -> Applied {
        if self.running.contains_key(&open.attempt) || self.ended.contains(&open.attempt) {
            return Applied::Again;
        }
        self.hold(&open.facts.slots, open.held);
        let running = Running {
            slots: Arc::clone(&open.facts.slots),
            held: open.held,
            input: open.input,
            so_far: open.input,
            facts: Some(open.facts.clone()),
        };
        self.running.insert(open.attempt, running);
        Applied::Booked
    }

    fn progressed(&mut self, progress: &Progress) -> Applied {
        let Some(running) = self.running.get_mut(&progress.attempt) else { return Applied::Again };
        let more = progress.held.minus(running.held);
        running.held = progress.held;
        running.so_far = running.so_far.max(progress.so_far);
        let slots = Arc::clone(&running.slots);
        self.hold(&slots, more);
        Applied::Booked
    }

    fn settled(&mut self, settled: &Settled) -> Applied {
        if !self.remember(settled.attempt) {
            return Applied::Again;
        }
        let running = self.running.remove(&settled.attempt);
        // What is frozen at the opening counts; a settlement whose opening is lost says it as well.
        let slots = running.as_ref().map_or(&settled.facts.slots, |running| &running.slots);
        let held = running.as_ref().map_or(Nanos::ZERO, |running| running.held);
        let is_unknown = settled.certainty == Certainty::Unknown;
        let amount = settled.cost.unwrap_or(if is_unknown { held } else { Nanos::ZERO });
        // Of an attempt of another process, whose lease is buried by the store.
        let is_of_another = settled.outcome == Outcome::Died;
        for slot in slots.iter() {
            self.on(slot, |account| {
                let balance = &mut account.balance;
                balance.held = balance.held.minus(held);
                let kind = if is_unknown { &mut balance.unknown } else { &mut balance.settled };
                *kind = kind.plus(amount);
                if let (Some(purse), false) = (&mut account.purse, is_of_another) {
                    purse.spend(amount);
                }
            });
        }
        if is_unknown {
            let since = settled.facts.started.saturating_add(settled.took);
            let (slots, at_least) = (Arc::clone(slots), settled.at_least);
            self.doubts.insert(settled.attempt, Doubt { slots, amount, at_least, since });
        }
        Applied::Booked
    }

    fn corrected(&mut self, corrected: &Corrected) -> Applied {
        if !self.remember(corrected.id) {
            return Applied::Again;
        }
        let stated = corrected.attempt.filter(|_| corrected.states_unknown);
        let doubt = stated.and_then(|attempt| self.doubts.remove(&attempt));
        for slot in doubt.iter().flat_map(|doubt| doubt.slots.iter()) {
            let amount = doubt.as_ref().map_or(Nanos::ZERO, |doubt| doubt.amount);
            self.on(slot, |account| account.balance.unknown = account.balance.unknown.minus(amount));
        }
        // Two who state the same attempt: the first one counts.
        if stated.is_some() && doubt.is_none() {
            return Applied::Again;
        }
        for slot in corrected.slots.iter() {
            self.on(slot, |account| account.balance.settled = account.balance.settled.plus(corrected.change));
        }
        Applied::Booked
    }

    /// Whether it is new.
    fn remember(&mut self, id: Uuid) -> bool {
        if !self.ended.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        true
    }
}

fn add<'slots>(sums: &mut HashMap<&'slots Slot, Nanos>, slots: &'slots [Slot], amount: Nanos) {
    for slot in slots {
        let sum = sums.entry(slot).or_default();
        *sum = sum.plus(amount);
    }
}
