//! How long the spend log is kept: a task of the gateway deletes old rows bit by bit, and makes room for those of coming days.

use std::{sync::Arc, time::Duration};

use tollgate_config::Config;
use tollgate_store::{EpochMs, Store, StoreError};

use crate::gateway::Gateway;

/// Between two looks if nobody says: `LiteLLM`'s.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Nobody is to delete without a pause.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks at the days that PostgreSQL keeps apart, and when a look that failed is made again.
const DAYS_EVERY: Duration = Duration::from_secs(3600);
/// Days that room is made for before they come.
const DAYS_AHEAD: i64 = 2;
/// Rows that one look deletes at most: what is left goes at the next one.
const MOST_DELETED: i64 = 500_000;

/// How long rows are kept, and how often that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// None: for ever.
    period: Option<Duration>,
    interval: Duration,
}

impl Retention {
    pub(crate) fn of(config: &Config) -> Self {
        let general = &config.general;
        Self {
            period: general.maximum_spend_logs_retention_period,
            interval: general.maximum_spend_logs_retention_interval.unwrap_or(INTERVAL).max(SHORTEST_INTERVAL),
        }
    }
}

impl Gateway {
    /// Keeps the spend log in order until the gateway goes down; the first look is made at once.
    pub fn start_tidying(self: &Arc<Self>) {
        if let Some(callers) = &self.callers {
            let (gateway, store) = (Arc::clone(self), Arc::clone(callers.store()));
            self.workers.spawn_following(async move { gateway.tidy(&store).await });
        }
    }

    async fn tidy(self: Arc<Self>, store: &Store) {
        let mut due = self.clock.monotonic();
        loop {
            let retention = self.snapshot().retention;
            let oldest = retention.period.map(|period| EpochMs(self.now_millis().0.saturating_sub(millis(period))));
            let done = async {
                // Days without rows go as soon as they may hold none.
                store.prepare_days(self.now_millis(), DAYS_AHEAD, oldest.unwrap_or_default()).await?;
                if self.clock.monotonic() >= due {
                    self.prune(store, oldest).await?;
                    due = self.clock.monotonic() + retention.interval;
                }
                Ok::<(), StoreError>(())
            };
            if let Err(error) = done.await {
                tracing::warn!(target: "tollgate::store", %error, "the spend log is not tidied up; it is tried again");
            }
            tokio::select! {
                () = self.draining() => return,
                () = tokio::time::sleep(retention.interval.min(DAYS_EVERY)) => {}
            }
        }
    }

    async fn prune(&self, store: &Store, oldest: Option<EpochMs>) -> Result<(), StoreError> {
        let Some(oldest) = oldest else { return Ok(()) };
        let rows = tokio::select! {
            () = self.draining() => return Ok(()),
            rows = store.prune_spend(oldest, MOST_DELETED) => rows?,
        };
        if rows > 0 {
            tracing::info!(target: "tollgate::store", rows, "rows of the spend log are older than they are kept, and gone");
        }
        Ok(())
    }

    fn now_millis(&self) -> EpochMs {
        EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
