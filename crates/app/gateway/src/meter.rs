//! Watches a call: every attempt is opened and settled here, and at the call's end, or its drop, exactly one
//! [`CallRecord`] is made.

use std::{sync::Arc, time::Duration};

use tollgate_catalog::{Breakdown, Cost, cost, tokens::Encoding};
use tollgate_ledger::Nanos;
use tollgate_observe::{AttemptRecord, CallRecord, Certainty, Outcome, log_call};
use tollgate_policy::{Budget, Caller};
use tollgate_providers::{codec::ClientDialect, gauge::Reading, translate::Progress};
use tollgate_wire::{Failure, Usage};

use crate::{
    aboard::Aboard,
    budgets::Stake,
    deployment::{Place, Served},
    gateway::Gateway,
    inbound::Route,
    ledger::{Opening, Reservation, Settlement, Unwritten, may_have_cost},
    limits::Permit,
    passing,
    terms::Terms,
    words::{Prompt, Said, Words},
};

mod beside;
mod boarding;
mod counting;
mod facts;
mod partial;
mod permits;
mod pricing;
mod shares;
mod stakes;
mod standing;
mod whom;

use stakes::Staked;
use standing::Standing;

pub(crate) use beside::Turn;
pub(crate) use stakes::{More, Raising};

/// The meter of one call.
pub(crate) struct Meter {
    gateway: Arc<Gateway>,
    client: &'static dyn ClientDialect,
    started: Duration,
    /// Its answers are words of a model, which count as output.
    speaks: bool,
    record: CallRecord,
    /// Boxed: a meter goes through many hands.
    open: Option<Box<OpenAttempt>>,
    /// The place that the next attempt takes at its deployment.
    aboard: Option<Aboard>,
    /// The call's place under the limits of its key.
    permit: Option<Permit>,
    /// It is the meter of one of two attempts at once, and the call has another one.
    side: Option<Box<beside::Side>>,
    finished: bool,
    /// What the call is paid from beside its deployment's budgets.
    tags: Vec<String>,
    caller: Caller,
    whom: whom::Whom,
    /// What else it is paid from: budgets of its customer and its tags.
    others: Vec<Budget>,
    /// What is set aside for the attempt that goes out next.
    stake: Option<Box<Stake>>,
    /// The answer was made shorter, to so many tokens.
    lowered: Option<u64>,
    /// What the attempt that was settled last cost, in parts.
    breakdown: Option<Breakdown>,
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
    /// What it says of itself, else what its words come to.
    Words,
    /// So many characters that are spoken.
    Spoken(u64),
}

struct OpenAttempt {
    reservation: Reservation,
    staked: Staked,
    deployment: Arc<str>,
    place: Arc<Place>,
    started: Duration,
    /// What is counted if the provider does not; gone while it is being counted.
    words: Option<Words>,
    /// What holds if counting comes to nothing.
    guess: Usage,
    standing: Standing,
    /// Of an answer that has begun and is passed on as it comes.
    booking: Option<Booking>,
    progress: Progress,
    terms: Terms,
    aboard: Option<Aboard>,
    /// When there was content first.
    content: Option<Duration>,
}

impl OpenAttempt {
    /// What is owed once the answer has begun, however much of it is passed on.
    fn owed(&self, said: Option<Usage>) -> Option<(Usage, Certainty)> {
        let stated = |cost: Cost| {
            (Usage { stated_cost_nanos: Some(cost.money().nanos()), ..said.unwrap_or_default() }, Certainty::Stated)
        };
        match self.booking? {
            Booking::Free => Some((Usage::default(), Certainty::Stated)),
            Booking::Fixed(cost) => Some(stated(cost)),
            Booking::Spoken(characters) if said.is_none() => Some(self.place.price.spoken(characters).map_or_else(
                || {
                    let bytes = usize::try_from(characters).unwrap_or(usize::MAX);
                    (Usage { input: tollgate_catalog::tokens::guess(bytes), ..Usage::default() }, Certainty::Counted)
                },
                stated,
            )),
            Booking::Spoken(_) | Booking::Read | Booking::Words => None,
        }
    }
}

impl Meter {
    pub(crate) fn start(gateway: &Arc<Gateway>, route: Route) -> Self {
        Self::start_at(gateway, route.path(), route.speaks(), route.client())
    }

    /// For what only asks what a call would be: it leaves no record.
    pub(crate) fn silent(gateway: &Arc<Gateway>, route: Route) -> Self {
        let mut meter = Self::start(gateway, route);
        meter.finished = true;
        meter
    }

    /// For what is no [`Route`]: its path, whether its answers are words of a model, and in which words it is refused.
    pub(crate) fn start_at(
        gateway: &Arc<Gateway>,
        path: &'static str,
        speaks: bool,
        client: &'static dyn ClientDialect,
    ) -> Self {
        Self {
            started: gateway.clock.monotonic(),
            gateway: Arc::clone(gateway),
            speaks,
            client,
            record: CallRecord {
                call_id: gateway.uuid_v4().to_string(),
                route: path,
                asked: String::new(),
                caller: std::borrow::Cow::Borrowed(""),
                status: 0,
                streamed: false,
                took: Duration::ZERO,
                first_byte: None,
                outcome: Outcome::ClientLeft,
                hedge: None,
                continued: 0,
                attempts: Vec::new(),
            },
            open: None,
            aboard: None,
            permit: None,
            side: None,
            finished: false,
            tags: Vec::new(),
            caller: Caller::Anyone,
            whom: whom::Whom::default(),
            others: Vec::new(),
            stake: None,
            lowered: None,
            breakdown: None,
        }
    }

    /// In which words the client asks, and is answered.
    pub(crate) fn client(&self) -> &'static dyn ClientDialect {
        self.client
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

    pub(crate) fn asked_by(&mut self, caller: &Caller) {
        self.record.caller = caller.label();
        self.caller = caller.clone();
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
        let before = self.side.as_ref().map_or(Duration::ZERO, |side| side.before);
        self.record.attempts.iter().map(|attempt| attempt.took).sum::<Duration>() + open + before
    }

    /// An attempt goes out: the first money point.
    ///
    /// # Errors
    /// 503 where it cannot be written down.
    pub(crate) fn open(&mut self, served: &Served, place: &Arc<Place>, prompt: Prompt) -> Result<(), Failure> {
        self.open_as(&served.id, &served.group, place, prompt, self.gateway.unless_written())
    }

    /// As [`Self::open`], at a place that no deployment of the configuration is.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_at(&mut self, deployment: &Arc<str>, place: &Arc<Place>, prompt: Prompt) -> Result<(), Failure> {
        self.open_as(deployment, "", place, prompt, self.gateway.unless_written())
    }

    /// As [`Self::open`], for what is made already or made by others: it is booked whatever the disk says.
    pub(crate) fn open_made(&mut self, deployment: &Arc<str>, group: &str, place: &Arc<Place>) {
        let prompt = Prompt::of(std::iter::empty());
        // Nothing can be refused where nothing may be.
        let _ = self.open_as(deployment, group, place, prompt, Unwritten::Counted);
    }

    fn open_as(
        &mut self,
        deployment: &Arc<str>,
        group: &str,
        place: &Arc<Place>,
        prompt: Prompt,
        unwritten: Unwritten,
    ) -> Result<(), Failure> {
        let stake = self.takes_stake(&[group, &self.record.asked.clone()]);
        let encoding = Encoding::of(&place.target.model);
        let terms = prompt.terms.clone();
        let words = Words { encoding, prompt, said: Said::default(), answer: None, wordless: 0 };
        let guess = words.guess();
        let least = Nanos::new(cost(&guess, &place.price).money().nanos());
        let opening = Opening {
            attempt: stake.attempt,
            held: stake.amount.max(least),
            input: if stake.input == Nanos::ZERO { least } else { stake.input },
        };
        let facts = || self.facts(deployment, group, place, &stake.payers);
        let reservation = self.gateway.ledger.open(&opening, unwritten, facts)?;
        let now = self.gateway.clock.monotonic();
        self.open = Some(Box::new(OpenAttempt {
            reservation,
            staked: Staked::new(stake, now),
            deployment: Arc::clone(deployment),
            place: Arc::clone(place),
            started: now,
            guess,
            words: Some(words),
            standing: Standing::Unheard,
            booking: None,
            progress: Progress::default(),
            terms,
            aboard: self.aboard.take(),
            content: None,
        }));
        Ok(())
    }

    /// The head of the provider's answer is here: an answer, or a refusal.
    pub(crate) fn heard(&mut self, is_answer: bool) {
        if let Some(open) = &mut self.open {
            open.standing = if is_answer { Standing::Answered } else { open.standing.refused() };
        }
    }

    /// The head of the answer to a mere look is here, which costs nothing by itself.
    pub(crate) fn looked(&mut self, is_answer: bool) {
        if let Some(open) = &mut self.open {
            open.standing = match open.standing {
                standing if !is_answer => standing.refused(),
                Standing::Lost => Standing::Answered,
                standing => standing,
            };
        }
    }

    /// One of several requests is answered: what it used is owed, whatever becomes of the others.
    pub(crate) fn owes(&mut self, usage: Option<Usage>) {
        if let (Some(open), Some(usage)) = (&mut self.open, usage) {
            let known = open.progress.usage.unwrap_or_default();
            let (input, output) = (known.input + usage.input, known.output + usage.output);
            open.progress.usage = Some(Usage { input, output, ..usage });
        }
    }

    /// The request never left.
    pub(crate) fn unsent(&mut self) {
        if let Some(open) = &mut self.open {
            open.standing = open.standing.refused();
        }
    }

    /// How far the stream is, and what it said since the last time.
    pub(crate) fn progress(&mut self, progress: Progress, said: &str) {
        let Some(open) = &mut self.open else { return };
        open.progress = progress;
        if progress.content && open.content.is_none() {
            open.content = Some(self.gateway.clock.monotonic());
            if let Some(aboard) = &mut open.aboard {
                aboard.is_answered();
            }
        }
        if let Some(words) = &mut open.words {
            words.said.push(said);
            words.wordless = progress.output_bytes.saturating_sub(words.said.bytes());
        }
        self.reaches();
    }

    /// The first byte of the answer leaves for the client.
    pub(crate) fn first_byte(&mut self) {
        if self.record.first_byte.is_none() {
            self.record.first_byte = Some(self.elapsed());
        }
    }

    /// The attempt's answer has begun, and is passed on as it comes.
    pub(crate) fn passes(&mut self, booking: Booking) {
        if let Some(open) = &mut self.open {
            open.booking = Some(booking);
        }
    }

    /// The attempt has its answer, which was passed on as it came.
    pub(crate) fn passed(&mut self, reading: &Reading) -> Option<Cost> {
        let open = self.open.take()?;
        let heard = || reading.heard_millis.and_then(|millis| open.place.price.heard(millis));
        let (usage, certainty) = match (open.owed(reading.usage), reading.usage) {
            (Some(owed), _) => owed,
            (None, Some(usage)) => (usage, Certainty::Stated),
            (None, None) => match heard() {
                Some(cost) => {
                    (Usage { stated_cost_nanos: Some(cost.money().nanos()), ..Usage::default() }, Certainty::Stated)
                }
                None => (Usage::default(), Certainty::Unknown),
            },
        };
        self.settle(open, usage, certainty, Outcome::Answered)
    }

    /// An attempt beside the one that is open, begun and answered at once.
    pub(crate) fn passed_beside(&mut self, served: &Served, place: &Arc<Place>, reading: &Reading) {
        let running = self.open.take();
        self.open_made(&served.id, &served.group, place);
        self.passed(reading);
        self.open = running;
    }

    /// A place, at the price of another model there.
    pub(crate) fn priced_for(&self, place: &Arc<Place>, model: &str) -> Arc<Place> {
        passing::priced_for(&self.gateway.snapshot(), Arc::clone(place), Some(model))
    }

    /// The attempt failed. What the provider said of it is cleared of what we had told it in confidence.
    pub(crate) fn failed(&mut self, failure: &mut Failure) {
        let Some(mut open) = self.open.take() else { return };
        open.place.hide_secrets(failure);
        let aboard = open.aboard.take();
        let kind = failure.kind;
        let has_begun = open.standing == Standing::Lost
            || open.booking.is_some()
            || open.progress.output_bytes > 0
            || open.progress.usage.is_some();
        let (usage, certainty) = if open.standing == Standing::Refused || !(has_begun || may_have_cost(kind)) {
            (Usage::default(), Certainty::Stated)
        } else {
            self.partial(&open)
        };
        self.settle(open, usage, certainty, Outcome::Failed(kind));
        if let Some(aboard) = aboard {
            aboard.fail(failure, self.gateway.clock.monotonic(), &usage);
        }
    }

    fn settle(&mut self, open: Box<OpenAttempt>, usage: Usage, certainty: Certainty, outcome: Outcome) -> Option<Cost> {
        let mut open = *open;
        let (usage, breakdown) = self.priced(&open, usage, certainty);
        let cost = breakdown.map(|parts| parts.total);
        if let Some(aboard) = open.aboard.take() {
            let now = self.gateway.clock.monotonic();
            if outcome == Outcome::Outrun {
                aboard.waited(open.started, now, self.record.streamed);
            }
            aboard.land(now, matches!(outcome, Outcome::Answered).then_some((open.started, open.content)), &usage);
        }
        let settlement = Settlement {
            usage,
            cost: cost.map(Cost::money),
            breakdown,
            certainty,
            outcome,
            first_byte: self.record.first_byte,
            took: self.elapsed(),
        };
        let gone = self.gateway.ledger.settle(&mut open.reservation, &settlement);
        self.gateway.budgets.close(open.reservation.attempt, &open.staked.stake.payers, gone);
        if certainty == Certainty::Stated && matches!(outcome, Outcome::Answered) && usage.audio_input == 0 {
            let (asked, answered) = (open.staked.stake.text, open.progress.output_bytes);
            self.gateway.budgets.learned.learn(&open.place.model, asked, answered, &usage);
        }
        self.takes_from_purses(&open.deployment, settlement.cost);
        self.takes_from_key(settlement.cost.filter(|_| certainty != Certainty::Unknown));
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
        self.settle_limits();
        self.record.status = status;
        self.record.outcome = outcome;
        if self.is_beside() {
            return;
        }
        self.record.took = self.elapsed();
        log_call(&self.record, self.gateway.clock.unix());
    }
}

impl Drop for Meter {
    /// The client left, or a task was ended: what is open is settled by what was received so far.
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let (usage, certainty) = match open.standing {
                Standing::Refused => (Usage::default(), Certainty::Stated),
                _ => self.partial(&open),
            };
            let outcome = self.side.as_ref().map_or(Outcome::ClientLeft, |side| side.cut_off());
            self.settle(open, usage, certainty, outcome);
        }
        // 499 is nginx's word for it; no client sees it.
        self.finish(499, Outcome::ClientLeft);
    }
}
