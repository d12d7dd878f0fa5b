//! The two money points of every attempt: opened before the request is sent, settled before the last byte of the
//! answer. Here the totals are kept in memory; the journal comes behind the same two doors.

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_catalog::Money;
use tollgate_observe::Certainty;
use tollgate_wire::{FailureKind, Usage};

/// An attempt that may cost money and is not settled yet. Settled by whoever holds it; its drop counts it as abandoned.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) attempt: uuid::Uuid,
    settled: bool,
}

/// What an attempt turned out to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settlement {
    pub(crate) usage: Usage,
    pub(crate) cost: Option<Money>,
    pub(crate) certainty: Certainty,
}

/// What was used and spent since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Attempts that went out.
    pub opened: u64,
    /// Attempts whose end is known.
    pub settled: u64,
    /// Attempts settled without a price.
    pub unpriced: u64,
    /// Attempts that the provider did not account for: counted by us, or unknown.
    pub unstated: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Spent, nano-dollars.
    pub nanos: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    opened: AtomicU64,
    settled: AtomicU64,
    unpriced: AtomicU64,
    unstated: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    nanos: AtomicU64,
}

impl Ledger {
    /// An attempt is about to go out.
    pub(crate) fn open(&self, attempt: uuid::Uuid) -> Reservation {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Reservation { attempt, settled: false }
    }

    /// An attempt has ended. A second settlement of the same reservation is not booked.
    pub(crate) fn settle(&self, reservation: &mut Reservation, settlement: &Settlement) {
        if std::mem::replace(&mut reservation.settled, true) {
            return;
        }
        self.settled.fetch_add(1, Ordering::Relaxed);
        if settlement.certainty != Certainty::Stated {
            self.unstated.fetch_add(1, Ordering::Relaxed);
        }
        self.input.fetch_add(settlement.usage.input, Ordering::Relaxed);
        self.output.fetch_add(settlement.usage.output, Ordering::Relaxed);
        match settlement.cost {
            Some(cost) => self.nanos.fetch_add(u64::try_from(cost.nanos()).unwrap_or_default(), Ordering::Relaxed),
            None => self.unpriced.fetch_add(1, Ordering::Relaxed),
        };
    }

    pub(crate) fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            opened: read(&self.opened),
            settled: read(&self.settled),
            unpriced: read(&self.unpriced),
            unstated: read(&self.unstated),
            input: read(&self.input),
            output: read(&self.output),
            nanos: read(&self.nanos),
        }
    }
}

/// Whether a provider may charge for an attempt that ended so before a word of the answer.
pub(crate) fn may_have_cost(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Timeout | FailureKind::Connection | FailureKind::InvalidResponse | FailureKind::Overloaded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_booked_once() {
        let ledger = Ledger::default();
        let mut reservation = ledger.open(uuid::Uuid::nil());
        let usage = Usage { input: 3, output: 2, ..Usage::default() };
        let settlement = Settlement { usage, cost: Some(Money::from_nanos(7)), certainty: Certainty::Stated };
        ledger.settle(&mut reservation, &settlement);
        ledger.settle(&mut reservation, &settlement);
        let totals = ledger.totals();
        assert_eq!((totals.opened, totals.settled, totals.input, totals.nanos), (1, 1, 3, 7));
    }
}
