//! Writes that may be sent twice: an `Idempotency-Key` is taken before the write, and its answer kept with it.

use crate::{
    EpochMs, Store, StoreError,
    session::{Columns, Read},
    statement::Statement,
    values::Field,
};

/// What is known of an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is taken now, and the write may begin.
    New,
    /// The same write is under way.
    Running,
    /// The same write was answered with this status and body.
    Done(i64, Vec<u8>),
    /// It was used for another request.
    Other,
}

/// An `Idempotency-Key` and the request that it stands for.
#[derive(Clone, Copy, Debug)]
pub struct Once<'call> {
    /// Who sends it: the hash of a key, so that nobody reads another's answers.
    pub caller: &'call str,
    /// The `Idempotency-Key`.
    pub name: &'call str,
    /// A hash of method, path and body.
    pub request: &'call str,
}

impl Store {
    /// Takes the key for this request, or says what became of it. One that has expired, or whose write was begun before
    /// `abandoned` and never ended, is free again.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn begin_once(
        &self,
        once: Once<'_>,
        now: EpochMs,
        expires: EpochMs,
        abandoned: EpochMs,
    ) -> Result<Known, StoreError> {
        self.within(async {
            let mut db = self.writer().await?;
            let free = "DELETE FROM idempotency WHERE caller = $1 AND name = $2 \
                        AND (expires <= $3 OR (status IS NULL AND at < $4))";
            db.run(Statement::new(free).bind(once.caller).bind(once.name).bind(now).bind(abandoned)).await?;
            let taken = "INSERT INTO idempotency (caller, name, request, at, expires) VALUES ($1, $2, $3, $4, $5) \
                         ON CONFLICT (caller, name) DO NOTHING";
            let taken = Statement::new(taken).bind(once.caller).bind(once.name).bind(once.request);
            let is_new = db.run(taken.bind(now).bind(expires)).await? > 0;
            let kept: Option<Kept> = if is_new {
                None
            } else {
                let asked = "SELECT request, status, answer FROM idempotency WHERE caller = $1 AND name = $2";
                db.first(Statement::new(asked).bind(once.caller).bind(once.name)).await?
            };
            db.commit().await?;
            Ok(match kept {
                None if is_new => Known::New,
                // It was given up in this moment; whoever asks again may have it.
                None => Known::Running,
                Some(kept) if kept.request != once.request => Known::Other,
                Some(Kept { status: Some(status), answer, .. }) => Known::Done(status, answer.unwrap_or_default()),
                Some(_) => Known::Running,
            })
        })
        .await
    }

    /// Keeps the answer of a write that was begun. It may hold a new key, so the caller seals it.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn finish_once(&self, once: Once<'_>, status: i64, sealed: Vec<u8>) -> Result<(), StoreError> {
        let kept = "UPDATE idempotency SET status = $1, answer = $2 WHERE caller = $3 AND name = $4 AND request = $5";
        let kept = Statement::new(kept).bind(status).bind(sealed);
        self.change(kept.bind(once.caller).bind(once.name).bind(once.request)).await.map(|_| ())
    }

    /// Gives the key back after a write that changed nothing, so that it may be tried again.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn forget_once(&self, once: Once<'_>) -> Result<(), StoreError> {
        let freed = "DELETE FROM idempotency WHERE caller = $1 AND name = $2 AND request = $3 AND status IS NULL";
        self.change(Statement::new(freed).bind(once.caller).bind(once.name).bind(once.request)).await.map(|_| ())
    }

    /// Forgets what has expired, at most `limit` of it, and says how much.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn prune_once(&self, now: EpochMs, limit: i64) -> Result<u64, StoreError> {
        let pruned = "DELETE FROM idempotency WHERE (caller, name) IN \
                      (SELECT caller, name FROM idempotency WHERE expires <= $1 LIMIT $2)";
        self.change(Statement::new(pruned).bind(now).bind(limit)).await
    }
}

struct Kept {
    request: String,
    status: Option<i64>,
    answer: Option<Vec<u8>>,
}

impl Read for Kept {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { request: Field::take(columns)?, status: Field::take(columns)?, answer: Field::take(columns)? })
    }
}
