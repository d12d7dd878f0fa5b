//! Whom money is booked to.

use std::{fmt, str::FromStr, sync::Arc};

use crate::windows::Period;

/// The kinds of [`Scope`], in the order in which a refusal names them and a store locks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// A key.
    Key,
    /// A model as one key uses it.
    KeyModel,
    /// A member of a team.
    Member,
    /// A team.
    Team,
    /// A user.
    User,
    /// An organization.
    Organization,
    /// A project.
    Project,
    /// A tag of requests.
    Tag,
    /// A customer: whom a client's request is for.
    Customer,
    /// A group of models.
    Model,
    /// A deployment.
    Deployment,
    /// A provider.
    Provider,
    /// All of it.
    Proxy,
}

impl ScopeKind {
    /// All kinds. A new one that is missing here does not compile ([`ScopeKind::place`]).
    pub const ALL: [Self; 13] = [
        Self::Key,
        Self::KeyModel,
        Self::Member,
        Self::Team,
        Self::User,
        Self::Organization,
        Self::Project,
        Self::Tag,
        Self::Customer,
        Self::Model,
        Self::Deployment,
        Self::Provider,
        Self::Proxy,
    ];

    /// The word in a scope's text form, which is stored: it never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::KeyModel => "key-model",
            Self::Member => "member",
            Self::Team => "team",
            Self::User => "user",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Tag => "tag",
            Self::Customer => "customer",
            Self::Model => "model",
            Self::Deployment => "deployment",
            Self::Provider => "provider",
            Self::Proxy => "proxy",
        }
    }
}

/// Somebody or something that money is booked to, and whose budget it may be taken from. Its text form (`Display`, `FromStr`)
/// is stored in databases and journals and is stable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A key, by its hash.
    Key(Arc<str>),
    /// A model as one key uses it.
    KeyModel {
        /// The key's hash.
        key: Arc<str>,
        /// The model's group.
        model: Arc<str>,
    },
    /// A member of a team.
    Member {
        /// The team's id.
        team: Arc<str>,
        /// The user's id.
        user: Arc<str>,
    },
    /// A team, by its id.
    Team(Arc<str>),
    /// A user, by id.
    User(Arc<str>),
    /// An organization, by its id.
    Organization(Arc<str>),
    /// A project, by its id.
    Project(Arc<str>),
    /// A tag of requests.
    Tag(Arc<str>),
    /// A customer, by id.
    Customer(Arc<str>),
    /// A group of models, by its name.
    Model(Arc<str>),
    /// A deployment, by its id.
    Deployment(Arc<str>),
    /// A provider, by its name.
    Provider(Arc<str>),
    /// All of it.
    Proxy,
}

impl Scope {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ScopeKind {
        self.parts().0
    }

    /// Its name without its kind, as others write it: `t1`, `t1/u1`; empty for the proxy. Not to be read back.
    #[must_use]
    pub fn name(&self) -> String {
        match self.parts() {
            (_, Some(name), Some(second)) => format!("{name}/{second}"),
            (_, Some(name), None) => name.to_owned(),
            _ => String::new(),
        }
    }

    /// The scope of this kind and [`Scope::name`]. Where the first half of a name of two holds a slash, it is cut there; kind and
    /// name are the same all the same.
    #[must_use]
    pub fn named(kind: &str, name: &str) -> Option<Self> {
        let kind = ScopeKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        match kind {
            ScopeKind::Proxy => name.is_empty().then_some(Self::Proxy),
            ScopeKind::KeyModel | ScopeKind::Member => {
                let (first, second) = name.split_once('/')?;
                Self::of(kind, Some(first.into()), Some(second.into()))
            }
            _ => Self::of(kind, Some(name.into()), None),
        }
    }

    /// Its kind, its name, and the second half of the name where it has two.
    fn parts(&self) -> (ScopeKind, Option<&str>, Option<&str>) {
        match self {
            Self::Key(id) => (ScopeKind::Key, Some(id), None),
            Self::KeyModel { key, model } => (ScopeKind::KeyModel, Some(key), Some(model)),
            Self::Member { team, user } => (ScopeKind::Member, Some(team), Some(user)),
            Self::Team(id) => (ScopeKind::Team, Some(id), None),
            Self::User(id) => (ScopeKind::User, Some(id), None),
            Self::Organization(id) => (ScopeKind::Organization, Some(id), None),
            Self::Project(id) => (ScopeKind::Project, Some(id), None),
            Self::Tag(id) => (ScopeKind::Tag, Some(id), None),
            Self::Customer(id) => (ScopeKind::Customer, Some(id), None),
            Self::Model(id) => (ScopeKind::Model, Some(id), None),
            Self::Deployment(id) => (ScopeKind::Deployment, Some(id), None),
            Self::Provider(id) => (ScopeKind::Provider, Some(id), None),
            Self::Proxy => (ScopeKind::Proxy, None, None),
        }
    }

    fn of(kind: ScopeKind, name: Option<Arc<str>>, second: Option<Arc<str>>) -> Option<Self> {
        Some(match (kind, name, second) {
            (ScopeKind::Key, Some(id), None) => Self::Key(id),
            (ScopeKind::KeyModel, Some(key), Some(model)) => Self::KeyModel { key, model },
            (ScopeKind::Member, Some(team), Some(user)) => Self::Member { team, user },
            (ScopeKind::Team, Some(id), None) => Self::Team(id),
            (ScopeKind::User, Some(id), None) => Self::User(id),
            (ScopeKind::Organization, Some(id), None) => Self::Organization(id),
            (ScopeKind::Project, Some(id), None) => Self::Project(id),
            (ScopeKind::Tag, Some(id), None) => Self::Tag(id),
            (ScopeKind::Customer, Some(id), None) => Self::Customer(id),
            (ScopeKind::Model, Some(id), None) => Self::Model(id),
            (ScopeKind::Deployment, Some(id), None) => Self::Deployment(id),
            (ScopeKind::Provider, Some(id), None) => Self::Provider(id),
            (ScopeKind::Proxy, None, None) => Self::Proxy,
            _ => return None,
        })
    }
}

impl Scope {
    /// Gives the pieces of its text form to `put`: `team:t1`, `member:t1/u1`, `proxy`. In names `%` is written `%25` and `/` is
    /// written `%2F`.
    pub(crate) fn write(&self, put: &mut impl FnMut(&str)) {
        let (kind, name, second) = self.parts();
        put(kind.as_str());
        for (mark, name) in [(":", name), ("/", second)] {
            if let Some(name) = name {
                put(mark);
                write_name(name, put);
            }
        }
    }
}

fn write_name(name: &str, put: &mut impl FnMut(&str)) {
    let mut rest = name;
    while let Some(at) = rest.find(['%', '/']) {
        let (before, marked) = rest.split_at(at);
        put(before);
        put(if marked.starts_with('%') { "%25" } else { "%2F" });
        // Both marks are one byte long.
        rest = marked.get(1..).unwrap_or_default();
    }
    put(rest);
}

/// As it is stored.
impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut outcome = Ok(());
        self.write(&mut |piece| outcome = outcome.and_then(|()| out.write_str(piece)));
        outcome
    }
}

/// A text that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope, such as `team:t1`")]
pub struct NoScope(String);

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let kind = ScopeKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        let (name, second) = match rest.map(|rest| rest.split_once('/').map_or((rest, None), |(a, b)| (a, Some(b)))) {
            None => (None, None),
            Some((name, second)) => (Some(read_name(name)), second.map(read_name)),
        };
        let scope = kind.and_then(|kind| Self::of(kind, name, second));
        // Each scope has one text, so that a text can be a key.
        scope.filter(|scope| scope.to_string() == text).ok_or_else(|| NoScope(text.to_owned()))
    }
}

fn read_name(text: &str) -> Arc<str> {
    text.replace("%2F", "/").replace("%25", "%").into()
}

/// A scope in one of its budget windows. Money is booked to slots; a counter is never set back. A scope may have several
/// budgets, a day's and a month's, which on the 1st begin in the same moment: the period tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Whose.
    pub scope: Scope,
    /// How long its windows are; none where all time is one.
    pub period: Option<Period>,
    /// When the window began, in seconds since 1970; 0 where there is none.
    pub since: i64,
}

impl Slot {
    /// A scope without a window.
    #[must_use]
    pub fn forever(scope: Scope) -> Self {
        Self { scope, period: None, since: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every(first: &str, second: &str) -> Vec<Scope> {
        let of = |kind| match kind {
            ScopeKind::Proxy => Scope::of(kind, None, None),
            ScopeKind::KeyModel | ScopeKind::Member => Scope::of(kind, Some(first.into()), Some(second.into())),
            _ => Scope::of(kind, Some(first.into()), None),
        };
        ScopeKind::ALL.into_iter().map(|kind| of(kind).expect("each kind makes a scope")).collect()
    }

    #[test]
    fn scopes_have_stable_texts() {
        let texts: Vec<String> = every("a", "b/%").iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "key:a",
                "key-model:a/b%2F%25",
                "member:a/b%2F%25",
                "team:a",
                "user:a",
                "organization:a",
                "project:a",
                "tag:a",
                "customer:a",
                "model:a",
                "deployment:a",
                "provider:a",
                "proxy",
            ]
        );
    }

    #[test]
    fn a_kind_and_a_name_make_the_scope_that_has_them() {
        for scope in every("a", "b/c") {
            assert_eq!(Scope::named(scope.kind().as_str(), &scope.name()), Some(scope));
        }
        // Not the same one, but one of the same name.
        let odd = Scope::Member { team: "a/b".into(), user: "c".into() };
        assert_eq!(Scope::named("member", "a/b/c").map(|scope| scope.name()), Some(odd.name()));
        for (kind, name) in [("planet", "x"), ("member", "a"), ("proxy", "x")] {
            assert_eq!(Scope::named(kind, name), None, "{kind} {name}");
        }
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in ["", "key", "team:a/b", "proxy:x", "member:a", "nobody:a", "team:%", "team:a%2f", "member:a/b/c"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_scope_is_read_as_it_was_written(first in "\\PC*", second in "[%/2F5\\PC]*") {
            for scope in every(&first, &second) {
                prop_assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
            }
        }
    }
}
