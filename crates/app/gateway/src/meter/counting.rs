//! The end of an attempt that was answered: what the provider stated, or what was counted by us.

use bytes::Bytes;
use tollgate_catalog::Cost;
use tollgate_observe::{Certainty, Outcome};
use tollgate_wire::Usage;

use super::Meter;

impl Meter {
    /// The attempt has its answer: the second money point, before the last byte reaches the client. Counts if the provider
    /// has not. Gives its cost.
    pub(crate) async fn answered(&mut self, usage: Option<Usage>, answer: &Bytes) -> Option<Cost> {
        match self.stated(usage) {
            Some(usage) => self.settle_stated(usage),
            None => {
                let usage = self.count(Some(answer)).await;
                self.settle_counted(usage)
            }
        }
    }

    /// The provider's count, if it is one: some send zeros for what they do not count.
    pub(crate) fn stated(&self, usage: Option<Usage>) -> Option<Usage> {
        usage.filter(|usage| !self.speaks || !usage.is_empty() || usage.stated_cost_nanos.is_some())
    }

    /// Counts what was asked and answered, on another thread. The attempt stays open meanwhile.
    pub(crate) fn count(&mut self, answer: Option<&Bytes>) -> impl Future<Output = Usage> + Send + 'static {
        let speaks = self.speaks;
        let workers = self.gateway.workers.clone();
        let words = self.open.as_mut().and_then(|open| {
            let mut words = open.words.take()?;
            words.answer = answer.filter(|_| speaks).cloned();
            open.guess = words.guess();
            Some((words, open.guess))
        });
        async move {
            let Some((words, guess)) = words else { return Usage::default() };
            workers.compute(move || words.count()).await.unwrap_or(guess)
        }
    }

    /// Settles an answered attempt by the provider's count.
    pub(crate) fn settle_stated(&mut self, usage: Usage) -> Option<Cost> {
        let open = self.open.take()?;
        self.settle(open, usage, Certainty::Stated, Outcome::Answered)
    }

    /// Settles what is open by what was heard so far, where nothing can wait.
    pub(crate) fn settle_at_once(&mut self) -> Option<Cost> {
        let open = self.open.take()?;
        let (usage, certainty) = self.partial(&open);
        self.settle(open, usage, certainty, Outcome::Answered)
    }

    /// An attempt is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Settles an answered attempt by our own count.
    pub(crate) fn settle_counted(&mut self, usage: Usage) -> Option<Cost> {
        let open = self.open.take()?;
        self.settle(open, usage, Certainty::Counted, Outcome::Answered)
    }
}
