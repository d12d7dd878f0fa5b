//! The place of an attempt that is not open yet.

use tollgate_wire::{Failure, Usage};

use super::Meter;
use crate::aboard::Aboard;

impl Meter {
    /// The next attempt has a place at its deployment.
    pub(crate) fn boards(&mut self, aboard: Aboard) {
        self.aboard = Some(aboard);
    }

    /// The attempt came to nothing before it was opened: it gives back what its place was charged.
    pub(crate) fn leaves(&mut self) {
        self.aboard = None;
        self.stake = None;
    }

    /// The deployment could not be asked: it is as bad as one that cannot be reached.
    pub(crate) fn fails_unopened(&mut self, failure: &Failure) {
        if let Some(aboard) = self.aboard.take() {
            aboard.fail_unasked(failure, self.gateway.clock.monotonic());
        }
    }

    /// The attempt is ours to answer: it keeps nobody's place meanwhile, and counts as a request of its deployment.
    pub(crate) fn stays(&mut self) {
        if let Some(aboard) = self.aboard.take() {
            aboard.land(self.gateway.clock.monotonic(), None, &Usage::default());
        }
    }
}
