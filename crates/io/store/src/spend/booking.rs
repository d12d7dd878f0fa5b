//! How a batch is booked: everybody writes the tables in the same order and their rows sorted, so that instances wait for each
//! other but never in a circle.

use std::collections::BTreeMap;

use super::{Batch, Booked, Projected, SpendRow, UnknownAttempt, Window, daily, unknown};
use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    many::{Conflict, insert_many},
    record::Record as _,
    session::Session,
    statement::{Statement, Value},
};

/// The number of a record that the database refused, and what it said.
type Refused = (usize, String);

const SPEND: &str = "spend";
const TOTALS: &[&str] = &["kind", "id", "window_start", "settled", "unknown", "last_at"];
const ADD_TOTALS: Conflict = Conflict(
    " ON CONFLICT (kind, id, window_start) DO UPDATE SET settled = t.settled + excluded.settled, \
     unknown = t.unknown + excluded.unknown, \
     last_at = CASE WHEN excluded.last_at > t.last_at THEN excluded.last_at ELSE t.last_at END",
);
const FOLDED: &[&str] = &["kind", "id", "window_start", "settled"];
const ADD_FOLDED: Conflict =
    Conflict(" ON CONFLICT (kind, id, window_start) DO UPDATE SET settled = t.settled + excluded.settled");

/// Books the batch if the database takes all of it.
pub(super) async fn book(store: &Store, batch: &Batch) -> Result<Projected, StoreError> {
    let mut db = store.writer().await?;
    if let Some(position) = advance(&mut db, batch).await? {
        return Ok(Projected::At(position));
    }
    let kept: Vec<&Booked> = batch.booked.iter().collect();
    if batch.keep_rows {
        let rows = kept.iter().map(|booked| booked.row.values()).collect();
        insert_many(store, &mut db, SPEND, SpendRow::COLUMNS, Conflict::REFUSED, rows).await?;
    }
    sum(store, &mut db, batch, &kept).await?;
    let quarantined = quarantine(&mut db, batch, &[]).await?;
    db.commit().await?;
    Ok(Projected::Done { quarantined })
}

/// Books what the database takes, record by record, and puts the others into quarantine.
pub(super) async fn book_what_goes(store: &Store, batch: &Batch) -> Result<Projected, StoreError> {
    let mut db = store.long_writer().await?;
    if let Some(position) = advance(&mut db, batch).await? {
        return Ok(Projected::At(position));
    }
    let (mut kept, mut refused, mut is_broken) = (Vec::new(), Vec::new(), true);
    for (number, booked) in batch.booked.iter().enumerate() {
        db.run(Statement::new("SAVEPOINT record")).await?;
        let row = vec![booked.row.values()];
        let taken = insert_many(store, &mut db, SPEND, SpendRow::COLUMNS, Conflict::REFUSED, row).await;
        let cause = match taken {
            Ok(()) => None,
            Err(StoreError::Broken(cause)) => Some(cause),
            Err(error @ StoreError::Taken { .. }) => {
                is_broken = false;
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        if cause.is_some() || !batch.keep_rows {
            db.run(Statement::new("ROLLBACK TO SAVEPOINT record")).await?;
        }
        db.run(Statement::new("RELEASE SAVEPOINT record")).await?;
        match cause {
            None => kept.push(booked),
            Some(cause) => refused.push((number, cause)),
        }
    }
    // One that fails among others is at fault itself; where all of several do, it is the database.
    if let (true, [(_, cause), _, ..]) = (is_broken && kept.is_empty(), refused.as_slice()) {
        return Err(StoreError::Broken(cause.clone()));
    }
    sum(store, &mut db, batch, &kept).await?;
    let quarantined = quarantine(&mut db, batch, &refused).await?;
    db.commit().await?;
    Ok(Projected::Done { quarantined })
}

/// Moves the journal's position, if it is where the batch begins; else says where it is. The row stays locked until the end.
async fn advance(db: &mut Session, batch: &Batch) -> Result<Option<i64>, StoreError> {
    let new =
        Statement::new("INSERT INTO watermarks (journal, position, at) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING");
    db.run(new.bind(batch.journal.as_str()).bind(batch.at)).await?;
    let moved = Statement::new("UPDATE watermarks SET position = $1, at = $2 WHERE journal = $3 AND position = $4");
    let moved = moved.bind(batch.upto).bind(batch.at).bind(batch.journal.as_str()).bind(batch.after);
    if db.run(moved).await? > 0 {
        return Ok(None);
    }
    let asked = Statement::new("SELECT position FROM watermarks WHERE journal = $1").bind(batch.journal.as_str());
    db.first(asked).await
}

/// What is added to a total.
#[derive(Default)]
struct Added {
    settled: i64,
    unknown: i64,
    last_at: EpochMs,
}

/// Adds what was booked to all sums, and writes down what is unknown now.
async fn sum(store: &Store, db: &mut Session, batch: &Batch, kept: &[&Booked]) -> Result<(), StoreError> {
    let mut totals: BTreeMap<&Window, Added> = BTreeMap::new();
    for row in kept.iter().map(|booked| &booked.row) {
        for window in row.windows.each() {
            let added = totals.entry(window).or_default();
            added.settled += row.spend.0;
            added.last_at = added.last_at.max(row.ended_at);
        }
    }
    let folded: Vec<Vec<Value>> = if batch.keep_rows {
        Vec::new()
    } else {
        let line = |(window, added): (&&Window, &Added)| {
            vec![window.kind.as_str().into(), window.id.as_str().into(), window.start.into(), added.settled.into()]
        };
        totals.iter().map(line).collect()
    };
    let freed = unknown::resolve(db, batch).await?;
    for (attempts, sign) in [(&batch.unknown, 1), (&freed, -1)] {
        for attempt in attempts {
            for window in attempt.windows.each() {
                totals.entry(window).or_default().unknown += sign * attempt.held.0;
            }
        }
    }
    let rows = totals.iter().map(|(window, added)| {
        let Added { settled, unknown, last_at } = *added;
        let Window { kind, id, start } = window;
        vec![kind.as_str().into(), id.as_str().into(), (*start).into(), settled.into(), unknown.into(), last_at.into()]
    });
    insert_many(store, db, "totals", TOTALS, ADD_TOTALS, rows.collect()).await?;
    insert_many(store, db, "folded", FOLDED, ADD_FOLDED, folded).await?;
    daily::add(store, db, kept).await?;
    let rows = batch.unknown.iter().map(UnknownAttempt::values).collect();
    insert_many(store, db, "unknown", UnknownAttempt::COLUMNS, Conflict::REFUSED, rows).await?;
    pay(db, batch, kept).await
}

/// Takes out of the leases what is booked now. The totals are locked already, so nobody sees the money twice or not at all.
async fn pay(db: &mut Session, batch: &Batch, kept: &[&Booked]) -> Result<(), StoreError> {
    let Some(instance) = &batch.instance else { return Ok(()) };
    let mut used: BTreeMap<&Window, i64> = BTreeMap::new();
    let settled = kept.iter().filter(|booked| booked.leased).map(|booked| (&booked.row.windows, booked.row.spend.0));
    let unknown = batch.unknown.iter().map(|attempt| (&attempt.windows, attempt.held.0));
    for (windows, amount) in settled.chain(unknown) {
        windows.each().into_iter().for_each(|window| *used.entry(window).or_default() += amount);
    }
    for (window, amount) in used {
        let paid =
            "UPDATE leases SET used = used + $1 WHERE kind = $2 AND id = $3 AND window_start = $4 AND instance = $5";
        let paid = Statement::new(paid).bind(amount).bind(window.kind.as_str()).bind(window.id.as_str());
        db.run(paid.bind(window.start).bind(instance.as_str())).await?;
    }
    Ok(())
}

/// Adds to what was settled by rows that are gone.
pub(super) async fn fold(store: &Store, db: &mut Session, sums: &BTreeMap<Window, i64>) -> Result<(), StoreError> {
    let line = |(window, settled): (&Window, &i64)| {
        vec![window.kind.as_str().into(), window.id.as_str().into(), window.start.into(), (*settled).into()]
    };
    insert_many(store, db, "folded", FOLDED, ADD_FOLDED, sums.iter().map(line).collect()).await
}

async fn quarantine(db: &mut Session, batch: &Batch, refused: &[Refused]) -> Result<Vec<i64>, StoreError> {
    let of_refused = refused.iter().filter_map(|(number, cause)| {
        let booked = batch.booked.get(*number)?;
        Some((booked.position, booked.row.spend, cause, &booked.record))
    });
    let unread = batch.unread.iter().map(|one| (one.position, NanoDollars(0), &one.cause, &one.record));
    let mut positions = Vec::new();
    for (position, spend, cause, record) in of_refused.chain(unread) {
        let kept =
            "INSERT INTO quarantine (journal, position, spend, cause, record, at) VALUES ($1, $2, $3, $4, $5, $6)";
        let kept = Statement::new(kept).bind(batch.journal.as_str()).bind(position).bind(spend);
        db.run(kept.bind(cause.as_str()).bind(record.clone()).bind(batch.at)).await?;
        positions.push(position);
    }
    positions.sort_unstable();
    Ok(positions)
}
