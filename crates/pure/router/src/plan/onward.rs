//! Who goes on with an answer that broke off after content.

use std::time::Duration;

use tollgate_wire::FailureKind;

use super::Plan;
use crate::{
    fleet::Group,
    pick::{Picked, pick},
};

impl<'f> Plan<'f> {
    /// A deployment that can go on with the answer, of the call's group, else of its fallbacks in their order; those in `out` have
    /// had their turn. A fallback with words of its own would answer something else, and is passed over.
    pub fn onward(
        &self,
        kind: FailureKind,
        out: &[usize],
        can: impl Fn(usize, &Group<'f>) -> bool,
        now: Duration,
        seed: u64,
    ) -> Option<(usize, Group<'f>)> {
        let group = self.group()?;
        let of = |group: &Group<'f>| {
            let cannot = group.members.iter().copied().filter(|index| !can(*index, group));
            let out: Vec<usize> = out.iter().copied().chain(cannot).collect();
            match pick(self.fleet, group, &self.asked.wants, &out, now, seed) {
                Picked::One(index) => Some((index, group.clone())),
                _ => None,
            }
        };
        of(group).or_else(|| {
            let to = self.after(kind, group).filter(|_| !self.asked.no_fallbacks)?;
            let plain = to.iter().filter(|fallback| fallback.instead.is_none());
            plain.filter_map(|fallback| self.fleet.find(&fallback.model)).find_map(|group| of(&group))
        })
    }
}
