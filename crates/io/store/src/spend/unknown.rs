//! Attempts of which nobody knows what they cost: what is held for them, until somebody states it or their time is over.

use super::{Batch, Windows};
use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    lists::Page,
    record::{Record as _, record},
    session::Session,
    statement::{Draft, Statement},
    tables,
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

/// Takes the attempts out that are known now, and gives what was held for them.
pub(super) async fn resolve(db: &mut Session, batch: &Batch) -> Result<Vec<UnknownAttempt>, StoreError> {
    let mut freed = Vec::new();
    for attempt in tables::in_order(&batch.resolved) {
        let mut draft = Draft::new("DELETE FROM unknown WHERE attempt_id = ");
        draft.value(attempt.as_str()).push(" RETURNING ").names("", UnknownAttempt::COLUMNS);
        freed.extend(db.first::<UnknownAttempt>(draft.done()).await?);
    }
    Ok(freed)
}
