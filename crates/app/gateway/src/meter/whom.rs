//! For whom a call is made and from where, as its records say it.

use std::sync::Arc;

use http::HeaderMap;
use tollgate_ledger::Scope;
use tollgate_policy::Budget;

use super::Meter;
use crate::{snapshot::Snapshot, whom::MOST_TAGS};

/// For whom, and from where; empty where nobody said.
#[derive(Clone, Debug)]
pub(super) struct Whom {
    pub(super) customer: Arc<str>,
    pub(super) requester: Arc<str>,
}

impl Default for Whom {
    fn default() -> Self {
        Self { customer: Arc::from(""), requester: Arc::from("") }
    }
}

impl Meter {
    /// The call is made for this customer, and came with these headers.
    pub(crate) fn made_for(&mut self, snapshot: &Snapshot, customer: Option<&str>, headers: &HeaderMap) {
        self.whom = Whom {
            customer: customer.unwrap_or_default().into(),
            requester: snapshot.whom.address(headers).map(|address| address.to_string()).unwrap_or_default().into(),
        };
    }

    /// The call is paid from these budgets, too.
    pub(crate) fn paid_by(&mut self, others: Vec<Budget>) {
        self.others = others;
    }

    /// The customer, and the tags that have a budget.
    pub(super) fn slots_of_whom(&self) -> Vec<Scope> {
        let customer = Some(&self.whom.customer).filter(|id| !id.is_empty());
        let known = self.gateway.callers.as_ref().map(|callers| callers.tags());
        let counted = |tag: &&String| known.is_some_and(|tags| tags.terms(tag).is_some());
        let tags = self.tags.iter().filter(counted).take(MOST_TAGS).map(|tag| Scope::Tag(tag.as_str().into()));
        customer.map(|id| Scope::Customer(Arc::clone(id))).into_iter().chain(tags).collect()
    }
}
