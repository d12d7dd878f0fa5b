//! The spend log: rows of attempts, filtered, sorted and paged.

use super::SpendRow;
use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    keys::holding,
    record::Record as _,
    statement::{Draft, Value},
};

/// Which rows. What is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogFilter {
    /// From this moment on. Without it and `to` everything is looked at, which may be much.
    pub from: Option<EpochMs>,
    /// Until before this moment.
    pub to: Option<EpochMs>,
    /// Only with one of these keys.
    pub api_keys: Option<Vec<String>>,
    /// Only of this user.
    pub user_id: Option<String>,
    /// Only of one of these teams.
    pub team_ids: Option<Vec<String>>,
    /// Only of this organization.
    pub organization_id: Option<String>,
    /// Only of this customer.
    pub end_user: Option<String>,
    /// Only with this id: the answer's, the call's or the attempt's.
    pub request_id: Option<String>,
    /// Only of this session.
    pub session_id: Option<String>,
    /// Only of this model.
    pub model: Option<String>,
    /// Only of this deployment.
    pub model_id: Option<String>,
    /// Only of this model's name for clients.
    pub model_group: Option<String>,
    /// Only of keys with this alias.
    pub key_alias: Option<String>,
    /// Only with this status.
    pub status: Option<String>,
    /// Only with this code of an error.
    pub error_code: Option<String>,
    /// Only with an error that holds this.
    pub error_message: Option<String>,
    /// Only with this word for cache hits.
    pub cache_hit: Option<String>,
    /// Only what cost so much or more.
    pub min_spend: Option<NanoDollars>,
    /// Only what cost so much or less.
    pub max_spend: Option<NanoDollars>,
}

/// By what rows are sorted; those that are equal, by their id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogSort {
    /// By when they began.
    #[default]
    StartedAt,
    /// By when they ended.
    EndedAt,
    /// By what they cost.
    Spend,
    /// By tokens.
    TotalTokens,
    /// By how long they took.
    Duration,
    /// By model.
    Model,
}

/// Which part of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogListing {
    /// Which rows.
    pub filter: LogFilter,
    /// In what order.
    pub sort: LogSort,
    /// From the newest or dearest on.
    pub descending: bool,
    /// How many are left out before it.
    pub offset: i64,
    /// How many.
    pub limit: i64,
    /// All are counted, but no further than this: logs are long.
    pub count_upto: i64,
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The rows.
    pub rows: Vec<SpendRow>,
    /// How many there are in all, counted as far as was asked for.
    pub total: i64,
}

impl Store {
    /// Looks into the spend log.
    ///
    /// # Errors
    /// If the database is not available, or what is asked for takes longer than a statement may.
    pub async fn spend_logs(&self, listing: &LogListing) -> Result<Found, StoreError> {
        let mut counted = Draft::new("SELECT COUNT(*) FROM (SELECT 1 FROM spend WHERE true");
        conditions(&mut counted, &listing.filter);
        counted.push(" LIMIT ").value(listing.count_upto).push(") AS found");
        let mut draft = Draft::new("SELECT ");
        draft.names("", SpendRow::COLUMNS).push(" FROM spend WHERE true");
        conditions(&mut draft, &listing.filter);
        let direction = if listing.descending { " DESC" } else { "" };
        draft.push(" ORDER BY ").push(listing.sort.column()).push(direction).push(", row_id").push(direction);
        draft.push(" LIMIT ").value(listing.limit).push(" OFFSET ").value(listing.offset);
        self.within(async {
            let mut db = self.reader().await?;
            let total = if listing.count_upto > 0 { db.one(counted.done()).await? } else { 0 };
            Ok(Found { rows: db.all(draft.done()).await?, total })
        })
        .await
    }
}

impl LogSort {
    fn column(self) -> &'static str {
        match self {
            Self::StartedAt => "started_at",
            Self::EndedAt => "ended_at",
            Self::Spend => "spend",
            Self::TotalTokens => "total_tokens",
            Self::Duration => "request_duration_ms",
            Self::Model => "model",
        }
    }
}

fn conditions(draft: &mut Draft, filter: &LogFilter) {
    let compared: [(&'static str, Option<Value>); 4] = [
        (" AND started_at >= ", filter.from.map(Value::from)),
        (" AND started_at < ", filter.to.map(Value::from)),
        (" AND spend >= ", filter.min_spend.map(Value::from)),
        (" AND spend <= ", filter.max_spend.map(Value::from)),
    ];
    let equal = [
        (" AND user_id = ", &filter.user_id),
        (" AND organization_id = ", &filter.organization_id),
        (" AND end_user = ", &filter.end_user),
        (" AND session_id = ", &filter.session_id),
        (" AND model = ", &filter.model),
        (" AND model_id = ", &filter.model_id),
        (" AND model_group = ", &filter.model_group),
        (" AND key_alias = ", &filter.key_alias),
        (" AND status = ", &filter.status),
        (" AND error_code = ", &filter.error_code),
        (" AND cache_hit = ", &filter.cache_hit),
    ];
    let equal = equal.into_iter().map(|(condition, text)| (condition, text.as_deref().map(Value::from)));
    for (condition, value) in compared.into_iter().chain(equal) {
        if let Some(value) = value {
            draft.push(condition).value(value);
        }
    }
    if let Some(id) = &filter.request_id {
        for (number, column) in ["request_id", "call_id", "attempt_id"].into_iter().enumerate() {
            draft.push(if number == 0 { " AND (" } else { " OR " }).push(column).push(" = ").value(id.as_str());
        }
        draft.push(")");
    }
    if let Some(words) = &filter.error_message {
        draft.push(" AND lower(error_message) LIKE ").value(holding(&words.to_ascii_lowercase())).push(" ESCAPE '!'");
    }
    for (column, values) in [("api_key", &filter.api_keys), ("team_id", &filter.team_ids)] {
        match values.as_deref() {
            None => {}
            Some([]) => {
                draft.push(" AND false");
            }
            Some(values) => {
                draft.push(" AND ").push(column).push(" IN ").tuple(values.iter().map(|value| value.as_str().into()));
            }
        }
    }
}
