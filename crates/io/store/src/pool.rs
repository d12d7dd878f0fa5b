//! The connections: to a SQLite file (one that writes, others that read), to memory, or to PostgreSQL.

use std::{fs::OpenOptions, path::Path, str::FromStr, time::Duration};

use sqlx::{
    Executor as _, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    StoreError,
    session::Session,
    settings::{Place, StoreSettings},
};

/// A connection that rested longer is asked whether it still lives before it is used.
const RESTED: Duration = Duration::from_secs(5);

/// How many pages of a SQLite file a connection keeps in memory, in KiB (negative by SQLite's convention).
const CACHE_KIB: &str = "-16000";

/// The connections of one store.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    /// One connection writes, so that writers queue here and not inside SQLite; the others read beside it.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

impl Pool {
    /// Connects; nothing is written but the pragmas of a new SQLite file.
    pub(crate) async fn connect(settings: &StoreSettings) -> Result<Self, StoreError> {
        match &settings.place {
            Place::Postgres(url) => {
                let url = url.expose();
                // The library takes any scheme.
                if !["postgresql://", "postgres://"].iter().any(|scheme| url.starts_with(scheme)) {
                    return Err(StoreError::Address);
                }
                let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Address)?;
                postgres(options, settings).await
            }
            Place::Memory => {
                // A name of its own for each store, and one connection for everything, which is never given up: the rows
                // live as long as it does.
                let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
                let kept = SqlitePoolOptions::new().max_connections(1).min_connections(1);
                let kept = kept.acquire_timeout(settings.acquire_timeout).test_before_acquire(false);
                let writer = kept.idle_timeout(None).max_lifetime(None).connect_with(options).await?;
                Ok(Self::Sqlite { readers: writer.clone(), writer })
            }
            Place::Sqlite(path) => {
                make_private(path);
                let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
                sqlite(options, settings).await
            }
        }
    }

    /// A connection to read with.
    pub(crate) async fn reader(&self) -> Result<Session, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Session::SqliteRead(readers.acquire().await?),
            Self::Postgres(pool) => Session::PostgresRead(pool.acquire().await?),
        })
    }

    /// A transaction to write in. With SQLite it is the only one, of all processes, until it ends.
    pub(crate) async fn writer(&self) -> Result<Session, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Session::SqliteWrite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Session::PostgresWrite(pool.begin().await?),
        })
    }

    /// A transaction that reads, and sees one state of everything.
    pub(crate) async fn snapshot(&self) -> Result<Session, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Session::SqliteWrite(readers.begin().await?),
            Self::Postgres(pool) => {
                Session::PostgresWrite(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                // The last one to leave merges the log into the file.
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Makes the file, if it is not there, so that only its owner reads it; what SQLite puts beside it gets the same rights. Where
/// it cannot be made, opening it says why.
fn make_private(path: &Path) {
    let mut file = OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    drop(file.open(path));
}

async fn sqlite(options: SqliteConnectOptions, settings: &StoreSettings) -> Result<Pool, StoreError> {
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is on the disk when it is told: the journal of the ledger may drop what the store has.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(settings.acquire_timeout)
        .pragma("cache_size", CACHE_KIB)
        .pragma("temp_store", "MEMORY");
    let pool = SqlitePoolOptions::new().acquire_timeout(settings.acquire_timeout).test_before_acquire(false);
    let pool = pool.idle_timeout(None).max_lifetime(None).after_release(|connection, _| {
        Box::pin(async move {
            // SQLite itself undoes a transaction when the disk is full or fails (<https://www.sqlite.org/lang_transaction.html>), of
            // which the library knows nothing: it would never begin another one. The question waits for what it still does.
            sqlx::Connection::ping(connection).await?;
            Ok(!sqlx::Connection::is_in_transaction(connection))
        })
    });
    let writer = pool.clone().max_connections(1).connect_with(options.clone()).await?;
    let reading = options.create_if_missing(false).read_only(true);
    let readers = pool.max_connections(settings.max_connections.saturating_sub(1).max(1)).connect_lazy_with(reading);
    Ok(Pool::Sqlite { writer, readers })
}

async fn postgres(options: PgConnectOptions, settings: &StoreSettings) -> Result<Pool, StoreError> {
    let options = options.application_name("tollgate");
    let patience = settings.statement_timeout.as_millis().to_string();
    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(settings.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, rested| {
            Box::pin(async move {
                if rested.idle_for > RESTED {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let patience = patience.clone();
            Box::pin(async move {
                // Not as startup parameters: poolers refuse those.
                let set = "SELECT set_config('search_path', 'tollgate', false), set_config('statement_timeout', $1, false), \
                           set_config('lock_timeout', $1, false), set_config('timezone', 'UTC', false)";
                connection.execute(sqlx::query(set).bind(patience)).await?;
                Ok(())
            })
        });
    let opened = tokio::time::timeout(settings.connect_timeout, pool.connect_with(options)).await;
    let late = |_| StoreError::Unavailable("the database did not answer in time".to_owned());
    Ok(Pool::Postgres(opened.map_err(late)??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Statement;

    #[tokio::test]
    async fn a_full_disk_spoils_no_connection_for_ever() {
        let folder = tollgate_kit::TempFolder::new();
        let pool = Pool::connect(&StoreSettings::at(Place::Sqlite(folder.path().join("full.db")))).await.unwrap();
        let mut db = pool.writer().await.unwrap();
        db.run_script("CREATE TABLE words (word TEXT); PRAGMA max_page_count = 4").await.unwrap();
        db.commit().await.unwrap();
        let add = |length| Statement::new("INSERT INTO words VALUES ($1)").bind("x".repeat(length));
        let mut db = pool.writer().await.unwrap();
        let full = db.run(add(100_000)).await.unwrap_err();
        assert!(matches!(full, StoreError::Unavailable(_)), "{full}");
        drop(db);
        // There is room again.
        let mut db = pool.writer().await.unwrap();
        db.run(add(100_000)).await.unwrap();
        db.commit().await.unwrap();
    }
}
