//! Watches a call: every attempt is opened and settled here, and at the call's end, or its drop, exactly one
//! [`CallRecord`] is made.

use std::{sync::Arc, time::Duration};

use tollgate_catalog::{Cost, cost};
use tollgate_observe::{AttemptRecord, CallRecord, Certainty, Outcome, log_call};
use tollgate_providers::{gauge::Reading, translate::Progress};
use tollgate_wire::{Failure, FailureKind, Usage};

use crate::{
    deployment::{Place, Served},
    gateway::Gateway,
    inbound::Route,
    ledger::{Reservation, Settlement},
};

/// Bytes of text per token where the provider gives no count: what English and code come to for today's tokenizers.
/// Errs to the high side for both; the catalog's tokenizer takes its place when it comes.
const BYTES_PER_TOKEN: u64 = 4;

/// The meter of one call.
pub(crate) struct Meter {
    gateway: Arc<Gateway>,
    started: Duration,
    record: CallRecord,
    open: Option<OpenAttempt>,
    finished: bool,
}

/// What an answer costs that is passed on as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Booking {
    /// Nothing: something is looked at or kept.
    Free,
    /// This, whatever it says.
    Fixed(Cost),
    /// What it says of itself; if it says nothing, it has no price.
    Read,
    /// So many characters that are spoken.
    Spoken(u64),
}

struct OpenAttempt {
    reservation: Reservation,
    deployment: Arc<str>,
    place: Arc<Place>,
    started: Duration,
    input_bytes: u64,
    /// The head of the provider's answer is here.
    heard: bool,
    /// The provider refused, or was never asked: it charges nothing.
    refused: bool,
    progress: Progress,
}

impl Meter {
    pub(crate) fn start(gateway: &Arc<Gateway>, route: Route) -> Self {
        Self::start_at(gateway, route.path())
    }

    /// The meter of a call that comes in at this path.
    pub(crate) fn start_at(gateway: &Arc<Gateway>, path: &'static str) -> Self {
        Self {
            started: gateway.clock.monotonic(),
            gateway: Arc::clone(gateway),
            record: CallRecord {
                call_id: gateway.uuid_v4().to_string(),
                route: path,
                asked: String::new(),
                caller: "",
                status: 0,
                streamed: false,
                took: Duration::ZERO,
                first_byte: None,
                outcome: Outcome::ClientLeft,
                attempts: Vec::new(),
            },
            open: None,
            finished: false,
        }
    }

    pub(crate) fn workers(&self) -> &crate::workers::Workers {
        &self.gateway.workers
    }

    pub(crate) fn call_id(&self) -> &str {
        &self.record.call_id
    }

    pub(crate) fn set_call_id(&mut self, id: String) {
        self.record.call_id = id;
    }

    pub(crate) fn asked_by(&mut self, caller: tollgate_policy::Caller) {
        self.record.caller = caller.label();
    }

    pub(crate) fn asked_for(&mut self, model: &str, streamed: bool) {
        model.clone_into(&mut self.record.asked);
        self.record.streamed = streamed;
    }

    /// How long the call has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.gateway.since(self.started)
    }

    /// How long providers have been waited for so far.
    pub(crate) fn upstream(&self) -> Duration {
        let open = self.open.as_ref().map_or(Duration::ZERO, |open| self.gateway.since(open.started));
        self.record.attempts.iter().map(|attempt| attempt.took).sum::<Duration>() + open
    }

    /// An attempt goes out: the first money point.
    pub(crate) fn open(&mut self, served: &Served, place: &Arc<Place>, input_bytes: usize) {
        self.open_at(&served.id, place, input_bytes);
    }

    /// As [`Self::open`], at a place that no deployment of the configuration is.
    pub(crate) fn open_at(&mut self, deployment: &Arc<str>, place: &Arc<Place>, input_bytes: usize) {
        self.open = Some(OpenAttempt {
            reservation: self.gateway.ledger.open(self.gateway.uuid_v7()),
            deployment: Arc::clone(deployment),
            place: Arc::clone(place),
            started: self.gateway.clock.monotonic(),
            input_bytes: input_bytes as u64,
            heard: false,
            refused: false,
            progress: Progress::default(),
        });
    }

    /// The head of the provider's answer is here: an answer, or a refusal.
    pub(crate) fn heard(&mut self, is_answer: bool) {
        if let Some(open) = &mut self.open {
            open.heard = true;
            open.refused = !is_answer;
        }
    }

    /// The request never left.
    pub(crate) fn unsent(&mut self) {
        if let Some(open) = &mut self.open {
            open.refused = true;
        }
    }

    /// How far the stream is.
    pub(crate) fn progress(&mut self, progress: Progress) {
        if let Some(open) = &mut self.open {
            open.progress = progress;
        }
    }

    /// The first byte of the answer leaves for the client.
    pub(crate) fn first_byte(&mut self) {
        if self.record.first_byte.is_none() {
            self.record.first_byte = Some(self.elapsed());
        }
    }

    /// The attempt has its answer: the second money point, before the last byte reaches the client. Gives its cost.
    pub(crate) fn answered(&mut self, usage: Option<Usage>, output_bytes: usize) -> Option<Cost> {
        let open = self.open.take()?;
        let (usage, certainty) = match usage {
            Some(usage) => (usage, Certainty::Stated),
            None => (counted(open.input_bytes, output_bytes as u64), Certainty::Counted),
        };
        self.settle(open, usage, certainty, Outcome::Answered)
    }

    /// The attempt has its answer, which was passed on as it came.
    pub(crate) fn passed(&mut self, reading: &Reading, booking: Booking) -> Option<Cost> {
        let open = self.open.take()?;
        let price = &open.place.price;
        let stated =
            |cost: Cost| Usage { stated_cost_nanos: Some(cost.money().nanos()), ..reading.usage.unwrap_or_default() };
        let (usage, certainty) = match (booking, reading.usage) {
            (Booking::Free, _) => (Usage::default(), Certainty::Stated),
            (Booking::Fixed(cost), _) => (stated(cost), Certainty::Stated),
            (_, Some(usage)) => (usage, Certainty::Stated),
            (Booking::Spoken(characters), None) => match price.spoken(characters) {
                Some(cost) => (stated(cost), Certainty::Stated),
                None => (counted(characters, 0), Certainty::Counted),
            },
            (Booking::Read, None) => match reading.heard_millis.and_then(|millis| price.heard(millis)) {
                Some(cost) => (stated(cost), Certainty::Stated),
                None => (Usage::default(), Certainty::Unknown),
            },
        };
        self.settle(open, usage, certainty, Outcome::Answered)
    }

    /// The attempt failed. What the provider said of it is cleared of what we had told it in confidence.
    pub(crate) fn failed(&mut self, failure: &mut Failure) {
        let Some(open) = self.open.take() else { return };
        open.place.hide_secrets(failure);
        let kind = failure.kind;
        let has_begun = open.progress.output_bytes > 0 || open.progress.usage.is_some();
        let (usage, certainty) = if open.refused || !(has_begun || may_have_cost(kind)) {
            (Usage::default(), Certainty::Stated)
        } else {
            partial(&open)
        };
        self.settle(open, usage, certainty, Outcome::Failed(kind));
    }

    fn settle(&mut self, mut open: OpenAttempt, usage: Usage, certainty: Certainty, outcome: Outcome) -> Option<Cost> {
        let price = &open.place.price;
        let unknown = certainty == Certainty::Unknown && usage.is_empty();
        let known = price.is_stated() || usage.stated_cost_nanos.is_some() || usage.is_empty();
        let priced = known && !unknown;
        let cost = priced.then(|| cost(&usage, price));
        let settlement = Settlement { usage, cost: cost.map(Cost::money), certainty };
        self.gateway.ledger.settle(&mut open.reservation, &settlement);
        let attempt = AttemptRecord {
            id: open.reservation.attempt,
            deployment: open.deployment,
            provider: open.place.target.provider.name,
            model: Arc::clone(&open.place.model),
            took: self.gateway.since(open.started),
            usage,
            certainty,
            cost: settlement.cost,
            outcome,
        };
        self.gateway.health.heard(&attempt);
        self.record.attempts.push(attempt);
        cost
    }

    /// What the settled attempts cost together, as far as prices are known.
    pub(crate) fn spent(&self) -> tollgate_catalog::Money {
        self.record.attempts.iter().filter_map(|attempt| attempt.cost).sum()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// The call is over.
    pub(crate) fn finish(&mut self, status: u16, outcome: Outcome) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.record.status = status;
        self.record.outcome = outcome;
        self.record.took = self.elapsed();
        log_call(&self.record, self.gateway.clock.unix());
    }
}

impl Drop for Meter {
    /// The client left, or a task was ended: what is open is settled by what was received so far.
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let (usage, certainty) = partial(&open);
            self.settle(open, usage, certainty, Outcome::ClientLeft);
        }
        // 499 is nginx's word for it; no client sees it.
        self.finish(499, Outcome::ClientLeft);
    }
}

/// What an attempt that broke off has used as far as we know. What the provider stated before its last word (Anthropic
/// begins with a placeholder for the output) is not less than what we received.
fn partial(open: &OpenAttempt) -> (Usage, Certainty) {
    let own = counted(open.input_bytes, open.progress.output_bytes);
    match open.progress.usage {
        Some(usage) if open.progress.done => (usage, Certainty::Stated),
        Some(usage) => (Usage { output: usage.output.max(own.output), ..usage }, Certainty::Counted),
        None if open.heard => (own, Certainty::Counted),
        None => (counted(open.input_bytes, 0), Certainty::Unknown),
    }
}

fn counted(input_bytes: u64, output_bytes: u64) -> Usage {
    Usage {
        input: input_bytes.div_ceil(BYTES_PER_TOKEN),
        output: output_bytes.div_ceil(BYTES_PER_TOKEN),
        ..Usage::default()
    }
}

/// Whether a provider may charge for an attempt that ended so before a word of the answer.
fn may_have_cost(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Timeout | FailureKind::Connection | FailureKind::InvalidResponse | FailureKind::Overloaded
    )
}
