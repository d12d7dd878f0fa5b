//! Attempts of which nobody knows what they cost: what is held for them, until somebody states it or their time is over.

use std::collections::BTreeSet;

use super::{Batch, Booked, Windows};
use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    lists::Page,
    record::{Record as _, record},
    session::Session,
    statement::{Draft, Statement},
};

record! {
    /// An attempt that was opened and never settled.
    pub struct UnknownAttempt {
        /// The attempt.
        attempt_id: String,
        /// The call.
        call_id: String,
        /// The journal that has it.
        journal: String,
        /// When it was opened.
        opened_at: EpochMs,
        /// What is held for it in each of its windows.
        held: NanoDollars,
        /// The windows.
        windows: Windows,
        /// The hash of the key.
        api_key: String,
        /// The model.
        model: String,
        /// The provider.
        provider: Option<String>,
        /// What is known of its progress, for those who decide.
        details: Option<crate::Json>,
    }
}

impl Store {
    /// The unknown attempts that were opened before a moment, the oldest first.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn unknown_attempts(&self, before: EpochMs, page: Page) -> Result<Vec<UnknownAttempt>, StoreError> {
        let mut draft = Draft::new("SELECT ");
        draft.names("", UnknownAttempt::COLUMNS).push(" FROM unknown WHERE opened_at < ").value(before);
        draft.push(" ORDER BY opened_at, attempt_id LIMIT ").value(page.limit).push(" OFFSET ").value(page.offset);
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }

    /// One unknown attempt.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn unknown_attempt(&self, attempt_id: &str) -> Result<Option<UnknownAttempt>, StoreError> {
        let mut draft = Draft::new("SELECT ");
        draft.names("", UnknownAttempt::COLUMNS).push(" FROM unknown WHERE attempt_id = ").value(attempt_id);
        self.within(async { self.reader().await?.first(draft.done()).await }).await
    }

    /// How many attempts are unknown, and what is held for them.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn unknown_sum(&self) -> Result<(i64, NanoDollars), StoreError> {
        let asked = Statement::new("SELECT COUNT(*), COALESCE(CAST(SUM(held) AS bigint), 0) FROM unknown");
        let sum: Sum = self.within(async { self.reader().await?.one(asked).await }).await?;
        Ok((sum.count, sum.held))
    }
}

record! {
    /// A count and a sum.
    struct Sum {
        /// How many.
        count: i64,
        /// How much.
        held: NanoDollars,
    }
}

/// Writes down the attempts that are unknown now, and gives those that are new: one that is unknown or known already is
/// not held again.
pub(super) async fn hold<'b>(
    db: &mut Session,
    unknown: &'b [UnknownAttempt],
) -> Result<Vec<&'b UnknownAttempt>, StoreError> {
    let mut held = Vec::new();
    for attempt in unknown {
        let known = Statement::new("SELECT COUNT(*) FROM spend WHERE attempt_id = $1");
        if db.one::<i64>(known.bind(attempt.attempt_id.as_str())).await? > 0 {
            continue;
        }
        let mut draft = Draft::new("INSERT INTO unknown (");
        draft.names("", UnknownAttempt::COLUMNS).push(") VALUES ").tuple(attempt.values());
        draft.push(" ON CONFLICT (attempt_id) DO NOTHING");
        if db.run(draft.done()).await? > 0 {
            held.push(attempt);
        }
    }
    Ok(held)
}

/// Takes the attempts out that the batch states, in the order in which everybody does.
pub(super) async fn resolve(db: &mut Session, batch: &Batch) -> Result<Freed, StoreError> {
    let stated = batch.booked.iter().filter(|booked| booked.states);
    let stated: BTreeSet<&str> = stated.map(|booked| booked.row.attempt_id.as_str()).collect();
    let mut freed = Freed::default();
    for attempt in stated {
        freed.take(db, attempt).await?;
    }
    Ok(freed)
}

/// Attempts that were unknown and are not any more.
#[derive(Debug, Default)]
pub(super) struct Freed {
    attempts: Vec<UnknownAttempt>,
    /// Those that no record has been booked for yet.
    unclaimed: BTreeSet<String>,
}

impl Freed {
    /// Takes one out, if it is there, and says whether it was.
    pub(super) async fn take(&mut self, db: &mut Session, attempt: &str) -> Result<bool, StoreError> {
        let mut draft = Draft::new("DELETE FROM unknown WHERE attempt_id = ");
        draft.value(attempt).push(" RETURNING ").names("", UnknownAttempt::COLUMNS);
        let Some(freed) = db.first::<UnknownAttempt>(draft.done()).await? else { return Ok(false) };
        self.unclaimed.insert(freed.attempt_id.clone());
        self.attempts.push(freed);
        Ok(true)
    }

    /// Whether this record is the first that states its attempt; whatever states nothing is.
    pub(super) fn claims(&mut self, booked: &Booked) -> bool {
        !booked.states || self.unclaimed.remove(&booked.row.attempt_id)
    }

    /// The last one is as unknown as before.
    pub(super) fn put_back(&mut self) {
        if let Some(attempt) = self.attempts.pop() {
            self.unclaimed.remove(&attempt.attempt_id);
        }
    }

    pub(super) fn attempts(&self) -> &[UnknownAttempt] {
        &self.attempts
    }
}
