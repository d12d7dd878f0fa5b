//! The work behind the ledger: journals of processes that have ended are taken over, the journal is forced to disk, and what
//! is in it goes into the store; at the end all of it once more.

use std::{sync::Arc, time::Duration};

use tollgate_journal::{Ended, Found, Journal};
use tollgate_ledger::records::Certainty;
use tollgate_store::{EpochMs, StoreError, Window};

use crate::{books, gateway::Gateway, projection::Projecting};

/// Between two looks at the journal.
const EVERY: Duration = Duration::from_millis(500);
/// After the store did not answer.
const AWAY: Duration = Duration::from_secs(1);
/// Between two looks for instances that are gone.
const BURIALS: Duration = Duration::from_secs(10);
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
        self.workers.spawn_loop(Arc::clone(&self.budgets).keep());
        self.workers.spawn_loop(Arc::clone(self).bury());
        // What others have left does not hold up what is ours.
        let heir = Arc::clone(self);
        self.workers.spawn_loop(async move { heir.take_over(found).await });
        let gateway = Arc::clone(self);
        self.workers.spawn_loop(async move {
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

    /// Settles what instances have left that are gone, as long as the process lives.
    async fn bury(self: Arc<Self>) {
        loop {
            tokio::time::sleep(BURIALS).await;
            if let Err(error) = self.bury_the_dead().await {
                tracing::debug!(target: "tollgate::budgets", %error, "dead instances are left for later");
            }
        }
    }

    /// Settles the leases of instances that gave no sign of life for 30 s. One whose journal is on this disk is booked before.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn bury_the_dead(&self) -> Result<(), StoreError> {
        let (Some(callers), Some(books)) = (&self.callers, self.ledger.books()) else { return Ok(()) };
        let store = callers.store();
        for dead in self.budgets.silent(store).await? {
            let ended = dead.journal.parse().map(|journal| books.journal().ended(journal));
            match ended {
                // It lives, and will find out that nobody hears it.
                Ok(Ok(Ended::Not)) => {}
                Ok(Ok(Ended::Left(found))) => self.take_over(vec![*found]).await,
                Ok(Ok(Ended::LeftNothing)) => self.budgets.bury(store, &dead, true).await?,
                Ok(Ok(Ended::Elsewhere)) | Err(_) => self.budgets.bury(store, &dead, false).await?,
                Ok(Err(error)) => {
                    let journal = &dead.journal;
                    tracing::error!(target: "tollgate::ledger", %journal, %error, "the journal of an ended process cannot be read");
                    self.budgets.bury(store, &dead, false).await?;
                }
            }
        }
        Ok(())
    }

    async fn take_over(&self, found: Vec<Found>) {
        let Some(callers) = &self.callers else { return };
        for mut one in found {
            loop {
                let now = EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX));
                let taken = books::take_over(&mut one, callers.store(), &self.snapshot().projecting, now).await;
                let journal = one.journal();
                let taken = match taken {
                    Ok(()) => self.budgets.bury_journal(callers.store(), journal).await.map_err(Into::into),
                    failed => failed,
                };
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
                let arrived = |window: &Window, nanos, certainty| {
                    let is_key = window.kind == "key" && window.start == EpochMs(0);
                    let is_spent = certainty != Certainty::Unknown;
                    if let (Some(callers), true) = (&self.callers, is_key && is_spent) {
                        callers.arrived(&window.id, nanos);
                    }
                    self.budgets.booked(window, nanos);
                };
                let settings = Projecting { instance: self.budgets.instance(), ..self.snapshot().projecting.clone() };
                projector.lock().await.carry(settings, arrived).await
            }
            None => Ok(0),
        }
    }

    /// Forces the journal to disk and carries what is in it into the store, when nothing runs any more.
    pub async fn finish_books(&self) {
        let Some(books) = self.ledger.books() else { return };
        books.catch_up();
        if let Err(error) = books.journal().force() {
            tracing::error!(target: "tollgate::ledger", %error, "the journal cannot be forced to disk");
        }
        let all = async { while !matches!(self.project().await, Ok(0) | Err(_)) {} };
        if tokio::time::timeout(LAST, all).await.is_err() {
            tracing::warn!(target: "tollgate::ledger", "some spend stays in the journal; the next start takes it into the store");
        }
        self.budgets.leave().await;
        let (unwritten, waiting) = (books.unwritten(), books.waiting());
        if unwritten > 0 || waiting > 0 {
            tracing::error!(target: "tollgate::ledger", unwritten, waiting, "records could not be written down");
        }
    }
}
