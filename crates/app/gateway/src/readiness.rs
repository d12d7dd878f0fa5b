//! Whether this instance takes calls, and the state of everything that it depends on.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::HeaderMap;
use serde_json::{Value, json};
use tollgate_policy::Caller;

use crate::{books::Books, gateway::Gateway, limits::LimitSharingState, seen::written, sharing::SharingState};

/// What came of the last reload.
#[derive(Default)]
pub(crate) struct LastReload {
    /// Since when the configuration is older than what stands in its files, and why it could not take effect.
    failed: Mutex<Option<(Duration, String)>>,
}

impl LastReload {
    pub(crate) fn went_well(&self) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The first failure after a success tells since when.
    pub(crate) fn failed(&self, at: Duration, why: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let since = failed.as_ref().map_or(at, |(since, _)| *since);
        *failed = Some((since, why.to_owned()));
    }

    fn told(&self) -> Value {
        match &*self.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            None => json!({"state": "current"}),
            Some((since, why)) => json!({"state": "outdated", "since": written(*since), "error": why}),
        }
    }
}

/// Whether calls are taken, and the document that says so.
#[derive(Debug)]
pub struct Readiness {
    /// They are.
    pub is_ready: bool,
    /// `status`, `db`, and for those who may know it the rest.
    pub document: Value,
}

impl Gateway {
    /// `GET /health/readiness`: short for everybody, in full for the admin and where no master key is set (surface chapter
    /// 14.19). Nothing is asked of anybody: what is told is what is known.
    pub async fn readiness(&self, headers: &HeaderMap) -> Readiness {
        let snapshot = self.snapshot();
        let may_know =
            self.identify(&snapshot, headers).await.is_ok_and(|caller| caller.is_admin() || caller == Caller::Anyone);
        let has_room = self.takes_calls(&snapshot);
        let is_ready = !self.is_draining() && has_room;
        let status = match (self.is_draining(), has_room) {
            (true, _) => "stopping",
            (false, false) => "calls cannot be written down",
            (false, true) => "healthy",
        };
        if !may_know {
            return Readiness { is_ready, document: json!({"status": status, "db": self.database()}) };
        }
        let deployments = snapshot.fleet.deployments();
        let now = self.clock.monotonic();
        let rests = |one: &&tollgate_router::Deployment| one.vitals.resting_until().is_some_and(|until| now < until);
        let checks = &snapshot.checks;
        let document = json!({
            "status": status,
            "db": self.database(),
            "cache": null,
            "journal": self.ledger.books().map(|books| journal(books)),
            "redis": self.sharing().map(redis),
            "limits": self.limit_sharing().map(limits),
            "keys_known": self.knows_keys(),
            "background_health_checks": {
                "state": if checks.every.is_some() { "on" } else { "off" },
                "interval_seconds": checks.every.map(|every| every.as_secs_f64()),
                "generates": checks.every.map(|_| checks.generates),
            },
            "config": self.last_reload.told(),
            "deployments": {
                "configured": deployments.len(),
                "unservable": deployments.iter().filter(|one| one.unservable.is_some()).count(),
                "resting": deployments.iter().filter(rests).count(),
            },
            "litellm_version": env!("CARGO_PKG_VERSION"),
            "success_callbacks": [],
        });
        Readiness { is_ready, document }
    }

    /// The store, in `LiteLLM`'s words. While it is away keys in memory go on, so the gateway is ready all the same.
    fn database(&self) -> &'static str {
        match self.store_is_away() {
            Some(false) => "connected",
            Some(true) => "disconnected",
            None => "Not connected",
        }
    }
}

/// Where attempts are written down; while it is full new calls are refused.
fn journal(books: &Books) -> Value {
    json!({
        "state": if books.has_room() { "open" } else { "full" }, "unwritten": books.unwritten(), "waiting": books.waiting(),
    })
}

/// What is shared, and with how many. Without Redis the gateway is as ready as with it.
fn redis(sharing: SharingState) -> Value {
    let instances = sharing.instances;
    match sharing.redis_away_since() {
        None => json!({"state": "connected", "instances": instances}),
        Some(since) => json!({"state": "away", "since": since.as_secs(), "instances_last_seen": instances}),
    }
}

/// How limits are held with other instances: questions to Redis, calls without its answer, corrections that were lost.
fn limits(state: LimitSharingState) -> Value {
    json!({"asked": state.asked, "alone": state.alone, "lost": state.lost})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_reload_tells_since_when_and_the_last_reason() {
        let last = LastReload::default();
        last.failed(Duration::from_secs(10), "one");
        last.failed(Duration::from_secs(20), "two");
        assert_eq!(last.told(), json!({"state": "outdated", "since": "1970-01-01T00:00:10.000+00:00", "error": "two"}));
        last.went_well();
        assert_eq!(last.told(), json!({"state": "current"}));
    }
}
