//! The world of a simulation: calls arrive, deployments answer, fail or are late, and a virtual clock goes from event to event.
//! Calls are led as the gateway's `dispatch`, `aboard` and `meter` lead them.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use tollgate_router::{Asked, Awaits, Event, Fleet, Flight, Landing, Pace, Plan, Step, Why};
use tollgate_wire::{Blame, Failure, FailureKind};

use crate::kit::seed;

/// What a deployment does with an attempt.
pub(crate) struct Deed {
    /// How long it takes.
    pub(crate) takes: Duration,
    /// When a stream has content, after the beginning.
    pub(crate) content: Option<Duration>,
    /// Tokens of the answer, input and output, or the failure.
    pub(crate) end: Result<u64, Failure>,
}

/// An attempt that a deployment is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try {
    pub(crate) call: usize,
    /// Which attempt of the run.
    pub(crate) number: u64,
    /// It was made beside another one of its call.
    pub(crate) beside: bool,
    pub(crate) deployment: usize,
    /// When the plan chose it.
    pub(crate) chosen: Duration,
    /// When it began.
    pub(crate) at: Duration,
    /// About how many tokens it sends.
    pub(crate) guess: u64,
    /// Chance of its own.
    pub(crate) seed: u64,
}

/// What happened, in order.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Arrived,
    Began(Try),
    Answered(Try),
    Ended { of: Try, at: Duration, used: Option<u64> },
    Rested { deployment: usize, at: Duration, until: Duration },
    Done { failure: Option<Failure>, retries: u32 },
}

enum Due {
    Arrive(usize),
    Tell(usize, News),
    Board(usize, usize, Duration),
    /// An attempt of a call, if it still is one: it has content, it has ended, it has said nothing for long.
    Content(usize, u64),
    End(usize, u64, Box<Deed>),
    Silent(usize, u64),
}

enum News {
    Begin,
    Woken,
    Taken,
    Failed(Failure),
}

struct Call<'f> {
    plan: Plan<'f>,
    /// One, or two where the call is hedged.
    flights: Vec<(Flight, Try)>,
    /// What the first of two that fail says.
    failed: Option<Failure>,
    /// The attempt that has.
    has_content: Option<u64>,
    attempts: HashMap<String, Vec<usize>>,
}

/// One run.
pub(crate) struct Clockwork<'f, D> {
    fleet: &'f Fleet,
    group: &'f str,
    deed: D,
    now: Duration,
    due: BinaryHeap<Reverse<(Duration, u64)>>,
    what: HashMap<u64, Due>,
    asked: Vec<Option<Asked>>,
    calls: HashMap<usize, Call<'f>>,
    count: u64,
    chance: u64,
    pub(crate) facts: Vec<Fact>,
}

impl<'f, D: FnMut(&Try) -> Deed> Clockwork<'f, D> {
    pub(crate) fn new(fleet: &'f Fleet, group: &'f str, chance: u64, deed: D) -> Self {
        Self {
            fleet,
            group,
            deed,
            now: Duration::ZERO,
            due: BinaryHeap::new(),
            what: HashMap::new(),
            asked: Vec::new(),
            calls: HashMap::new(),
            count: 0,
            chance,
            facts: Vec::new(),
        }
    }

    /// A call that arrives then.
    pub(crate) fn arrive(&mut self, at: Duration, asked: Asked) {
        self.asked.push(Some(asked));
        self.later(at, Due::Arrive(self.asked.len() - 1));
    }

    /// Runs to the end, when every call is done.
    pub(crate) fn run(mut self) -> Vec<Fact> {
        while let Some(Reverse((at, number))) = self.due.pop() {
            self.now = self.now.max(at);
            let Some(due) = self.what.remove(&number) else { continue };
            self.happen(due);
        }
        assert!(self.calls.is_empty(), "calls that never end");
        for one in self.fleet.deployments() {
            assert_eq!(one.vitals.in_flight(), 0, "a place that was never left at {}", one.id);
        }
        self.facts
    }

    fn later(&mut self, at: Duration, due: Due) {
        self.count += 1;
        self.due.push(Reverse((at, self.count)));
        self.what.insert(self.count, due);
    }

    fn seed(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        seed(self.chance)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Arrive(number) => {
                let asked = self.asked[number].take().unwrap();
                let plan = Plan::new(self.fleet, self.fleet.find(self.group).unwrap(), asked);
                let call =
                    Call { plan, flights: Vec::new(), failed: None, has_content: None, attempts: HashMap::new() };
                self.calls.insert(number, call);
                self.facts.push(Fact::Arrived);
                self.tell(number, &News::Begin);
            }
            Due::Tell(number, news) => self.tell(number, &news),
            Due::Board(number, deployment, chosen) => self.board(number, deployment, chosen),
            Due::Content(number, attempt) => {
                let Some(mut flight) = self.take(number, attempt) else { return };
                flight.0.is_answered();
                let of = flight.1;
                self.facts.push(Fact::Answered(of));
                self.waited(&of, Awaits::Content);
                self.outrun(number, Awaits::Content);
                let call = self.calls.get_mut(&number).unwrap();
                call.has_content = Some(attempt);
                call.flights.push(flight);
            }
            Due::End(number, attempt, deed) => {
                if let Some((flight, of)) = self.take(number, attempt) {
                    self.end(number, flight, of, *deed);
                }
            }
            Due::Silent(number, attempt) => self.silent(number, attempt),
        }
    }

    /// `Ask::dispatch`.
    fn tell(&mut self, number: usize, news: &News) {
        let chance = self.seed();
        let call = self.calls.get_mut(&number).unwrap();
        let event = match news {
            News::Begin => Event::Begin,
            News::Woken => Event::Woken,
            News::Taken => Event::Taken,
            News::Failed(failure) => Event::Failed(failure),
        };
        match call.plan.on(&event, self.now, chance) {
            Step::Start { deployment, after } => {
                self.check_choice(number, deployment);
                if after.is_zero() {
                    self.board(number, deployment, self.now);
                } else {
                    self.later(self.now + after, Due::Board(number, deployment, self.now));
                }
            }
            Step::Wait { until } => {
                let free = call.plan.look(self.now).find(|(_, why)| why.is_none());
                assert_eq!(free, None, "it waits, and somebody is free");
                assert!(until.is_none_or(|until| until > self.now), "a wait that is no wait");
                // Nobody wakes calls here: they look for themselves.
                let until = until.unwrap_or(self.now + Duration::from_millis(50));
                self.later(until, Due::Tell(number, News::Woken));
            }
            Step::Reword => panic!("no fallback has words of its own here"),
            Step::GiveUp(failure) => {
                let retries = call.plan.retries();
                self.calls.remove(&number);
                self.facts.push(Fact::Done { failure: Some(*failure), retries });
            }
        }
    }

    /// Whoever failed the call is asked again only when nobody else can be; nobody is asked who cannot take the call.
    fn check_choice(&self, number: usize, deployment: usize) {
        let call = &self.calls[&number];
        let look: Vec<_> = call.plan.look(self.now).collect();
        let why = &look.iter().find(|(index, _)| *index == deployment).unwrap().1;
        match why {
            None => {}
            Some(Why::Failed) => {
                let free = look.iter().find(|(_, why)| why.is_none());
                assert_eq!(free, None, "{deployment} failed the call and is asked again, and another one is free");
            }
            Some(why) => panic!("{deployment} is asked, which {why}"),
        }
    }

    /// `Ask::board` and the beginning of `Ask::one`.
    fn board(&mut self, number: usize, deployment: usize, chosen: Duration) {
        let chance = self.seed();
        let (now, call) = (self.now, self.calls.get_mut(&number).unwrap());
        let one = &self.fleet.deployments()[deployment];
        let guess = call.plan.tokens();
        let Ok(flight) = one.vitals.begin(now, &one.limits(), guess) else {
            // In its own turn: whoever spins forever is found by the bound on events.
            self.later(now, Due::Tell(number, News::Taken));
            return;
        };
        assert!(call.flights.is_empty(), "an attempt is made while another one is on its way");
        self.count += 1;
        let of =
            Try { call: number, number: self.count, beside: false, deployment, chosen, at: now, guess, seed: chance };
        let patience = call.plan.patience(deployment, now);
        let asked = call.attempts.entry(call.plan.group().unwrap().name.to_owned()).or_default();
        asked.push(deployment);
        let allowed = call.plan.max_retries();
        // A policy has its own number for each class of failures; the simulations' largest is four.
        let allowed = if self.fleet.rules().retry_policy.is_some() { allowed.max(4) } else { allowed };
        assert!(asked.len() as u64 <= allowed + 1, "more retries than allowed");
        if let Some(patience) = patience {
            self.later(now + patience, Due::Silent(number, of.number));
        }
        self.begin(flight, of);
    }

    fn begin(&mut self, flight: Flight, of: Try) {
        let (now, number) = (self.now, of.call);
        self.calls.get_mut(&number).unwrap().flights.push((flight, of));
        self.facts.push(Fact::Began(of));
        assert!(self.facts.len() < 20_000_000, "it never ends");
        let deed = (self.deed)(&of);
        if let Some(content) = deed.content {
            self.later(now + content.min(deed.takes), Due::Content(number, of.number));
        }
        self.later(now + deed.takes, Due::End(number, of.number, Box::new(deed)));
    }

    /// An attempt of a call, if it is on its way.
    fn take(&mut self, number: usize, attempt: u64) -> Option<(Flight, Try)> {
        let flights = &mut self.calls.get_mut(&number)?.flights;
        let at = flights.iter().position(|(_, of)| of.number == attempt)?;
        Some(flights.remove(at))
    }

    fn waited(&self, of: &Try, awaits: Awaits) {
        if self.fleet.rules().hedging.is_some() {
            self.fleet.deployments()[of.deployment].vitals.waited(awaits, self.now, self.now - of.at);
        }
    }

    /// `Ask::race`: a second attempt, if the first one is the only one and has given nothing.
    fn silent(&mut self, number: usize, attempt: u64) {
        let chance = self.seed();
        let Some(call) = self.calls.get(&number) else { return };
        let [(_, first)] = call.flights[..] else { return };
        if first.number != attempt || call.has_content == Some(attempt) {
            return;
        }
        let Some(other) = call.plan.beside(first.deployment, self.now, chance) else { return };
        let why = call.plan.look(self.now).find(|(index, _)| *index == other).unwrap().1;
        assert_eq!(why, None, "{other} is asked beside another one");
        assert_ne!(other, first.deployment, "nobody is asked beside itself");
        let (one, guess) = (&self.fleet.deployments()[other], call.plan.tokens());
        let Ok(flight) = one.vitals.begin(self.now, &one.limits(), guess) else {
            call.plan.not_asked();
            return;
        };
        self.count += 1;
        let (number_of_try, now) = (self.count, self.now);
        let second =
            Try { number: number_of_try, beside: true, deployment: other, chosen: now, at: now, seed: chance, ..first };
        self.begin(flight, second);
    }

    /// Whoever else is on its way for the call is cancelled.
    fn outrun(&mut self, number: usize, awaits: Awaits) {
        let others = std::mem::take(&mut self.calls.get_mut(&number).unwrap().flights);
        for (flight, of) in others {
            let tokens = of.guess;
            flight.land(self.now, Landing::Aside { tokens });
            self.waited(&of, awaits);
            self.facts.push(Fact::Ended { of, at: self.now, used: Some(tokens) });
        }
    }

    /// `Aboard::land` and `Aboard::fail`.
    fn end(&mut self, number: usize, flight: Flight, of: Try, deed: Deed) {
        let now = self.now;
        let used = deed.end.as_ref().ok().copied();
        match deed.end {
            Ok(tokens) => {
                let took = deed.content.unwrap_or(deed.takes).as_secs_f64();
                flight.land(now, Landing::Well { tokens, latency: Some((Pace::Token, took)) });
                self.waited(&of, Awaits::Whole);
                self.outrun(number, Awaits::Whole);
                let retries = self.calls.remove(&number).unwrap().plan.retries();
                self.facts.push(Fact::Answered(of));
                self.facts.push(Fact::Ended { of, at: now, used });
                self.facts.push(Fact::Done { failure: None, retries });
            }
            Err(failure) => {
                self.facts.push(Fact::Ended { of, at: now, used: Some(0) });
                if failure.kind.blame() == Blame::Provider {
                    let _place = flight.land(
                        now,
                        Landing::Badly {
                            late: (failure.kind == FailureKind::Timeout).then_some(Pace::Token),
                            tokens: 0,
                        },
                    );
                    if let Some(until) = self.fleet.rest_after(of.deployment, &failure, now) {
                        self.fleet.deployments()[of.deployment].vitals.rest(until);
                        self.facts.push(Fact::Rested { deployment: of.deployment, at: now, until });
                    }
                } else {
                    flight.land(now, Landing::Aside { tokens: 0 });
                }
                let call = self.calls.get_mut(&number).unwrap();
                if of.beside {
                    call.plan.also_failed(of.deployment);
                }
                // The other one goes on; if it fails as well, the first one's failure is told.
                let told = match call.failed.take() {
                    Some(other) if of.beside => other,
                    _ => failure,
                };
                if call.flights.is_empty() {
                    self.tell(number, &News::Failed(told));
                } else {
                    call.failed = Some(told);
                }
            }
        }
    }
}
