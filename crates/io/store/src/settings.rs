//! Where the store is and what it may take.

use std::{path::PathBuf, time::Duration};

use tollgate_wire::Secret;

/// Where the rows are kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// In this file, which is made if it is not there.
    Sqlite(PathBuf),
    /// In memory, until the store is dropped.
    Memory,
    /// In the schema `tollgate` of a PostgreSQL database: `postgresql://user:password@host:port/name?sslmode=…`.
    Postgres(Secret),
}

/// Where the store is, and its bounds.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where the rows are kept.
    pub place: Place,
    /// Connections at most; with SQLite one of them writes and the others read.
    pub max_connections: u32,
    /// How long opening the store may take, until the first connection is there.
    pub connect_timeout: Duration,
    /// How long a call may wait for a free connection.
    pub acquire_timeout: Duration,
    /// How long a call may then take.
    pub statement_timeout: Duration,
}

impl StoreSettings {
    /// Twenty connections, 10 s to open, 2 s for a connection and 10 s for a statement.
    #[must_use]
    pub fn at(place: Place) -> Self {
        Self {
            place,
            max_connections: 20,
            connect_timeout: Duration::from_secs(10),
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(10),
        }
    }
}
