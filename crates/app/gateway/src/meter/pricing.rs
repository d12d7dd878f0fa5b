//! What an attempt costs, by what was used and on what terms it was asked.

use http::HeaderMap;
use tollgate_catalog::{Breakdown, cost_breakdown};
use tollgate_observe::Certainty;
use tollgate_wire::Usage;

use super::{Meter, OpenAttempt};
use crate::headers;

impl Meter {
    /// The usage with what only the request says of it, and what it costs; no cost where there is no price, or where nobody knows
    /// what was used.
    pub(super) fn priced(
        &mut self,
        open: &OpenAttempt,
        usage: Usage,
        certainty: Certainty,
    ) -> (Usage, Option<Breakdown>) {
        let draws = self.record.route.starts_with("/images");
        let snapshot = self.gateway.snapshot();
        let (mut usage, other) = open.terms.complete(usage, &open.place, draws, &snapshot.catalog);
        let price = other.as_ref().unwrap_or(&open.place.price);
        if price.is_by_work() && !usage.is_empty() {
            let took = self.gateway.since(open.started).as_millis();
            usage.worked_millis = u64::try_from(took).unwrap_or(u64::MAX);
        }
        let is_unknown = certainty == Certainty::Unknown && usage.is_empty();
        let has_price = usage.is_empty() || price.prices(&usage);
        self.breakdown = (has_price && !is_unknown).then(|| cost_breakdown(&usage, price));
        if !has_price {
            let now = self.gateway.clock.monotonic();
            self.gateway.unpriced.tell(&open.place, self.caller.key().map(AsRef::as_ref), now);
        }
        (usage, self.breakdown)
    }

    /// Adds what the answer cost, in parts.
    pub(crate) fn tell_cost(&self, headers: &mut HeaderMap) {
        if let Some(parts) = self.breakdown.as_ref().filter(|_| self.open.is_none()) {
            headers::cost_parts(headers, parts);
        }
    }
}
