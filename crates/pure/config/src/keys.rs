//! The one table of known keys. It drives the check, the JSON schema and `docs/reference/config.md`.

mod continuation;
mod general;
mod hedging;
mod litellm;
mod model_info;
mod params;
mod prices;
mod router;
mod top;

pub(crate) use general::{GENERAL, PASS_THROUGH, USER_HEADER};
pub(crate) use litellm::LITELLM;
pub(crate) use model_info::MODEL_INFO;
pub(crate) use params::PARAMS;
pub(crate) use router::{ROUTER, STRATEGIES};
pub(crate) use top::{CREDENTIAL, MODEL, TOP};

use Kind::{Any, Flag, List, Map, Number, Seconds, Secret, Text, TextMap, Texts, Whole};

/// Names that belong together, by list or by beginning.
pub(crate) enum Names {
    List(&'static Group),
    Prefix(&'static str),
}

impl Names {
    pub(crate) fn hold(&self, name: &str) -> bool {
        match self {
            Self::List(group) => group.names.contains(&name),
            Self::Prefix(prefix) => name.starts_with(prefix),
        }
    }
}

/// Price keys.
pub(crate) const PRICE_NAMES: &[Names] = &[Names::List(&prices::PRICES), Names::List(&prices::PRICE_TABLES)];

/// Settings of AWS, Vertex and watsonx.
pub(crate) const CLOUD_NAMES: &[Names] = &[
    Names::List(&params::AWS),
    Names::List(&params::AWS_SECRETS),
    Names::List(&params::CLOUD),
    Names::List(&params::CLOUD_SECRETS),
    Names::List(&params::IBM),
    Names::List(&params::IBM_SECRETS),
    Names::Prefix("aws_"),
    Names::Prefix("vertex_"),
];

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A text; a number is taken as it is written.
    Text,
    /// A text that is never shown.
    Secret,
    /// One text of a closed list.
    Choice(&'static [&'static str]),
    /// True or false, in any spelling of YAML 1.1, quoted or not.
    Flag,
    /// A whole number, not negative; quoted or not.
    Whole,
    /// A number, not negative; quoted or not.
    Number,
    /// A span of time: seconds, or a number with a unit.
    Seconds,
    /// A list of texts; one text alone is a list of one.
    Texts,
    /// A mapping from texts to texts.
    TextMap,
    /// A mapping from names to groups, each a text or `{model, hidden}`.
    Aliases,
    /// A list of mappings from a group to a list of groups, each a text or `{model, …}`.
    Fallbacks,
    /// A mapping from names to whole numbers.
    Counts,
    /// A mapping from names to such mappings.
    CountsByName,
    /// A mapping from names to budgets, each `{max_budget, budget_duration}`.
    Budgets,
    /// A list of anything.
    List,
    /// A mapping of anything.
    Map,
    /// Anything.
    Any,
    /// A mapping with keys of its own.
    Section(&'static Section),
    /// A list of mappings with keys of their own.
    Each(&'static Section),
}

/// What this version does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It works.
    Used,
    /// It works, and LiteLLM does not have it.
    Ours,
    /// It is known, and its feature is not there yet.
    Later,
    /// It is accepted, and there is nothing for it to do here.
    Without,
    /// It names Python code that observes or extends; the start goes on without it.
    Python,
    /// It names Python code that guards: starting without it would open a door, so the start is refused.
    Guard,
    /// It keeps callers out, and nothing here does so yet: starting without it would open a door, so the start is
    /// refused while it says anything.
    Closed,
}

impl State {
    /// What the schema adds to a key in this state.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Used => "",
            Self::Ours => "not in LiteLLM",
            Self::Later => "known; not yet used by this version",
            Self::Without => "accepted, without effect",
            Self::Python => "Python code, left out",
            Self::Guard => "Python code, refused",
            Self::Closed => "not enforced by this version, refused",
        }
    }
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    /// As shown in the reference; empty if there is none.
    pub(crate) default: &'static str,
    pub(crate) about: &'static str,
}

/// Many keys of one kind, named in full.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) names: &'static [&'static str],
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) about: &'static str,
}

/// Keys that are known by how they begin and end.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) prefix: &'static str,
    pub(crate) suffix: &'static str,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) about: &'static str,
}

/// What happens to a key that the section does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It is ignored, with a warning.
    Warn,
    /// It is kept: handed to the provider call, or shown again. Only a near miss is warned about.
    Keep,
}

/// A mapping of the file.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) unknown: Unknown,
    pub(crate) keys: &'static [Key],
    pub(crate) groups: &'static [&'static Group],
    pub(crate) families: &'static [Family],
}

/// What the table says about one name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) kind: Kind,
    pub(crate) state: State,
}

impl Section {
    pub(crate) fn known(&self, name: &str) -> Option<Known> {
        let key = self.keys.iter().find(|key| key.name == name).map(|key| Known { kind: key.kind, state: key.state });
        key.or_else(|| {
            let group = self.groups.iter().find(|group| group.names.contains(&name));
            group.map(|group| Known { kind: group.kind, state: group.state })
        })
        .or_else(|| {
            let family = self.families.iter().find(|family| family.holds(name));
            family.map(|family| Known { kind: family.kind, state: family.state })
        })
    }

    /// Every name that is spelt out.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let keys = self.keys.iter().map(|key| key.name);
        keys.chain(self.groups.iter().flat_map(|group| group.names.iter().copied()))
    }
}

impl Family {
    fn holds(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.prefix).and_then(|rest| rest.strip_suffix(self.suffix));
        rest.is_some_and(|rest| !rest.is_empty())
    }
}

impl Kind {
    /// The words for it in messages and in the reference.
    pub(crate) fn words(self) -> String {
        match self {
            Text | Secret => "text".to_owned(),
            Self::Choice(names) => format!("one of {}", names.join(", ")),
            Flag => "true or false".to_owned(),
            Whole => "whole number".to_owned(),
            Number => "number".to_owned(),
            Seconds => "seconds".to_owned(),
            Texts => "list of texts".to_owned(),
            TextMap => "mapping of texts".to_owned(),
            Self::Aliases => "mapping of names to groups".to_owned(),
            Self::Fallbacks => "list of `{group: [groups]}`".to_owned(),
            Self::Counts => "mapping of names to whole numbers".to_owned(),
            Self::CountsByName => "mapping of names to mappings of names to whole numbers".to_owned(),
            Self::Budgets => "mapping of names to `{max_budget, budget_duration}`".to_owned(),
            List => "list".to_owned(),
            Map => "mapping".to_owned(),
            Any => "anything".to_owned(),
            Self::Section(_) => "mapping".to_owned(),
            Self::Each(_) => "list of mappings".to_owned(),
        }
    }
}

/// A key that works.
const fn used(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { name, kind, state: State::Used, default, about }
}

/// A key that works and that LiteLLM does not have.
const fn ours(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { name, kind, state: State::Ours, default, about }
}

/// A key whose feature comes with a later version.
const fn later(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { name, kind, state: State::Later, default, about }
}

/// A key in any other state.
const fn key(name: &'static str, kind: Kind, state: State, about: &'static str) -> Key {
    Key { name, kind, state, default: "", about }
}
