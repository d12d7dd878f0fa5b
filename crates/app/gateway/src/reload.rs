//! A configuration read again while calls run: as a transaction. What is wrong with it is told, and changes nothing; calls
//! and streams that run keep what they began with (decision 21).

use std::sync::Arc;

use tollgate_policy::{RouteClass, admit};
use tollgate_wire::{Failure, FailureKind};

use crate::{gateway::Gateway, snapshot::Snapshot};

/// Where configurations come from. Asked on a thread where it may take its time.
pub trait Source: Send + Sync {
    /// The configuration as it stands there now, and what there is to say about it.
    ///
    /// # Errors
    /// Why it cannot take effect, each reason a line.
    fn read(&self) -> Result<(Snapshot, Vec<String>), String>;
}

/// What a reload came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Deployments that are served now.
    pub deployments: usize,
    /// What there is to say about the configuration, each a line.
    pub findings: Vec<String>,
}

impl Gateway {
    /// Says where configurations come from; once.
    pub fn reloads_from(&self, source: Arc<dyn Source>) {
        // A second source would be a second truth.
        let _ = self.source.set(source);
    }

    /// Reads the configuration again and puts it in place; one reload at a time. What comes of it is logged.
    ///
    /// # Errors
    /// 400 with the reasons when it cannot take effect; then everything is as before.
    pub async fn reload(&self) -> Result<Reloaded, Failure> {
        let reloaded = self.read_again().await;
        match &reloaded {
            Ok(_) => self.last_reload.went_well(),
            Err(failure) => self.last_reload.failed(self.clock.unix(), &failure.message),
        }
        reloaded
    }

    async fn read_again(&self) -> Result<Reloaded, Failure> {
        let Some(source) = self.source.get().cloned() else {
            return Err(Failure::invalid("there is no configuration that could be read again"));
        };
        let _turn = self.reloading.lock().await;
        let read = self.workers.compute(move || source.read()).await;
        let read = read.unwrap_or_else(|| Err("reading it panicked".to_owned()));
        let (snapshot, findings) = match read {
            Ok(read) => read,
            Err(why) => {
                tracing::error!(target: "tollgate::config", "the configuration was not changed: {why}");
                return Err(Failure::invalid(format!("the configuration was not changed: {why}")));
            }
        };
        if self.snapshot().has_master_key() && !snapshot.has_master_key() {
            let words = "the configuration was not changed: it has no master key any more, which would open the gateway to \
                         everybody; if that is meant, start it anew";
            tracing::error!(target: "tollgate::config", "{words}");
            return Err(Failure::invalid(words));
        }
        let deployments = snapshot.deployments();
        self.swap(snapshot);
        for finding in &findings {
            tracing::warn!(target: "tollgate::config", "{finding}");
        }
        tracing::warn!(target: "tollgate::config", deployments, "the configuration was read again");
        Ok(Reloaded { deployments, findings })
    }

    /// [`Self::reload`] for whoever asks over HTTP: the admin only.
    ///
    /// # Errors
    /// As [`Self::reload`], and 401 or 403 for anybody else.
    pub async fn reload_for(&self, headers: &http::HeaderMap) -> Result<Reloaded, Failure> {
        let caller = self.identify(&self.snapshot(), headers).await?;
        admit(&caller, RouteClass::Manage, "/config/reload")?;
        if self.is_draining() {
            return Err(Failure::new(FailureKind::Overloaded, "the gateway is shutting down"));
        }
        self.reload().await
    }
}
