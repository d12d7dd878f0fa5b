//! Who answers when a group does not (surface chapter 6.4).

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Map, Value};
use tollgate_wire::FailureKind;

/// One fallback: a group, and what the call says there instead of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// The group's name, as a client may send it.
    pub model: String,
    /// Messages and parameters of the form `{model, messages, …}`; they replace the call's own.
    pub instead: Option<Arc<Map<String, Value>>>,
}

impl Fallback {
    /// A fallback to a group, with the call as it is.
    #[must_use]
    pub fn to(model: impl Into<String>) -> Self {
        Self { model: model.into(), instead: None }
    }
}

/// The fallbacks of some groups, in the order given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FallbackList(pub Vec<(String, Vec<Fallback>)>);

impl FallbackList {
    /// The fallbacks of a group: under its own name, without or with a provider's prefix, else under `*`.
    #[must_use]
    pub fn of(&self, group: &str) -> Option<&[Fallback]> {
        let bare = |name: &str| name.split_once('/').map_or(name, |(_, rest)| rest).to_owned();
        let exact = |(name, _): &&(String, Vec<Fallback>)| name == group;
        let stripped = |(name, _): &&(String, Vec<Fallback>)| *name == bare(group) || bare(name) == group;
        let any = |(name, _): &&(String, Vec<Fallback>)| name == "*";
        let entries = || self.0.iter();
        entries().find(exact).or_else(|| entries().find(stripped)).or_else(|| entries().find(any)).map(|(_, to)| &**to)
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As `LiteLLM`'s messages show it: `[{'a': ['b', 'c']}]`. What a fallback says instead is not shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = "[".to_owned();
        for (index, (group, to)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{{{}: {}}}", quoted(group), shown(to));
        }
        text.push(']');
        text
    }
}

/// Fallbacks as `LiteLLM`'s messages show them: `['b', 'c']`.
pub(crate) fn shown(fallbacks: &[Fallback]) -> String {
    let names: Vec<String> = fallbacks
        .iter()
        .map(|one| match one.instead {
            None => quoted(&one.model),
            Some(_) => format!("{{'model': {}}}", quoted(&one.model)),
        })
        .collect();
    format!("[{}]", names.join(", "))
}

fn quoted(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    format!("{mark}{text}{mark}")
}

/// All fallbacks of a configuration, or those of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fallbacks {
    /// After any failure.
    pub general: FallbackList,
    /// For groups without their own.
    pub default: Vec<Fallback>,
    /// When the prompt does not fit the model. `None`: `general` holds.
    pub context_window: Option<FallbackList>,
    /// When the provider's safety system refuses. `None`: `general` holds.
    pub content_policy: Option<FallbackList>,
    /// How deep fallbacks of fallbacks go; `None` is 5, as with `LiteLLM`.
    pub most: Option<u64>,
}

/// How deep fallbacks go where nobody says so; `LiteLLM`'s `ROUTER_MAX_FALLBACKS`.
const DEPTH: u64 = 5;

impl Fallbacks {
    /// Who is asked after this failure of this group. `None`: no list has the group.
    #[must_use]
    pub fn after(&self, kind: FailureKind, group: &str) -> Option<&[Fallback]> {
        let special = match kind {
            FailureKind::ContextWindowExceeded => self.context_window.as_ref(),
            FailureKind::ContentPolicyViolation => self.content_policy.as_ref(),
            _ => None,
        };
        match special {
            Some(list) => list.of(group),
            None => self.general.of(group).or((!self.default.is_empty()).then_some(&*self.default)),
        }
    }

    /// The list that a failure of this kind looks into.
    pub(crate) fn list(&self, kind: FailureKind) -> &FallbackList {
        let special = match kind {
            FailureKind::ContextWindowExceeded => self.context_window.as_ref(),
            FailureKind::ContentPolicyViolation => self.content_policy.as_ref(),
            _ => None,
        };
        special.unwrap_or(&self.general)
    }

    pub(crate) fn depth(&self) -> usize {
        usize::try_from(self.most.unwrap_or(DEPTH)).unwrap_or(usize::MAX)
    }

    /// Some have words of their own.
    #[must_use]
    pub fn have_words(&self) -> bool {
        let lists = [Some(&self.general), self.context_window.as_ref(), self.content_policy.as_ref()];
        let listed = lists.into_iter().flatten().flat_map(|list| &list.0).flat_map(|(_, to)| to);
        listed.chain(&self.default).any(|one| one.instead.is_some())
    }

    /// There is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.general.is_empty()
            && self.default.is_empty()
            && self.context_window.is_none()
            && self.content_policy.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(pairs: &[(&str, &[&str])]) -> FallbackList {
        let entry =
            |(group, to): &(&str, &[&str])| ((*group).to_owned(), to.iter().map(|name| Fallback::to(*name)).collect());
        FallbackList(pairs.iter().map(entry).collect())
    }

    #[test]
    fn a_group_is_found_by_its_name_without_or_with_a_prefix_and_by_star() {
        let list = list(&[("*", &["any"]), ("gpt-4", &["a"]), ("azure/gpt-5", &["b"])]);
        let of = |name: &str| list.of(name).unwrap()[0].model.clone();
        assert_eq!(
            (of("gpt-4"), of("openai/gpt-4"), of("gpt-5"), of("other")),
            ("a".into(), "a".into(), "b".into(), "any".into())
        );
    }

    #[test]
    fn a_long_prompt_has_its_own_list_if_there_is_one() {
        let general = list(&[("g", &["a"])]);
        let mut fallbacks = Fallbacks { general, ..Fallbacks::default() };
        let kind = FailureKind::ContextWindowExceeded;
        assert_eq!(fallbacks.after(kind, "g").unwrap(), [Fallback::to("a")]);
        fallbacks.context_window = Some(list(&[("other", &["b"])]));
        assert_eq!(fallbacks.after(kind, "g"), None, "a list without the group means no fallback");
        assert_eq!(fallbacks.after(FailureKind::Timeout, "g").unwrap(), [Fallback::to("a")]);
    }

    #[test]
    fn lists_are_shown_as_python_shows_them() {
        let list = list(&[("a", &["b", "c"]), ("d", &[])]);
        assert_eq!(list.shown(), "[{'a': ['b', 'c']}, {'d': []}]");
    }
}
