//! What cannot be written down is not spent: while the journal has no room or its disk fails, nothing new that costs money is begun
//! (HOUSE: ledger rule 9), unless the configuration says that calls are worth more than their books.

use tollgate_wire::Failure;

use crate::{
    gateway::Gateway,
    ledger::{Unwritten, no_room},
    snapshot::Snapshot,
};

impl Gateway {
    /// Whether what a call costs can be written down, or need not be.
    pub(crate) fn takes_calls(&self, snapshot: &Snapshot) -> bool {
        snapshot.admit_unjournaled || self.ledger.books().is_none_or(|books| books.has_room())
    }

    /// Refuses what begins while it cannot be written down.
    ///
    /// # Errors
    /// 503, with `retry-after`.
    pub(crate) fn has_room(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        if self.takes_calls(snapshot) {
            return Ok(());
        }
        Err(no_room())
    }

    /// What becomes of an attempt that cannot be written down.
    pub(crate) fn unless_written(&self) -> Unwritten {
        if self.snapshot().admit_unjournaled { Unwritten::Counted } else { Unwritten::Refused }
    }
}
