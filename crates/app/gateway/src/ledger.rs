//! The two money points of every attempt: opened before the request is sent, settled before the last byte of the
//! answer. The totals are kept here; behind the same two doors is the journal, where there is one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tollgate_catalog::Money;
use tollgate_ledger::{Nanos, records};
use tollgate_observe::{Certainty, Outcome};
use tollgate_wire::{Failure, FailureKind, Usage};

use crate::books::{Books, Page};

/// An attempt that may cost money and is not settled yet. Settled by whoever holds it; its drop counts it as abandoned.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) attempt: uuid::Uuid,
    settled: bool,
    /// What the journal has of it.
    page: Option<Box<Page>>,
    /// What is held for it while nobody knows what it costs.
    held: Nanos,
}

/// What is known of an attempt's money when it goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) attempt: uuid::Uuid,
    /// What it may cost, as far as is held for it.
    pub(crate) held: Nanos,
    /// What its request alone will cost.
    pub(crate) input: Nanos,
}

/// What becomes of an attempt that cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// It does not go out.
    Refused,
    /// It is made already, and counted as unwritten.
    Counted,
}

/// What cannot be written down is not spent (HOUSE: ledger rule 9).
pub(crate) fn no_room() -> Failure {
    let words = "what the call costs cannot be written down now; make room in the data directory, and see that it can be written";
    let mut failure = Failure::new(FailureKind::Overloaded, words);
    failure.retry_after = Some(Duration::from_secs(1));
    failure
}

/// What an attempt turned out to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settlement {
    pub(crate) usage: Usage,
    pub(crate) cost: Option<Money>,
    pub(crate) certainty: Certainty,
    pub(crate) outcome: Outcome,
    /// From the call's beginning to the first byte of its answer.
    pub(crate) first_byte: Option<Duration>,
    /// From the call's beginning until now.
    pub(crate) took: Duration,
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
    books: Option<Arc<Books>>,
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
    ///
    /// # Errors
    /// 503 where it cannot be written down, unless it is to be booked all the same.
    pub(crate) fn open(
        &self,
        opening: &Opening,
        unwritten: Unwritten,
        facts: impl FnOnce() -> records::Facts,
    ) -> Result<Reservation, Failure> {
        let page = self.books.as_ref().map(|books| books.open(opening, facts()));
        if page.as_ref().is_some_and(|page| !page.is_written()) {
            match (unwritten, &self.books) {
                (Unwritten::Refused, _) => return Err(no_room()),
                (Unwritten::Counted, Some(books)) => books.lacks_one(),
                (Unwritten::Counted, None) => {}
            }
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Reservation { attempt: opening.attempt, settled: false, page, held: opening.held })
    }

    /// An attempt has come so far.
    pub(crate) fn progress(&self, reservation: &mut Reservation, held: Nanos, so_far: Nanos, usage: Usage) {
        reservation.held = reservation.held.max(held);
        if let Some(books) = &self.books {
            books.progress(reservation.attempt, reservation.held, so_far, usage);
        }
    }

    pub(crate) fn of(books: Option<Arc<Books>>) -> Self {
        Self { books, ..Self::default() }
    }

    pub(crate) fn books(&self) -> Option<&Arc<Books>> {
        self.books.as_ref()
    }

    /// An attempt has ended; gives what is gone from its budgets, spent or kept. A second settlement of the same reservation is
    /// not booked.
    pub(crate) fn settle(&self, reservation: &mut Reservation, settlement: &Settlement) -> Nanos {
        if std::mem::replace(&mut reservation.settled, true) {
            return Nanos::ZERO;
        }
        let cost = settlement.cost.map_or(Nanos::ZERO, |cost| Nanos::new(cost.nanos()));
        // Nobody knows: what is held stays held.
        let gone = if settlement.certainty == Certainty::Unknown { cost.max(reservation.held) } else { cost };
        if let (Some(books), Some(page)) = (&self.books, reservation.page.take()) {
            let attempt = reservation.attempt;
            books.settle(*page, |facts| written(attempt, facts, gone, settlement));
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
        gone
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

/// A settlement as it is written down.
fn written(attempt: uuid::Uuid, facts: records::Facts, gone: Nanos, settlement: &Settlement) -> records::Settled {
    let certainty = match settlement.certainty {
        Certainty::Stated => records::Certainty::Stated,
        Certainty::Counted => records::Certainty::Counted,
        Certainty::Unknown => records::Certainty::Unknown,
    };
    let cost = settlement.cost.map(|cost| Nanos::new(cost.nanos()));
    let is_unknown = certainty == records::Certainty::Unknown;
    let outcome = match settlement.outcome {
        Outcome::Answered => records::Outcome::Answered,
        Outcome::ClientLeft => records::Outcome::ClientLeft,
        Outcome::Outrun => records::Outcome::Failed("outrun by another attempt".into()),
        Outcome::Failed(kind) => records::Outcome::Failed(format!("{kind:?}").into()),
    };
    let status = match settlement.outcome {
        Outcome::Answered | Outcome::Outrun => 200,
        Outcome::ClientLeft => 499,
        Outcome::Failed(kind) => kind.status(),
    };
    records::Settled {
        attempt,
        facts,
        cost: if is_unknown { Some(gone) } else { cost },
        at_least: cost.unwrap_or(Nanos::ZERO),
        certainty,
        usage: settlement.usage,
        outcome,
        status,
        first_byte: settlement.first_byte,
        took: settlement.took,
        answer: "".into(),
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
        let opening = Opening { attempt: uuid::Uuid::nil(), held: Nanos::ZERO, input: Nanos::ZERO };
        let mut reservation = ledger.open(&opening, Unwritten::Refused, records::Facts::default).unwrap();
        let usage = Usage { input: 3, output: 2, ..Usage::default() };
        let settlement = Settlement {
            usage,
            cost: Some(Money::from_nanos(7)),
            certainty: Certainty::Stated,
            outcome: Outcome::Answered,
            first_byte: None,
            took: Duration::ZERO,
        };
        ledger.settle(&mut reservation, &settlement);
        ledger.settle(&mut reservation, &settlement);
        let totals = ledger.totals();
        assert_eq!((totals.opened, totals.settled, totals.input, totals.nanos), (1, 1, 3, 7));
    }
}
