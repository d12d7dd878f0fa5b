//! Lists of keys: filtered and sorted as LiteLLM's `/key/list` is, paged by number or from the last key that was seen.

use super::Key;
use crate::{
    EpochMs, Spent, Store, StoreError,
    row::Table as _,
    session::{Columns, Read},
    statement::{Draft, Value},
};

/// What has to hold for a key to be listed. What is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyFilter {
    /// Only keys of this user; with `teams` or `creator`, theirs as well.
    pub user_id: Option<String>,
    /// Keys of these teams beside those of the user (`include_team_keys`).
    pub teams: Vec<String>,
    /// Keys that this user made beside those of the user (`include_created_by_keys`).
    pub creator: Option<String>,
    /// Only keys of this team.
    pub team_id: Option<String>,
    /// Only keys of this organization.
    pub organization_id: Option<String>,
    /// Only keys of this project.
    pub project_id: Option<String>,
    /// Only keys of this agent.
    pub agent_id: Option<String>,
    /// Only keys with this budget.
    pub budget_id: Option<String>,
    /// Only keys that are in this access group.
    pub access_group_id: Option<String>,
    /// Only this key.
    pub token: Option<String>,
    /// Only the key with this alias.
    pub key_alias: Option<String>,
    /// Only keys whose alias holds this, in whatever case.
    pub alias_contains: Option<String>,
    /// Only keys whose alias, name or user holds this, in whatever case, or whose token begins with it.
    pub search: Option<String>,
    /// Only keys that have an alias.
    pub has_alias: bool,
    /// Only keys that expire before this moment.
    pub expires_before: Option<EpochMs>,
    /// Only keys whose time to be regenerated is before this moment.
    pub rotates_before: Option<EpochMs>,
    /// Only keys that spent something.
    pub has_spent: bool,
    /// Only keys in this state.
    pub state: Option<KeyState>,
    /// No keys of this team: the UI's own.
    pub without_team: Option<String>,
}

/// What a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Neither blocked nor expired at this moment.
    Active(EpochMs),
    /// Expired at this moment.
    Expired(EpochMs),
    /// Blocked.
    Blocked,
    /// Deleted.
    Deleted,
}

/// By what keys are sorted; those that are equal, by their token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySort {
    /// When they were made.
    #[default]
    CreatedAt,
    /// When they were changed.
    UpdatedAt,
    /// By alias; without one first.
    Alias,
    /// By name; without one first.
    Name,
    /// By what they spent.
    Spend,
    /// By what they may spend; without a budget first.
    MaxBudget,
    /// By when they expire; those that never do first.
    Expires,
    /// By user; without one first.
    User,
    /// By team; without one first.
    Team,
    /// By token.
    Token,
}

/// After which key a page begins: what it was sorted by, and its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// For what is a number.
    Number(i64, String),
    /// For what is a text.
    Text(String, String),
}

/// Some of the keys.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyPage {
    /// The keys with what was spent with them.
    pub keys: Vec<(Key, Spent)>,
    /// How many there are on all pages, if it was asked for.
    pub total: Option<i64>,
    /// Where the next page begins; nothing after the last one.
    pub next: Option<Place>,
}

/// Which of the keys, and how many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyListing {
    /// Which ones.
    pub filter: KeyFilter,
    /// In what order.
    pub sort: KeySort,
    /// From the largest or newest on.
    pub descending: bool,
    /// From where on: behind this key.
    pub after: Option<Place>,
    /// From where on: so many later, which takes the longer the more they are; [`Self::after`] does not.
    pub offset: i64,
    /// How many.
    pub limit: i64,
    /// Whether all are counted.
    pub count: bool,
}

impl KeyListing {
    /// The same page, counted from the other end, where that is nearer: a database walks to a page over all that come before it.
    fn told_from_the_end(&self, total: i64) -> Option<Self> {
        let is_far = self.after.is_none() && self.offset > total / 2;
        is_far.then(|| Self {
            descending: !self.descending,
            offset: total.saturating_sub(self.offset).saturating_sub(self.limit).max(0),
            limit: total.saturating_sub(self.offset).clamp(0, self.limit),
            ..self.clone()
        })
    }
}

impl Store {
    /// Lists keys.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn list_keys(&self, listing: &KeyListing) -> Result<KeyPage, StoreError> {
        self.within(async {
            let mut db = self.reader().await?;
            let total = if listing.count { Some(db.one::<i64>(counted(&listing.filter).done()).await?) } else { None };
            let from_end = total.and_then(|total| listing.told_from_the_end(total));
            let mut rows: Vec<Listed> = db.all(page(from_end.as_ref().unwrap_or(listing)).done()).await?;
            let limit = usize::try_from(from_end.as_ref().unwrap_or(listing).limit).unwrap_or(0);
            // One more was asked for, to know whether there is a next page.
            let more = match (&from_end, total) {
                (Some(_), Some(total)) => listing.offset.saturating_add(listing.limit) < total,
                _ => rows.len() > limit,
            };
            rows.truncate(limit);
            if from_end.is_some() {
                rows.reverse();
            }
            let next = rows.last().filter(|_| more).map(|last| listing.sort.place(last));
            Ok(KeyPage { keys: rows.into_iter().map(|row| (row.key, row.spent)).collect(), total, next })
        })
        .await
    }
}

/// All that was ever spent with a key.
const TOTAL: &str = "s.kind = 'key' AND s.id = k.origin AND s.window_start = 0";

struct Listed {
    spent: Spent,
    key: Key,
}

impl Read for Listed {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { spent: Spent::read(columns)?, key: Key::read(columns)? })
    }
}

impl KeySort {
    /// What is compared. Nothing is replaced by what comes before everything, as the databases do not agree where it goes.
    fn expression(self) -> &'static str {
        match self {
            Self::CreatedAt => "k.created_at",
            Self::UpdatedAt => "k.updated_at",
            Self::Alias => "COALESCE(k.key_alias, '')",
            Self::Name => "COALESCE(k.key_name, '')",
            Self::Spend => "s.settled",
            Self::MaxBudget => "COALESCE(k.max_budget, -1)",
            Self::Expires => "COALESCE(k.expires, -1)",
            Self::User => "COALESCE(k.user_id, '')",
            Self::Team => "COALESCE(k.team_id, '')",
            Self::Token => "k.token",
        }
    }

    /// What decides between equals: what is in the index beside it.
    fn tie(self) -> &'static str {
        if self == Self::Spend { "s.id" } else { "k.token" }
    }

    fn place(self, row: &Listed) -> Place {
        let key = &row.key;
        let tie = if self == Self::Spend { &key.origin } else { &key.token }.clone();
        let text = |text: &Option<String>| Place::Text(text.clone().unwrap_or_default(), tie.clone());
        match self {
            Self::CreatedAt => Place::Number(key.created_at.0, tie),
            Self::UpdatedAt => Place::Number(key.updated_at.0, tie),
            Self::Alias => text(&key.key_alias),
            Self::Name => text(&key.key_name),
            Self::Spend => Place::Number(row.spent.settled.0, tie),
            Self::MaxBudget => Place::Number(key.max_budget.map_or(-1, |money| money.0), tie),
            Self::Expires => Place::Number(key.expires.map_or(-1, |moment| moment.0), tie),
            Self::User => text(&key.user_id),
            Self::Team => text(&key.team_id),
            Self::Token => Place::Text(key.token.clone(), tie),
        }
    }
}

fn page(listing: &KeyListing) -> Draft {
    let mut draft = Draft::new("SELECT s.settled, s.last_at, ");
    draft.names("k.", Key::COLUMNS);
    // What is left out is only counted in an index, and not read. A deleted token may be there twice.
    if listing.offset > 0 && listing.filter.state != Some(KeyState::Deleted) {
        draft.push(" FROM keys AS k LEFT JOIN totals AS s ON ").push(TOTAL).push(" WHERE k.token IN (SELECT k.token");
        from(&mut draft, listing, false);
        draft.push(")");
        ordered(&mut draft, listing);
    } else {
        from(&mut draft, listing, true);
    }
    draft
}

/// The keys of a page; with their totals where somebody reads them.
fn from(draft: &mut Draft, listing: &KeyListing, with_totals: bool) {
    let (sort, filter) = (listing.sort, &listing.filter);
    draft.push(" FROM ").push(table(filter)).push(" AS k");
    // Every key has a total, so that both joins find the same keys; the inner one may be driven by the index of totals.
    if sort == KeySort::Spend || filter.has_spent {
        draft.push(" JOIN totals AS s ON ").push(TOTAL);
    } else if with_totals {
        draft.push(" LEFT JOIN totals AS s ON ").push(TOTAL);
    }
    conditions(draft, filter);
    let (expression, tie) = (sort.expression(), sort.tie());
    if let Some(place) = &listing.after {
        let (value, token) = match place {
            Place::Number(number, token) => (Value::from(*number), token),
            Place::Text(text, token) => (Value::from(text.as_str()), token),
        };
        draft.push(" AND (").push(expression).push(", ").push(tie).push(if listing.descending {
            ") < "
        } else {
            ") > "
        });
        draft.tuple([value, token.as_str().into()]);
    }
    ordered(draft, listing);
    draft.push(" LIMIT ").value(listing.limit.saturating_add(1)).push(" OFFSET ").value(listing.offset);
}

fn ordered(draft: &mut Draft, listing: &KeyListing) {
    let direction = if listing.descending { " DESC" } else { "" };
    let (expression, tie) = (listing.sort.expression(), listing.sort.tie());
    draft.push(" ORDER BY ").push(expression).push(direction).push(", ").push(tie).push(direction);
}

fn counted(filter: &KeyFilter) -> Draft {
    let mut draft = Draft::new("SELECT COUNT(*) FROM ");
    draft.push(table(filter)).push(" AS k");
    if filter.has_spent {
        draft.push(" JOIN totals AS s ON ").push(TOTAL);
    }
    conditions(&mut draft, filter);
    draft
}

fn table(filter: &KeyFilter) -> &'static str {
    if filter.state == Some(KeyState::Deleted) { "deleted_keys" } else { "keys" }
}

fn conditions(draft: &mut Draft, filter: &KeyFilter) {
    draft.push(" WHERE true");
    owners(draft, filter);
    let equal = [
        (" AND k.team_id = ", &filter.team_id),
        (" AND k.organization_id = ", &filter.organization_id),
        (" AND k.project_id = ", &filter.project_id),
        (" AND k.agent_id = ", &filter.agent_id),
        (" AND k.budget_id = ", &filter.budget_id),
        (" AND k.token = ", &filter.token),
        (" AND k.key_alias = ", &filter.key_alias),
        (" AND COALESCE(k.team_id, '') <> ", &filter.without_team),
    ];
    for (condition, value) in equal {
        if let Some(value) = value {
            draft.push(condition).value(value.as_str());
        }
    }
    if let Some(group) = &filter.access_group_id {
        // As it stands in the JSON list.
        let quoted = format!("\"{}\"", group.replace('\\', "\\\\").replace('"', "\\\""));
        draft.push(" AND k.access_group_ids LIKE ").value(holding(&quoted)).push(" ESCAPE '!'");
    }
    if let Some(text) = &filter.alias_contains {
        draft.push(" AND lower(k.key_alias) LIKE ").value(holding(&text.to_ascii_lowercase())).push(" ESCAPE '!'");
    }
    if let Some(text) = &filter.search {
        let pattern = holding(&text.to_ascii_lowercase());
        for (number, column) in ["lower(k.key_alias)", "lower(k.key_name)", "lower(k.user_id)"].into_iter().enumerate()
        {
            draft.push(if number == 0 { " AND (" } else { " OR " }).push(column);
            draft.push(" LIKE ").value(pattern.as_str()).push(" ESCAPE '!'");
        }
        // Tokens are hexadecimal: what begins with a text lies between it and what has the next letter behind it.
        draft
            .push(" OR (k.token >= ")
            .value(text.as_str())
            .push(" AND k.token < ")
            .value(format!("{text}g"))
            .push("))");
    }
    if filter.has_alias {
        draft.push(" AND k.key_alias IS NOT NULL");
    }
    if let Some(moment) = filter.expires_before {
        draft.push(" AND k.expires < ").value(moment);
    }
    if let Some(moment) = filter.rotates_before {
        draft.push(" AND k.key_rotation_at <= ").value(moment);
    }
    if filter.has_spent {
        draft.push(" AND s.settled > 0");
    }
    state(draft, filter.state);
}

fn owners(draft: &mut Draft, filter: &KeyFilter) {
    let mut joined = " AND (";
    if let Some(user) = &filter.user_id {
        draft.push(joined).push("k.user_id = ").value(user.as_str());
        joined = " OR ";
    }
    if let Some(creator) = &filter.creator {
        draft.push(joined).push("k.created_by = ").value(creator.as_str());
        joined = " OR ";
    }
    if !filter.teams.is_empty() {
        draft.push(joined).push("k.team_id IN ").tuple(filter.teams.iter().map(|team| team.as_str().into()));
        joined = " OR ";
    }
    if joined == " OR " {
        draft.push(")");
    }
}

fn state(draft: &mut Draft, state: Option<KeyState>) {
    match state {
        Some(KeyState::Active(now)) => {
            draft
                .push(" AND NOT COALESCE(k.blocked, false) AND (k.expires IS NULL OR k.expires > ")
                .value(now)
                .push(")");
        }
        Some(KeyState::Expired(now)) => {
            draft.push(" AND k.expires <= ").value(now);
        }
        Some(KeyState::Blocked) => {
            draft.push(" AND k.blocked");
        }
        Some(KeyState::Deleted) | None => {}
    }
}

/// A pattern for texts that hold this one.
pub(crate) fn holding(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
