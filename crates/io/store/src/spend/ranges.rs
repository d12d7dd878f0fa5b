//! Sums over the rows of attempts between two moments: for days of other time zones, for refusals, and for what caches spared.

use super::{
    Activity, ActivityFilter, By,
    daily::{ALL, ROW_SUMS, grouped},
};
use crate::{
    EpochMs, Store, StoreError,
    record::record,
    statement::{Draft, Value},
};

record! {
    /// How often a deployment failed on a day.
    pub struct Failures {
        /// The day in UTC, counted from the beginning of 1970.
        day: i64,
        /// The provider's address.
        api_base: String,
        /// How often.
        count: i64,
    }
}

record! {
    /// What came from caches, and what did not.
    pub struct CacheUse {
        /// The hash of the key.
        api_key: String,
        /// `acompletion` and so on.
        call_type: String,
        /// The model.
        model: String,
        /// Attempts.
        requests: i64,
        /// Those that a cache answered.
        hits: i64,
        /// Tokens out that came from a cache.
        cached_tokens: i64,
        /// Tokens out that were made.
        made_tokens: i64,
    }
}

impl Store {
    /// Sums over the rows of attempts that began between two moments, as [`Store::activity`] has them of days; the filter's own
    /// days are not looked at. Rows are not kept by tag: of tags there is nothing.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn activity_of_rows(
        &self,
        (from, to): (EpochMs, EpochMs),
        filter: &ActivityFilter,
        by: &[By],
        limit: i64,
    ) -> Result<Vec<Activity>, StoreError> {
        let Some((column, id)) = kept_under(&filter.kind) else { return Ok(Vec::new()) };
        let expression = |by: By| if by == By::Id { id } else { by.of_row() };
        let mut draft = Draft::new("SELECT ");
        for one in ALL {
            draft.push(if by.contains(&one) { expression(one) } else { "''" }).push(", ");
        }
        draft.push(ROW_SUMS).push(" FROM spend WHERE started_at >= ").value(from).push(" AND started_at < ").value(to);
        draft.push(" AND certainty <> 'corrected'");
        if !column.is_empty() {
            // Days have no line for whoever was nobody's.
            draft.push(" AND ").push(column).push(" <> ''");
        }
        if let Some(model) = &filter.model {
            draft.push(" AND model = ").value(model.as_str());
        }
        for (column, values) in [(column, &filter.ids), ("api_key", &filter.api_keys)] {
            match values.as_deref() {
                Some([]) => return Ok(Vec::new()),
                Some(values) if !column.is_empty() => {
                    draft
                        .push(" AND ")
                        .push(column)
                        .push(" IN ")
                        .tuple(values.iter().map(|value| value.as_str().into()));
                }
                _ => {}
            }
        }
        grouped(&mut draft, by, expression, limit);
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }

    /// How often the deployments of a model's name failed with this code between two moments, by day and address; at most
    /// `limit` lines, the earliest first.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn failures(
        &self,
        (from, to): (EpochMs, EpochMs),
        model_group: &str,
        error_code: &str,
        limit: i64,
    ) -> Result<Vec<Failures>, StoreError> {
        let mut draft = Draft::new("SELECT started_at / 86400000, COALESCE(api_base, ''), COUNT(*) FROM spend");
        draft.push(" WHERE started_at >= ").value(from).push(" AND started_at < ").value(to);
        draft.push(" AND model_group = ").value(model_group).push(" AND error_code = ").value(error_code);
        draft.push(" GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ").value(limit);
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }

    /// What came from caches between two moments, by key, kind of call and model; at most `limit` lines, the busiest first.
    /// Of these keys and models, if they are named.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn cache_use(
        &self,
        (from, to): (EpochMs, EpochMs),
        api_keys: Option<&[String]>,
        models: Option<&[String]>,
        limit: i64,
    ) -> Result<Vec<CacheUse>, StoreError> {
        let mut draft = Draft::new(
            "SELECT api_key, call_type, model, COUNT(*), \
             COALESCE(CAST(SUM(CASE WHEN cache_hit = 'True' THEN 1 ELSE 0 END) AS bigint), 0), \
             COALESCE(CAST(SUM(CASE WHEN cache_hit = 'True' THEN completion_tokens ELSE 0 END) AS bigint), 0), \
             COALESCE(CAST(SUM(CASE WHEN cache_hit = 'True' THEN 0 ELSE completion_tokens END) AS bigint), 0) FROM spend",
        );
        draft.push(" WHERE started_at >= ").value(from).push(" AND started_at < ").value(to);
        draft.push(" AND certainty <> 'corrected'");
        for (condition, values) in [(" AND api_key IN ", api_keys), (" AND model IN ", models)] {
            match values {
                None => {}
                Some([]) => return Ok(Vec::new()),
                Some(values) => {
                    draft.push(condition).tuple(values.iter().map(|value| Value::from(value.as_str())));
                }
            }
        }
        draft
            .push(" GROUP BY api_key, call_type, model ORDER BY 4 DESC, api_key, call_type, model LIMIT ")
            .value(limit);
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }
}

/// The column of rows that says whose they are, and what it is where nothing is said.
fn kept_under(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "global" => ("", "''"),
        "user" => ("user_id", "COALESCE(user_id, '')"),
        "team" => ("team_id", "COALESCE(team_id, '')"),
        "organization" => ("organization_id", "COALESCE(organization_id, '')"),
        "customer" => ("end_user", "COALESCE(end_user, '')"),
        "agent" => ("agent_id", "COALESCE(agent_id, '')"),
        "project" => ("project_id", "COALESCE(project_id, '')"),
        _ => return None,
    })
}
