//! Days: what was spent and asked for each day, by whom, with which key, model and provider.

use std::collections::BTreeMap;

use super::Booked;
use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    many::{Conflict, insert_many},
    record::record,
    session::Session,
    statement::Draft,
};

/// What names a line, in the order of its key.
const NAMES: [&str; 9] = ["kind", "id", "date", "api_key", "model", "model_group", "provider", "endpoint", "mcp_tool"];

const COLUMNS: &[&str] = &[
    "kind",
    "id",
    "date",
    "api_key",
    "model",
    "model_group",
    "provider",
    "endpoint",
    "mcp_tool",
    "spend",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "requests",
    "successes",
    "failures",
    "duration_ms",
];

const ADD: Conflict = Conflict(
    " ON CONFLICT (kind, id, date, api_key, model, model_group, provider, endpoint, mcp_tool) DO UPDATE SET \
     spend = t.spend + excluded.spend, prompt_tokens = t.prompt_tokens + excluded.prompt_tokens, \
     completion_tokens = t.completion_tokens + excluded.completion_tokens, \
     cache_read_tokens = t.cache_read_tokens + excluded.cache_read_tokens, \
     cache_write_tokens = t.cache_write_tokens + excluded.cache_write_tokens, requests = t.requests + excluded.requests, \
     successes = t.successes + excluded.successes, failures = t.failures + excluded.failures, \
     duration_ms = t.duration_ms + excluded.duration_ms",
);

/// By what sums are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By day.
    Date,
    /// By user, team and so on.
    Id,
    /// By key.
    Key,
    /// By model.
    Model,
    /// By the model's name for clients.
    ModelGroup,
    /// By provider.
    Provider,
    /// By route.
    Endpoint,
    /// By tool.
    McpTool,
}

/// Of whom, and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActivityFilter {
    /// Whose days: `global`, `user`, `team`, `organization`, `customer`, `tag`, `agent` or `project`.
    pub kind: String,
    /// Only of these.
    pub ids: Option<Vec<String>>,
    /// Only with these keys.
    pub api_keys: Option<Vec<String>>,
    /// Only with this model.
    pub model: Option<String>,
    /// From this day on.
    pub from: Option<String>,
    /// Until this day, which is in it.
    pub to: Option<String>,
}

record! {
    /// Sums of what was spent and asked for. What they were not told apart by is empty.
    pub struct Activity {
        /// The day.
        date: String,
        /// The user, team and so on.
        id: String,
        /// The key.
        api_key: String,
        /// The model.
        model: String,
        /// The model's name for clients.
        model_group: String,
        /// The provider.
        provider: String,
        /// The route.
        endpoint: String,
        /// The tool.
        mcp_tool: String,
        /// What was spent.
        spend: NanoDollars,
        /// Tokens in.
        prompt_tokens: i64,
        /// Tokens out.
        completion_tokens: i64,
        /// Tokens in that providers had cached.
        cache_read_tokens: i64,
        /// Tokens in that they cached.
        cache_write_tokens: i64,
        /// Attempts.
        requests: i64,
        /// Those that were answered.
        successes: i64,
        /// Those that were not.
        failures: i64,
        /// How long they took together, in milliseconds.
        duration_ms: i64,
    }
}

impl By {
    fn column(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Id => "id",
            Self::Key => "api_key",
            Self::Model => "model",
            Self::ModelGroup => "model_group",
            Self::Provider => "provider",
            Self::Endpoint => "endpoint",
            Self::McpTool => "mcp_tool",
        }
    }

    /// What it is in a row.
    pub(super) fn of_row(self) -> &'static str {
        match self {
            // Whoever asks for rows names the moments at which the day begins and ends.
            Self::Date | Self::Id => "''",
            Self::Key => "api_key",
            Self::Model => "model",
            Self::ModelGroup => "COALESCE(model_group, '')",
            Self::Provider => "COALESCE(provider, '')",
            Self::Endpoint => "COALESCE(endpoint, '')",
            Self::McpTool => "COALESCE(mcp_tool, '')",
        }
    }
}

pub(super) const ALL: [By; 8] =
    [By::Date, By::Id, By::Key, By::Model, By::ModelGroup, By::Provider, By::Endpoint, By::McpTool];

impl Store {
    /// Sums over days, the dearest first within a day; at most `limit` of them.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn activity(&self, filter: &ActivityFilter, by: &[By], limit: i64) -> Result<Vec<Activity>, StoreError> {
        let mut draft = Draft::new("SELECT ");
        for column in ALL {
            draft.push(if by.contains(&column) { column.column() } else { "''" }).push(", ");
        }
        draft.push(SUMS).push(" FROM daily WHERE kind = ").value(filter.kind.as_str());
        if let Some(from) = &filter.from {
            draft.push(" AND date >= ").value(from.as_str());
        }
        if let Some(to) = &filter.to {
            draft.push(" AND date <= ").value(to.as_str());
        }
        if let Some(model) = &filter.model {
            draft.push(" AND model = ").value(model.as_str());
        }
        for (condition, values) in [(" AND id IN ", &filter.ids), (" AND api_key IN ", &filter.api_keys)] {
            match values.as_deref() {
                None => {}
                Some([]) => return Ok(Vec::new()),
                Some(values) => {
                    draft.push(condition).tuple(values.iter().map(|value| value.as_str().into()));
                }
            }
        }
        grouped(&mut draft, by, By::column, limit);
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }

    /// Sums over the rows of attempts between two moments: for days of other time zones than the configuration's, as long as
    /// rows are kept. Of one key, user or team, if it is named.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn activity_between(
        &self,
        from: EpochMs,
        to: EpochMs,
        of: Option<(Of, &str)>,
        by: &[By],
        limit: i64,
    ) -> Result<Vec<Activity>, StoreError> {
        let mut draft = Draft::new("SELECT ");
        for column in ALL {
            draft.push(if by.contains(&column) { column.of_row() } else { "''" }).push(", ");
        }
        draft.push(ROW_SUMS).push(" FROM spend WHERE started_at >= ").value(from).push(" AND started_at < ").value(to);
        draft.push(" AND certainty <> 'corrected'");
        if let Some((of, id)) = of {
            draft.push(of.condition()).value(id);
        }
        grouped(&mut draft, by, By::of_row, limit);
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }
}

/// Whose rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Of a key.
    Key,
    /// Of a user.
    User,
    /// Of a team.
    Team,
    /// Of an organization.
    Organization,
    /// Of a customer.
    Customer,
}

impl Of {
    fn condition(self) -> &'static str {
        match self {
            Self::Key => " AND api_key = ",
            Self::User => " AND user_id = ",
            Self::Team => " AND team_id = ",
            Self::Organization => " AND organization_id = ",
            Self::Customer => " AND end_user = ",
        }
    }
}

/// PostgreSQL's sums of whole numbers are no whole numbers of ours.
const SUMS: &str = "COALESCE(CAST(SUM(spend) AS bigint), 0) AS spent, COALESCE(CAST(SUM(prompt_tokens) AS bigint), 0), \
     COALESCE(CAST(SUM(completion_tokens) AS bigint), 0), COALESCE(CAST(SUM(cache_read_tokens) AS bigint), 0), \
     COALESCE(CAST(SUM(cache_write_tokens) AS bigint), 0), COALESCE(CAST(SUM(requests) AS bigint), 0), \
     COALESCE(CAST(SUM(successes) AS bigint), 0), COALESCE(CAST(SUM(failures) AS bigint), 0), \
     COALESCE(CAST(SUM(duration_ms) AS bigint), 0)";

pub(super) const ROW_SUMS: &str = "COALESCE(CAST(SUM(spend) AS bigint), 0) AS spent, COALESCE(CAST(SUM(prompt_tokens) AS bigint), 0), \
     COALESCE(CAST(SUM(completion_tokens) AS bigint), 0), COALESCE(CAST(SUM(cache_read_tokens) AS bigint), 0), \
     COALESCE(CAST(SUM(cache_write_tokens) AS bigint), 0), COUNT(*), \
     COALESCE(CAST(SUM(CASE WHEN status = 'success' THEN 1 ELSE 0 END) AS bigint), 0), \
     COALESCE(CAST(SUM(CASE WHEN status = 'success' THEN 0 ELSE 1 END) AS bigint), 0), \
     COALESCE(CAST(SUM(request_duration_ms) AS bigint), 0)";

pub(super) fn grouped(draft: &mut Draft, by: &[By], expression: impl Fn(By) -> &'static str, limit: i64) {
    let columns: Vec<&'static str> = by.iter().map(|by| expression(*by)).filter(|column| *column != "''").collect();
    draft.push(if columns.is_empty() { "" } else { " GROUP BY " }).names("", &columns);
    if columns.is_empty() {
        // Without a group there is always one line, even of nothing.
        draft.push(" HAVING COUNT(*) > 0");
    }
    draft.push(" ORDER BY ").push(if columns.contains(&"date") { "date, " } else { "" }).push("spent DESC");
    for column in columns {
        draft.push(", ").push(column);
    }
    draft.push(" LIMIT ").value(limit);
}

/// Sums of one day.
#[derive(Default)]
struct Sums([i64; 9]);

/// Adds attempts to their days.
pub(super) async fn add(store: &Store, db: &mut Session, booked: &[&Booked]) -> Result<(), StoreError> {
    let mut days: BTreeMap<[&str; NAMES.len()], Sums> = BTreeMap::new();
    for Booked { row, day, tags, .. } in booked {
        let Some(day) = day else { continue };
        let whole = [("user", &row.user_id), ("team", &row.team_id), ("organization", &row.organization_id)];
        let parts = [("customer", &row.end_user), ("agent", &row.agent_id), ("project", &row.project_id)];
        let named =
            whole.into_iter().chain(parts).map(|(kind, id)| (kind, or_empty(id))).filter(|(_, id)| !id.is_empty());
        let tagged = tags.iter().map(|tag| ("tag", tag.as_str()));
        let attempt = i64::from(row.certainty != "corrected");
        let success = attempt * i64::from(row.status == "success");
        let sums = [
            row.spend.0,
            row.prompt_tokens,
            row.completion_tokens,
            row.cache_read_tokens,
            row.cache_write_tokens,
            attempt,
            success,
            attempt - success,
            attempt * row.request_duration_ms,
        ];
        for (kind, id) in std::iter::once(("global", "")).chain(named).chain(tagged) {
            let (group, provider) = (or_empty(&row.model_group), or_empty(&row.provider));
            let (endpoint, tool) = (or_empty(&row.endpoint), or_empty(&row.mcp_tool));
            let line = [kind, id, day, &row.api_key, &row.model, group, provider, endpoint, tool];
            let added = days.entry(line).or_default();
            for (sum, more) in added.0.iter_mut().zip(sums) {
                *sum += more;
            }
        }
    }
    let line = |(names, sums): (&[&str; NAMES.len()], &Sums)| {
        names.iter().map(|name| (*name).into()).chain(sums.0.iter().map(|sum| (*sum).into())).collect()
    };
    insert_many(store, db, "daily", COLUMNS, ADD, days.iter().map(line).collect()).await
}

fn or_empty(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}
