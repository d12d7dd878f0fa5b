//! The attempts of one call: which deployment next, after how long, in whose place, or none any more. Retries, rests and
//! fallbacks are this one state machine; the world's state, time and chance come in.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tollgate_wire::{Failure, FailureKind};

use crate::{
    fallbacks::{Fallback, Fallbacks},
    fleet::{Fleet, Group},
    hedging::Awaits,
    level::{mark, spread},
    look::{Look, Wants, Why},
    pick::{Picked, Room, pick},
};

mod beside;
mod onward;
mod steps;
mod story;

pub use steps::{Event, Step};

use story::{later, nobody};

/// What a call says to a fallback instead of its own words.
type Instead = Arc<Map<String, Value>>;

/// What a call asks of routing.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// What it is like.
    pub wants: Wants,
    /// How often a failed attempt is repeated inside a group.
    pub retries: Option<u64>,
    /// Fallbacks of its own, instead of the configured ones.
    pub fallbacks: Option<Fallbacks>,
    /// No fallbacks at all.
    pub no_fallbacks: bool,
    /// Until when it may wait for somebody to have time for it.
    pub deadline: Option<Duration>,
    /// What it waits for, if two deployments may be asked at once; `None`: asking twice would do harm.
    pub twice: Option<Awaits>,
}

/// The state of one call's attempts.
#[derive(Debug)]
pub struct Plan<'f> {
    fleet: &'f Fleet,
    asked: Asked,
    /// The group asked now, above the groups that it is a fallback of.
    frames: Vec<Frame<'f>>,
    /// Groups that were asked: none is asked twice.
    tried: Vec<Group<'f>>,
    retries: u32,
    fallbacks: u32,
    /// Nobody is asked: it takes nothing from the budget of retries.
    rehearses: bool,
}

/// One group's turn.
#[derive(Debug)]
struct Frame<'f> {
    group: Group<'f>,
    instead: Option<Instead>,
    /// What the call is like in those words.
    wants: Option<Wants>,
    failed: Vec<usize>,
    current: Option<usize>,
    retries: u32,
    over: Option<Over>,
}

/// A group's turn that came to nothing.
#[derive(Debug)]
struct Over {
    failure: Failure,
    /// Who is asked instead; `None`: no list has the group.
    to: Option<Vec<Fallback>>,
    next: usize,
    /// What the last of them said.
    told: Option<String>,
    /// Why words of their own could not be said to others of them.
    unsaid: Vec<String>,
}

/// Longest `retry-after` of a provider that is waited for, as `LiteLLM` has it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

impl<'f> Plan<'f> {
    /// A plan that begins with this group.
    #[must_use]
    pub fn new(fleet: &'f Fleet, group: Group<'f>, asked: Asked) -> Self {
        let tried = vec![group.clone()];
        let mut plan =
            Self { fleet, asked, frames: Vec::with_capacity(1), tried, retries: 0, fallbacks: 0, rehearses: false };
        plan.frames.push(Frame::new(group, None));
        plan
    }

    /// The same for somebody who asks what would happen.
    #[must_use]
    pub fn rehearsal(fleet: &'f Fleet, group: Group<'f>, asked: Asked) -> Self {
        Self { rehearses: true, ..Self::new(fleet, group, asked) }
    }

    /// The groups that had their turn.
    #[must_use]
    pub fn groups(&self) -> &[Group<'f>] {
        &self.tried
    }

    /// How many retries were made, in all groups.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// How many fallbacks were asked.
    #[must_use]
    pub fn fallbacks(&self) -> u32 {
        self.fallbacks
    }

    /// How many retries the group asked now may have, whatever the failure.
    #[must_use]
    pub fn max_retries(&self) -> u64 {
        self.frames.last().map_or(0, |frame| self.allowed(frame, None))
    }

    /// The group asked now.
    #[must_use]
    pub fn group(&self) -> Option<&Group<'f>> {
        self.frames.last().map(|frame| &frame.group)
    }

    /// What the call says to the group asked now instead of its own words.
    #[must_use]
    pub fn instead(&self) -> Option<&Instead> {
        self.frames.last()?.instead.as_ref()
    }

    /// The group asked now has not been asked before.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.retries == 0 && frame.failed.is_empty())
    }

    /// About how many tokens the call sends.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.wants().tokens
    }

    /// What the call is like for the group asked now.
    fn wants(&self) -> &Wants {
        self.frames.last().and_then(|frame| frame.wants.as_ref()).unwrap_or(&self.asked.wants)
    }

    /// The fallbacks that hold for the call.
    #[must_use]
    pub fn rules(&self) -> &Fallbacks {
        self.asked.fallbacks.as_ref().unwrap_or(&self.fleet.rules().fallbacks)
    }

    /// Why each member of the group asked now can, or cannot, take the call.
    pub fn look(&self, now: Duration) -> impl Iterator<Item = (usize, Option<Why>)> {
        self.frames.last().into_iter().flat_map(move |frame| self.looks(&frame.group, self.wants(), &frame.failed, now))
    }

    /// Stands for the deployments of the group that can take the call, now or when they have room: calls with the same
    /// number wait for the same ones. Where tokens are limited, calls of other sizes wait for another room: whoever sends much
    /// holds up nobody who sends little.
    pub fn candidates(&self, now: Duration) -> u64 {
        let can = |why: &Option<Why>| why.as_ref().is_none_or(|why| why.passes() || *why == Why::Failed);
        let members = self.look(now).filter(|(_, why)| can(why));
        let members = members.filter_map(|(index, _)| self.fleet.deployments().get(index));
        let (sum, is_limited) = members.fold((0_u64, false), |(sum, is_limited), one| {
            (sum.wrapping_add(spread(mark(one.id.as_bytes()))), is_limited || one.tpm.is_some())
        });
        let size = if is_limited { u64::from(u64::BITS - self.tokens().leading_zeros()) } else { 0 };
        sum ^ size
    }

    /// Until when the call may wait.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.asked.deadline
    }

    /// The same of any group, for a call like this that nobody has failed; `None`: as it came.
    pub fn look_at<'l>(
        &'l self,
        group: &Group<'f>,
        wants: Option<&'l Wants>,
        now: Duration,
    ) -> impl Iterator<Item = (usize, Option<Why>)> + use<'l, 'f> {
        self.looks(group, wants.unwrap_or(&self.asked.wants), &[], now)
    }

    fn looks<'l>(
        &'l self,
        group: &Group<'f>,
        wants: &'l Wants,
        failed: &'l [usize],
        now: Duration,
    ) -> impl Iterator<Item = (usize, Option<Why>)> + use<'l, 'f> {
        let look = Look::new(self.fleet, group, wants, failed, now);
        group.members.iter().map(move |index| (*index, look.why(*index)))
    }

    /// What to do now. `seed` is chance.
    pub fn on(&mut self, event: &Event<'_>, now: Duration, seed: u64) -> Step {
        let step = match event {
            Event::Begin => {
                if !self.rehearses {
                    self.fleet.retry_budget().request(now);
                    self.earn();
                }
                self.start(now, seed)
            }
            Event::Taken | Event::Woken => self.start(now, seed),
            Event::Reworded(wants) => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.wants = Some((*wants).clone());
                }
                self.start(now, seed)
            }
            Event::Behind => self.wait(Room { any_time: true, ..self.room(now) }, now),
            Event::Crowded => Err(self.later(self.room(now), now)),
            Event::Failed(failure) => self.failed(failure, now, seed),
            Event::Refused(failure) => {
                self.set_aside();
                Err((*failure).clone())
            }
        };
        step.unwrap_or_else(|failure| self.fall(failure, now, seed))
    }

    /// The first attempt in a group, or one that nothing has failed before.
    fn start(&mut self, now: Duration, seed: u64) -> Result<Step, Failure> {
        let picked = self.pick(now, seed);
        let Some(frame) = self.frames.last_mut() else { return Err(Failure::bug("a plan without a group")) };
        match picked {
            Picked::One(deployment) => {
                frame.current = Some(deployment);
                Ok(Step::Start { deployment, after: Duration::ZERO })
            }
            Picked::Later(room) => self.wait(room, now),
            Picked::Nobody(why) => Err(nobody(frame.group.name, why)),
        }
    }

    /// Waits, if that can help.
    fn wait(&mut self, room: Room, now: Duration) -> Result<Step, Failure> {
        if let Some(frame) = self.frames.last_mut() {
            frame.current = None;
        }
        let first = if room.any_time { Some(now) } else { room.until };
        let in_time = self.asked.deadline.is_none_or(|deadline| first.is_some_and(|first| first < deadline));
        // Who can be asked at once is better than who may be back in a while.
        if in_time && !self.has_fallback(FailureKind::NoDeployment) {
            Ok(Step::Wait { until: room.until })
        } else {
            Err(self.later(room, now))
        }
    }

    /// Everybody rests or is full.
    fn later(&self, room: Room, now: Duration) -> Failure {
        let group = self.frames.last().map_or("", |frame| frame.group.name);
        later(group, room.until.unwrap_or(now).saturating_sub(now))
    }

    /// When those may have room that have none now.
    fn room(&self, now: Duration) -> Room {
        Room::of(self.look(now).filter_map(|(_, why)| why))
    }

    /// Whether and where a failed attempt is repeated.
    fn failed(&mut self, failure: &Failure, now: Duration, seed: u64) -> Result<Step, Failure> {
        self.set_aside();
        let Some(frame) = self.frames.last() else { return Err(failure.clone()) };
        if u64::from(frame.retries) >= self.allowed(frame, Some(failure)) || !self.may_retry(frame, failure) {
            return Err(failure.clone());
        }
        // With nobody left there is no one to ask; a fallback may be.
        let Picked::One(deployment) = self.pick(now, seed) else { return Err(failure.clone()) };
        let Some(frame) = self.frames.last() else { return Err(failure.clone()) };
        if frame.failed.contains(&deployment) && is_of_key(failure.kind) {
            return Err(failure.clone());
        }
        let after = if frame.failed.contains(&deployment) { self.pause(frame, failure, seed) } else { Duration::ZERO };
        if !self.rehearses && !self.fleet.retry_budget().retry(now) {
            return Err(failure.clone());
        }
        self.retries += 1;
        let Some(frame) = self.frames.last_mut() else { return Err(failure.clone()) };
        frame.retries += 1;
        frame.current = Some(deployment);
        Ok(Step::Start { deployment, after })
    }

    fn set_aside(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.failed.extend(frame.current.take());
        }
    }

    /// One that has not failed this call, else one that has.
    fn pick(&self, now: Duration, seed: u64) -> Picked {
        let Some(frame) = self.frames.last() else { return Picked::Nobody(None) };
        let (fleet, wants) = (self.fleet, self.wants());
        match pick(fleet, &frame.group, wants, &frame.failed, now, seed) {
            Picked::One(index) => Picked::One(index),
            _ if !frame.failed.is_empty() => pick(fleet, &frame.group, wants, &[], now, seed),
            none => none,
        }
    }

    /// Surface chapter 6.3: the request's number, else that of the only deployment, else the router's. A policy replaces
    /// it, unless the request wants none at all.
    fn allowed(&self, frame: &Frame<'_>, failure: Option<&Failure>) -> u64 {
        if self.asked.retries == Some(0) {
            return 0;
        }
        let rules = self.fleet.rules();
        let by_policy = || rules.policy(&frame.group)?.of(failure?.kind);
        let own = || {
            let [only] = frame.group.members else { return None };
            self.fleet.deployments().get(*only)?.retries
        };
        by_policy().or(self.asked.retries).or_else(own).unwrap_or(rules.retries)
    }

    /// Surface chapter 6.3: what the client caused is never tried again, a refused key only elsewhere. A policy says what
    /// is tried again by its numbers. What is paid is not paid twice.
    fn may_retry(&self, frame: &Frame<'_>, failure: &Failure) -> bool {
        if failure.is_paid {
            return false;
        }
        if self.asked.retries.is_none_or(|retries| retries > 0)
            && self.fleet.rules().policy(&frame.group).is_some_and(|policy| policy.of(failure.kind).is_some())
        {
            return true;
        }
        // A refused key goes on to `failed`, which sees whether anybody else is there.
        is_of_key(failure.kind) || failure.kind.retryable()
    }

    /// What the provider asked for, else 0.5 s doubling up to 8 s, at least what the configuration says, and up to 0.75 s of
    /// chance, so that callers who failed together do not come back together.
    fn pause(&self, frame: &Frame<'_>, failure: &Failure, seed: u64) -> Duration {
        let asked = failure.retry_after.filter(|asked| *asked <= LONGEST_RETRY_AFTER && !asked.is_zero());
        let doubled = || Duration::from_millis(500 << frame.retries.min(4)).min(Duration::from_secs(8));
        let least = self.fleet.rules().retry_after;
        asked.unwrap_or_else(doubled).max(least) + Duration::from_millis(seed % 750)
    }

    fn has_fallback(&self, kind: FailureKind) -> bool {
        let Some(frame) = self.frames.last() else { return false };
        let is_left = |to: &[Fallback]| to.iter().any(|to| self.may_fall_to(to));
        // Those of the group that this one is a fallback of come after its own.
        let overs = || self.frames.iter().filter_map(|frame| frame.over.as_ref());
        let of_others =
            overs().any(|over| is_left(over.to.as_deref().and_then(|to| to.get(over.next..)).unwrap_or(&[])));
        let of_own = !self.asked.no_fallbacks
            && self.frames.len() <= self.rules().depth()
            && self.after(kind, &frame.group).is_some_and(is_left);
        of_own || of_others
    }

    fn may_fall_to(&self, fallback: &Fallback) -> bool {
        self.fleet.find(&fallback.model).is_some_and(|group| !self.tried.iter().any(|tried| tried.is(&group)))
    }

    /// A group's turn is over: its fallbacks, then those of the group that it is a fallback of.
    fn fall(&mut self, failure: Failure, now: Duration, seed: u64) -> Step {
        let to = self.fallbacks_after(&failure);
        if let Some(frame) = self.frames.last_mut() {
            frame.over = Some(Over { failure, to, next: 0, told: None, unsaid: Vec::new() });
        }
        loop {
            match self.next_fallback() {
                Some((group, instead)) => {
                    self.fallbacks += 1;
                    self.tried.push(group.clone());
                    let is_reworded = instead.is_some();
                    self.frames.push(Frame::new(group, instead));
                    if is_reworded {
                        return Step::Reword;
                    }
                    match self.start(now, seed) {
                        Ok(step) => return step,
                        Err(failure) => {
                            let to = self.fallbacks_after(&failure);
                            if let Some(frame) = self.frames.last_mut() {
                                frame.over = Some(Over { failure, to, next: 0, told: None, unsaid: Vec::new() });
                            }
                        }
                    }
                }
                None => {
                    let Some(frame) = self.frames.pop() else {
                        return Step::GiveUp(Box::new(Failure::bug("no group")));
                    };
                    let is_unsaid = frame.instead.is_some() && frame.wants.is_none();
                    let failure = self.story(frame);
                    match self.frames.last_mut().and_then(|frame| frame.over.as_mut()) {
                        Some(over) if is_unsaid => over.unsaid.push(failure.client_message()),
                        Some(over) => over.told = Some(failure.client_message()),
                        None => return Step::GiveUp(Box::new(failure)),
                    }
                }
            }
        }
    }

    /// By the name that was asked for, else by the group's.
    fn after(&self, kind: FailureKind, group: &Group<'_>) -> Option<&[Fallback]> {
        self.rules().after(kind, group.label()).or_else(|| self.rules().after(kind, group.name))
    }

    fn fallbacks_after(&self, failure: &Failure) -> Option<Vec<Fallback>> {
        let frame = self.frames.last()?;
        // What the client must change is as wrong elsewhere; who may not ask here may not ask there.
        let is_over = self.asked.no_fallbacks || self.frames.len() > self.rules().depth() || !falls(failure.kind);
        // What is being made is paid for: another answer would be paid beside it.
        let is_over = is_over || failure.is_paid;
        if is_over {
            return None;
        }
        self.after(failure.kind, &frame.group).map(<[Fallback]>::to_vec)
    }

    fn next_fallback(&mut self) -> Option<(Group<'f>, Option<Instead>)> {
        let (fleet, tried) = (self.fleet, &self.tried);
        let over = self.frames.last_mut()?.over.as_mut()?;
        let to = over.to.as_ref()?;
        while let Some(fallback) = to.get(over.next) {
            over.next += 1;
            match fleet.find(&fallback.model) {
                Some(group) if tried.iter().any(|tried| tried.is(&group)) => {}
                Some(group) => return Some((group, fallback.instead.clone())),
                None => over.told = Some(format!("the fallback '{}' is no model of this gateway", fallback.model)),
            }
        }
        None
    }
}

impl<'f> Frame<'f> {
    fn new(group: Group<'f>, instead: Option<Instead>) -> Self {
        Self { group, instead, wants: None, failed: Vec::new(), current: None, retries: 0, over: None }
    }
}

/// The provider does not want our key: asking it again is of no use.
fn is_of_key(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Authentication | FailureKind::PermissionDenied | FailureKind::PaymentRequired)
}

/// Whether another group may do better: not with what the client must change in any case.
fn falls(kind: FailureKind) -> bool {
    use FailureKind as Kind;
    !matches!(
        kind,
        Kind::InvalidRequest
            | Kind::UnknownModel
            | Kind::InvalidKey
            | Kind::ModelAccessDenied
            | Kind::RouteDenied
            | Kind::BudgetExceeded
            | Kind::LimitExceeded
            | Kind::RouteNotFound
            | Kind::MethodNotAllowed
            | Kind::RequestTimeout
            | Kind::TooLarge
            | Kind::HeadersTooLarge
            | Kind::Overloaded
            | Kind::SelfCall
            | Kind::Bug
    )
}
