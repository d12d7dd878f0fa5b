//! The log of attempts: `/spend/logs`, its pages, and one of its rows.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value, json};
use tollgate_store::{Activity, ActivityFilter, By, EpochMs, Json, LogFilter, LogListing, LogSort, SpendRow};
use tollgate_wire::Failure;

use super::{Asked, Days, Shown, asked::wrong, is_full, not_yours};
use crate::admin::{Desk, failure_of, fields, not_found};

/// Rows that `/spend/logs` gives at most, as `LiteLLM` has it.
const MOST_ROWS: i64 = 10_000;
/// Rows of one page.
const LARGEST_PAGE: i64 = 100;
/// Rows that are counted and paged through; what lies deeper is found by filters and days.
const MOST_COUNTED: i64 = 100_000;
/// Days that pages show if nobody says which.
const USUAL_DAYS: i64 = 30;

/// What was spent on a day.
#[derive(Default)]
struct Day {
    spend: i64,
    keys: BTreeMap<String, i64>,
    users: BTreeMap<String, i64>,
    models: BTreeMap<String, i64>,
}

impl Desk<'_> {
    /// `GET /spend/logs`: rows, or with days sums of each day.
    pub(super) async fn logs(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let days = asked.days()?;
        let filter = LogFilter {
            api_keys: self.named_key(asked).await?.map(|token| vec![token]),
            user_id: asked.text("user_id"),
            request_id: asked.text("request_id"),
            ..LogFilter::default()
        };
        let mut filter = self.own_rows(filter)?;
        // The last day is named by its beginning, and so is not in it (surface 4.7).
        let (Some(days), true) = (days, asked.flag("summarize", true)?) else {
            if let Some(Days { from, to }) = days {
                filter.from = Some(Days { from, to: from }.moments().0);
                filter.to = Some(Days { from: to, to }.moments().0);
            }
            let (rows, is_cut) = self.rows(filter).await?;
            let told = self.gateway.workers.compute(move || rows.iter().map(|row| log(row, true)).collect::<Vec<_>>());
            let told = told.await.ok_or_else(|| Failure::bug("writing down the spend log panicked"))?;
            return Ok(Shown { value: told.into(), is_cut });
        };
        self.summary(days, filter).await
    }

    async fn rows(&self, filter: LogFilter) -> Result<(Vec<SpendRow>, bool), Failure> {
        let listing = LogListing { filter, descending: true, limit: MOST_ROWS + 1, ..LogListing::default() };
        let found = self.store.spend_logs(&listing).await.map_err(|error| failure_of(error, ""))?;
        let mut rows = found.rows;
        let is_cut = cut(&mut rows, MOST_ROWS);
        Ok((rows, is_cut))
    }

    /// Sums of each day that has some, and zeros for those after the last of them.
    async fn summary(&self, days: Days, filter: LogFilter) -> Result<Shown, Failure> {
        let mut sums: BTreeMap<Date, Day> = BTreeMap::new();
        let is_cut = match &filter.request_id {
            Some(_) => self.sum_rows(days, filter, &mut sums).await?,
            None => self.sum_days(days, filter, &mut sums).await?,
        };
        let mut told: Vec<Value> = sums.iter().map(|(date, day)| day.told(*date)).collect();
        if let Some((last, _)) = sums.last_key_value() {
            let after = days.each().filter(|date| date > last);
            told.extend(after.map(|date| Day::default().told(date)));
        }
        Ok(Shown { value: told.into(), is_cut })
    }

    async fn sum_days(&self, days: Days, filter: LogFilter, sums: &mut BTreeMap<Date, Day>) -> Result<bool, Failure> {
        let Some(to) = days.to.yesterday().ok().filter(|to| *to >= days.from) else { return Ok(false) };
        let days = Days { from: days.from, to };
        let of_user = filter.user_id.is_some();
        let by = async |kind: &str, by: By| -> Result<(Vec<Activity>, bool), Failure> {
            let asked = ActivityFilter {
                ids: filter.user_id.clone().map(|user| vec![user]),
                api_keys: filter.api_keys.clone(),
                ..Self::days_of(kind, Some(days))
            };
            let lines = self.store.activity(&asked, &[By::Date, by], super::MOST_LINES).await;
            let lines = lines.map_err(|error| failure_of(error, ""))?;
            let full = is_full(&lines, super::MOST_LINES);
            Ok((lines, full))
        };
        let kind = if of_user { "user" } else { "global" };
        let (keys, cut_keys) = by(kind, By::Key).await?;
        let (models, cut_models) = by(kind, By::Model).await?;
        let (users, cut_users) = by("user", By::Id).await?;
        for line in keys {
            if let Some(day) = day(sums, &line) {
                day.spend += line.spend.0;
                *day.keys.entry(line.api_key).or_default() += line.spend.0;
            }
        }
        for line in models {
            if let Some(day) = day(sums, &line) {
                *day.models.entry(line.model).or_default() += line.spend.0;
            }
        }
        for line in users {
            if let Some(day) = day(sums, &line) {
                *day.users.entry(line.id).or_default() += line.spend.0;
            }
        }
        Ok(cut_keys || cut_models || cut_users)
    }

    async fn sum_rows(
        &self,
        days: Days,
        mut filter: LogFilter,
        sums: &mut BTreeMap<Date, Day>,
    ) -> Result<bool, Failure> {
        filter.from = Some(days.moments().0);
        filter.to = Some(Days { from: days.to, to: days.to }.moments().0);
        let (rows, is_cut) = self.rows(filter).await?;
        for row in rows {
            let day = sums.entry(Days::before(row.started_at, 0).to).or_default();
            day.spend += row.spend.0;
            *day.keys.entry(row.api_key).or_default() += row.spend.0;
            *day.models.entry(row.model).or_default() += row.spend.0;
            if let Some(user) = row.user_id {
                *day.users.entry(user).or_default() += row.spend.0;
            }
        }
        Ok(is_cut)
    }

    /// `GET /spend/logs/session/ui`: the calls of one session.
    pub(super) async fn logs_of_session(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        match asked.text("session_id") {
            Some(_) => self.logs_paged(asked).await,
            None => Err(wrong("session_id", "the id of a session")),
        }
    }

    /// `GET /spend/logs/v2`, `GET /spend/logs/ui`.
    pub(super) async fn logs_paged(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let size = asked.number("page_size", 50, LARGEST_PAGE)?;
        let page = asked.number("page", 1, MOST_COUNTED / size)?;
        if asked.flag("group_by_session", false)? {
            return Err(wrong("group_by_session", "false; name a session_id to see its calls"));
        }
        let filter = self.page_filter(asked).await?;
        let sort = asked.word("sort_by", &SORTS)?.unwrap_or_default();
        let descending = asked.word("sort_order", &[("desc", true), ("asc", false)])?.unwrap_or(true);
        let listing = LogListing {
            filter: self.own_rows(filter)?,
            sort,
            descending,
            offset: (page - 1) * size,
            limit: size,
            count_upto: MOST_COUNTED,
        };
        let found = self.store.spend_logs(&listing).await.map_err(|error| failure_of(error, ""))?;
        let rows: Vec<Value> = found.rows.iter().map(|row| log(row, false)).collect();
        let value = json!({
            "data": rows,
            "total": found.total,
            "page": page,
            "page_size": size,
            "total_pages": found.total.saturating_add(size - 1) / size,
        });
        Ok(Shown { value, is_cut: found.total >= MOST_COUNTED })
    }

    async fn page_filter(&self, asked: &Asked<'_>) -> Result<LogFilter, Failure> {
        let (request_id, session_id) = (asked.text("request_id"), asked.text("session_id"));
        let (mut from, to) = (asked.moment("start_date")?, asked.moment("end_date")?);
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(wrong("end_date", "no earlier than start_date"));
        }
        if from.is_none() && request_id.is_none() && session_id.is_none() {
            from = Some(EpochMs(to.unwrap_or(self.now).0 - USUAL_DAYS * 86_400_000));
        }
        let status = asked.word("status_filter", &[("success", "success"), ("failure", "failure")])?;
        let hits = [
            ("hit", "True"),
            ("true", "True"),
            ("True", "True"),
            ("miss", "False"),
            ("false", "False"),
            ("False", "False"),
        ];
        Ok(LogFilter {
            from,
            // The last second is in it.
            to: to.map(|to| EpochMs(to.0 + 1000)),
            api_keys: self.named_key(asked).await?.map(|token| vec![token]),
            user_id: asked.text("user_id"),
            team_ids: asked.text("team_id").map(|team| vec![team]),
            end_user: asked.text("end_user"),
            request_id,
            session_id,
            model: asked.text("model"),
            model_id: asked.text("model_id"),
            model_group: asked.text("model_group"),
            key_alias: asked.text("key_alias"),
            status: status.map(str::to_owned),
            error_code: asked.text("error_code"),
            error_message: asked.text("error_message"),
            cache_hit: asked.word("cache_hit_filter", &hits)?.map(str::to_owned),
            min_spend: asked.money("min_spend")?,
            max_spend: asked.money("max_spend")?,
            organization_id: None,
        })
    }

    /// `GET /spend/logs/ui/{request_id}`: one row, with what is kept of prompt and answer.
    pub(super) async fn log(&self, asked: &Asked<'_>, request_id: &str) -> Result<Shown, Failure> {
        let filter = LogFilter {
            request_id: Some(request_id.to_owned()),
            from: asked.moment("start_date")?,
            to: asked.moment("end_date")?.map(|to| EpochMs(to.0 + 1000)),
            ..LogFilter::default()
        };
        let listing =
            LogListing { filter: self.own_rows(filter)?, descending: true, limit: 1, ..LogListing::default() };
        let found = self.store.spend_logs(&listing).await.map_err(|error| failure_of(error, ""))?;
        let row = found
            .rows
            .first()
            .ok_or_else(|| not_found("no call with this id is in the spend log").with_param("request_id"))?;
        Ok(log(row, true).into())
    }

    /// Whoever does not see everything sees the rows of his user, else of his key.
    fn own_rows(&self, mut filter: LogFilter) -> Result<LogFilter, Failure> {
        let Some(own) = self.sees_his_own() else { return Ok(filter) };
        if filter.user_id.is_some() && filter.user_id != own.user {
            return Err(not_yours("user_id"));
        }
        // A key that he names was looked at already.
        if filter.api_keys.is_none() {
            match &own.user {
                Some(user) => filter.user_id = Some(user.clone()),
                None => filter.api_keys = Some(vec![own.digest.to_hex()]),
            }
        }
        Ok(filter)
    }
}

const SORTS: [(&str, LogSort); 6] = [
    ("startTime", LogSort::StartedAt),
    ("endTime", LogSort::EndedAt),
    ("spend", LogSort::Spend),
    ("total_tokens", LogSort::TotalTokens),
    ("request_duration_ms", LogSort::Duration),
    ("model", LogSort::Model),
];

/// Leaves no more than so many, and says whether there were.
fn cut<T>(rows: &mut Vec<T>, most: i64) -> bool {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let is_cut = rows.len() > most;
    rows.truncate(most);
    is_cut
}

/// The day of a line.
fn day<'s>(sums: &'s mut BTreeMap<Date, Day>, line: &Activity) -> Option<&'s mut Day> {
    // What is no date cannot have been asked for.
    line.date.parse().ok().map(|date| sums.entry(date).or_default())
}

impl Day {
    fn told(&self, date: Date) -> Value {
        let sums = |of: &BTreeMap<String, i64>| -> Map<String, Value> {
            of.iter().map(|(name, spend)| (name.clone(), fields::usd(*spend))).collect()
        };
        let mut told = sums(&self.keys);
        let more = json!({
            "startTime": date.to_string(),
            "spend": fields::usd(self.spend),
            "users": sums(&self.users),
            "models": sums(&self.models),
        });
        if let Value::Object(more) = more {
            told.extend(more);
        }
        told.into()
    }
}

/// A row as `LiteLLM_SpendLogs` has it (surface 8.3), and what we know beside it; prompt and answer if they are wanted.
fn log(row: &SpendRow, whole: bool) -> Value {
    let document = |column: &Option<Json>, empty: Value| {
        column.as_ref().and_then(|json| serde_json::from_str(&json.0).ok()).unwrap_or(empty)
    };
    let kept = |column: &Option<Json>| if whole { document(column, json!({})) } else { json!({}) };
    json!({
        "request_id": row.request_id,
        "call_type": row.call_type,
        "api_key": row.api_key,
        "key_alias": row.key_alias,
        "spend": fields::usd(row.spend.0),
        "total_tokens": row.total_tokens,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "cache_read_input_tokens": row.cache_read_tokens,
        "cache_creation_input_tokens": row.cache_write_tokens,
        "startTime": fields::iso(row.started_at),
        "endTime": fields::iso(row.ended_at),
        "completionStartTime": row.completion_started_at.map(fields::iso),
        "request_duration_ms": row.request_duration_ms,
        "model": row.model,
        "model_id": row.model_id.as_deref().unwrap_or_default(),
        "model_group": row.model_group.as_deref().unwrap_or_default(),
        "custom_llm_provider": row.provider.as_deref().unwrap_or_default(),
        "api_base": row.api_base.as_deref().unwrap_or_default(),
        "user": row.user_id.as_deref().unwrap_or_default(),
        "team_id": row.team_id,
        "organization_id": row.organization_id,
        "project_id": row.project_id,
        "agent_id": row.agent_id,
        "end_user": row.end_user,
        "metadata": document(&row.metadata, json!({})),
        "cache_hit": row.cache_hit.as_deref().unwrap_or_default(),
        "cache_key": row.cache_key.as_deref().unwrap_or_default(),
        "request_tags": document(&row.request_tags, json!([])),
        "requester_ip_address": row.requester_ip_address,
        "session_id": row.session_id,
        "status": row.status,
        "mcp_namespaced_tool_name": row.mcp_tool,
        "error_code": row.error_code,
        "error_message": row.error_message,
        "messages": kept(&row.messages),
        "response": kept(&row.response),
        "proxy_server_request": kept(&row.proxy_server_request),
        "litellm_call_id": row.call_id,
        "attempt_id": row.attempt_id,
        "certainty": row.certainty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_that_is_one_too_many_tells_that_there_are_more() {
        let (mut all, mut more) = (vec![1, 2], vec![1, 2, 3]);
        assert!(!cut(&mut all, 2) && cut(&mut more, 2));
        assert_eq!((all.len(), more.len()), (2, 2));
    }
}
