//! How much was asked for: `/global/activity` and what is below it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Value, json};
use tollgate_store::{Activity, By, EpochMs, Failures};
use tollgate_wire::Failure;

use super::{Asked, Days, MOST_LINES, Shown, asked::wrong, is_full};
use crate::admin::{Desk, failure_of};

/// Models that `/global/activity/model` tells of, as `LiteLLM` has it.
const MODELS: usize = 10;
/// The status of refusals that count as exceptions there: too many requests.
const RATE_LIMIT: &str = "429";

impl Desk<'_> {
    /// `GET /global/activity`.
    pub(super) async fn activity(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let filter = Self::days_of("global", Some(asked.stated_days()?));
        let lines = self.sums(&filter, &[By::Date], MOST_LINES).await?;
        Ok(told(lines.iter()).into())
    }

    /// `GET /global/activity/model`: of the busiest.
    pub(super) async fn activity_of_models(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let filter = Self::days_of("global", Some(asked.stated_days()?));
        let lines = self.sums(&filter, &[By::Date, By::ModelGroup], MOST_LINES).await?;
        let mut models: BTreeMap<&str, Vec<&Activity>> = BTreeMap::new();
        lines.iter().for_each(|line| models.entry(&line.model_group).or_default().push(line));
        let mut models: Vec<(&str, Vec<&Activity>)> = models.into_iter().collect();
        models.sort_by_key(|(name, lines)| {
            (std::cmp::Reverse(lines.iter().map(|line| line.requests).sum::<i64>()), *name)
        });
        let each = models.into_iter().take(MODELS).map(|(name, lines)| {
            let mut of = told(lines.into_iter());
            if let Value::Object(of) = &mut of {
                of.insert("model".to_owned(), name.into());
            }
            of
        });
        Ok(Shown { value: each.collect(), is_cut: is_full(&lines, MOST_LINES) })
    }

    /// `GET /global/activity/exceptions`: how often a model's deployments said 429.
    pub(super) async fn exceptions(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let found = self.refusals(asked).await?;
        Ok(Shown { value: exceptions(found.iter()), is_cut: is_full(&found, MOST_LINES) })
    }

    /// `GET /global/activity/exceptions/deployment`: the same by address.
    pub(super) async fn exceptions_of_deployments(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let found = self.refusals(asked).await?;
        let mut addresses: BTreeMap<&str, Vec<&Failures>> = BTreeMap::new();
        found.iter().for_each(|line| addresses.entry(&line.api_base).or_default().push(line));
        let each = addresses.into_iter().map(|(address, lines)| {
            let mut of = exceptions(lines.into_iter());
            if let Value::Object(of) = &mut of {
                of.insert("api_base".to_owned(), address.into());
            }
            of
        });
        Ok(Shown { value: each.collect(), is_cut: is_full(&found, MOST_LINES) })
    }

    async fn refusals(&self, asked: &Asked<'_>) -> Result<Vec<Failures>, Failure> {
        let group = asked.text("model_group").ok_or_else(|| wrong("model_group", "the name of a model"))?;
        let range = asked.stated_days()?.moments();
        let found = self.store.failures(range, &group, RATE_LIMIT, MOST_LINES).await;
        found.map_err(|error| failure_of(error, ""))
    }

    /// `GET /global/activity/cache_hits`.
    pub(super) async fn cache_hits(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let range = asked.stated_days()?.moments();
        let failed = |error| failure_of(error, "");
        let keys = match asked.texts("key_aliases")? {
            Some(aliases) => {
                let rows = self.store.keys_by_alias(&aliases).await.map_err(failed)?;
                Some(rows.into_iter().map(|row| row.token).collect::<Vec<_>>())
            }
            None => None,
        };
        let models = asked.texts("models")?;
        let found =
            self.store.cache_use(range, keys.as_deref(), models.as_deref(), MOST_LINES).await.map_err(failed)?;
        let mut tokens: Vec<String> = found.iter().map(|line| line.api_key.clone()).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let rows = self.store.find_keys(&tokens).await.map_err(failed)?;
        let told = found.iter().map(|line| {
            let row = rows.iter().find(|row| row.token == line.api_key);
            json!({
                // LiteLLM calls it so, and means the key's name.
                "api_key": row.and_then(|row| row.key_alias.as_deref()).unwrap_or("Unnamed Key"),
                "call_type": line.call_type,
                "model": line.model,
                "total_rows": line.requests,
                "cache_hit_true_rows": line.hits,
                "cached_completion_tokens": line.cached_tokens,
                "generated_completion_tokens": line.made_tokens,
            })
        });
        Ok(Shown { value: told.collect(), is_cut: is_full(&found, MOST_LINES) })
    }
}

/// Days with their requests and tokens, and the sums of them.
fn told<'l>(lines: impl Iterator<Item = &'l Activity> + Clone) -> Value {
    let tokens = |line: &Activity| line.prompt_tokens + line.completion_tokens;
    let days = lines.clone().map(|line| {
        let date = line.date.parse().map_or_else(|_| line.date.clone(), shown);
        json!({"date": date, "api_requests": line.requests, "total_tokens": tokens(line)})
    });
    json!({
        "daily_data": days.collect::<Value>(),
        "sum_api_requests": lines.clone().map(|line| line.requests).sum::<i64>(),
        "sum_total_tokens": lines.map(tokens).sum::<i64>(),
    })
}

fn exceptions<'l>(lines: impl Iterator<Item = &'l Failures>) -> Value {
    let mut days: BTreeMap<i64, i64> = BTreeMap::new();
    lines.for_each(|line| *days.entry(line.day).or_default() += line.count);
    let each = days.iter().map(|(day, count)| {
        let date = Days::before(EpochMs(day * 86_400_000), 0).to;
        json!({"date": shown(date), "num_rate_limit_exceptions": count})
    });
    json!({
        "daily_data": each.collect::<Value>(),
        "sum_num_rate_limit_exceptions": days.values().sum::<i64>(),
    })
}

/// A day as `LiteLLM` writes it here: `Nov 21`.
fn shown(day: Date) -> String {
    day.strftime("%b %d").to_string()
}
