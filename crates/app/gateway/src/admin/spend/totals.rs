//! Sums of what was spent: by key, user, team, tag, model, provider, customer; `/spend/keys` and its like, `/global/spend` and
//! what is below it.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use tollgate_store::{Activity, ActivityFilter, By, KeyFilter, KeyListing, KeySort, Page, Sort, UserFilter};
use tollgate_wire::Failure;

use super::{Asked, Days, MOST_LINES, Shown, asked::wrong, is_full};
use crate::admin::{Desk, failure_of, fields, keys::token_of, not_found};

/// `LiteLLM`'s sums without days are of so many.
const MONTH: i64 = 30;
/// Rows of a list that nobody pages through.
const MOST_LISTED: i64 = 1_000;
/// Customers that `/global/spend/end_users` names, as `LiteLLM` has it.
const MOST_CUSTOMERS: i64 = 100;

impl Desk<'_> {
    fn month(&self) -> Days {
        Days::before(self.now, MONTH)
    }

    /// The days that are asked for, else the last month.
    fn days_or_month(&self, asked: &Asked<'_>) -> Result<Days, Failure> {
        Ok(asked.days()?.unwrap_or_else(|| self.month()))
    }

    /// Sums of days.
    pub(super) async fn sums(&self, filter: &ActivityFilter, by: &[By], most: i64) -> Result<Vec<Activity>, Failure> {
        self.store.activity(filter, by, most).await.map_err(|error| failure_of(error, ""))
    }

    /// `GET /spend/keys`: the keys that spent something, the dearest first.
    pub(super) async fn dearest_keys(&self) -> Result<Shown, Failure> {
        let listing = KeyListing {
            filter: KeyFilter::default(),
            sort: KeySort::Spend,
            descending: true,
            after: None,
            offset: 0,
            limit: MOST_LISTED,
            count: false,
        };
        let listed = self.store.list_keys(&listing).await.map_err(|error| failure_of(error, ""))?;
        let is_cut = is_full(&listed.keys, MOST_LISTED);
        let spent = listed.keys.iter().filter(|(_, spent)| spent.settled.0 > 0);
        let rows: Vec<Value> = spent.map(|(row, spent)| fields::info(row, *spent, self.now).into()).collect();
        Ok(Shown { value: rows.into(), is_cut })
    }

    /// `GET /spend/users`: one user, or those that spent most.
    pub(super) async fn dearest_users(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let wanted = asked.text("user_id");
        let filter = UserFilter { ids: wanted.clone().map(|user| vec![user]), ..UserFilter::default() };
        let page = Page { offset: 0, limit: MOST_LISTED };
        let listed = self.store.list_users(&filter, Sort::Spend, true, page).await;
        let listed = listed.map_err(|error| failure_of(error, ""))?;
        if wanted.is_some() && listed.rows.is_empty() {
            return Err(not_found("User not found in database").with_param("user_id"));
        }
        let is_cut = is_full(&listed.rows, MOST_LISTED);
        let rows = listed.rows.iter().map(|(user, spent)| {
            json!({
                "user_id": user.user_id,
                "user_alias": user.user_alias,
                "user_email": user.user_email,
                "user_role": user.user_role,
                "team_id": user.team_id,
                "organization_id": user.organization_id,
                "spend": fields::usd(spent.settled.0),
                "max_budget": user.max_budget.map(|money| fields::usd(money.0)),
                "budget_duration": user.budget_duration,
                "budget_reset_at": user.budget_reset_at.map(fields::iso),
                "tpm_limit": user.tpm_limit,
                "rpm_limit": user.rpm_limit,
                "max_parallel_requests": user.max_parallel_requests,
            })
        });
        Ok(Shown { value: rows.collect(), is_cut })
    }

    /// `GET /spend/tags`.
    pub(super) async fn tags(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let lines = self.sums(&Self::days_of("tag", asked.days()?), &[By::Id], MOST_LISTED).await?;
        let is_cut = is_full(&lines, MOST_LISTED);
        let told = lines.iter().map(|line| {
            json!({
                "individual_request_tag": line.id,
                "log_count": line.requests,
                "total_spend": fields::usd(line.spend.0),
            })
        });
        Ok(Shown { value: told.collect(), is_cut })
    }

    /// `GET /global/spend`: of the last month.
    pub(super) async fn spent(&self) -> Result<Shown, Failure> {
        let lines = self.sums(&Self::days_of("global", Some(self.month())), &[], 1).await?;
        let spend = lines.first().map_or(0, |line| line.spend.0);
        // LiteLLM says zero where the whole proxy has no budget, and ours has none.
        Ok(json!({"spend": fields::usd(spend), "max_budget": 0.0}).into())
    }

    /// `GET /global/spend/logs`: of each day of the last month, of everybody or of one key.
    pub(super) async fn spent_by_day(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let key = asked.text("api_key").map(|key| token_of(&key));
        let filter = ActivityFilter {
            api_keys: key.clone().map(|key| vec![key]),
            ..Self::days_of("global", Some(self.month()))
        };
        let lines = self.sums(&filter, &[By::Date], MOST_LINES).await?;
        let told = lines.iter().map(|line| match &key {
            Some(key) => json!({"date": line.date, "spend": fields::usd(line.spend.0), "api_key": key}),
            None => json!({"date": line.date, "spend": fields::usd(line.spend.0)}),
        });
        Ok(Shown::from(told.collect::<Value>()))
    }

    /// `GET /global/spend/keys`: the dearest of the last month.
    pub(super) async fn spent_by_key(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let most = asked.number("limit", 10, MOST_LISTED)?;
        let lines = self.sums(&Self::days_of("global", Some(self.month())), &[By::Key], most).await?;
        let tokens: Vec<String> = lines.iter().map(|line| line.api_key.clone()).collect();
        let rows = self.store.find_keys(&tokens).await.map_err(|error| failure_of(error, ""))?;
        let told = lines.iter().map(|line| {
            let row = rows.iter().find(|row| row.token == line.api_key);
            json!({
                "api_key": line.api_key,
                "key_alias": row.and_then(|row| row.key_alias.as_deref()),
                "key_name": row.and_then(|row| row.key_name.as_deref()),
                "total_spend": fields::usd(line.spend.0),
            })
        });
        Ok(Shown::from(told.collect::<Value>()))
    }

    /// `GET /global/spend/models`: the dearest of the last month.
    pub(super) async fn spent_by_model(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let most = asked.number("limit", 10, MOST_LISTED)?;
        let lines = self.sums(&Self::days_of("global", Some(self.month())), &[By::Model], most).await?;
        let told = lines.iter().map(|line| json!({"model": line.model, "total_spend": fields::usd(line.spend.0)}));
        Ok(Shown::from(told.collect::<Value>()))
    }

    /// `GET /global/spend/provider`.
    pub(super) async fn spent_by_provider(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let days = self.days_or_month(asked)?;
        let lines = self.sums(&Self::days_of("global", Some(days)), &[By::Provider], MOST_LISTED).await?;
        let told = lines.iter().map(|line| json!({"provider": line.provider, "spend": fields::usd(line.spend.0)}));
        Ok(Shown::from(told.collect::<Value>()))
    }

    /// `GET /global/spend/teams`: of the last month, by day and in all.
    pub(super) async fn spent_by_team(&self) -> Result<Shown, Failure> {
        let days = Some(self.month());
        let lines = self.sums(&Self::days_of("team", days), &[By::Date, By::Id], MOST_LINES).await?;
        let whole = self.sums(&Self::days_of("global", days), &[By::Date], MOST_LINES).await?;
        let names = self.team_names(&lines).await?;
        let mut by_day: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
        for line in &lines {
            let name = names.get(&line.id).unwrap_or(&line.id);
            *by_day.entry(&line.date).or_default().entry(name).or_default() += line.spend.0;
        }
        for line in &whole {
            let day = by_day.entry(&line.date).or_default();
            let rest = line.spend.0 - day.values().sum::<i64>();
            if rest > 0 {
                day.insert(UNASSIGNED, rest);
            }
        }
        let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
        for (name, spend) in by_day.values().flatten() {
            *totals.entry(*name).or_default() += spend;
        }
        let mut dearest: Vec<(&str, i64)> = totals.into_iter().collect();
        dearest.sort_by_key(|(name, spend)| (std::cmp::Reverse(*spend), *name));
        let daily = by_day.iter().map(|(date, teams)| {
            let mut day: Map<String, Value> =
                teams.iter().map(|(name, spend)| ((*name).to_owned(), fields::usd(*spend))).collect();
            day.insert("date".to_owned(), (*date).into());
            Value::Object(day)
        });
        let per_team = dearest.iter().take(10);
        let per_team = per_team.map(|(name, spend)| json!({"team_id": name, "total_spend": fields::usd(*spend)}));
        let value = json!({
            "daily_spend": daily.collect::<Value>(),
            "teams": dearest.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "total_spend_per_team": per_team.collect::<Value>(),
        });
        Ok(Shown { value, is_cut: is_full(&lines, MOST_LINES) })
    }

    /// The names of teams that have one.
    async fn team_names(&self, lines: &[Activity]) -> Result<HashMap<String, String>, Failure> {
        let mut ids: Vec<String> = lines.iter().map(|line| line.id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let teams = self.store.find_teams(&ids).await.map_err(|error| failure_of(error, ""))?;
        Ok(teams.into_iter().filter_map(|team| Some((team.team_id, team.team_alias?))).collect())
    }

    /// `GET /global/spend/tags`.
    pub(super) async fn spent_by_tag(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let named = asked.texts("tags")?.filter(|tags| !tags.iter().any(|tag| tag == "all-tags"));
        let filter = ActivityFilter { ids: named, ..Self::days_of("tag", asked.days()?) };
        let lines = self.sums(&filter, &[By::Id], MOST_LISTED).await?;
        let told = lines
            .iter()
            .map(|line| json!({"name": line.id, "spend": fields::usd(line.spend.0), "log_count": line.requests}));
        let value = json!({"spend_per_tag": told.collect::<Value>()});
        Ok(Shown { value, is_cut: is_full(&lines, MOST_LISTED) })
    }

    /// `GET /global/spend/all_tag_names`.
    pub(super) async fn tag_names(&self) -> Result<Shown, Failure> {
        let lines = self.sums(&Self::days_of("tag", None), &[By::Id], MOST_LISTED).await?;
        let mut names: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        names.sort_unstable();
        Ok(Shown { value: json!({"tag_names": names}), is_cut: is_full(&lines, MOST_LISTED) })
    }

    /// `POST /global/spend/end_users`.
    pub(super) async fn spent_by_customer(&self, body: &Map<String, Value>) -> Result<Shown, Failure> {
        let mut query = HashMap::new();
        for (name, day) in [("api_key", "api_key"), ("startTime", "start_date"), ("endTime", "end_date")] {
            match body.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => drop(query.insert(day.to_owned(), text.clone())),
                Some(_) => return Err(wrong(name, "text")),
            }
        }
        let asked = Asked(&query);
        let filter = ActivityFilter {
            api_keys: asked.text("api_key").map(|key| vec![token_of(&key)]),
            ..Self::days_of("customer", Some(self.days_or_month(&asked)?))
        };
        let lines = self.sums(&filter, &[By::Id], MOST_CUSTOMERS).await?;
        let told = lines.iter().map(
            |line| json!({"end_user": line.id, "total_count": line.requests, "total_spend": fields::usd(line.spend.0)}),
        );
        Ok(Shown::from(told.collect::<Value>()))
    }

    /// `GET /global/spend/report`: by day and team or customer, or by key.
    pub(super) async fn report(&self, asked: &Asked<'_>) -> Result<Shown, Failure> {
        let days = asked.stated_days()?;
        let groups = [("team", "team"), ("customer", "customer"), ("api_key", "api_key")];
        let grouped = asked.word("group_by", &groups)?.unwrap_or("team");
        let api_keys = asked.text("api_key").map(|key| vec![token_of(&key)]);
        let user = asked.text("internal_user_id");
        if grouped == "api_key" || api_keys.is_some() || user.is_some() {
            let kind = if user.is_some() { "user" } else { "global" };
            let filter =
                ActivityFilter { ids: user.map(|user| vec![user]), api_keys, ..Self::days_of(kind, Some(days)) };
            return self.report_of_keys(&filter).await;
        }
        let (kind, id) = match (asked.text("team_id"), asked.text("customer_id"), grouped) {
            (Some(team), _, _) => ("team", Some(team)),
            (None, Some(customer), _) => ("customer", Some(customer)),
            (None, None, grouped) => (grouped, None),
        };
        let filter = ActivityFilter { ids: id.map(|id| vec![id]), ..Self::days_of(kind, Some(days)) };
        self.report_of_days(&filter).await
    }

    async fn report_of_keys(&self, filter: &ActivityFilter) -> Result<Shown, Failure> {
        let lines = self.sums(filter, &[By::Key, By::Model], MOST_LINES).await?;
        let mut keys: BTreeMap<&str, Vec<&Activity>> = BTreeMap::new();
        lines.iter().for_each(|line| keys.entry(&line.api_key).or_default().push(line));
        let told = keys.iter().map(|(key, lines)| {
            let sum = |of: fn(&Activity) -> i64| lines.iter().map(|line| of(line)).sum::<i64>();
            let models = lines.iter().map(|line| {
                json!({
                    "model": line.model,
                    "total_cost": fields::usd(line.spend.0),
                    "total_input_tokens": line.prompt_tokens,
                    "total_output_tokens": line.completion_tokens,
                })
            });
            json!({
                "api_key": key,
                "total_cost": fields::usd(sum(|line| line.spend.0)),
                "total_input_tokens": sum(|line| line.prompt_tokens),
                "total_output_tokens": sum(|line| line.completion_tokens),
                "model_details": models.collect::<Value>(),
            })
        });
        Ok(Shown { value: told.collect(), is_cut: is_full(&lines, MOST_LINES) })
    }

    async fn report_of_days(&self, filter: &ActivityFilter) -> Result<Shown, Failure> {
        let lines = self.sums(filter, &[By::Date, By::Id, By::Model, By::Key], MOST_LINES).await?;
        let is_team = filter.kind == "team";
        let names = if is_team { self.team_names(&lines).await? } else { HashMap::new() };
        let (list, name) = if is_team { ("teams", "team_name") } else { ("customers", "customer") };
        let mut days: BTreeMap<&str, BTreeMap<&str, Vec<&Activity>>> = BTreeMap::new();
        for line in &lines {
            let shown = names.get(&line.id).unwrap_or(&line.id);
            days.entry(&line.date).or_default().entry(shown).or_default().push(line);
        }
        let told = days.iter().map(|(date, of)| {
            let each = of.iter().map(|(id, lines)| {
                let parts = lines.iter().map(|line| {
                    json!({
                        "model": line.model,
                        "spend": fields::usd(line.spend.0),
                        "total_tokens": line.prompt_tokens + line.completion_tokens,
                        "api_key": line.api_key,
                    })
                });
                let total: i64 = lines.iter().map(|line| line.spend.0).sum();
                json!({name: id, "total_spend": fields::usd(total), "metadata": parts.collect::<Value>()})
            });
            json!({"group_by_day": date, list: each.collect::<Value>()})
        });
        Ok(Shown { value: told.collect(), is_cut: is_full(&lines, MOST_LINES) })
    }
}

/// Whom `LiteLLM` names where a call had no team.
const UNASSIGNED: &str = "Unassigned";
