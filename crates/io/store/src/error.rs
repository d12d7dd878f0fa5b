//! What may go wrong with the store, in the few kinds that its callers act on.

use sqlx::{Error, error::DatabaseError};

/// Why the store did not do what it was asked. No text of it holds an address, a password or a value of a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is too slow or has no room; nothing was changed, or it cannot be known.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A row with this value is there already; `what` is the column.
    #[error("{what} is taken already")]
    Taken {
        /// The column whose value has to be unique.
        what: &'static str,
    },
    /// The row was changed by somebody else since it was read.
    #[error("it was changed in the meantime; read it again")]
    Stale,
    /// There is no such row.
    #[error("there is no such row in the store")]
    Missing,
    /// The address is none of a database.
    #[error("the address of the database is wrong: it has to be postgresql://user:password@host:port/name")]
    Address,
    /// The database is a newer program's, which says that this one cannot work with it.
    #[error("the database has schema {schema}, made for a newer tollgate; this one knows {known}: update tollgate")]
    TooNew {
        /// The number of the last migration of the database.
        schema: i64,
        /// The number of the last migration of this program.
        known: i64,
    },
    /// The database is an older program's, and is only to be read.
    #[error(
        "the database has schema {schema}, this tollgate reads {known}: start it once, so that it brings it up to date"
    )]
    TooOld {
        /// The number of the last migration of the database.
        schema: i64,
        /// The number of the last migration of this program.
        known: i64,
    },
    /// A migration failed; the database is as it was before.
    #[error("migration {name} of the database failed and was undone: {cause}")]
    Migration {
        /// The migration's name.
        name: &'static str,
        /// What the database said.
        cause: String,
    },
    /// The database says something that a sound one cannot.
    #[error("the store is broken: {0}")]
    Broken(String),
}

/// Columns (or the names of their indexes) that have to be unique beside the primary keys.
const UNIQUE: [&str; 4] = ["key_alias", "sso_user_id", "origin", "position"];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => from_database(error.as_ref()),
            Error::PoolTimedOut => Self::Unavailable("no connection became free in time".to_owned()),
            Error::PoolClosed => Self::Unavailable("it was closed".to_owned()),
            Error::Io(error) => Self::Unavailable(error.to_string()),
            Error::Tls(error) => Self::Unavailable(format!("TLS: {error}")),
            Error::WorkerCrashed => Self::Unavailable("its worker ended".to_owned()),
            Error::BeginFailed => Self::Unavailable("a transaction could not begin".to_owned()),
            // Its text may repeat the address, and with it the password.
            Error::Configuration(_) => Self::Address,
            Error::RowNotFound => Self::Missing,
            // A PostgreSQL that is starting or has no process to spare answers the question for TLS with an error instead.
            Error::Protocol(words) if words.contains("SSLRequest") => {
                Self::Unavailable("it is not ready for connections".to_owned())
            }
            other => Self::Broken(other.to_string()),
        }
    }
}

fn from_database(error: &dyn DatabaseError) -> StoreError {
    // Its details would hold the row's values; the message does not.
    let message = error.message();
    if error.is_unique_violation() {
        let named = error.constraint().unwrap_or(message);
        let what = UNIQUE.iter().find(|name| named.contains(**name)).unwrap_or(&"the id");
        return StoreError::Taken { what };
    }
    let code = error.code().unwrap_or_default();
    if passes(&code) { StoreError::Unavailable(message.to_owned()) } else { StoreError::Broken(message.to_owned()) }
}

/// Whether it may be better another time: the database is away, busy, full, closed to us or undid a transaction.
fn passes(code: &str) -> bool {
    // PostgreSQL's codes have five characters, two of them for the class: <https://www.postgresql.org/docs/15/errcodes-appendix.html>
    if code.len() == 5 && !code.starts_with('0') || code.starts_with("08") {
        let class = code.get(..2).unwrap_or_default();
        return ["08", "25", "28", "3D", "40", "53", "55", "57", "58"].contains(&class);
    }
    // SQLite's primary result codes: busy, locked, read-only, interrupted, I/O, full, cannot open.
    // <https://www.sqlite.org/rescode.html>
    code.parse::<u32>().is_ok_and(|code| [5, 6, 8, 9, 10, 13, 14].contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_starting_is_away_and_not_broken() {
        let starting = Error::Protocol("unexpected response from SSLRequest: 0x45".to_owned());
        assert!(matches!(StoreError::from(starting), StoreError::Unavailable(_)));
        assert!(matches!(StoreError::from(Error::Protocol("odd".to_owned())), StoreError::Broken(_)));
    }
}
