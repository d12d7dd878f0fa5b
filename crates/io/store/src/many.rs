//! Many rows in few statements: of 500, 100, 10 and 1 rows, so that each database keeps the few texts prepared.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::SqlStr;

use crate::{
    Store, StoreError,
    session::Session,
    statement::{Draft, Statement, Value},
};

const LENGTHS: [usize; 4] = [500, 100, 10, 1];

/// What is done with a row that is there already; `t` is the row that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conflict(pub(crate) &'static str);

impl Conflict {
    /// The statement fails.
    pub(crate) const REFUSED: Self = Self("");
}

/// The texts that were built so far: as many as there are tables and lengths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts(Arc<Mutex<HashMap<(&'static str, usize), SqlStr>>>);

impl Texts {
    fn get(&self, table: &'static str, length: usize, build: impl FnOnce() -> SqlStr) -> SqlStr {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.entry((table, length)).or_insert_with(build).clone()
    }
}

fn text(
    table: &'static str,
    columns: &'static [&'static str],
    conflict: Conflict,
    length: usize,
    is_postgres: bool,
) -> SqlStr {
    let mut draft = Draft::new("INSERT INTO ");
    draft.push(table).push(" AS t (").names("", columns).push(") VALUES ");
    for row in 0..length {
        draft.push(if row == 0 { "" } else { ", " });
        if is_postgres {
            // The places are numbered; what they hold comes later.
            draft.tuple(columns.iter().map(|_| Value::Integer(None)));
        } else {
            // To SQLite `$1` is a name, and it looks for each name among all of them: with 22,000 that takes a second.
            draft.push("(");
            for column in 0..columns.len() {
                draft.push(if column == 0 { "?" } else { ", ?" });
            }
            draft.push(")");
        }
    }
    draft.push(conflict.0);
    draft.done().sql
}

/// Inserts rows, which are sorted by those who call if others write the same ones.
pub(crate) async fn insert_many(
    store: &Store,
    db: &mut Session,
    table: &'static str,
    columns: &'static [&'static str],
    conflict: Conflict,
    rows: Vec<Vec<Value>>,
) -> Result<(), StoreError> {
    let mut left = rows.len();
    let mut rows = rows.into_iter();
    while let Some(length) = LENGTHS.into_iter().find(|length| *length <= left) {
        let is_postgres = db.is_postgres();
        let sql = store.texts().get(table, length, || text(table, columns, conflict, length, is_postgres));
        let values = rows.by_ref().take(length).flatten().collect();
        db.run(Statement { sql, values }).await?;
        left -= length;
    }
    Ok(())
}
