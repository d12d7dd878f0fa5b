//! The store itself: its connections, and the bounds within which everything is done.

use std::time::Duration;

use sqlx::SqlStr;

use crate::{
    EpochMs, StoreError, StoreSettings, keys, many::Texts, migrations, pool::Pool, session::Session,
    statement::Statement,
};

/// How long work on many rows may take: migrations, pruning, checks.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// What must survive. Cloning gives another handle to the same connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    bound: Duration,
    view: SqlStr,
    texts: Texts,
}

impl Store {
    /// Connects and brings the schema to what this program knows.
    ///
    /// Neighbouring versions run on one schema: a newer one is accepted if it says that this program can work with it.
    ///
    /// # Errors
    /// If the database is away, its address is wrong, a migration fails, or its schema is too new.
    pub async fn open(settings: &StoreSettings, now: EpochMs) -> Result<Self, StoreError> {
        let pool = Pool::connect(settings).await?;
        // A call waits for a connection, and then for its statements.
        let store = Self {
            pool,
            bound: settings.acquire_timeout + settings.statement_timeout,
            view: keys::view_text(),
            texts: Texts::default(),
        };
        store.within_long(migrations::run(&store.pool, now)).await?;
        Ok(store)
    }

    /// Connects to a store that is there, to read it: nothing is made and nothing is migrated.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none, and [`StoreError::TooOld`] if a gateway of this version never ran on it; else
    /// as [`Store::open`].
    pub async fn look(settings: &StoreSettings) -> Result<Self, StoreError> {
        if let crate::Place::Sqlite(file) = &settings.place
            && !file.is_file()
        {
            return Err(StoreError::Missing);
        }
        let store = Self {
            pool: Pool::connect(settings).await?,
            bound: settings.acquire_timeout + settings.statement_timeout,
            view: keys::view_text(),
            texts: Texts::default(),
        };
        store.within(migrations::require(&store.pool)).await?;
        Ok(store)
    }

    /// Gives up the connections when those who use them are done.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The text of the question for a key.
    pub(crate) fn view(&self) -> &SqlStr {
        &self.view
    }

    /// The texts of statements for many rows.
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    pub(crate) async fn reader(&self) -> Result<Session, StoreError> {
        self.pool.reader().await
    }

    pub(crate) async fn writer(&self) -> Result<Session, StoreError> {
        self.pool.writer().await
    }

    /// A connection that sees one state of everything until it is dropped, and has time.
    pub(crate) async fn snapshot(&self) -> Result<Session, StoreError> {
        let mut db = self.pool.snapshot().await?;
        db.take_time(LONG).await?;
        Ok(db)
    }

    /// A transaction to write many rows in.
    pub(crate) async fn long_writer(&self) -> Result<Session, StoreError> {
        let mut db = self.pool.writer().await?;
        db.take_time(LONG).await?;
        Ok(db)
    }

    /// One statement in a transaction of its own; how many rows it changed.
    pub(crate) async fn change(&self, statement: Statement) -> Result<u64, StoreError> {
        self.within(async {
            let mut db = self.writer().await?;
            let changed = db.run(statement).await?;
            db.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Does it within the bound of a call. A database that does not answer at all is noticed here.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        bounded(self.bound, work).await
    }

    /// Does what is done in the background, on many rows.
    pub(crate) async fn within_long<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        bounded(LONG, work).await
    }
}

async fn bounded<T>(bound: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Unavailable(format!("no answer within {} s", bound.as_secs()));
    // Boxed, so that the futures of those who call stay small.
    tokio::time::timeout(bound, Box::pin(work)).await.map_err(late)?
}
