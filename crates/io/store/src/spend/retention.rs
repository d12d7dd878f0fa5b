//! Rows that are old enough to go: what they settled is kept in a sum, so that totals can still be checked; and the days of
//! PostgreSQL, which are partitions of their own.

use std::collections::BTreeMap;

use super::{booking, check};
use crate::{
    EpochMs, Store, StoreError,
    record::Record as _,
    statement::{Draft, Statement},
};

/// How many rows one transaction takes away at most.
const AT_ONCE: i64 = 1000;

/// A day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

impl Store {
    /// Deletes rows of attempts that began before a moment, at most `limit` of them in small transactions, and says how many.
    ///
    /// # Errors
    /// If the database is not available. What was deleted until then is deleted.
    pub async fn prune_spend(&self, before: EpochMs, limit: i64) -> Result<i64, StoreError> {
        let mut pruned = 0;
        while pruned < limit {
            let some = self.within(self.prune_some(before, AT_ONCE.min(limit - pruned))).await?;
            if some == 0 {
                break;
            }
            pruned += some;
        }
        Ok(pruned)
    }

    async fn prune_some(&self, before: EpochMs, limit: i64) -> Result<i64, StoreError> {
        let mut db = self.writer().await?;
        // Two instances that prune would fold the same rows twice.
        db.run(Statement::new("UPDATE prune_lock SET at = $1").bind(before)).await?;
        let rows = check::page(&mut db, None, Some(before), limit).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(0) };
        let mut gone = Draft::new("DELETE FROM spend WHERE started_at >= ");
        gone.value(first.started_at).push(" AND started_at <= ").value(last.started_at);
        gone.push(" AND (started_at, row_id) <= ").tuple([last.started_at.into(), last.row_id.as_str().into()]);
        gone.push(" RETURNING ").names("", check::Settled::COLUMNS);
        // What is folded is what was deleted: a late row may have come between the two statements.
        let gone: Vec<check::Settled> = db.all(gone.done()).await?;
        let mut sums = BTreeMap::new();
        let count = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        for row in gone {
            for window in row.windows.each() {
                *sums.entry(window.clone()).or_default() += row.spend.0;
            }
        }
        booking::fold(self, &mut db, &sums).await?;
        db.commit().await?;
        Ok(count)
    }

    /// Deletes the daily sums of days before one (`2026-11-21`), at most `limit` lines, and says how many.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn prune_daily(&self, before: &str, limit: i64) -> Result<u64, StoreError> {
        const KEY: &str = "kind, id, date, api_key, model, model_group, provider, endpoint, mcp_tool";
        let mut draft = Draft::new("DELETE FROM daily WHERE (");
        draft.push(KEY).push(") IN (SELECT ").push(KEY).push(" FROM daily WHERE date < ").value(before);
        draft.push(" LIMIT ").value(limit).push(")");
        self.change(draft.done()).await
    }

    /// Makes room for the rows of the days around a moment, and gives up the room of days before `oldest` that have no rows
    /// any more. With SQLite there is nothing to do; with PostgreSQL each day is a partition, and a row of a day that has none
    /// goes into the common one.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn prepare_days(&self, now: EpochMs, ahead: i64, oldest: EpochMs) -> Result<(), StoreError> {
        let today = now.0.div_euclid(DAY);
        for day in today..=today + ahead {
            self.within(self.prepare_day(day)).await?;
        }
        self.within(self.drop_empty_days(oldest.0.div_euclid(DAY))).await
    }

    async fn prepare_day(&self, day: i64) -> Result<(), StoreError> {
        let mut db = self.writer().await?;
        if !db.is_postgres() {
            return Ok(());
        }
        // A statement that makes tables takes no values, so PostgreSQL puts it together from numbers.
        db.run(Statement::new("SELECT tollgate.prepare_day($1)").bind(day)).await?;
        db.commit().await
    }

    async fn drop_empty_days(&self, oldest: i64) -> Result<(), StoreError> {
        let mut db = self.writer().await?;
        if !db.is_postgres() {
            return Ok(());
        }
        db.run(Statement::new("SELECT tollgate.drop_empty_days($1)").bind(oldest)).await?;
        db.commit().await
    }
}
