//! The check: every total is computed again from its rows, and what is held from the unknown attempts.

use std::collections::BTreeMap;

use super::{Total, Window, Windows};
use crate::{
    NanoDollars, Store, StoreError,
    record::{Record as _, record},
    session::Session,
    statement::{Draft, Statement},
};

/// How many rows are read at once.
const AT_ONCE: i64 = 5000;

/// A total that is not what its rows say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The window.
    pub window: Window,
    /// What the total says was settled, and what the rows say.
    pub settled: (NanoDollars, NanoDollars),
    /// What the total says is held, and what the unknown attempts say.
    pub unknown: (NanoDollars, NanoDollars),
}

record! {
    /// What a row settled, and where it stands.
    pub(super) struct Settled {
        /// When its attempt began.
        started_at: crate::EpochMs,
        /// Its id.
        row_id: String,
        /// How much.
        spend: NanoDollars,
        /// Into which windows.
        windows: Windows,
    }
}

record! {
    /// What is held.
    struct Held {
        /// How much.
        held: NanoDollars,
        /// In which windows.
        windows: Windows,
    }
}

impl Store {
    /// Computes all totals again and gives those that differ. The database may be written to meanwhile: one state is looked at.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn verify_totals(&self) -> Result<Vec<Difference>, StoreError> {
        self.within_long(async {
            let mut db = self.snapshot().await?;
            let mut sums: BTreeMap<Window, [i64; 4]> = BTreeMap::new();
            let said = Statement::new("SELECT kind, id, window_start, settled, unknown FROM totals");
            for Total { window, settled, unknown } in db.all(said).await? {
                sums.insert(window, [settled.0, 0, unknown.0, 0]);
            }
            let folded = Statement::new("SELECT kind, id, window_start, settled, CAST(0 AS bigint) FROM folded");
            for Total { window, settled, .. } in db.all(folded).await? {
                add(&mut sums, window, 1, settled.0);
            }
            from_rows(&mut db, &mut sums).await?;
            for Held { held, windows } in db.all(Statement::new("SELECT held, windows FROM unknown")).await? {
                windows.each().into_iter().for_each(|window| add(&mut sums, window.clone(), 3, held.0));
            }
            let wrong = sums.into_iter().filter(|(_, [said, is, held, found])| said != is || held != found);
            let difference = |(window, sums): (Window, [i64; 4])| {
                let [said, is, held, found] = sums.map(NanoDollars);
                Difference { window, settled: (said, is), unknown: (held, found) }
            };
            Ok(wrong.map(difference).collect())
        })
        .await
    }
}

fn add(sums: &mut BTreeMap<Window, [i64; 4]>, window: Window, which: usize, amount: i64) {
    if let Some(sum) = sums.entry(window).or_default().get_mut(which) {
        *sum += amount;
    }
}

async fn from_rows(db: &mut Session, sums: &mut BTreeMap<Window, [i64; 4]>) -> Result<(), StoreError> {
    let mut last: Option<Settled> = None;
    loop {
        let rows = page(db, last.as_ref(), None, AT_ONCE).await?;
        let Some(end) = rows.last().cloned() else { return Ok(()) };
        for Settled { spend, windows, .. } in rows {
            windows.each().into_iter().for_each(|window| add(sums, window.clone(), 1, spend.0));
        }
        last = Some(end);
    }
}

/// The next rows in the order in which they are partitioned.
pub(super) async fn page(
    db: &mut Session,
    after: Option<&Settled>,
    before: Option<crate::EpochMs>,
    limit: i64,
) -> Result<Vec<Settled>, StoreError> {
    let mut draft = Draft::new("SELECT ");
    draft.names("", Settled::COLUMNS).push(" FROM spend WHERE true");
    if let Some(last) = after {
        draft.push(" AND (started_at, row_id) > ").tuple([last.started_at.into(), last.row_id.as_str().into()]);
    }
    if let Some(before) = before {
        draft.push(" AND started_at < ").value(before);
    }
    draft.push(" ORDER BY started_at, row_id LIMIT ").value(limit);
    db.all(draft.done()).await
}
