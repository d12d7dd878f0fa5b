//! Which deployments may take a call now, and why the others may not: the filters of surface chapter 6.1, in one place, so
//! that the decision and its explanation cannot differ.

use std::time::Duration;

use crate::{
    fleet::{Deployment, Fleet, Group},
    pace::Pace,
    vitals::Busy,
};

/// What a call is like, as far as routing looks at it.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    /// About how many tokens it sends.
    pub tokens: u64,
    /// The tags of the request and of whoever sends it.
    pub tags: Vec<String>,
    /// It asks for an answer of a form (`response_format`), which must not be dropped.
    pub has_schema: bool,
    /// Where its deployment must be.
    pub region: Option<String>,
    /// The only deployment that can answer it.
    pub pinned: Option<usize>,
    /// What its session, key or prompt prefix comes to as a number: equal ones go to the same deployment.
    pub affinity: Option<u64>,
    /// What its latency is measured in.
    pub pace: Pace,
}

/// Why a deployment is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It cannot be served as configured.
    Unservable(String),
    /// Another one made what the call goes on with.
    NotPinned,
    /// It has failed this call.
    Failed,
    /// It cannot take a call now.
    Busy(Busy),
    /// When it was last looked at it was not well.
    Unwell,
    /// What may be spent is spent: whose budget it was.
    Budget(String),
    /// A limit of it is 0.
    Closed,
    /// Its tags are not those of the call.
    Tags,
    /// Its model takes so many tokens at most.
    Window(u64),
    /// It is elsewhere.
    Region,
    /// It takes no `response_format`.
    Schema,
}

impl Why {
    /// The filter that it was taken out by, as explanations name it.
    #[must_use]
    pub const fn filter(&self) -> &'static str {
        match self {
            Self::Unservable(_) => "unservable",
            Self::NotPinned => "pinned",
            Self::Failed => "failed",
            Self::Busy(Busy::Resting { .. }) => "resting",
            Self::Busy(Busy::Probing) => "probing",
            Self::Busy(Busy::Full) => "parallel",
            Self::Busy(Busy::Spent { .. }) => "minute",
            Self::Unwell => "unhealthy",
            Self::Budget(_) => "budget",
            Self::Closed => "limit",
            Self::Tags => "tags",
            Self::Window(_) => "context_window",
            Self::Region => "region",
            Self::Schema => "response_format",
        }
    }

    /// It passes; what does not is not for this call.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Busy(_))
    }

    /// When it may have passed; `None`: never, or when another call is over, which nobody knows.
    #[must_use]
    pub fn until(&self) -> Option<Duration> {
        match self {
            Self::Busy(Busy::Resting { until } | Busy::Spent { until }) => Some(*until),
            _ => None,
        }
    }
}

/// What a client is told whose deployments have all spent what they may; `LiteLLM`'s words.
pub(crate) fn crossed(words: &str) -> String {
    format!("No deployments available - crossed budget: {words}")
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unservable(why) => write!(f, "cannot be served: {why}"),
            Self::NotPinned => f.write_str("another deployment made what this call goes on with"),
            Self::Failed => f.write_str("has failed this call already"),
            Self::Busy(Busy::Resting { .. }) => f.write_str("rests after failures"),
            Self::Busy(Busy::Probing) => f.write_str("one call tries whether it is back"),
            Self::Busy(Busy::Full) => f.write_str("has all the calls it takes at one time"),
            Self::Busy(Busy::Spent { .. }) => f.write_str("has used its requests or tokens of this minute"),
            Self::Unwell => f.write_str("was not well when it was last looked at"),
            Self::Budget(words) => f.write_str(words),
            Self::Closed => f.write_str("has a limit of 0"),
            Self::Tags => f.write_str("its tags are not those of the call"),
            Self::Window(most) => write!(f, "takes at most {most} tokens of input"),
            Self::Region => f.write_str("is not known to be in the region that is asked for"),
            Self::Schema => f.write_str("takes no response_format"),
        }
    }
}

/// Which tags serve a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TagRule {
    /// Any: nobody filters.
    Any,
    /// The call's own.
    Own,
    /// `default`.
    Default,
    /// None does.
    Nobody,
}

/// One look at a group for one call.
pub(crate) struct Look<'l> {
    pub(crate) fleet: &'l Fleet,
    pub(crate) wants: &'l Wants,
    pub(crate) failed: &'l [usize],
    pub(crate) now: Duration,
    tags: TagRule,
    /// Who is not well is passed over, as others of the group are.
    spares_unwell: bool,
}

impl<'l> Look<'l> {
    pub(crate) fn new(
        fleet: &'l Fleet,
        group: &Group<'_>,
        wants: &'l Wants,
        failed: &'l [usize],
        now: Duration,
    ) -> Self {
        let mut look = Self { fleet, wants, failed, now, tags: TagRule::Any, spares_unwell: false };
        if fleet.rules().health_routing {
            let is_well = |one: &Deployment| one.unservable.is_none() && !one.vitals.is_unwell(now);
            look.spares_unwell = members(fleet, group).any(is_well);
        }
        if fleet.rules().tag_filtering {
            look.tags = look.tag_rule(group);
        }
        look
    }

    /// Surface chapter 6.8.
    fn tag_rule(&self, group: &Group<'_>) -> TagRule {
        let members = || members(self.fleet, group);
        let default = members().any(is_default);
        if self.wants.tags.is_empty() {
            return if default { TagRule::Default } else { TagRule::Any };
        }
        match (members().any(|one| self.has_tags(one)), default) {
            (true, _) => TagRule::Own,
            (false, true) => TagRule::Default,
            (false, false) if members().any(|one| !one.tags.is_empty()) => TagRule::Nobody,
            // A group without any tags is for everybody.
            (false, false) => TagRule::Any,
        }
    }

    fn has_tags(&self, deployment: &Deployment) -> bool {
        let (own, wanted) = (&deployment.tags, &self.wants.tags);
        if own.is_empty() {
            return false;
        }
        if self.fleet.rules().any_tag {
            own.iter().any(|tag| wanted.contains(tag))
        } else {
            wanted.iter().all(|tag| own.contains(tag))
        }
    }

    /// It may take the call.
    pub(crate) fn may(&self, index: usize) -> bool {
        self.why(index).is_none()
    }

    /// Why it may not. What never changes first, what is being counted last.
    pub(crate) fn why(&self, index: usize) -> Option<Why> {
        let one = self.fleet.deployments().get(index)?;
        if let Some(why) = &one.unservable {
            return Some(Why::Unservable(why.clone()));
        }
        if self.wants.pinned.is_some_and(|pinned| pinned != index) {
            return Some(Why::NotPinned);
        }
        self.unfit(one).or_else(|| {
            if self.failed.contains(&index) {
                return Some(Why::Failed);
            }
            if let Some(words) = self.used_up(one) {
                return Some(Why::Budget(words));
            }
            if self.spares_unwell && one.vitals.is_unwell(self.now) {
                return Some(Why::Unwell);
            }
            let limits = [one.rpm, one.tpm, one.parallel];
            if limits.contains(&Some(0)) {
                return Some(Why::Closed);
            }
            one.vitals.busy(self.now, &one.limits(), self.wants.tokens).map(Why::Busy)
        })
    }

    /// Whose budget is spent.
    fn used_up(&self, one: &Deployment) -> Option<String> {
        // Most have none, and a look at each of many must not cost more for it.
        if one.purses.is_empty() && self.wants.tags.is_empty() {
            return None;
        }
        let mut purses = one.purses.iter().chain(self.fleet.rules().purses.of_tags(&self.wants.tags));
        purses.find_map(|purse| purse.used_up(self.now))
    }

    fn unfit(&self, one: &Deployment) -> Option<Why> {
        let fits = match self.tags {
            TagRule::Any => true,
            TagRule::Own => self.has_tags(one),
            TagRule::Default => is_default(one),
            TagRule::Nobody => false,
        };
        if !fits {
            return Some(Why::Tags);
        }
        // What a call says of where it may go holds whatever is checked. Of a deployment of which nobody knows where it is,
        // nobody knows that it is there.
        if self.wants.region.as_ref().is_some_and(|wanted| one.region.as_ref() != Some(wanted)) {
            return Some(Why::Region);
        }
        if !self.fleet.rules().pre_call_checks {
            return None;
        }
        if let Some(most) = one.max_input_tokens.filter(|most| self.wants.tokens > *most) {
            return Some(Why::Window(most));
        }
        (self.wants.has_schema && one.refuses_schema).then_some(Why::Schema)
    }
}

fn members<'l>(fleet: &'l Fleet, group: &'l Group<'_>) -> impl Iterator<Item = &'l Deployment> {
    group.members.iter().filter_map(|index| fleet.deployments().get(*index))
}

fn is_default(one: &Deployment) -> bool {
    one.tags.iter().any(|tag| tag == "default")
}
