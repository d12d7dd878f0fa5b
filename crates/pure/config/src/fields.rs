//! Reading typed values out of a mapping; `accepts` is the one place that says what fits which kind.

use std::{fmt, time::Duration};

use serde_json::{Map, Value as Json};
use tollgate_wire::Secret;

use crate::{
    duration::{parse_duration, seconds_of},
    keys::{Kind, Known, Section},
    typed::Budget,
    yaml::{Entry, Node, Value},
};

/// Texts by name, in the order of the file. `Debug` shows the names only: headers hold keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TextMap(pub Vec<(String, String)>);

impl TextMap {
    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for TextMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Whether `node` fits `kind`; an empty value fits everything. Nested sections are looked at by the check.
pub(crate) fn accepts(kind: Kind, node: &Node) -> bool {
    if node.is_null() {
        return true;
    }
    match kind {
        Kind::Text | Kind::Secret => text(node).is_some(),
        Kind::Choice(names) => text(node).is_some_and(|text| names.contains(&text.as_str())),
        Kind::Flag => flag(node).is_some(),
        Kind::Whole => whole(node).is_some(),
        Kind::Number => number(node).is_some(),
        Kind::Seconds => duration(node).is_some(),
        Kind::Texts => texts(node).is_some(),
        Kind::TextMap => {
            node.entries().is_some_and(|entries| entries.iter().all(|entry| plain(&entry.value).is_some()))
        }
        Kind::Aliases => node.entries().is_some_and(|entries| entries.iter().all(|entry| names_a_group(&entry.value))),
        Kind::Fallbacks => node.items().is_some_and(|items| items.iter().all(is_fallback)),
        Kind::Counts => are_counts(node),
        Kind::CountsByName => {
            node.entries().is_some_and(|entries| entries.iter().all(|entry| are_counts(&entry.value)))
        }
        Kind::Budgets => {
            let is_budget = |entry: &Entry| entry.value.is_null() || Budget::of(&entry.value).is_some();
            node.entries().is_some_and(|entries| entries.iter().all(is_budget))
        }
        Kind::List | Kind::Each(_) => node.items().is_some(),
        Kind::Map | Kind::Section(_) => node.entries().is_some(),
        Kind::Any => true,
    }
}

fn is_fallback(node: &Node) -> bool {
    let is_group = |node: &Node| node.as_text().is_some() || node.get("model").is_some_and(|it| it.as_text().is_some());
    let are_groups = |node: &Node| node.items().is_some_and(|items| items.iter().all(is_group));
    node.is_null() || node.entries().is_some_and(|entries| entries.iter().all(|entry| are_groups(&entry.value)))
}

fn are_counts(node: &Node) -> bool {
    let is_count = |node: &Node| node.is_null() || whole(node).is_some();
    node.is_null() || node.entries().is_some_and(|entries| entries.iter().all(|entry| is_count(&entry.value)))
}

fn names_a_group(node: &Node) -> bool {
    let hidden = node.get("hidden").is_none_or(|hidden| flag(hidden).is_some());
    node.as_text().is_some() || (node.get("model").is_some_and(|model| model.as_text().is_some()) && hidden)
}

fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(_, written) => Some(written.clone()),
        _ => None,
    }
}

/// A text as a header or variable takes it: numbers as written, flags in Python's spelling, nothing as nothing.
fn plain(node: &Node) -> Option<String> {
    match &node.value {
        Value::Flag(true) => Some("True".to_owned()),
        Value::Flag(false) => Some("False".to_owned()),
        Value::Null => Some(String::new()),
        _ => text(node),
    }
}

/// A flag as people write them; `None` if it is none.
pub(crate) fn flag(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Flag(flag) => Some(*flag),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        },
        Value::Number(number, _) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn number(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Number(number, _) => number.as_f64(),
        Value::Text(text) => text.trim().replace('_', "").parse::<f64>().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite() && *number >= 0.0)
}

fn whole(node: &Node) -> Option<u64> {
    match &node.value {
        Value::Number(number, _) => number.as_u64().or_else(|| number.as_f64().and_then(whole_of)),
        Value::Text(text) => {
            let text = text.trim().replace('_', "");
            text.parse::<u64>().ok().or_else(|| text.parse::<f64>().ok().and_then(whole_of))
        }
        _ => None,
    }
}

/// `6.0` is six; a fraction is no whole number.
fn whole_of(number: f64) -> Option<u64> {
    // Up to here a float holds every whole number exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() != 0.0 || !(0.0..=EXACT).contains(&number) {
        return None;
    }
    format!("{number:.0}").parse().ok()
}

pub(crate) fn duration(node: &Node) -> Option<Duration> {
    match &node.value {
        Value::Number(number, _) => number.as_f64().and_then(seconds_of),
        Value::Text(text) => parse_duration(text),
        _ => None,
    }
}

fn counts(node: &Node) -> Vec<(String, u64)> {
    let entries = node.entries().unwrap_or_default();
    entries.iter().filter_map(|entry| Some((entry.key.clone(), whole(&entry.value)?))).collect()
}

fn texts(node: &Node) -> Option<Vec<String>> {
    match &node.value {
        // An empty item (a variable that is not set) is no item.
        Value::List(items) => items.iter().filter(|item| !item.is_null()).map(text).collect(),
        _ => text(node).map(|text| vec![text]),
    }
}

/// A mapping read with the table of its section at hand.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    section: &'static Section,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(node: Option<&'a Node>, section: &'static Section) -> Self {
        Self { entries: node.and_then(Node::entries).unwrap_or_default(), section }
    }

    /// The node under `name`, unless empty.
    pub(crate) fn node(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(self.section.known(name).is_some(), "{name} is missing in the table of {}", self.section.name);
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    pub(crate) fn knows(&self, name: &str) -> Option<Known> {
        self.section.known(name)
    }

    /// A mapping inside this one.
    pub(crate) fn within(&self, name: &str) -> Fields<'a> {
        match self.section.known(name).map(|known| known.kind) {
            Some(Kind::Section(section)) => Fields::of(self.node(name), section),
            _ => Fields { entries: &[], section: self.section },
        }
    }

    /// An address, without the slash at its end.
    pub(crate) fn address(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.trim().trim_end_matches('/').to_owned()).filter(|text| !text.is_empty())
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.node(name).and_then(text)
    }

    /// A secret; an empty one is none.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).filter(|text| !text.is_empty()).map(Secret::new)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.node(name).and_then(flag)
    }

    /// A flag that is off unless set.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.flag(name).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.node(name).and_then(number)
    }

    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        self.node(name).and_then(whole)
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        self.node(name).and_then(duration)
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.node(name).and_then(texts).unwrap_or_default()
    }

    /// Whole numbers by name.
    pub(crate) fn counts(&self, name: &str) -> Vec<(String, u64)> {
        self.node(name).map(counts).unwrap_or_default()
    }

    /// Whole numbers by name, by name.
    pub(crate) fn counts_by_name(&self, name: &str) -> Vec<(String, Vec<(String, u64)>)> {
        let entries = self.node(name).and_then(Node::entries).unwrap_or_default();
        entries.iter().map(|entry| (entry.key.clone(), counts(&entry.value))).collect()
    }

    pub(crate) fn text_map(&self, name: &str) -> TextMap {
        let entries = self.node(name).and_then(Node::entries).unwrap_or_default();
        TextMap(entries.iter().filter_map(|entry| Some((entry.key.clone(), plain(&entry.value)?))).collect())
    }

    pub(crate) fn json(&self, name: &str) -> Option<Json> {
        self.node(name).map(Node::to_json)
    }

    pub(crate) fn map(&self, name: &str) -> Map<String, Json> {
        match self.json(name) {
            Some(Json::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// Everything whose name `wanted` takes, as JSON.
    pub(crate) fn collect(&self, wanted: impl Fn(&str) -> bool) -> Map<String, Json> {
        let wanted = self.entries.iter().filter(|entry| wanted(&entry.key) && !entry.value.is_null());
        wanted.map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
    }
}
