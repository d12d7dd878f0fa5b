//! A batch of the journal on its way into the store: all of it in one transaction, with the position up to which it goes.

use super::{SpendRow, UnknownAttempt, booking};
use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    lists::Page,
    record::{Record as _, record},
    statement::{Draft, Statement},
};

/// What a journal holds between two positions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The journal.
    pub journal: String,
    /// The instance whose leases paid for what is in it, if they are in the store.
    pub instance: Option<String>,
    /// The position that the store has to have of it: nothing is left out.
    pub after: i64,
    /// The position that it has afterwards.
    pub upto: i64,
    /// Now.
    pub at: EpochMs,
    /// What was settled or corrected.
    pub booked: Vec<Booked>,
    /// Rows are kept; else only sums.
    pub keep_rows: bool,
    /// Attempts of which nobody knows what they cost.
    pub unknown: Vec<UnknownAttempt>,
    /// Attempts of which it is known now; what they cost is among the booked.
    pub resolved: Vec<String>,
    /// Records that this program cannot read: they go into quarantine, where another version finds them.
    pub unread: Vec<Unread>,
}

/// A record that cannot be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unread {
    /// Where it stands in the journal.
    pub position: i64,
    /// Why not.
    pub cause: String,
    /// The record.
    pub record: Vec<u8>,
}

/// Something that was settled or corrected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Booked {
    /// Where it stands in the journal.
    pub position: i64,
    /// The row.
    pub row: SpendRow,
    /// The day that it counts for, as `2026-11-21`, in the zone of the configuration; corrections of sums count for none.
    pub day: Option<String>,
    /// Its tags, which have days of their own.
    pub tags: Vec<String>,
    /// It was paid from the instance's leases: not so corrections, and attempts that were unknown before.
    pub leased: bool,
    /// The journal's record, for the quarantine.
    pub record: Vec<u8>,
}

record! {
    /// A record that the database refused, which is in no sum.
    pub struct Quarantined {
        /// The journal that it is from.
        journal: String,
        /// Where it stands there.
        position: i64,
        /// What it would have booked.
        spend: NanoDollars,
        /// What the database said.
        cause: String,
        /// The journal's record.
        record: Vec<u8>,
        /// When that was.
        at: EpochMs,
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projected {
    /// It is in the store. These positions would not go in and are in quarantine.
    Done {
        /// Their positions.
        quarantined: Vec<i64>,
    },
    /// Nothing of it was booked: the store is at another position, perhaps because it has the batch already.
    At(i64),
}

impl Store {
    /// Books a batch once: rows, totals, days, unknown attempts and the journal's position in one transaction.
    ///
    /// A record that the database refuses goes into quarantine, and the others are booked. If it is not known whether the
    /// transaction was made, the same batch may be sent again.
    ///
    /// # Errors
    /// If the database is not available, or refuses more than single records.
    pub async fn book(&self, batch: &Batch) -> Result<Projected, StoreError> {
        match self.within(booking::book(self, batch)).await {
            Err(StoreError::Broken(_) | StoreError::Taken { .. }) => {
                self.within_long(booking::book_what_goes(self, batch)).await
            }
            outcome => outcome,
        }
    }

    /// How far a journal is in the store; zero if nothing of it is.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn watermark(&self, journal: &str) -> Result<i64, StoreError> {
        let asked = Statement::new("SELECT position FROM watermarks WHERE journal = $1").bind(journal);
        let position: Option<i64> = self.within(async { self.reader().await?.first(asked).await }).await?;
        Ok(position.unwrap_or(0))
    }

    /// The records in quarantine, the oldest first.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn quarantined(&self, page: Page) -> Result<Vec<Quarantined>, StoreError> {
        let mut draft = Draft::new("SELECT ");
        draft.names("", Quarantined::COLUMNS).push(" FROM quarantine ORDER BY at, journal, position LIMIT ");
        draft.value(page.limit).push(" OFFSET ").value(page.offset);
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }
}
