//! What the store has of journals, records and leases, for those who look whether everything is there.

use super::{SpendRow, Total, UnknownAttempt, Window};
use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    record::{Record as _, record},
    statement::{Draft, Statement},
};

/// Ids that one question names at most.
const IDS_AT_ONCE: usize = 500;

record! {
    /// How far a journal is in the store.
    pub struct Watermark {
        /// The journal.
        journal: String,
        /// Its last record that is in the store.
        position: i64,
        /// When that came.
        at: EpochMs,
    }
}

record! {
    /// Money of a window that was moved to an instance.
    pub struct Lease {
        /// The window's kind.
        kind: String,
        /// Its id.
        id: String,
        /// Its start.
        window_start: EpochMs,
        /// The instance.
        instance: String,
        /// So much was moved.
        granted: NanoDollars,
        /// So much of it is booked.
        used: NanoDollars,
        /// So much the instance last said it has reserved.
        reserved: NanoDollars,
    }
}

record! {
    /// What a row settled.
    pub struct Entry {
        /// The row.
        row_id: String,
        /// The attempt that it is about.
        attempt_id: String,
        /// What it cost.
        spend: NanoDollars,
        /// `stated`, `corrected` and so on.
        certainty: String,
    }
}

impl Store {
    /// How far each journal is in the store.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn watermarks(&self) -> Result<Vec<Watermark>, StoreError> {
        let asked = Statement::new("SELECT journal, position, at FROM watermarks ORDER BY journal");
        self.within(async { self.reader().await?.all(asked).await }).await
    }

    /// What is moved to whom.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let mut draft = Draft::new("SELECT ");
        draft.names("", Lease::COLUMNS).push(" FROM leases ORDER BY instance, kind, id, window_start");
        self.within_long(async { self.reader().await?.all(draft.done()).await }).await
    }

    /// The rows about these attempts, their corrections among them, in no order.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn entries_of(&self, attempts: &[String]) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::new();
        for some in attempts.chunks(IDS_AT_ONCE) {
            let mut draft = Draft::new("SELECT ");
            draft.names("", Entry::COLUMNS).push(" FROM spend WHERE attempt_id IN ");
            draft.tuple(some.iter().map(|id| id.as_str().into()));
            found.extend(self.within(async { self.reader().await?.all::<Entry>(draft.done()).await }).await?);
        }
        Ok(found)
    }

    /// The rows about these attempts in full, the oldest first.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn rows_of(&self, attempts: &[String]) -> Result<Vec<SpendRow>, StoreError> {
        let mut found = Vec::new();
        for some in attempts.chunks(IDS_AT_ONCE) {
            let mut draft = Draft::new("SELECT ");
            draft.names("", SpendRow::COLUMNS).push(" FROM spend WHERE attempt_id IN ");
            draft.tuple(some.iter().map(|id| id.as_str().into())).push(" ORDER BY started_at, row_id");
            found.extend(self.within(async { self.reader().await?.all::<SpendRow>(draft.done()).await }).await?);
        }
        Ok(found)
    }

    /// Those of these attempts that are unknown, or of a call with one of these ids.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn unknown_of(&self, ids: &[String]) -> Result<Vec<UnknownAttempt>, StoreError> {
        let mut found = Vec::new();
        for some in ids.chunks(IDS_AT_ONCE) {
            let mut draft = Draft::new("SELECT ");
            draft.names("", UnknownAttempt::COLUMNS).push(" FROM unknown WHERE attempt_id IN ");
            draft.tuple(some.iter().map(|id| id.as_str().into()));
            draft.push(" OR call_id IN ").tuple(some.iter().map(|id| id.as_str().into()));
            found.extend(self.within(async { self.reader().await?.all::<UnknownAttempt>(draft.done()).await }).await?);
        }
        Ok(found)
    }

    /// Whether rows of each of these windows were summed up and let go, or never kept: then a row may be missing.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn are_folded(&self, windows: &[Window]) -> Result<bool, StoreError> {
        let mut wanted: Vec<&Window> = windows.iter().collect();
        wanted.sort();
        wanted.dedup();
        let mut found = 0;
        for some in wanted.chunks(IDS_AT_ONCE) {
            let mut draft = Draft::new("SELECT COUNT(*) FROM folded WHERE (kind, id, window_start) IN (");
            for (number, Window { kind, id, start }) in some.iter().enumerate() {
                draft.push(if number == 0 { "" } else { ", " });
                draft.tuple([kind.as_str().into(), id.as_str().into(), (*start).into()]);
            }
            draft.push(")");
            found += self.within(async { self.reader().await?.one::<i64>(draft.done()).await }).await?;
        }
        Ok(usize::try_from(found).unwrap_or_default() == wanted.len() && !wanted.is_empty())
    }

    /// Totals of a kind in which something is settled, in their order, behind `after`: an id and a start.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn settled_totals(
        &self,
        kinds: (&str, &str),
        after: Option<&Window>,
        limit: i64,
    ) -> Result<Vec<Total>, StoreError> {
        let mut draft =
            Draft::new("SELECT kind, id, window_start, settled, unknown FROM totals WHERE settled <> 0 AND kind >= ");
        draft.value(kinds.0).push(" AND kind < ").value(kinds.1);
        if let Some(Window { kind, id, start }) = after {
            let after = [kind.as_str().into(), id.as_str().into(), (*start).into()];
            draft.push(" AND (kind, id, window_start) > ").tuple(after);
        }
        draft.push(" ORDER BY kind, id, window_start LIMIT ").value(limit);
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }
}
