//! Virtual keys: what one may use, until when, and who stands above it.

use std::{collections::HashMap, fmt};

use tollgate_wire::{ErrorType, Failure, FailureKind};

use crate::{Budget, KeyDigest, Limit, RouteSet, Spending};

/// A virtual key as calls see it. Made from the store's row once, and kept in memory for the calls that follow.
#[derive(Clone)]
pub struct Key {
    /// SHA-256 of the key.
    pub digest: KeyDigest,
    /// What its spend and its things are kept under: the first digest it had, which it keeps when it is regenerated.
    pub origin: String,
    /// Its name among people, unique where there is one.
    pub alias: Option<String>,
    /// It ends here, milliseconds since 1970; none: never.
    pub expires: Option<u64>,
    /// It is taken out of use for the time being.
    pub blocked: bool,
    /// What it may use; empty: whatever those above it may.
    pub models: Models,
    /// Names of its own for models: what it asks for, and what is meant (SEED-138).
    pub aliases: HashMap<String, String>,
    /// The routes it may call; none stated: those that its role has.
    pub routes: RouteSet,
    /// What its user may manage.
    pub role: Role,
    /// Whose it is.
    pub user: Option<String>,
    /// Its team.
    pub team: Option<String>,
    /// Those above it whose limits hold for it, too: team, user where it has no team, organisation.
    pub holders: Vec<Holder>,
    /// How much there may be of its calls, and of those above it.
    pub limits: Vec<Limit>,
    /// Tags of every request that it sends.
    pub tags: Vec<String>,
    /// What it may spend, and what those above it may.
    pub budgets: Vec<Budget>,
    /// What it has spent.
    pub spending: Spending,
    /// Routing of its own (`router_settings`): fallbacks, where a request brings none.
    pub routing: serde_json::Map<String, serde_json::Value>,
    /// A request may bring its own mocked answer (`metadata.allow_client_mock_response`).
    pub may_mock: bool,
}

impl fmt::Debug for Key {
    /// The beginning of the digest alone: who logs a caller logs no more of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.digest)
    }
}

/// Who stands above a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderKind {
    /// Several users' keys together.
    Team,
    /// A person, or a service.
    User,
    /// Several teams.
    Organization,
    /// Part of a team.
    Project,
}

impl HolderKind {
    /// In refusals.
    fn name(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::User => "user",
            Self::Organization => "org",
            Self::Project => "project",
        }
    }

    /// `error.type` of a refused model.
    fn denial(self) -> ErrorType {
        match self {
            Self::Team => ErrorType::TeamModelDenied,
            Self::User => ErrorType::UserModelDenied,
            Self::Organization => ErrorType::OrganizationModelDenied,
            Self::Project => ErrorType::ProjectModelDenied,
        }
    }
}

/// One of those above a key.
#[derive(Clone, Debug)]
pub struct Holder {
    /// What it is.
    pub kind: HolderKind,
    /// Its id.
    pub id: String,
    /// It is taken out of use.
    pub blocked: bool,
    /// What its keys may use; empty: everything.
    pub models: Models,
    /// Its names for models, where the key has none.
    pub aliases: HashMap<String, String>,
}

/// What the user of a key may manage (surface chapter 7.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Sees everything, changes nothing.
    AdminViewer,
    /// Makes keys of his own.
    #[default]
    User,
    /// Sees what is his own.
    Viewer,
}

impl Role {
    /// `LiteLLM`'s spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "proxy_admin" => Self::Admin,
            "proxy_admin_viewer" => Self::AdminViewer,
            "internal_user" | "org_admin" | "team" | "customer" => Self::User,
            "internal_user_viewer" => Self::Viewer,
            _ => return None,
        })
    }

    /// `LiteLLM`'s spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "proxy_admin",
            Self::AdminViewer => "proxy_admin_viewer",
            Self::User => "internal_user",
            Self::Viewer => "internal_user_viewer",
        }
    }
}

/// What is known of a model when access to it is decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelFacts<'a> {
    /// The name that is asked for, its alias followed.
    pub asked: &'a str,
    /// The name of the group that answers it.
    pub group: &'a str,
    /// Access groups of its deployments (`model_info.access_groups`).
    pub access_groups: &'a [String],
    /// Providers of its deployments.
    pub providers: &'a [&'a str],
}

/// A list of models as keys, teams and users have it: names, access groups, patterns, and `LiteLLM`'s special words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models(pub Vec<String>);

impl Models {
    /// Nothing is said, so nothing is refused here.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|one| matches!(one.as_str(), "all-proxy-models" | "all-team-models" | "*"))
    }

    /// Whether a model is in the list.
    #[must_use]
    pub fn admit(&self, model: &ModelFacts<'_>) -> bool {
        self.says_nothing() || self.0.iter().any(|entry| fits(entry, model))
    }
}

fn fits(entry: &str, model: &ModelFacts<'_>) -> bool {
    if entry == model.asked || entry == model.group || model.access_groups.iter().any(|group| group == entry) {
        return true;
    }
    if !entry.contains('*') {
        return false;
    }
    // `openai/*` also names a model of that provider whose name does not begin so (surface chapter 7.6).
    let of_provider = entry.strip_suffix("/*").is_some_and(|provider| model.providers.contains(&provider));
    of_provider || matches_pattern(entry, model.asked) || matches_pattern(entry, model.group)
}

/// Whether `text` is what `pattern` says, in which each `*` stands for anything.
#[must_use]
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

impl Key {
    /// Whether it can be used at this moment, milliseconds since 1970.
    ///
    /// # Errors
    /// 401 with what to do about it.
    pub fn usable_at(&self, now: u64) -> Result<(), Failure> {
        let refused =
            |words: String| Err(Failure::new(FailureKind::InvalidKey, format!("Authentication Error, {words}")));
        if self.blocked {
            return refused("Key is blocked. Update via `/key/unblock` if you're an admin.".to_owned());
        }
        if let Some(holder) = self.holders.iter().find(|holder| holder.blocked) {
            let (name, id) = (holder.kind.name(), &holder.id);
            let title = match holder.kind {
                HolderKind::Team => "Team",
                HolderKind::User => "User",
                HolderKind::Organization => "Organization",
                HolderKind::Project => "Project",
            };
            return refused(format!("{title}={id} is blocked. Update via `/{name}/unblock` if you're an admin."));
        }
        match self.expires {
            Some(expires) if expires <= now => {
                let words = format!(
                    "Authentication Error - Expired Key. Key Expiry time {} and current time {}",
                    moment(expires),
                    moment(now)
                );
                Err(Failure::new(FailureKind::InvalidKey, words).with_type(ErrorType::ExpiredKey))
            }
            _ => Ok(()),
        }
    }

    /// What a name means to this key: its own alias, else its team's.
    #[must_use]
    pub fn meant<'k>(&'k self, asked: &'k str) -> &'k str {
        let above = || self.holders.iter().find_map(|holder| holder.aliases.get(asked));
        self.aliases.get(asked).or_else(above).map_or(asked, String::as_str)
    }

    /// It, or one above it, has a list of models.
    #[must_use]
    pub fn is_confined(&self) -> bool {
        !self.models.says_nothing() || self.holders.iter().any(|holder| !holder.models.says_nothing())
    }

    /// Whether it may use a model. All levels must agree.
    ///
    /// # Errors
    /// 403 naming the level; the key's own list is told, as it is the caller's.
    pub fn admit_model(&self, model: &ModelFacts<'_>) -> Result<(), Failure> {
        let denied = |words: String| Failure::new(FailureKind::ModelAccessDenied, words).with_param("model");
        if !self.models.admit(model) {
            let words = format!(
                "key not allowed to access model. This key can only access models={:?}. Tried to access {}",
                self.models.0, model.asked
            );
            return Err(denied(words));
        }
        match self.holders.iter().find(|holder| !holder.models.admit(model)) {
            Some(Holder { kind, .. }) => {
                let words = format!("{} not allowed to access model. Tried to access {}", kind.name(), model.asked);
                Err(denied(words).with_type(kind.denial()))
            }
            None => Ok(()),
        }
    }
}

/// A moment for people: ISO 8601 in UTC.
fn moment(millis: u64) -> String {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            digest: KeyDigest::of("sk-1"),
            origin: "1".to_owned(),
            alias: None,
            expires: None,
            blocked: false,
            models: Models::default(),
            aliases: HashMap::new(),
            routes: RouteSet::default(),
            role: Role::default(),
            user: None,
            team: None,
            holders: Vec::new(),
            limits: Vec::new(),
            tags: Vec::new(),
            routing: serde_json::Map::new(),
            budgets: Vec::new(),
            spending: Spending::default(),
            may_mock: false,
        }
    }

    fn team(models: &[&str]) -> Holder {
        Holder {
            kind: HolderKind::Team,
            id: "blue".to_owned(),
            blocked: false,
            models: list(models),
            aliases: HashMap::new(),
        }
    }

    fn list(models: &[&str]) -> Models {
        Models(models.iter().map(|model| (*model).to_owned()).collect())
    }

    fn named(asked: &str) -> ModelFacts<'_> {
        ModelFacts { asked, group: asked, ..ModelFacts::default() }
    }

    #[test]
    fn a_list_names_models_groups_and_patterns() {
        for (entry, asked, fits) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-*", "gpt-4o", true),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "gpt-4o-mini-2", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("openai/*", "openai/gpt-4o", true),
            ("openai/*", "azure/gpt-4o", false),
            ("all-proxy-models", "anything", true),
            ("no-default-models", "anything", false),
        ] {
            assert_eq!(list(&[entry]).admit(&named(asked)), fits, "{entry} {asked}");
        }
        let groups = ["beta".to_owned()];
        let facts = ModelFacts { asked: "x", group: "x", access_groups: &groups, providers: &["openai"] };
        assert!(list(&["beta"]).admit(&facts) && list(&["openai/*"]).admit(&facts));
        assert!(!list(&["alpha", "azure/*"]).admit(&facts));
        assert!(Models::default().admit(&facts));
    }

    #[test]
    fn every_level_must_agree_and_the_one_that_does_not_is_named() {
        let mut key = Key { models: list(&["a", "b"]), holders: vec![team(&["a"])], ..key() };
        assert!(key.admit_model(&named("a")).is_ok());
        let refused = key.admit_model(&named("b")).unwrap_err();
        assert_eq!((refused.http_status(), refused.error_type()), (403, "team_model_access_denied"));
        let refused = key.admit_model(&named("c")).unwrap_err();
        assert_eq!(refused.error_type(), "key_model_access_denied");
        assert!(refused.message.contains("Tried to access c"), "{refused}");
        key.models = Models::default();
        assert!(key.admit_model(&named("b")).is_err());
    }

    #[test]
    fn a_key_ends_when_it_expires_or_is_blocked() {
        let ends = Key { expires: Some(1_700_000_000_000), ..key() };
        assert!(ends.usable_at(1_699_999_999_999).is_ok());
        let refused = ends.usable_at(1_700_000_000_000).unwrap_err();
        assert_eq!((refused.http_status(), refused.error_type()), (401, "expired_key"));
        assert!(refused.message.contains("Key Expiry time 2023-11-14T22:13:20Z"), "{refused}");
        assert_eq!(Key { blocked: true, ..key() }.usable_at(0).unwrap_err().http_status(), 401);
        let blocked = Key { holders: vec![Holder { blocked: true, ..team(&[]) }], ..key() };
        assert!(blocked.usable_at(0).unwrap_err().message.contains("Team=blue is blocked"));
    }

    #[test]
    fn an_alias_of_the_key_goes_before_its_teams() {
        let alias = |to: &str| HashMap::from([("gpt".to_owned(), to.to_owned())]);
        let mut key = Key { holders: vec![Holder { aliases: alias("team"), ..team(&[]) }], ..key() };
        assert_eq!((key.meant("gpt"), key.meant("other")), ("team", "other"));
        key.aliases = alias("own");
        assert_eq!(key.meant("gpt"), "own");
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(
            format!("{:?}", Key { alias: Some("x".to_owned()), ..key() }),
            format!("Key({:?})", KeyDigest::of("sk-1"))
        );
    }
}
