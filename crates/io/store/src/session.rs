//! One text for two databases: a statement with its values, and the connection or transaction that runs it. What differs
//! between the engines' drivers is here and nowhere else.

use sqlx::{
    PgConnection, Postgres, Row as _, Sqlite, SqliteConnection, Transaction,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{
    StoreError,
    statement::{Statement, Value},
};

/// A connection that reads, or a transaction that writes. A transaction that is dropped is undone.
pub(crate) enum Session {
    SqliteRead(PoolConnection<Sqlite>),
    SqliteWrite(Transaction<'static, Sqlite>),
    PostgresRead(PoolConnection<Postgres>),
    PostgresWrite(Transaction<'static, Postgres>),
}

/// The driver's connection below a session.
enum Link<'session> {
    Sqlite(&'session mut SqliteConnection),
    Postgres(&'session mut PgConnection),
}

/// A row of either database, whose columns are taken one after the other.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// The same line for both drivers: `$db` is the driver's connection, `$query` the statement as it wants it, and `$wrap`
/// makes a [`Row`] of what comes back.
macro_rules! on {
    ($session:expr, $statement:expr, $db:ident, $query:ident, $wrap:ident => $work:expr) => {
        match $session.link() {
            Link::Sqlite($db) => {
                let ($query, $wrap) = (for_sqlite($statement), Row::Sqlite);
                $work
            }
            Link::Postgres($db) => {
                let ($query, $wrap) = (for_postgres($statement), Row::Postgres);
                $work
            }
        }
    };
}

impl Session {
    /// Runs it and says how many rows it changed.
    pub(crate) async fn run(&mut self, statement: Statement) -> Result<u64, StoreError> {
        Ok(on!(self, statement, db, query, _wrap => query.execute(db).await?.rows_affected()))
    }

    /// Its first row, if there is one.
    pub(crate) async fn first<T: Read>(&mut self, statement: Statement) -> Result<Option<T>, StoreError> {
        let row = on!(self, statement, db, query, wrap => query.fetch_optional(db).await?.map(wrap));
        row.map(|row| T::read(&mut Columns::of(&row))).transpose()
    }

    /// Its one row.
    pub(crate) async fn one<T: Read>(&mut self, statement: Statement) -> Result<T, StoreError> {
        self.first(statement).await?.ok_or(StoreError::Missing)
    }

    /// All of its rows.
    pub(crate) async fn all<T: Read>(&mut self, statement: Statement) -> Result<Vec<T>, StoreError> {
        let rows: Vec<Row> =
            on!(self, statement, db, query, wrap => query.fetch_all(db).await?.into_iter().map(wrap).collect());
        rows.iter().map(|row| T::read(&mut Columns::of(row))).collect()
    }

    /// Runs several statements without values, as migrations have them.
    pub(crate) async fn run_script(&mut self, script: &'static str) -> Result<(), StoreError> {
        match self.link() {
            Link::Sqlite(db) => sqlx::raw_sql(script).execute(db).await.map(|_| ())?,
            Link::Postgres(db) => sqlx::raw_sql(script).execute(db).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Makes what a transaction did last. Reading needs no such thing.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::SqliteWrite(transaction) => transaction.commit().await?,
            Self::PostgresWrite(transaction) => transaction.commit().await?,
            Self::SqliteRead(_) | Self::PostgresRead(_) => {}
        }
        Ok(())
    }

    /// Whether it talks to PostgreSQL, for the few statements that have to differ.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::PostgresRead(_) | Self::PostgresWrite(_))
    }

    fn link(&mut self) -> Link<'_> {
        match self {
            Self::SqliteRead(connection) => Link::Sqlite(connection),
            Self::SqliteWrite(transaction) => Link::Sqlite(transaction),
            Self::PostgresRead(connection) => Link::Postgres(connection),
            Self::PostgresWrite(transaction) => Link::Postgres(transaction),
        }
    }
}

/// The columns of one row, from left to right.
pub(crate) struct Columns<'row> {
    row: &'row Row,
    next: usize,
}

impl<'row> Columns<'row> {
    fn of(row: &'row Row) -> Self {
        Self { row, next: 0 }
    }

    /// The same columns once more, to look ahead.
    pub(crate) fn ahead(&self) -> Self {
        Self { row: self.row, next: self.next }
    }

    /// Goes on behind the next `count` columns.
    pub(crate) fn skip(&mut self, count: usize) {
        self.next += count;
    }
}

/// The next column as one of the few types that both databases have.
macro_rules! takes {
    ($($name:ident: $type:ty),+ $(,)?) => {
        impl Columns<'_> {
            $(pub(crate) fn $name(&mut self) -> Result<Option<$type>, StoreError> {
                let at = self.next;
                self.next += 1;
                Ok(match self.row {
                    Row::Sqlite(row) => row.try_get(at)?,
                    Row::Postgres(row) => row.try_get(at)?,
                })
            })+
        }
    };
}

takes!(text: String, integer: i64, boolean: bool, blob: Vec<u8>);

/// What can be read from the columns of a row.
pub(crate) trait Read: Sized {
    /// Takes its columns, in their order.
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError>;
}

fn for_sqlite(statement: Statement) -> Query<'static, Sqlite, SqliteArguments> {
    let Statement { sql, values } = statement;
    let mut query = sqlx::query_with(sql, SqliteArguments::default());
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Integer(number) => query.bind(number),
            Value::Boolean(truth) => query.bind(truth),
            Value::Blob(bytes) => query.bind(bytes),
        };
    }
    query
}

fn for_postgres(statement: Statement) -> Query<'static, Postgres, PgArguments> {
    let Statement { sql, values } = statement;
    let mut query = sqlx::query_with(sql, PgArguments::default());
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Integer(number) => query.bind(number),
            Value::Boolean(truth) => query.bind(truth),
            Value::Blob(bytes) => query.bind(bytes),
        };
    }
    query
}
