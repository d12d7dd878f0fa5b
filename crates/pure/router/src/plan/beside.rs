//! The second attempt beside one that says nothing: when, and at whom. Asked by the loop of the call, told in explanations.

use std::time::Duration;

use super::Plan;
use crate::{
    hedging::{Awaits, Hedging},
    pick::{Picked, pick},
};

impl Plan<'_> {
    /// The call may be hedged: the rules say so, asking twice does no harm, and more than one deployment is there.
    fn hedging(&self) -> Option<(&Hedging, Awaits)> {
        let awaits = self.asked.twice.filter(|_| self.wants().pinned.is_none())?;
        let (rules, group) = (self.fleet.rules().hedging.as_ref()?, self.group()?);
        (group.members.len() > 1 && rules.holds_for(group)).then_some((rules, awaits))
    }

    /// The call earns its share of a hedge.
    pub(super) fn earn(&self) {
        if let Some((rules, _)) = self.hedging() {
            self.fleet.hedge_budget().request(rules.max_share);
        }
    }

    /// How long the attempt at this deployment may say nothing before another one is made beside it; `None`: however long.
    #[must_use]
    pub fn patience(&self, deployment: usize, now: Duration) -> Option<Duration> {
        let (rules, awaits) = self.hedging()?;
        let one = self.fleet.deployments().get(deployment).filter(|one| !one.makes_jobs)?;
        let usual = rules.after.or_else(|| one.vitals.p95(awaits, now));
        Some(usual.unwrap_or_default().max(rules.min_delay))
    }

    /// Who is asked beside this deployment, which has said nothing for too long. It is paid out of the budget of hedges;
    /// [`Self::not_asked`] gives that back.
    #[must_use]
    pub fn beside(&self, deployment: usize, now: Duration, seed: u64) -> Option<usize> {
        self.hedging()?;
        let frame = self.frames.last()?;
        let budget = self.fleet.hedge_budget();
        if !self.rehearses && !budget.has_one() {
            return None;
        }
        let is_out = |index: &usize| self.fleet.deployments().get(*index).is_some_and(|one| one.makes_jobs);
        let mut out = frame.failed.clone();
        out.push(deployment);
        out.extend(frame.group.members.iter().copied().filter(is_out));
        let picked = pick(self.fleet, &frame.group, self.wants(), &out, now, seed);
        let Picked::One(other) = picked else { return None };
        (self.rehearses || budget.hedge()).then_some(other)
    }

    /// Whom [`Self::beside`] named had no place any more.
    pub fn not_asked(&self) {
        self.fleet.hedge_budget().give_back();
    }

    /// The deployment that was asked beside the one at hand has failed the call, too.
    pub fn also_failed(&mut self, deployment: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.failed.push(deployment);
        }
    }
}
