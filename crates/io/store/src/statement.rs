//! A statement: static text, or text that grows by static pieces and numbered places for its values.

use std::fmt::Write as _;

use sqlx::{QueryBuilder, SqlSafeStr as _, SqlStr, Sqlite};

/// A value of one of the types that both databases have, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Boolean(Option<bool>),
    Blob(Option<Vec<u8>>),
}

/// A finished statement with its values.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) sql: SqlStr,
    pub(crate) values: Vec<Value>,
}

impl Statement {
    /// A text whose places are `$1`, `$2` and so on.
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { sql: sql.into_sql_str(), values: Vec::new() }
    }

    /// A text that was built before.
    pub(crate) fn again(sql: &SqlStr) -> Self {
        Self { sql: sql.clone(), values: Vec::new() }
    }

    /// Gives the next place its value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }
}

/// A statement while it is put together.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    sql: String,
    values: Vec<Value>,
}

impl Draft {
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Adds a piece of the text; never anything from outside.
    pub(crate) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Adds a place, and its value.
    pub(crate) fn value(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        // Writing into a text cannot fail.
        let _ = write!(self.sql, "${}", self.values.len());
        self
    }

    /// Adds names with commas between them.
    pub(crate) fn names(&mut self, of: &'static str, names: &[&'static str]) -> &mut Self {
        for (number, name) in names.iter().enumerate() {
            self.push(if number == 0 { "" } else { ", " }).push(of).push(name);
        }
        self
    }

    /// Adds places in brackets, with commas between them.
    pub(crate) fn tuple(&mut self, values: impl IntoIterator<Item = Value>) -> &mut Self {
        self.push("(");
        for (number, value) in values.into_iter().enumerate() {
            self.push(if number == 0 { "" } else { ", " }).value(value);
        }
        self.push(")")
    }

    /// The statement.
    pub(crate) fn done(self) -> Statement {
        // The builder takes text of its own without asking for `AssertSqlSafe`: ours consists of static pieces.
        Statement { sql: QueryBuilder::<Sqlite>::new(self.sql).into_sql(), values: self.values }
    }
}
