//! What other instances change is heard within half a second (decision 32): keys, customers, tags, and whatever stands above
//! them are looked up anew, models and credentials of the store are read again; which keys and customers there are is read in the background and kept up by it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt as _;
use tollgate_policy::KeyDigest;
use tollgate_store::{Change, Kind, StoreError};

use crate::{callers::Callers, known::PAGE};

/// Between two questions for changes.
const EVERY: Duration = Duration::from_millis(500);
/// Changes that one answer holds at most: with fewer it holds all.
const FULL: usize = 1000;

/// What has to be read anew.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    /// Which keys and customers there are.
    ids: bool,
    /// All tags.
    tags: bool,
}

impl Callers {
    /// Hears of changes until the gateway goes down.
    pub(crate) async fn follow(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut seen = self.store().last_change().await.ok();
        let mut due = Due { ids: true, tags: true };
        loop {
            self.read_anew(&mut due).await;
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let Some(from) = seen else {
                // Nothing was heard so far, so anything may have happened.
                if let Ok(last) = self.store().last_change().await {
                    seen = Some(last);
                    self.doubt_all();
                    due = Due { ids: true, tags: true };
                    self.models_changed.notify_one();
                }
                continue;
            };
            let asked = self.monotonic();
            match self.store().changes_since(from).await {
                Ok(changes) => {
                    seen = Some(changes.last);
                    if changes.gap {
                        self.models_changed.notify_one();
                        self.doubt_all();
                        due = Due { ids: true, tags: true };
                    }
                    changes.changes.iter().for_each(|change| self.hear(change, &mut due));
                    if changes.changes.len() < FULL {
                        self.heard_upto(asked);
                    }
                }
                Err(error) => self.is_gone(&error),
            }
        }
    }

    fn hear(&self, change: &Change, due: &mut Due) {
        match (change.kind, KeyDigest::from_hex(&change.id)) {
            (Kind::Key, Some(digest)) => self.forget(&digest),
            (Kind::Customer, _) => self.customers().forget(&change.id),
            (Kind::Tag, _) => due.tags = true,
            (Kind::Model | Kind::Credential, _) => self.models_changed.notify_one(),
            (Kind::Config, _) => {}
            // Whatever stands above keys concerns many of them; it changes seldom.
            (Kind::Budget, _) => {
                due.tags = true;
                self.customers().forget_all();
                self.forget_all();
            }
            _ => self.forget_all(),
        }
    }

    /// Reads what is due; what fails is due still.
    async fn read_anew(&self, due: &mut Due) {
        if due.tags {
            due.tags = self.tags().read(self.store()).await.is_err();
        }
        if due.ids {
            due.ids = self.read_tokens().await.is_err() || self.customers().read_ids().await.is_err();
        }
    }

    async fn read_tokens(&self) -> Result<(), StoreError> {
        let prefix = |token: &str| KeyDigest::from_hex(token).map(|digest| digest.prefix());
        let page = |last: String| async move { self.store().tokens_after(&last, PAGE).await }.boxed();
        let Some(mut all) = self.tokens.read(page, prefix).await? else { return Ok(()) };
        let page = |last: String| async move { self.store().old_tokens_after(&last, PAGE).await }.boxed();
        let Some(old) = self.tokens.read(page, prefix).await? else { return Ok(()) };
        all.extend(old);
        self.tokens.complete(all);
        Ok(())
    }

    /// Whatever was remembered may be another now, and there may be others.
    fn doubt_all(&self) {
        self.tokens.doubt();
        self.customers().doubt();
        self.forget_all();
    }

    fn heard_upto(&self, asked: Duration) {
        self.heard_upto.store(crate::callers::millis(asked), Ordering::SeqCst);
    }
}
