//! What routing and an attempt have to do with each other: the place that it takes at a deployment, and what the
//! deployment's health learns from its end.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tollgate_router::{Asked, Awaits, Flight, Group, Landing, Pace, Plan, Strategy, Wants, mark};
use tollgate_wire::{Blame, Failure, FailureKind, Usage};

use crate::{dispatch::Ask, gateway::Gateway, routing, snapshot::Snapshot, waiting::Lines};

/// An attempt's place at its deployment. Dropped without an end, it says nothing.
pub(crate) struct Aboard {
    /// Gone when the attempt is over.
    flight: Option<Flight>,
    snapshot: Arc<Snapshot>,
    lines: Arc<Lines>,
    deployment: usize,
    /// The client chose the address or the key, or nobody asked: what comes of it says nothing to routing.
    says_nothing: bool,
    /// The client waits for less time than the deployment would be given.
    is_hurried: bool,
    pace: Pace,
}

impl Aboard {
    /// The deployment answers.
    pub(crate) fn is_answered(&mut self) {
        if let Some(flight) = self.flight.as_mut().filter(|_| !self.says_nothing) {
            flight.is_answered();
            self.ring();
        }
    }

    /// A socket is open: it keeps its place, and nothing of the configuration that it began with.
    pub(crate) fn stays(mut self) -> Seat {
        self.is_answered();
        let one = self.snapshot.fleet.deployments().get(self.deployment);
        let group = one.map(|one| one.group.clone()).unwrap_or_default();
        Seat { flight: self.flight.take(), lines: Arc::clone(&self.lines), group }
    }

    /// The attempt is over, and did not fail. Of one that was answered: when it began, and when a stream had content.
    pub(crate) fn land(mut self, now: Duration, answered: Option<(Duration, Option<Duration>)>, usage: &Usage) {
        let tokens = usage.input.saturating_add(usage.output);
        if let Some((began, content)) = answered {
            self.waited(began, content.unwrap_or(now), content.is_some());
        }
        let landing = match answered {
            Some((began, content)) if !self.says_nothing => {
                let took = |until: Duration| until.saturating_sub(began).as_secs_f64();
                let seconds = match self.pace {
                    Pace::First => content.map(took),
                    Pace::Token => each(took(now), usage.output),
                    Pace::Whole => Some(took(now)),
                };
                Landing::Well { tokens, latency: seconds.map(|seconds| (self.pace, seconds)) }
            }
            _ => Landing::Aside { tokens },
        };
        drop(self.flight.take().map(|flight| flight.land(now, landing)));
    }

    /// Somebody waited so long for an answer, or for the first content of a stream. Of interest only where calls are hedged.
    pub(crate) fn waited(&self, began: Duration, until: Duration, streamed: bool) {
        let fleet = &self.snapshot.fleet;
        if fleet.rules().hedging.is_none() || self.says_nothing {
            return;
        }
        let awaits = if streamed { Awaits::Content } else { Awaits::Whole };
        if let Some(one) = fleet.deployments().get(self.deployment) {
            one.vitals.waited(awaits, until, until.saturating_sub(began));
        }
    }

    /// The attempt failed before anything was asked, where our own mistakes say nothing of the deployment.
    pub(crate) fn fail_unasked(self, failure: &Failure, now: Duration) {
        if !failure.kind.class().is_empty() {
            self.fail(failure, now, &Usage::default());
        }
    }

    /// The attempt failed, having used so much; the deployment may rest for it.
    pub(crate) fn fail(mut self, failure: &Failure, now: Duration, usage: &Usage) {
        let Some(flight) = self.flight.take() else { return };
        let tokens = usage.input.saturating_add(usage.output);
        let late = failure.kind == FailureKind::Timeout;
        let is_another = !flight.is_current();
        if failure.kind.blame() != Blame::Provider || self.says_nothing || is_another || (late && self.is_hurried) {
            flight.land(now, Landing::Aside { tokens });
            return;
        }
        let _place = flight.land(now, Landing::Badly { late: late.then_some(self.pace), tokens });
        let fleet = &self.snapshot.fleet;
        let Some(one) = fleet.deployments().get(self.deployment) else { return };
        let Some(until) = fleet.rest_after(self.deployment, failure, now) else { return };
        one.vitals.rest(until);
        let seconds = until.saturating_sub(now).as_secs_f64();
        tracing::warn!(target: "tollgate::router", deployment = %one.id, kind = ?failure.kind, seconds, "a deployment rests");
    }
}

impl Aboard {
    /// Those who wait for the deployment may have their turn.
    fn ring(&self) {
        if let Some(one) = self.snapshot.fleet.deployments().get(self.deployment) {
            self.lines.ring(&one.group);
        }
    }
}

impl Drop for Aboard {
    fn drop(&mut self) {
        // Whoever is told must find the place free.
        self.flight = None;
        self.ring();
    }
}

/// The place of a socket, which keeps nothing of the configuration that it began with.
pub(crate) struct Seat {
    /// Gone when the socket is over.
    flight: Option<Flight>,
    lines: Arc<Lines>,
    group: String,
}

impl Seat {
    /// So many tokens more are used.
    pub(crate) fn uses(&self, now: Duration, tokens: u64) {
        if let Some(flight) = &self.flight {
            flight.uses(now, tokens);
        }
    }

    /// The socket is over.
    pub(crate) fn land(mut self, now: Duration, landing: Landing) {
        drop(self.flight.take().map(|flight| flight.land(now, landing)));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.flight = None;
        self.lines.ring(&self.group);
    }
}

impl Gateway {
    /// The place of a socket, or of what is asked about one, at a deployment; `None`: others were faster.
    pub(crate) fn board(&self, snapshot: &Arc<Snapshot>, deployment: usize) -> Option<Aboard> {
        let one = snapshot.fleet.deployments().get(deployment)?;
        let flight = one.vitals.begin(self.clock.monotonic(), &one.limits(), 0).ok()?;
        Some(Aboard {
            flight: Some(flight),
            snapshot: Arc::clone(snapshot),
            lines: Arc::clone(&self.lines),
            deployment,
            says_nothing: false,
            is_hurried: false,
            pace: Pace::Whole,
        })
    }
}

/// The longest that a call waits for a deployment to be free, or back.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Seconds for each token of an answer.
fn each(seconds: f64, tokens: u64) -> Option<f64> {
    let tokens = u32::try_from(tokens).ok().filter(|tokens| *tokens > 0)?;
    Some(seconds / f64::from(tokens))
}

impl Ask {
    /// The time that routing goes by.
    pub(crate) fn now(&self) -> Duration {
        self.gateway.clock.monotonic()
    }

    /// Takes a place at a deployment; `None`: others were faster.
    pub(crate) fn board(&self, deployment: usize, plan: &Plan<'_>) -> Option<Aboard> {
        let one = self.snapshot.fleet.deployments().get(deployment)?;
        let flight = one.vitals.begin(self.now(), &one.limits(), plan.tokens()).ok()?;
        let options = &self.options;
        let fair = self
            .snapshot
            .served
            .get(deployment)
            .map(|served| if self.context.stream { served.stream_timeout } else { served.timeout });
        let own = if self.context.stream { options.stream_timeout.or(options.timeout) } else { options.timeout };
        Some(Aboard {
            flight: Some(flight),
            snapshot: Arc::clone(&self.snapshot),
            lines: Arc::clone(&self.gateway.lines),
            deployment,
            says_nothing: !options.client_side.names.is_empty() || options.is_check,
            is_hurried: own.zip(fair).is_some_and(|(own, fair)| own < fair),
            pace: self.pace(),
        })
    }

    /// What the call's latency is measured in.
    pub(crate) fn pace(&self) -> Pace {
        match self.context.stream {
            true => Pace::First,
            false if self.route.speaks() => Pace::Token,
            false => Pace::Whole,
        }
    }

    /// What the call asks of routing.
    pub(crate) fn asked(&self, group: &Group<'_>) -> Asked {
        let rules = self.snapshot.fleet.rules();
        let by_affinity = rules.affinity || rules.strategy == Strategy::CacheAffinity;
        let affinity = by_affinity.then(|| self.affinity()).flatten();
        let pinned = self.pinned(group).or_else(|| self.keeper(group).ok().flatten());
        let served = group.members.iter().find_map(|index| self.snapshot.served.get(*index));
        let patience = served.map_or(Duration::ZERO, |served| self.timeout(served)).min(LONGEST_WAIT);
        Asked {
            wants: Wants {
                pace: self.pace(),
                region: self.options.region.clone(),
                ..routing::wants(&self.body, self.options.tags.clone(), affinity, pinned)
            },
            retries: self.options.num_retries,
            fallbacks: self.options.fallbacks.over(&rules.fallbacks, group.label()),
            // What the call goes on with is kept by one deployment.
            no_fallbacks: self.options.fallbacks.none || pinned.is_some(),
            deadline: Some(self.now() + patience),
            twice: self.twice(),
        }
    }

    /// Calls of one session, else of one beginning of a conversation, have the same number.
    fn affinity(&self) -> Option<u64> {
        if let Some(session) = &self.options.session {
            return Some(mark(session.as_bytes()));
        }
        let messages: Vec<&RawValue> = serde_json::from_slice(self.body.get("messages")?).ok()?;
        // Instructions and the first question stay the same as the conversation grows.
        let first = messages.iter().position(|message| message.get().contains("\"user\"")).unwrap_or_default();
        let beginning = messages.get(..=first)?;
        Some(beginning.iter().fold(0, |sum: u64, message| sum.rotate_left(7) ^ mark(message.get().as_bytes())))
    }

    /// The same call once more, for what outlives this one.
    pub(crate) fn copy(&self) -> Self {
        Self {
            gateway: Arc::clone(&self.gateway),
            snapshot: Arc::clone(&self.snapshot),
            route: self.route,
            caller: self.caller.clone(),
            body: self.body.clone(),
            unopened: None,
            form: self.form.clone(),
            options: self.options.clone(),
            customer: self.customer.clone(),
            responses: self.responses.clone(),
            names: self.names.clone(),
            context: self.context.clone(),
            headers: self.headers.clone(),
            left: self.left.clone(),
            fetched: std::sync::Mutex::default(),
        }
    }
}
