//! How deployments are doing, heard from their own answers: `/health` costs nothing (decision 14).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Map, Value, json};
use tollgate_observe::{AttemptRecord, Outcome};
use tollgate_wire::{Blame, FailureKind};

use crate::{deployment::GoesTo, gateway::Gateway, probe, snapshot::Snapshot};

/// The last word of each deployment. One entry a deployment that was ever called.
#[derive(Default)]
pub(crate) struct Health {
    last: Mutex<HashMap<Arc<str>, Option<FailureKind>>>,
}

impl Health {
    /// Takes note of an attempt's end. What the client caused, or left early, says nothing of the deployment.
    pub(crate) fn heard(&self, attempt: &AttemptRecord) {
        let state = match attempt.outcome {
            Outcome::Answered => None,
            Outcome::Failed(kind) if kind.blame() == Blame::Provider => Some(kind),
            Outcome::Failed(_) | Outcome::ClientLeft => return,
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.get_mut(&attempt.deployment) {
            Some(known) => *known = state,
            None => {
                last.insert(Arc::clone(&attempt.deployment), state);
            }
        }
    }

    fn of(&self, deployment: &str) -> Option<Option<FailureKind>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(deployment).copied()
    }
}

impl Gateway {
    /// `GET /health`: one entry per deployment, healthy or not, in the seeds' shape (SEED-86). A deployment that was
    /// called is judged by its last answer; one that never was, by whether somebody listens at its address.
    pub async fn health(self: &Arc<Self>, model: Option<&str>) -> Value {
        let snapshot = self.snapshot();
        let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
        for index in 0..snapshot.served.len() {
            let Some(served) = snapshot.served.get(index) else { continue };
            if model.is_some_and(|model| model != served.group && *model != *served.id) {
                continue;
            }
            let mut entry = entry(&snapshot, index);
            match self.verdict(&snapshot, index).await {
                Ok(()) => healthy.push(Value::Object(entry)),
                Err(why) => {
                    entry.insert("error".to_owned(), why.into());
                    unhealthy.push(Value::Object(entry));
                }
            }
        }
        json!({
            "healthy_count": healthy.len(),
            "unhealthy_count": unhealthy.len(),
            "healthy_endpoints": healthy,
            "unhealthy_endpoints": unhealthy,
        })
    }

    async fn verdict(&self, snapshot: &Snapshot, index: usize) -> Result<(), String> {
        if let Some(why) = snapshot.fleet.deployments().get(index).and_then(|one| one.unservable.clone()) {
            return Err(why);
        }
        let Some(served) = snapshot.served.get(index) else { return Ok(()) };
        match self.health.of(&served.id) {
            Some(None) => return Ok(()),
            Some(Some(kind)) => return Err(format!("the last call failed: {kind:?}")),
            None => {}
        }
        let GoesTo::Fixed(place) = &served.goes_to else { return Ok(()) };
        probe::reachable(&self.client, place).await
    }
}

fn entry(snapshot: &Snapshot, index: usize) -> Map<String, Value> {
    let mut entry = Map::new();
    let Some(served) = snapshot.served.get(index) else { return entry };
    entry.insert("model".to_owned(), served.model.as_str().into());
    if let GoesTo::Fixed(place) = &served.goes_to {
        entry.insert("api_base".to_owned(), place.address.as_str().into());
    }
    entry.insert("model_name".to_owned(), served.group.as_str().into());
    entry.insert("model_id".to_owned(), served.id.as_ref().into());
    entry
}
