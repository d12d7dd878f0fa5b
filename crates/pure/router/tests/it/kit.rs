//! Fleets and plans for tests.

use std::time::Duration;

use tollgate_router::{
    Asked, Deployment, Event, Fallback, FallbackList, Fleet, FleetBuilder, Plan, Rules, Step, Wants,
};
use tollgate_wire::{Failure, FailureKind};

/// A fleet of these deployments, each `(group, change)`.
pub(crate) fn fleet(rules: Rules, groups: &[&str], change: impl Fn(usize, &mut Deployment)) -> Fleet {
    let mut builder = FleetBuilder::default();
    for (index, group) in groups.iter().enumerate() {
        let mut one = Deployment { id: format!("d{index}"), group: (*group).to_owned(), ..Deployment::default() };
        change(index, &mut one);
        builder.add(one);
    }
    builder.rules(rules);
    builder.build()
}

/// Fallbacks `[{group: [groups]}]`.
pub(crate) fn list(pairs: &[(&str, &[&str])]) -> FallbackList {
    let entry =
        |(group, to): &(&str, &[&str])| ((*group).to_owned(), to.iter().map(|name| Fallback::to(*name)).collect());
    FallbackList(pairs.iter().map(entry).collect())
}

pub(crate) fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Numbers that look like chance.
pub(crate) fn seed(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

pub(crate) fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "words").from_provider("OpenAI")
}

/// What came of a call whose attempts end as `answers` says, by deployment.
pub(crate) struct Run {
    pub(crate) asked: Vec<usize>,
    pub(crate) waits: Vec<Duration>,
    pub(crate) end: Result<usize, Failure>,
}

/// What a call is like in no words at all.
static WORDLESS: Wants =
    Wants { tokens: 0, tags: Vec::new(), has_schema: false, region: None, pinned: None, affinity: None };

/// Runs a call to its end. Waits are told as over at once.
pub(crate) fn run(
    fleet: &Fleet,
    group: &str,
    asked: Asked,
    now: Duration,
    answers: impl Fn(usize) -> Result<(), Failure>,
) -> Run {
    let mut plan = Plan::new(fleet, fleet.find(group).unwrap(), asked);
    let mut run = Run { asked: Vec::new(), waits: Vec::new(), end: Err(Failure::bug("it never ended")) };
    let mut last: Option<Failure> = None;
    let (mut now, mut reworded) = (now, false);
    for round in 0..100 {
        let event = match (&last, round) {
            _ if std::mem::take(&mut reworded) => Event::Reworded(&WORDLESS),
            (Some(failure), _) => Event::Failed(failure),
            (None, 0) => Event::Begin,
            (None, _) => Event::Woken,
        };
        match plan.on(&event, now, seed(round)) {
            Step::Start { deployment, after } => {
                run.asked.push(deployment);
                run.waits.push(after);
                now += after;
                match answers(deployment) {
                    Ok(()) => {
                        run.end = Ok(deployment);
                        return run;
                    }
                    Err(failure) => last = Some(failure),
                }
            }
            Step::Wait { until } => {
                let until = until.expect("a wait for other calls, of which there are none");
                run.waits.push(until - now);
                (now, last) = (until, None);
            }
            Step::Reword => reworded = true,
            Step::GiveUp(failure) => {
                run.end = Err(*failure);
                return run;
            }
        }
    }
    run
}
