//! The call's place under the limits of its key, which the meter holds until the call is over.

use std::sync::Arc;

use http::HeaderMap;
use tollgate_policy::Limit;
use tollgate_wire::Failure;

use super::Meter;
use crate::limits::{LimitRules, Limits, Permit};

impl Meter {
    /// The call has a place.
    pub(crate) fn holds(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }

    /// The call goes on where more of the key's limits hold.
    ///
    /// # Errors
    /// 429, as [`Limits::take`].
    pub(crate) async fn holds_more(
        &mut self,
        limits: &Arc<Limits>,
        more: Vec<Limit>,
        expected: u64,
        rules: LimitRules,
    ) -> Result<(), Failure> {
        match &mut self.permit {
            Some(permit) => permit.extend(more, expected).await,
            None => {
                self.permit = limits.take(more, expected, rules).await?;
                Ok(())
            }
        }
    }

    /// What is left of the limits, for the answer's headers.
    pub(crate) fn tell_limits(&self, headers: &mut HeaderMap) {
        if let Some(permit) = &self.permit {
            permit.tell(headers);
        }
    }

    /// What the attempt cost is the key's.
    pub(super) fn takes_from_key(&self, cost: Option<tollgate_catalog::Money>) {
        if let (Some(key), Some(callers), Some(cost)) = (self.caller.key(), &self.gateway.callers, cost) {
            callers.spent(key, cost.nanos());
        }
    }

    /// The call is over: what its attempts used counts; where nobody was asked, it counts as none.
    pub(super) fn settle_limits(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let attempts = &self.record.attempts;
        permit.settle(attempts.iter().map(|attempt| &attempt.usage));
    }
}
