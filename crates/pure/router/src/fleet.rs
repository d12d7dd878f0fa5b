//! All deployments, and which of them a model name means.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    budget::RetryBudget,
    hedging::HedgeBudget,
    level::{Level, levels},
    purse::{Nanos, Purse},
    rules::{Policy, Rules},
    vitals::{Limits, Vitals},
};

/// One deployment as routing sees it.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    /// Its id, unique.
    pub id: String,
    /// The name of its group, which may hold a `*`.
    pub group: String,
    /// Its share of the group's calls.
    pub weight: Option<f64>,
    /// Requests a minute it takes; a share where no weight is given.
    pub rpm: Option<u64>,
    /// Tokens a minute it takes; a share where neither weight nor `rpm` is given.
    pub tpm: Option<u64>,
    /// The lowest order that has a deployment to spare is used.
    pub order: Option<u64>,
    /// Retries of a call; counts where the group has this one deployment.
    pub retries: Option<u64>,
    /// Calls that it takes at one time.
    pub parallel: Option<u64>,
    /// What requests choose it by.
    pub tags: Vec<String>,
    /// The most input that its model takes, tokens.
    pub max_input_tokens: Option<u64>,
    /// Where it is (`eu`, `us`).
    pub region: Option<String>,
    /// It is known to take no `response_format`, and would refuse it.
    pub refuses_schema: bool,
    /// What a token in and a token out cost together, USD.
    pub price: Option<f64>,
    /// How long it rests after failures, where it has a time of its own; zero: never.
    pub rest_time: Option<Duration>,
    /// Failures a minute that it may have, where it has its own number.
    pub allowed_fails: Option<u64>,
    /// The same by class of error.
    pub allowed_fails_policy: Option<Policy>,
    /// What its calls are paid from.
    pub purses: Vec<Arc<Purse>>,
    /// How it is doing.
    pub vitals: Arc<Vitals>,
    /// Why no call can go there, if so.
    pub unservable: Option<String>,
    /// What it is asked for is made whether or not somebody waits for it: no call asks it beside another one.
    pub makes_jobs: bool,
}

impl Deployment {
    /// What it may be given.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { rpm: self.rpm, tpm: self.tpm, parallel: self.parallel }
    }
}

/// What the `*` of a pattern stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured(Vec<String>);

impl Captured {
    /// One text for all.
    #[must_use]
    pub fn of(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }

    /// A model's name with each `*` filled in by what the one at its place stands for; the last text fills the rest.
    #[must_use]
    pub fn fill(&self, model: &str) -> String {
        let mut pieces = model.split('*');
        let mut filled = pieces.next().unwrap_or_default().to_owned();
        for (at, piece) in pieces.enumerate() {
            filled.push_str(self.0.get(at).or(self.0.last()).map_or("*", String::as_str));
            filled.push_str(piece);
        }
        filled
    }
}

/// The deployments that a name means.
#[derive(Clone, Debug)]
pub struct Group<'f> {
    /// The group's name as configured.
    pub name: &'f str,
    /// Indices into [`Fleet::deployments`].
    pub members: &'f [usize],
    /// What the `*` of the group's name stand for.
    pub captured: Option<Captured>,
    /// What was asked for, where that is another name: an alias, an id, or what fits a pattern.
    pub asked: Option<String>,
    /// Its servable deployments in the order in which they are used.
    pub(crate) levels: &'f [Level],
}

impl Group<'_> {
    /// The name that was asked for.
    #[must_use]
    pub fn label(&self) -> &str {
        self.asked.as_deref().unwrap_or(self.name)
    }

    /// Both are the same deployments, for the same model.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.members, other.members) && self.captured == other.captured
    }
}

impl Group<'_> {
    /// Its servable deployments in the order in which they are used: index, place in that order from 0 on, and share of the
    /// calls among those of the same place.
    pub fn shares(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        self.levels.iter().enumerate().flat_map(|(place, level)| {
            let total = level.sums.last().copied().unwrap_or_default();
            let share = move |at| if total > 0.0 { level.weight(at) / total } else { 0.0 };
            level.members.iter().enumerate().map(move |(at, index)| (*index, place, share(at)))
        })
    }
}

/// All deployments, by the names that clients may use.
#[derive(Debug, Default)]
pub struct Fleet {
    deployments: Vec<Deployment>,
    groups: HashMap<String, Members>,
    /// Group names in the order of the configuration.
    order: Vec<String>,
    /// Names with `*`, the most specific first.
    patterns: Vec<String>,
    aliases: HashMap<String, (String, bool)>,
    by_id: HashMap<String, Members>,
    default: Option<String>,
    answers_everything: bool,
    rules: Rules,
    budget: Arc<RetryBudget>,
    hedges: Arc<HedgeBudget>,
}

#[derive(Debug, Default)]
struct Members {
    all: Vec<usize>,
    levels: Vec<Level>,
}

impl Members {
    fn group<'f>(&'f self, name: &'f str, captured: Option<Captured>) -> Group<'f> {
        Group { name, members: &self.all, captured, asked: None, levels: &self.levels }
    }
}

/// Collects a [`Fleet`].
#[derive(Debug, Default)]
pub struct FleetBuilder {
    fleet: Fleet,
}

impl FleetBuilder {
    /// Adds a deployment; its index is its place in the order of additions.
    pub fn add(&mut self, deployment: Deployment) {
        let fleet = &mut self.fleet;
        let index = fleet.deployments.len();
        let members = fleet.groups.entry(deployment.group.clone()).or_default();
        if members.all.is_empty() {
            fleet.order.push(deployment.group.clone());
            if deployment.group.contains('*') {
                fleet.patterns.push(deployment.group.clone());
            }
        }
        members.all.push(index);
        fleet.by_id.insert(deployment.id.clone(), Members { all: vec![index], levels: Vec::new() });
        fleet.deployments.push(deployment);
    }

    /// Another name for a group; hidden ones are not listed.
    pub fn alias(&mut self, alias: String, group: String, hidden: bool) {
        self.fleet.aliases.insert(alias, (group, hidden));
    }

    /// The group that answers where a name is missing or, without a master key, unknown.
    pub fn default_group(&mut self, group: Option<String>) {
        self.fleet.default = group;
    }

    /// The default group answers every name (`--model`).
    pub fn answers_everything(&mut self, yes: bool) {
        self.fleet.answers_everything = yes;
    }

    /// How it is routed.
    pub fn rules(&mut self, rules: Rules) {
        self.fleet.rules = rules;
    }

    /// The budget of retries; one for all fleets of a process.
    pub fn budget(&mut self, budget: Arc<RetryBudget>) {
        self.fleet.budget = budget;
    }

    /// The fleet.
    #[must_use]
    pub fn build(mut self) -> Fleet {
        // Longer is more specific; among equals the one with fewer stars, then the configuration's order.
        self.fleet.patterns.sort_by_key(|name| (std::cmp::Reverse(name.len()), name.matches('*').count()));
        if self.fleet.default.is_none() {
            self.fleet.default = self.fleet.order.first().cloned();
        }
        let Fleet { deployments, groups, by_id, .. } = &mut self.fleet;
        for members in groups.values_mut().chain(by_id.values_mut()) {
            members.levels = levels(deployments, &members.all);
        }
        self.fleet
    }
}

impl Fleet {
    /// All deployments, in the order of the configuration.
    #[must_use]
    pub fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }

    /// Takes over how the deployments of the fleet before are doing, and its budgets of retries and hedges: a reload forgets
    /// nothing that still holds. `is_same` says of a deployment and the one before it, by their indices, whether calls go where they went.
    pub fn inherit(&mut self, before: &Self, is_same: impl Fn(usize, usize) -> bool) {
        for (index, one) in self.deployments.iter_mut().enumerate() {
            let known = before.by_id.get(&one.id).and_then(|members| members.all.first().copied());
            let Some((at, known)) = known.and_then(|at| Some((at, before.deployments.get(at)?))) else { continue };
            one.vitals = Arc::clone(&known.vitals);
            if !is_same(index, at) {
                one.vitals.renew();
            } else if self.rules.rest.disabled {
                one.vitals.wake();
            }
        }
        self.budget = Arc::clone(&before.budget);
        self.hedges = Arc::clone(&before.hedges);
        self.rules.purses.inherit(&before.rules.purses);
    }

    /// A call of a deployment, with these tags, has cost so much.
    pub fn spend(&self, id: &str, tags: &[String], cost: Nanos, now: Duration) {
        let one = self.by_id.get(id).and_then(|members| self.deployments.get(*members.all.first()?));
        let own = one.into_iter().flat_map(|one| &one.purses);
        own.chain(self.rules.purses.of_tags(tags)).for_each(|purse| purse.spend(cost, now));
    }

    /// How it is routed.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn retry_budget(&self) -> &RetryBudget {
        &self.budget
    }

    pub(crate) fn hedge_budget(&self) -> &HedgeBudget {
        &self.hedges
    }

    /// All deployments of the group that a deployment is in.
    pub(crate) fn group_of(&self, index: usize) -> &[usize] {
        let group = self.deployments.get(index).and_then(|one| self.groups.get(&one.group));
        group.map_or(&[], |members| &members.all)
    }

    /// What a name means: an alias, an exact group, a deployment's id, else the most specific pattern (surface chapter 6.1). An
    /// alias of a group that is not there hides nothing.
    #[must_use]
    pub fn find(&self, asked: &str) -> Option<Group<'_>> {
        if self.answers_everything {
            return self.default_group();
        }
        let mut group = self.meant(asked)?;
        if group.name != asked {
            group.asked = Some(asked.to_owned());
        }
        Some(group)
    }

    fn meant(&self, asked: &str) -> Option<Group<'_>> {
        let of_alias = || {
            let (group, _) = self.aliases.get(asked)?;
            self.named(group).or_else(|| self.matched(group))
        };
        of_alias().or_else(|| self.named(asked)).or_else(|| self.of_id(asked)).or_else(|| self.matched(asked))
    }

    /// The deployment of this id, alone.
    #[must_use]
    pub fn of_id(&self, id: &str) -> Option<Group<'_>> {
        let members = self.by_id.get(id)?;
        let name = self.deployments.get(*members.all.first()?)?.group.as_str();
        Some(members.group(name, None))
    }

    /// The group for calls that name no model.
    #[must_use]
    pub fn default_group(&self) -> Option<Group<'_>> {
        self.named(self.default.as_deref()?)
    }

    /// Names that clients may use, in the configuration's order; patterns as they are written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let shown = |(alias, (_, hidden)): &(&String, &(String, bool))| !hidden && !self.groups.contains_key(*alias);
        let aliases = self.aliases.iter().filter(shown).map(|(alias, _)| alias.as_str());
        self.order.iter().map(String::as_str).chain(aliases)
    }

    fn named(&self, name: &str) -> Option<Group<'_>> {
        let (name, members) = self.groups.get_key_value(name)?;
        (!name.contains('*')).then(|| members.group(name, None))
    }

    fn matched(&self, asked: &str) -> Option<Group<'_>> {
        self.patterns.iter().find_map(|pattern| {
            let captured = capture(pattern, asked)?;
            let (name, members) = self.groups.get_key_value(pattern)?;
            Some(members.group(name, Some(captured)))
        })
    }
}

/// What the `*` of `pattern` stand for in `name`, if the name fits; each is as short as can be, but the last, and none is empty.
fn capture(pattern: &str, name: &str) -> Option<Captured> {
    let (first, rest) = pattern.split_once('*')?;
    let mut left = name.strip_prefix(first)?;
    let mut captured = Vec::new();
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        let at = match pieces.peek() {
            None => left.strip_suffix(piece)?.len(),
            // At least one character stands for the star.
            Some(_) => {
                let from = left.chars().next()?.len_utf8();
                from + left.get(from..)?.find(piece)?
            }
        };
        captured.push(left.get(..at).filter(|text| !text.is_empty())?.to_owned());
        left = left.get(at + piece.len()..)?;
    }
    Some(Captured(captured))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(groups: &[&str]) -> Fleet {
        let mut builder = FleetBuilder::default();
        for (index, group) in groups.iter().enumerate() {
            builder.add(Deployment { id: format!("id-{index}"), group: (*group).to_owned(), ..Deployment::default() });
        }
        builder.alias("nick".to_owned(), "gpt-4".to_owned(), true);
        builder.alias("old".to_owned(), "gpt-4".to_owned(), false);
        builder.alias("lost".to_owned(), "nobody".to_owned(), true);
        builder.build()
    }

    fn check(fleet: &Fleet, asked: &str, expected: Option<(&str, Option<&str>)>) {
        let found = fleet.find(asked);
        let expected = expected.map(|(name, captured)| (name, captured.map(Captured::of)));
        assert_eq!(found.map(|group| (group.name, group.captured)), expected, "{asked}");
    }

    #[test]
    fn alias_then_exact_then_id_then_the_most_specific_pattern() {
        let fleet = fleet(&["gpt-4", "*", "openai/*", "openai/ft-*", "old"]);
        check(&fleet, "old", Some(("gpt-4", None)));
        assert_eq!(fleet.find("old").unwrap().label(), "old");
        assert_eq!(fleet.names().filter(|name| *name == "old").count(), 1, "it is listed once");
        check(&fleet, "gpt-4", Some(("gpt-4", None)));
        check(&fleet, "nick", Some(("gpt-4", None)));
        check(&fleet, "id-0", Some(("gpt-4", None)));
        check(&fleet, "openai/o3", Some(("openai/*", Some("o3"))));
        check(&fleet, "openai/ft-x", Some(("openai/ft-*", Some("x"))));
        check(&fleet, "groq/llama", Some(("*", Some("groq/llama"))));
    }

    #[test]
    fn each_star_of_a_pattern_stands_for_its_own_part() {
        let filled = |pattern: &str, name: &str, model: &str| Some(capture(pattern, name)?.fill(model));
        assert_eq!(filled("openai/*", "openai/gpt-5", "azure/*").as_deref(), Some("azure/gpt-5"));
        assert_eq!(filled("*/ft:*", "eu/ft:mine", "openai/*-*").as_deref(), Some("openai/eu-mine"));
        assert_eq!(filled("*/ft:*", "eu/ft:mine", "openai/*").as_deref(), Some("openai/eu"));
        assert_eq!(filled("a*b*c", "aXbYc", "*|*").as_deref(), Some("X|Y"));
        assert_eq!(filled("a*b*c", "abbYc", "*|*").as_deref(), Some("b|Y"), "no star stands for nothing");
        for (pattern, name) in [("a*b*c", "aXbY"), ("a*b*c", "aXbc"), ("a*b*c", "aXc"), ("*-*", "-x"), ("é*", "é")] {
            assert_eq!(capture(pattern, name), None, "{pattern} {name}");
        }
    }

    #[test]
    fn an_unknown_name_finds_nothing_and_hidden_aliases_are_not_listed() {
        let fleet = fleet(&["gpt-4", "gpt-4"]);
        check(&fleet, "other", None);
        check(&fleet, "lost", None);
        assert_eq!(fleet.find("gpt-4").unwrap().members.len(), 2);
        assert_eq!(fleet.names().collect::<Vec<_>>(), ["gpt-4", "old"]);
        assert_eq!(fleet.default_group().unwrap().name, "gpt-4");
    }
}
