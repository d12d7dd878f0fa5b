//! Batches that were started here. Each is an attempt that stays open: its provider is asked now and then how it stands,
//! and when it is over its results are read line by line, and booked once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;
use tokio::sync::Notify;
use tollgate_net::{Bounds, Response};
use tollgate_observe::{Certainty, Outcome};
use tollgate_policy::Caller;
use tollgate_providers::{
    batches::{End, Results, Standing, Words},
    dialects::openai::CHAT_CLIENT,
    passage,
};
use tollgate_wire::{Failure, FailureKind, http::Outgoing};

use crate::{
    deployment::Place,
    exchange::host,
    gateway::Gateway,
    meter::{Booking, Meter},
    passing,
    snapshot::Snapshot,
    tally::Tally,
    things::is_plain,
};

/// How batches are followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchBounds {
    /// Between two looks at one.
    pub(crate) interval: Duration,
    /// How many at one time.
    pub(crate) most: usize,
    /// Looks in a row that may fail.
    pub(crate) failures: u32,
}

/// Largest document that says how a batch stands, bytes.
const MOST_STATUS: usize = 4 << 20;
/// How long a provider may be silent when it is looked at.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first look after one that failed; later ones wait twice as long each.
const SOON: Duration = Duration::from_secs(10);
/// Providers end a batch after a day, Mistral after a week at most. What runs longer is followed no further.
const LONGEST: Duration = Duration::from_secs(8 * 24 * 3600);
/// The route of a batch's own record.
const ROUTE: &str = "batch";

/// Which batch: its deployment, and the provider's id.
type Key = (Arc<str>, String);

/// The batches whose end is awaited.
#[derive(Default)]
pub(crate) struct Followed {
    batches: Mutex<HashMap<Key, Arc<Notify>>>,
}

impl Followed {
    /// This batch is over, as somebody has just seen.
    pub(crate) fn nudge(&self, deployment: &Arc<str>, id: &str) {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nudge) = batches.get(&(Arc::clone(deployment), id.to_owned())) {
            nudge.notify_one();
        }
    }

    /// What wakes the follower of this batch; `None` where it has one, or there are too many.
    fn add(&self, key: &Key, most: usize) -> Result<Arc<Notify>, Refused> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        if batches.contains_key(key) {
            return Err(Refused::Known);
        }
        if batches.len() >= most {
            return Err(Refused::TooMany);
        }
        Ok(Arc::clone(batches.entry(key.clone()).or_default()))
    }

    fn remove(&self, key: &Key) {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Known,
    TooMany,
}

/// A batch that has just begun.
pub(crate) struct Started {
    pub(crate) words: Words,
    pub(crate) id: String,
    pub(crate) deployment: Arc<str>,
    pub(crate) place: Arc<Place>,
    pub(crate) caller: Caller,
    /// Of the call that started it.
    pub(crate) call_id: String,
}

impl Gateway {
    /// Opens the attempt that a batch is, and follows it to its end.
    pub(crate) fn follow(self: &Arc<Self>, snapshot: &Snapshot, started: Started) {
        let bounds = snapshot.bounds.batches;
        let key = (Arc::clone(&started.deployment), started.id.clone());
        let added = if is_plain(&started.id) { self.followed.add(&key, bounds.most) } else { Err(Refused::TooMany) };
        if matches!(added, Err(Refused::Known)) {
            return;
        }
        let mut meter = Meter::start_at(self, ROUTE, false, &CHAT_CLIENT);
        meter.asked_by(&started.caller);
        meter.asked_for(&started.place.model, false);
        meter.set_call_id(started.call_id.clone());
        meter.open_made(&started.deployment, "", &started.place);
        meter.heard(true);
        // Should this process be killed, nobody knows what it used.
        meter.passes(Booking::Read);
        let follower = Follower { gateway: Arc::clone(self), started, bounds, meter };
        match added {
            Ok(nudge) => self.workers.spawn_following(async move {
                let gateway = Arc::clone(&follower.gateway);
                follower.attend(&nudge).await;
                gateway.followed.remove(&key);
            }),
            Err(_) => follower.lose("as many batches as may be are followed (max_followed_batches)", None),
        }
    }
}

/// Follows one batch.
struct Follower {
    gateway: Arc<Gateway>,
    started: Started,
    bounds: BatchBounds,
    meter: Meter,
}

/// What a look at a batch that is over found.
struct Found {
    end: End,
    tally: Tally,
}

impl Follower {
    async fn attend(self, nudge: &Notify) {
        let began = self.gateway.clock.monotonic();
        let mut failures = 0;
        loop {
            if !self.wait(failures, nudge).await {
                return self.lose("the gateway was shut down before its end", None);
            }
            let mut partial = Tally::default();
            match self.look(&mut partial).await {
                Ok(Some(found)) => return self.book(&found),
                Ok(None) if self.gateway.since(began) > LONGEST => return self.lose("it does not end", None),
                Ok(None) => failures = 0,
                Err(failure) => {
                    failures += 1;
                    if failures >= self.bounds.failures {
                        return self.lose("its provider does not say how it stands", Some((&failure, partial)));
                    }
                    tracing::info!(target: "tollgate::batch", call_id = self.started.call_id, failures,
                        failure = ?failure.kind, "a look at a batch failed");
                }
            }
        }
    }

    /// Until it is time to look; `false` when there is none left.
    async fn wait(&self, failures: u32, nudge: &Notify) -> bool {
        let interval = self.bounds.interval;
        let backoff =
            SOON.min(interval).saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let pause = if failures == 0 { interval } else { backoff.min(interval) };
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            // A client that looks again and again must not use up what may fail.
            () = nudge.notified(), if failures == 0 => true,
            () = self.gateway.draining() => false,
        }
    }

    /// How the batch stands at its provider; what it used, if it is over. What was read before a failure is in `tally`.
    async fn look(&self, tally: &mut Tally) -> Result<Option<Found>, Failure> {
        let snapshot = self.gateway.snapshot();
        // The deployment as it is now: its key may be another than when the batch began.
        let place = passing::deployment_place(&snapshot, &self.started.deployment)
            .map_or_else(|| Arc::clone(&self.started.place), |(place, _)| place);
        let Started { words, id, .. } = &self.started;
        let told = self.get(&place, &words.path(id), MOST_STATUS).await?;
        let told = told.collect().await.map_err(|error| broken(error, &place))?;
        let told: Value = serde_json::from_slice(&told).unwrap_or_default();
        let unclear = |words: &str| Failure::new(FailureKind::InvalidResponse, words);
        let end = match words.standing(&told).ok_or_else(|| unclear("what was shown is no batch"))? {
            Standing::Running => return Ok(None),
            Standing::Over(end) => end,
        };
        let paths = words.result_paths(id, &end);
        if end.has_answers && paths.is_empty() {
            return Err(unclear("the batch has answers and names no file of them"));
        }
        for path in paths {
            let mut response = self.get(&place, &path, usize::MAX).await?;
            let mut results = Results::default();
            while let Some(piece) = response.next().await {
                let piece = piece.map_err(|error| broken(error, &place))?;
                results.push(&piece, &mut |line| tally.add(line, &snapshot, &place));
            }
            results.finish(&mut |line| tally.add(line, &snapshot, &place));
        }
        Ok(Some(Found { end, tally: std::mem::take(tally) }))
    }

    async fn get(&self, place: &Arc<Place>, path: &str, max_body: usize) -> Result<Response, Failure> {
        let url = passage::resource_url(&place.target, path, "")?;
        let mut headers = HeaderMap::new();
        passage::authorize(&place.target, &mut headers)?;
        let mut outgoing = Outgoing { method: Method::GET, url, headers, body: Bytes::new() };
        self.gateway.seal(&HeaderMap::new(), &mut outgoing, place).await?;
        let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: None, max_body };
        let sent = self.gateway.client.send(&outgoing, &bounds).await;
        let response = sent.map_err(|error| broken(error, place))?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(Failure::new(FailureKind::Api, format!("status {}", response.status.as_u16())))
    }

    fn book(mut self, found: &Found) {
        let (mut status, mut outcome) = (200, Outcome::Answered);
        if let Some(reason) = &found.end.refused {
            (status, outcome) = (400, Outcome::Failed(FailureKind::BadRequest));
            tracing::warn!(target: "tollgate::batch", call_id = self.started.call_id, batch = self.started.id, reason,
                "a batch was refused by its provider");
        }
        let certainty = found.tally.certainty();
        if certainty == Certainty::Unknown {
            tracing::warn!(target: "tollgate::batch", call_id = self.started.call_id, batch = self.started.id,
                silent = found.tally.silent(), "results of a batch do not say what they used");
        }
        self.meter.settle_shares(found.tally.shares(), certainty, outcome);
        self.meter.finish(status, outcome);
    }

    /// Nobody will know what it used: booked as that, with what was read of it.
    fn lose(mut self, why: &str, failed: Option<(&Failure, Tally)>) {
        let failure = failed.as_ref().map(|(failure, _)| format!("{:?}: {}", failure.kind, failure.message));
        tracing::warn!(target: "tollgate::batch", call_id = self.started.call_id, batch = self.started.id,
            deployment = &*self.started.deployment, why, failure, "what a batch used is unknown");
        let shares = failed.map(|(_, tally)| tally.shares()).unwrap_or_default();
        let outcome = Outcome::Failed(FailureKind::Overloaded);
        self.meter.settle_shares(shares, Certainty::Unknown, outcome);
        self.meter.finish(503, outcome);
    }
}

fn broken(error: tollgate_net::NetError, place: &Place) -> Failure {
    error.into_failure(place.target.provider.title, host(&place.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_followed_once_and_so_many_at_one_time() {
        let followed = Followed::default();
        let key = |id: &str| (Arc::<str>::from("d"), id.to_owned());
        assert!(followed.add(&key("a"), 2).is_ok());
        assert_eq!(followed.add(&key("a"), 2).unwrap_err(), Refused::Known);
        assert!(followed.add(&key("b"), 2).is_ok());
        assert_eq!(followed.add(&key("c"), 2).unwrap_err(), Refused::TooMany);
        followed.remove(&key("a"));
        assert!(followed.add(&key("c"), 2).is_ok());
    }
}
