//! What has to be done now and then, by whichever instance comes first: rows that nobody needs any more go, keys that are due
//! get another token. Each is done in small pieces, so that none holds the store for long.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _};
use tollgate_store::{EpochMs, Store, StoreError};

use crate::gateway::Gateway;

/// Rows that one statement deletes.
const AT_ONCE: i64 = 5_000;
/// Statements of one look; what is left goes at the next one.
const MOST_STATEMENTS: usize = 100;
/// Changes are heard within seconds; who was away longer begins anew.
const CHANGES_KEPT: Duration = Duration::from_secs(3600);
/// How often it is looked whether one is due.
const LOOKS: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

type Done<'a> = BoxFuture<'a, Result<u64, StoreError>>;

/// One of them.
struct Chore {
    /// What is gone, or done, for the log.
    what: &'static str,
    /// How often.
    every: fn(&Gateway) -> Duration,
    /// Does it and says how many it were.
    does: for<'a> fn(&'a Gateway, &'a Store, EpochMs) -> Done<'a>,
}

const CHORES: [Chore; 4] = [
    Chore {
        what: "changes that everybody has heard",
        every: |_| 10 * MINUTE,
        does: |_, store, now| changes(store, now).boxed(),
    },
    Chore {
        what: "tokens of regenerated keys",
        every: |_| 10 * MINUTE,
        does: |_, store, now| old_tokens(store, now).boxed(),
    },
    Chore {
        what: "answers under Idempotency-Keys",
        every: |_| 10 * MINUTE,
        does: |_, store, now| answers(store, now).boxed(),
    },
    Chore {
        what: "keys with a new token",
        every: Gateway::rotates_every,
        does: |gateway, store, now| gateway.rotate(store, now).boxed(),
    },
];

impl Gateway {
    /// Does its chores until it goes down.
    pub fn start_chores(self: &Arc<Self>) {
        if self.callers.is_none() {
            return;
        }
        let gateway = Arc::clone(self);
        self.workers.spawn_following(async move {
            let mut due = [gateway.clock.monotonic(); CHORES.len()];
            loop {
                for (chore, due) in CHORES.iter().zip(&mut due) {
                    let now = gateway.clock.monotonic();
                    if now >= *due && !gateway.is_draining() {
                        *due = now + (chore.every)(&gateway);
                        gateway.does(chore).await;
                    }
                }
                tokio::select! {
                    () = gateway.draining() => return,
                    () = tokio::time::sleep(LOOKS) => {}
                }
            }
        });
    }

    /// Does each of them once, now.
    pub async fn do_chores(&self) {
        for chore in &CHORES {
            self.does(chore).await;
        }
    }

    async fn does(&self, chore: &Chore) {
        let Some(callers) = &self.callers else { return };
        let now = EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX));
        match (chore.does)(self, callers.store(), now).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(target: "tollgate::store", count, what = chore.what, "a chore is done"),
            Err(error) => {
                tracing::warn!(target: "tollgate::store", %error, what = chore.what, "a chore is not done; it is tried again");
            }
        }
    }
}

async fn changes(store: &Store, now: EpochMs) -> Result<u64, StoreError> {
    let kept = i64::try_from(CHANGES_KEPT.as_millis()).unwrap_or(i64::MAX);
    let before = EpochMs(now.0.saturating_sub(kept));
    in_pieces(|| store.prune_changes(before, AT_ONCE)).await
}

async fn old_tokens(store: &Store, now: EpochMs) -> Result<u64, StoreError> {
    in_pieces(|| store.prune_old_tokens(now, AT_ONCE)).await
}

async fn answers(store: &Store, now: EpochMs) -> Result<u64, StoreError> {
    in_pieces(|| store.prune_once(now, AT_ONCE)).await
}

/// Again and again until nothing is left, or it was enough for once.
async fn in_pieces<F: Future<Output = Result<u64, StoreError>>>(piece: impl Fn() -> F) -> Result<u64, StoreError> {
    let mut all = 0;
    for _ in 0..MOST_STATEMENTS {
        let gone = piece().await?;
        all += gone;
        if gone < AT_ONCE.unsigned_abs() {
            break;
        }
    }
    Ok(all)
}
