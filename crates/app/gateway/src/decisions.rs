//! The way of each of the last calls through the deployments: who was chosen, who was passed over and by which filter. Kept in
//! memory within a bound of number; the oldest go first. A call costs one small allocation.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tollgate_policy::Caller;
use tollgate_router::{Group, Plan};
use tollgate_wire::{Failure, FailureKind};

use crate::{
    dispatch::{Ask, Missed},
    gateway::Gateway,
    meter::Meter,
};

/// All of them.
#[derive(Default)]
pub(crate) struct Decisions {
    kept: Mutex<VecDeque<Decision>>,
}

impl Decisions {
    fn put(&self, decision: Decision, most: usize) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.len() >= most.max(1) {
            kept.pop_front();
        }
        kept.push_back(decision);
    }

    /// The newest of this id that the caller may see, as JSON.
    pub(crate) fn find(&self, call_id: &str, caller: &Caller) -> Option<Value> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let visible = |one: &&Decision| caller.is_admin() || one.caller == *caller;
        kept.iter().rev().filter(visible).find(|one| one.call_id() == call_id).map(Decision::document)
    }
}

/// One call's.
struct Decision {
    /// The call's id, and the names of the groups that were asked: a line each, in one allocation.
    words: String,
    caller: Caller,
    /// When the call came, since 1970.
    at: Duration,
    strategy: &'static str,
    attempts: Few<Chosen>,
    passed_over: Few<PassedOver>,
    end: End,
}

struct Chosen {
    deployment: Arc<str>,
    group: usize,
    after: Duration,
    /// It was made beside the one before.
    beside: bool,
    end: End,
}

struct PassedOver {
    deployment: Arc<str>,
    group: usize,
    filter: &'static str,
}

#[derive(Clone, Copy)]
enum End {
    /// The client left before.
    Open,
    /// Another call was faster.
    Taken,
    Answered,
    /// Another attempt, made beside it, was faster.
    Outrun,
    Failed(FailureKind),
}

impl End {
    fn name(self) -> Value {
        match self {
            Self::Open => json!("client_left"),
            Self::Taken => json!("taken"),
            Self::Answered => json!("answered"),
            Self::Outrun => json!("outrun"),
            Self::Failed(_) => json!("failed"),
        }
    }

    fn failure(self) -> Value {
        if let Self::Failed(kind) = self { json!(format!("{kind:?}")) } else { Value::Null }
    }
}

/// As many have room without an allocation.
const FEW: usize = 3;
/// More of one call are not kept, only counted.
const MOST: usize = 64;

/// Some things, of which there are seldom many.
struct Few<T> {
    first: [Option<T>; FEW],
    more: Vec<T>,
    left_out: usize,
}

impl<T> Few<T> {
    const fn new() -> Self {
        Self { first: [const { None }; FEW], more: Vec::new(), left_out: 0 }
    }

    fn push(&mut self, one: T) {
        if let Some(free) = self.first.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(one);
        } else if self.more.len() < MOST {
            self.more.push(one);
        } else {
            self.left_out += 1;
        }
    }

    fn last_mut(&mut self, wanted: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.first.iter_mut().flatten().chain(&mut self.more).rev().find(|one| wanted(one))
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().flatten().chain(&self.more)
    }
}

impl Decision {
    fn call_id(&self) -> &str {
        self.words.lines().next().unwrap_or_default()
    }

    fn group(&self, number: usize) -> &str {
        self.words.lines().nth(number + 1).unwrap_or_default()
    }

    fn document(&self) -> Value {
        let attempt = |one: &Chosen| {
            let mut told = json!({
                "group": self.group(one.group),
                "deployment": &*one.deployment,
                "after_seconds": one.after.as_secs_f64(),
                "end": one.end.name(),
                "failure": one.end.failure(),
            });
            if let (true, Some(members)) = (one.beside, told.as_object_mut()) {
                members.insert("hedge".to_owned(), true.into());
            }
            told
        };
        let passed_over = |one: &PassedOver| {
            json!({
                "group": self.group(one.group),
                "deployment": &*one.deployment,
                "filter": one.filter,
            })
        };
        json!({
            "call_id": self.call_id(),
            "at": self.at.as_secs(),
            "group": self.group(0),
            "strategy": self.strategy,
            "attempts": self.attempts.iter().map(attempt).collect::<Vec<_>>(),
            "attempts_left_out": self.attempts.left_out,
            "passed_over": self.passed_over.iter().map(passed_over).collect::<Vec<_>>(),
            "passed_over_left_out": self.passed_over.left_out,
            "end": self.end.name(),
            "failure": self.end.failure(),
        })
    }
}

/// A group that is larger is not looked at once more to say who was passed over.
const LOOKED_AT: usize = 16;

/// Takes the minutes of a call's decision, and keeps them when it is dropped.
pub(crate) struct Deliberation<'g> {
    gateway: &'g Arc<Gateway>,
    most: usize,
    decision: Option<Decision>,
    groups: usize,
}

impl<'g> Deliberation<'g> {
    pub(crate) fn begin(ask: &'g Ask, plan: &Plan<'_>, call_id: &str) -> Self {
        let most = ask.snapshot.bounds.kept_decisions;
        let mut minutes = Self { gateway: &ask.gateway, most, decision: None, groups: 0 };
        let Some(group) = plan.group().filter(|_| most > 0) else { return minutes };
        let mut words = String::with_capacity(call_id.len() + group.name.len() + 1);
        words.push_str(call_id);
        minutes.decision = Some(Decision {
            words,
            caller: ask.caller.clone(),
            at: ask.gateway.clock.unix(),
            strategy: ask.snapshot.fleet.rules().strategy.name(),
            attempts: Few::new(),
            passed_over: Few::new(),
            end: End::Open,
        });
        minutes.turns_to(ask, plan, group);
        minutes
    }

    /// A group has its turn.
    fn turns_to(&mut self, ask: &Ask, plan: &Plan<'_>, group: &Group<'_>) {
        let Some(decision) = &mut self.decision else { return };
        decision.words.push('\n');
        // A name is a line.
        decision.words.extend(group.name.chars().map(|one| if one == '\n' || one == '\r' { ' ' } else { one }));
        self.groups += 1;
        if group.members.len() > LOOKED_AT {
            return;
        }
        for (index, why) in plan.look(ask.now()) {
            let (Some(why), Some(served)) = (why, ask.snapshot.served.get(index)) else { continue };
            let deployment = Arc::clone(&served.id);
            decision.passed_over.push(PassedOver { deployment, group: self.groups - 1, filter: why.filter() });
        }
    }

    /// A deployment is chosen.
    pub(crate) fn chooses(&mut self, ask: &Ask, plan: &Plan<'_>, deployment: usize, after: Duration) {
        let is_new = self.decision.as_ref().is_some_and(|decision| {
            plan.group().is_some_and(|group| plan.is_fresh() && decision.group(self.groups - 1) != group.name)
        });
        if let (Some(group), true) = (plan.group(), is_new) {
            self.turns_to(ask, plan, group);
        }
        let group = self.groups.saturating_sub(1);
        if let (Some(decision), Some(served)) = (&mut self.decision, ask.snapshot.served.get(deployment)) {
            decision.attempts.push(Chosen {
                deployment: Arc::clone(&served.id),
                group,
                after,
                beside: false,
                end: End::Open,
            });
        }
    }

    /// Another one is asked beside the one that is chosen, which has said nothing for so long.
    pub(crate) fn hedges(&mut self, deployment: &Arc<str>, after: Duration) {
        let group = self.groups.saturating_sub(1);
        if let Some(decision) = &mut self.decision {
            let deployment = Arc::clone(deployment);
            decision.attempts.push(Chosen { deployment, group, after, beside: true, end: End::Open });
        }
    }

    /// Of two that were asked at once this one has failed, or was outrun (`None`).
    pub(crate) fn loses(&mut self, deployment: &str, failure: Option<FailureKind>) {
        let end = failure.map_or(End::Outrun, End::Failed);
        if let Some(chosen) = self.open(|chosen| &*chosen.deployment == deployment) {
            chosen.end = end;
        }
    }

    /// The one that is chosen has failed.
    pub(crate) fn fails(&mut self, kind: FailureKind) {
        self.last(End::Failed(kind));
    }

    /// The one that is chosen had no place any more.
    pub(crate) fn is_taken(&mut self) {
        self.last(End::Taken);
    }

    /// The call has its answer, or has failed.
    pub(crate) fn ends(&mut self, answer: Result<(), FailureKind>) {
        let end = answer.map_or_else(End::Failed, |()| End::Answered);
        if answer.is_ok() {
            self.last(end);
        }
        if let Some(decision) = &mut self.decision {
            decision.end = end;
        }
    }

    /// The call has failed.
    pub(crate) fn gives_up(&mut self, failure: Failure, meter: Meter) -> Missed {
        self.ends(Err(failure.kind));
        Box::new((failure, meter))
    }

    fn last(&mut self, end: End) {
        if let Some(chosen) = self.open(|_| true) {
            chosen.end = end;
        }
    }

    /// The last attempt of which nobody knows how it ended.
    fn open(&mut self, wanted: impl Fn(&Chosen) -> bool) -> Option<&mut Chosen> {
        let attempts = &mut self.decision.as_mut()?.attempts;
        attempts.last_mut(|chosen| matches!(chosen.end, End::Open) && wanted(chosen))
    }
}

impl Drop for Deliberation<'_> {
    fn drop(&mut self) {
        if let Some(decision) = self.decision.take() {
            self.gateway.decisions.put(decision, self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(call_id: &str, caller: Caller) -> Decision {
        Decision {
            words: format!("{call_id}\ngpt"),
            caller,
            at: Duration::ZERO,
            strategy: "simple-shuffle",
            attempts: Few::new(),
            passed_over: Few::new(),
            end: End::Answered,
        }
    }

    #[test]
    fn a_decision_is_seen_by_who_made_the_call_and_by_the_admin() {
        let decisions = Decisions::default();
        decisions.put(decision("mine", Caller::Admin), 10);
        decisions.put(decision("anyones", Caller::Anyone), 10);
        let seen = |id, caller| decisions.find(id, &caller).is_some();
        assert!(seen("mine", Caller::Admin) && seen("anyones", Caller::Admin) && seen("anyones", Caller::Anyone));
        assert!(!seen("mine", Caller::Anyone) && !seen("other", Caller::Admin));
    }

    #[test]
    fn attempts_beyond_the_most_are_counted_only() {
        let mut one = decision("a", Caller::Admin);
        for number in 0..FEW + MOST + 5 {
            let deployment = format!("d{number}").into();
            one.attempts.push(Chosen { deployment, group: 0, after: Duration::ZERO, beside: false, end: End::Open });
        }
        let told = one.document();
        assert_eq!(told["attempts"].as_array().map(Vec::len), Some(FEW + MOST));
        assert_eq!((&told["attempts_left_out"], &told["attempts"][4]["deployment"]), (&json!(5), &json!("d4")));
        assert_eq!(told["attempts"][0]["group"], "gpt");
    }
}
