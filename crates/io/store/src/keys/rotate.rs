//! A key gets a new token; the old one may work on for a while.

use super::Key;
use crate::{EpochMs, Kind, Stamp, Store, StoreError, changes, row::Table as _, statement::Statement, tables};

impl Store {
    /// Gives the key of the token `old` the token of `key`, and writes its other columns with it; its origin and what was
    /// spent under it stay. Until `grace`, if there is one, the old token still finds the key. Its new version.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if it was changed since the expected version, [`StoreError::Missing`] if it is gone,
    /// [`StoreError::Taken`] if the new token is there already.
    pub async fn regenerate_key(
        &self,
        old: &str,
        key: &Key,
        expected: i64,
        grace: Option<EpochMs>,
        stamp: &Stamp,
    ) -> Result<i64, StoreError> {
        self.within(async {
            let mut db = self.writer().await?;
            let id = [old.to_owned()];
            tables::update_row(&mut db, key.clone(), &id, expected, &["origin", "last_active"], stamp).await?;
            // Older tokens lead to the new one, not to one that is gone.
            let led = Statement::new("UPDATE old_tokens SET successor = $1 WHERE successor = $2");
            db.run(led.bind(key.token.as_str()).bind(old)).await?;
            if let Some(until) = grace.filter(|until| *until > stamp.at) {
                let kept = Statement::new("INSERT INTO old_tokens (token, successor, until) VALUES ($1, $2, $3)");
                db.run(kept.bind(old).bind(key.token.as_str()).bind(until)).await?;
            }
            changes::tell(&mut db, Kind::Key, &key.id(), stamp).await?;
            changes::note(&mut db, stamp).await?;
            db.commit().await?;
            Ok(expected + 1)
        })
        .await
    }

    /// Forgets tokens whose time is over, at most `limit` of them, and says how many.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn prune_old_tokens(&self, now: EpochMs, limit: i64) -> Result<u64, StoreError> {
        let pruned = "DELETE FROM old_tokens WHERE token IN (SELECT token FROM old_tokens WHERE until <= $1 LIMIT $2)";
        self.change(Statement::new(pruned).bind(now).bind(limit)).await
    }
}
