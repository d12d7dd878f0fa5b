//! The work behind the ledger: journals of processes that have ended are taken over, the journal is forced to disk, and what
//! is in it goes into the store; at the end all of it once more.

use std::{sync::Arc, time::Duration};

use tollgate_journal::{Found, Journal};
use tollgate_store::{EpochMs, StoreError};

use crate::{books, gateway::Gateway, projection::Projecting};

/// Between two looks at the journal.
const EVERY: Duration = Duration::from_millis(500);
/// After the store did not answer.
const AWAY: Duration = Duration::from_secs(1);
/// How long the last records may take on their way into the store; what is left is the next process's.
const LAST: Duration = Duration::from_secs(5);

/// A journal of this process, and those that others have left.
#[derive(Debug)]
pub struct Journals {
    /// This process's.
    pub own: Journal,
    /// Of processes that have ended.
    pub found: Vec<Found>,
}

impl Gateway {
    /// Begins to keep the books.
    pub fn start_books(self: &Arc<Self>, found: Vec<Found>) {
        let Some(ledger_books) = self.ledger.books() else { return };
        self.workers.spawn_loop(Arc::clone(ledger_books).keep());
        let gateway = Arc::clone(self);
        self.workers.spawn_loop(async move {
            gateway.take_over(found).await;
            loop {
                let pause = match gateway.project().await {
                    Ok(0) => EVERY,
                    Ok(_) => continue,
                    Err(error) => {
                        tracing::warn!(target: "tollgate::ledger", %error, "spend waits in the journal: the store does not take it");
                        AWAY
                    }
                };
                tokio::time::sleep(pause).await;
            }
        });
    }

    async fn take_over(&self, found: Vec<Found>) {
        let Some(callers) = &self.callers else { return };
        for mut one in found {
            loop {
                let now = EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX));
                let taken = books::take_over(&mut one, callers.store(), &Projecting::default(), now).await;
                let journal = one.journal();
                match taken {
                    Ok(()) => break,
                    Err(books::TakeOverError::Store(error)) => {
                        tracing::warn!(target: "tollgate::ledger", %journal, %error, "the journal of an ended process waits for the store");
                        tokio::time::sleep(AWAY).await;
                    }
                    Err(error @ books::TakeOverError::Journal(_)) => {
                        tracing::error!(target: "tollgate::ledger", %journal, %error, "the journal of an ended process cannot be read");
                        break;
                    }
                }
            }
        }
    }

    /// Carries the next records into the store; gives how many.
    async fn project(&self) -> Result<usize, StoreError> {
        match &self.projector {
            Some(projector) => {
                let arrived = |key: &str, nanos| {
                    if let Some(callers) = &self.callers {
                        callers.arrived(key, nanos);
                    }
                };
                projector.lock().await.carry(arrived).await
            }
            None => Ok(0),
        }
    }

    /// Forces the journal to disk and carries what is in it into the store, when nothing runs any more.
    pub async fn finish_books(&self) {
        let Some(books) = self.ledger.books() else { return };
        if let Err(error) = books.journal().force() {
            tracing::error!(target: "tollgate::ledger", %error, "the journal cannot be forced to disk");
        }
        let all = async { while !matches!(self.project().await, Ok(0) | Err(_)) {} };
        if tokio::time::timeout(LAST, all).await.is_err() {
            tracing::warn!(target: "tollgate::ledger", "some spend stays in the journal; the next start takes it into the store");
        }
        let unwritten = books.unwritten();
        if unwritten > 0 {
            tracing::error!(target: "tollgate::ledger", unwritten, "records could not be written down");
        }
    }
}
