//! Migrations: the schema's history, in two folders with the same names, run under a lock and all or nothing.
//!
//! They expand first and contract later: a new column has a default, an old one goes only when no supported version reads it.
//! So two neighbouring versions run on one schema. A migration that an older program cannot live with says so in
//! `needs`, and the older program refuses to start with one line.

use crate::{
    EpochMs, StoreError,
    pool::Pool,
    session::{Columns, Read, Session},
    statement::Statement,
    store::LONG,
    values::Field,
};

/// One step of the schema.
struct Migration {
    version: i64,
    name: &'static str,
    /// The last migration that a program has to know to work with the schema after this one.
    needs: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal, needs $needs:literal) => {
        Migration {
            version: $version,
            name: $name,
            needs: $needs,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: [Migration; 3] = [
    migration!(1, "0001_access", needs 1),
    migration!(2, "0002_spend", needs 1),
    migration!(3, "0003_leases", needs 1),
];

/// The number of PostgreSQL's advisory lock: "tollgate" read as a number.
const LOCK: i64 = 0x746f_6c6c_6761_7465;

/// Brings the database to what this program knows.
pub(crate) async fn run(pool: &Pool, now: EpochMs) -> Result<(), StoreError> {
    if let Some(state) = current(&mut pool.reader().await?).await?
        && state.version >= known()
    {
        // The usual start: nothing to do and nobody to wait for.
        return state.accepted();
    }
    let mut db = pool.writer().await?;
    db.take_time(LONG).await?;
    lock(&mut db).await?;
    db.run_script(HISTORY).await?;
    // Somebody else may have done it while we waited.
    let state = current(&mut db).await?.unwrap_or(State { version: 0, needs: 0 });
    state.accepted()?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > state.version) {
        apply(&mut db, migration, now).await?;
    }
    db.commit().await
}

/// Accepts a database that is at least what this program knows, and changes nothing.
pub(crate) async fn require(pool: &Pool) -> Result<(), StoreError> {
    let state = current(&mut pool.reader().await?).await?.ok_or(StoreError::Missing)?;
    if state.version < known() {
        return Err(StoreError::TooOld { schema: state.version, known: known() });
    }
    state.accepted()
}

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_history \
    (version bigint PRIMARY KEY, name text NOT NULL, needs bigint NOT NULL, at bigint NOT NULL)";

fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Where a database stands.
struct State {
    version: i64,
    needs: i64,
}

impl State {
    fn accepted(&self) -> Result<(), StoreError> {
        if self.needs <= known() {
            return Ok(());
        }
        Err(StoreError::TooNew { schema: self.version, known: known() })
    }
}

impl Read for State {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        let (version, needs): (Option<i64>, Option<i64>) = (Field::take(columns)?, Field::take(columns)?);
        Ok(Self { version: version.unwrap_or(0), needs: needs.unwrap_or(0) })
    }
}

/// Where the database stands, or nothing if it is new.
async fn current(db: &mut Session) -> Result<Option<State>, StoreError> {
    let there = if db.is_postgres() {
        "SELECT CASE WHEN to_regclass('tollgate.schema_history') IS NULL THEN 0 ELSE 1 END::bigint"
    } else {
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_history'"
    };
    let there: i64 = db.one(Statement::new(there)).await?;
    if there == 0 {
        return Ok(None);
    }
    db.first(Statement::new("SELECT MAX(version), MAX(needs) FROM schema_history")).await
}

/// SQLite's writer holds the only lock there is already.
async fn lock(db: &mut Session) -> Result<(), StoreError> {
    if !db.is_postgres() {
        return Ok(());
    }
    db.run(Statement::new("SELECT pg_advisory_xact_lock($1)").bind(LOCK)).await?;
    // `IF NOT EXISTS` alone asks for the right to create schemas even where it is there.
    let there: i64 = db.one(Statement::new("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'tollgate'")).await?;
    if there == 0 {
        db.run_script("CREATE SCHEMA tollgate").await?;
    }
    Ok(())
}

async fn apply(db: &mut Session, migration: &Migration, now: EpochMs) -> Result<(), StoreError> {
    let script = if db.is_postgres() { migration.postgres } else { migration.sqlite };
    let failed = |error: StoreError| StoreError::Migration { name: migration.name, cause: error.to_string() };
    db.run_script(script).await.map_err(failed)?;
    let done = Statement::new("INSERT INTO schema_history (version, name, needs, at) VALUES ($1, $2, $3, $4)");
    db.run(done.bind(migration.version).bind(migration.name).bind(migration.needs).bind(now)).await?;
    Ok(())
}
