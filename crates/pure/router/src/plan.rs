//! The attempts of one call: which deployment next, after how long, or none any more.

use std::time::Duration;

use tollgate_wire::{Failure, FailureKind};

use crate::{
    fleet::{Fleet, Group},
    shuffle,
};

/// What happened.
#[derive(Debug)]
pub enum Event<'e> {
    /// The call begins.
    Begin,
    /// The last attempt failed.
    Failed(&'e Failure),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Try this deployment (an index into the fleet), after this long.
    Start {
        /// The deployment.
        deployment: usize,
        /// How long to wait before.
        after: Duration,
    },
    /// The last failure is the answer.
    GiveUp,
}

/// The state of one call's attempts.
#[derive(Debug)]
pub struct Plan {
    candidates: Vec<usize>,
    failed: Vec<usize>,
    current: Option<usize>,
    retries_left: u64,
    retries_done: u32,
}

/// Longest `retry-after` of a provider that is waited for, as `LiteLLM` has it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

impl Plan {
    /// A plan over the servable deployments of a group, of the lowest order, with this many retries.
    #[must_use]
    pub fn new(fleet: &Fleet, group: &Group<'_>, retries: u64) -> Self {
        let servable = || {
            let members = group.members.iter().copied();
            members.filter(|index| fleet.deployments().get(*index).is_some_and(|one| one.unservable.is_none()))
        };
        let order = |index: &usize| fleet.deployments().get(*index).and_then(|one| one.order);
        let lowest = servable().filter_map(|index| order(&index)).min();
        let candidates = servable().filter(|index| lowest.is_none() || order(index) == lowest).collect();
        Self { candidates, failed: Vec::new(), current: None, retries_left: retries, retries_done: 0 }
    }

    /// How many retries were made.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries_done
    }

    /// What to do now. `seed` is chance.
    pub fn on(&mut self, event: &Event<'_>, fleet: &Fleet, seed: u64) -> Step {
        let after = match event {
            Event::Begin => Duration::ZERO,
            Event::Failed(failure) => {
                self.failed.extend(self.current.take());
                if self.retries_left == 0 || !self.may_retry(failure) {
                    return Step::GiveUp;
                }
                self.retries_left -= 1;
                self.retries_done += 1;
                self.pause(failure, seed)
            }
        };
        match self.pick(fleet, seed) {
            Some(deployment) => {
                self.current = Some(deployment);
                Step::Start { deployment, after }
            }
            None => Step::GiveUp,
        }
    }

    /// Surface chapter 6.3: what the client caused is never tried again; a refused key only elsewhere. What is paid is not
    /// paid twice.
    fn may_retry(&self, failure: &Failure) -> bool {
        match failure.kind {
            _ if failure.is_paid => false,
            FailureKind::Authentication | FailureKind::PermissionDenied | FailureKind::PaymentRequired => {
                self.candidates.iter().any(|index| !self.failed.contains(index))
            }
            kind => kind.retryable(),
        }
    }

    /// No wait before a deployment that has not failed; else what the provider asked for, else 0.5 s doubling up to 8 s,
    /// and up to 0.75 s of chance.
    fn pause(&self, failure: &Failure, seed: u64) -> Duration {
        if self.candidates.iter().any(|index| !self.failed.contains(index)) {
            return Duration::ZERO;
        }
        let asked = failure.retry_after.filter(|asked| *asked <= LONGEST_RETRY_AFTER && !asked.is_zero());
        let doubled =
            || Duration::from_millis(500 << self.retries_done.saturating_sub(1).min(4)).min(Duration::from_secs(8));
        asked.unwrap_or_else(doubled) + Duration::from_millis(seed % 750)
    }

    fn pick(&mut self, fleet: &Fleet, seed: u64) -> Option<usize> {
        if self.candidates.iter().all(|index| self.failed.contains(index)) {
            // Everyone has failed once: they may all be tried again.
            self.failed.clear();
        }
        let fresh: Vec<usize> = self.candidates.iter().copied().filter(|index| !self.failed.contains(index)).collect();
        let deployments: Vec<_> = fresh.iter().filter_map(|index| fleet.deployments().get(*index)).collect();
        fresh.get(shuffle::pick(&deployments, seed)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Deployment, FleetBuilder};

    fn fleet(weights: &[(Option<f64>, Option<u64>)]) -> Fleet {
        let mut builder = FleetBuilder::default();
        for (index, (weight, order)) in weights.iter().enumerate() {
            let (id, group) = (format!("{index}"), "g".to_owned());
            builder.add(Deployment { id, group, weight: *weight, order: *order, ..Deployment::default() });
        }
        builder.build()
    }

    fn first(fleet: &Fleet, seed: u64) -> Step {
        Plan::new(fleet, &fleet.find("g").unwrap(), 2).on(&Event::Begin, fleet, seed)
    }

    fn seeds(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    #[test]
    fn shares_follow_the_weights() {
        let fleet = fleet(&[(Some(1.0), None), (Some(3.0), None), (None, None)]);
        let mut counts = [0u32; 3];
        for seed in seeds(20_000) {
            let Step::Start { deployment, .. } = first(&fleet, seed) else { panic!("someone answers") };
            counts[deployment] += 1;
        }
        assert!((4_600..5_400).contains(&counts[0]) && (14_600..15_400).contains(&counts[1]), "{counts:?}");
        assert_eq!(counts[2], 0, "no weight among weights is none");
    }

    #[test]
    fn the_lowest_order_is_used_alone() {
        let fleet = fleet(&[(None, Some(2)), (None, Some(1))]);
        assert!(seeds(50).all(|seed| matches!(first(&fleet, seed), Step::Start { deployment: 1, .. })));
    }

    #[test]
    fn a_retry_goes_elsewhere_first_and_then_waits() {
        let fleet = fleet(&[(None, None), (None, None)]);
        let mut plan = Plan::new(&fleet, &fleet.find("g").unwrap(), 2);
        let failure = Failure::new(FailureKind::ServiceUnavailable, "down");
        let Step::Start { deployment: one, .. } = plan.on(&Event::Begin, &fleet, 7) else { panic!() };
        let Step::Start { deployment: two, after } = plan.on(&Event::Failed(&failure), &fleet, 7) else { panic!() };
        assert!(one != two && after.is_zero());
        let Step::Start { after, .. } = plan.on(&Event::Failed(&failure), &fleet, 7) else { panic!() };
        assert!(after >= Duration::from_millis(500));
        assert_eq!(plan.on(&Event::Failed(&failure), &fleet, 7), Step::GiveUp);
        assert_eq!(plan.retries(), 2);
    }

    #[test]
    fn what_the_client_caused_is_not_tried_again() {
        let fleet = fleet(&[(None, None), (None, None)]);
        let mut plan = Plan::new(&fleet, &fleet.find("g").unwrap(), 2);
        plan.on(&Event::Begin, &fleet, 1);
        assert_eq!(plan.on(&Event::Failed(&Failure::new(FailureKind::BadRequest, "no")), &fleet, 1), Step::GiveUp);
    }

    #[test]
    fn a_refused_key_is_tried_only_elsewhere() {
        let refused = Failure::new(FailureKind::Authentication, "no");
        for (count, expected) in [(1, false), (2, true)] {
            let fleet = fleet(&vec![(None, None); count]);
            let mut plan = Plan::new(&fleet, &fleet.find("g").unwrap(), 2);
            plan.on(&Event::Begin, &fleet, 1);
            assert_eq!(plan.on(&Event::Failed(&refused), &fleet, 1) != Step::GiveUp, expected);
            assert_eq!(plan.on(&Event::Failed(&refused), &fleet, 1), Step::GiveUp, "all have refused");
        }
    }
}
