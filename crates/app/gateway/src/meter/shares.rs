//! Calls that are not one client's one attempt: a batch in which several models had part, a socket of many turns, what the
//! gateway asks itself.

use std::sync::Arc;

use tollgate_catalog::Money;
use tollgate_observe::{Certainty, Outcome};
use tollgate_router::Nanos;
use tollgate_wire::Usage;

use super::Meter;
use crate::deployment::Place;

impl Meter {
    /// The gateway itself asks.
    pub(crate) fn asked_in_the_name_of(&mut self, who: &'static str) {
        self.record.caller = who.into();
    }

    /// The call has these tags.
    pub(crate) fn tagged(&mut self, tags: &[String]) {
        self.tags = tags.to_vec();
    }

    /// An attempt has cost so much, which the budgets of routing hear of.
    pub(super) fn takes_from_purses(&self, deployment: &str, cost: Option<Money>) {
        let nanos = cost.and_then(|cost| u64::try_from(cost.nanos()).ok()).unwrap_or_default();
        if nanos > 0 {
            let now = self.gateway.clock.monotonic();
            self.gateway.snapshot().fleet.spend(deployment, &self.tags, Nanos(nanos), now);
        }
    }

    /// Tokens of all attempts so far.
    pub(crate) fn used(&self) -> u64 {
        self.record.attempts.iter().map(|attempt| attempt.usage.input.saturating_add(attempt.usage.output)).sum()
    }

    /// The attempt is over, and several models had part in it: each is an attempt of its own in the record, which
    /// began with this one.
    pub(crate) fn settle_shares(&mut self, shares: Vec<(Arc<Place>, Usage)>, certainty: Certainty, outcome: Outcome) {
        let Some(first) = self.open.take() else { return };
        let (deployment, started) = (Arc::clone(&first.deployment), first.started);
        let mut first = Some(first);
        for (place, usage) in shares {
            if first.is_none() {
                self.open_made(&deployment, "", &place);
            }
            if let Some(mut open) = first.take().or_else(|| self.open.take()) {
                (open.place, open.started) = (place, started);
                self.settle(open, usage, certainty, outcome);
            }
        }
        if let Some(open) = first {
            self.settle(open, Usage::default(), certainty, outcome);
        }
    }
}
