//! Days of users, teams, tags, organizations and customers: sums of each, and by model, provider, key and so on
//! (`LiteLLM`'s
//! `SpendAnalyticsPaginatedResponse`).

use std::collections::BTreeMap;

use jiff::{civil::Date, tz::TimeZone};
use serde_json::{Map, Value, json};
use tollgate_policy::Role;
use tollgate_store::{Activity, ActivityFilter, By, Key, KeyFilter, KeyListing, KeySort};
use tollgate_wire::Failure;

use super::{
    Asked, MOST_LINES, Shown, Whose,
    asked::{MOST_DAYS, midnight, wrong},
    is_full, not_yours,
};
use crate::admin::{Desk, failure_of, fields};

/// Days of one page.
const LARGEST_PAGE: i64 = 1_000;
/// Days of one page where each is summed up from rows.
const LARGEST_ZONED_PAGE: i64 = 366;
/// Keys of a user that are looked at where he sees a team's days.
const MOST_KEYS: i64 = 1_000;
/// By what a line of sums is told apart.
const BY: [By; 8] = [By::Date, By::Id, By::Key, By::Model, By::ModelGroup, By::Provider, By::Endpoint, By::McpTool];

/// What was used, in sums.
#[derive(Clone, Copy, Default)]
struct Metrics {
    spend: i64,
    prompt: i64,
    completion: i64,
    cache_read: i64,
    cache_write: i64,
    successes: i64,
    failures: i64,
    requests: i64,
}

/// Sums of one name, and of each key under it.
#[derive(Default)]
struct Part {
    metrics: Metrics,
    keys: BTreeMap<String, Metrics>,
}

/// One day.
#[derive(Default)]
struct Day {
    metrics: Metrics,
    /// By what ([`PARTS`]), then by name.
    parts: [BTreeMap<String, Part>; PARTS.len()],
    keys: BTreeMap<String, Metrics>,
}

/// What a day is broken down by, under `LiteLLM`'s names.
const PARTS: [&str; 6] = ["models", "model_groups", "providers", "endpoints", "mcp_servers", "entities"];

impl Metrics {
    fn of(line: &Activity) -> Self {
        Self {
            spend: line.spend.0,
            prompt: line.prompt_tokens,
            completion: line.completion_tokens,
            cache_read: line.cache_read_tokens,
            cache_write: line.cache_write_tokens,
            successes: line.successes,
            failures: line.failures,
            requests: line.requests,
        }
    }

    fn add(&mut self, more: Self) {
        self.spend += more.spend;
        self.prompt += more.prompt;
        self.completion += more.completion;
        self.cache_read += more.cache_read;
        self.cache_write += more.cache_write;
        self.successes += more.successes;
        self.failures += more.failures;
        self.requests += more.requests;
    }

    fn told(self) -> Value {
        json!({
            "spend": fields::usd(self.spend),
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation_input_tokens": self.cache_write,
            "total_tokens": self.prompt + self.completion,
            "successful_requests": self.successes,
            "failed_requests": self.failures,
            "api_requests": self.requests,
        })
    }
}

impl Day {
    fn add(&mut self, line: &Activity) {
        let metrics = Metrics::of(line);
        self.metrics.add(metrics);
        self.keys.entry(line.api_key.clone()).or_default().add(metrics);
        let names = [&line.model, &line.model_group, &line.provider, &line.endpoint, &line.mcp_tool, &line.id];
        for (part, name) in self.parts.iter_mut().zip(names) {
            if name.is_empty() {
                continue;
            }
            let part = part.entry(name.clone()).or_default();
            part.metrics.add(metrics);
            part.keys.entry(line.api_key.clone()).or_default().add(metrics);
        }
    }

    fn told(&self, date: Date, keys: &[Key]) -> Value {
        let mut breakdown = Map::new();
        for (name, part) in PARTS.iter().zip(&self.parts) {
            let each = part.iter().map(|(name, part)| {
                let told = json!({
                    "metrics": part.metrics.told(),
                    "metadata": {},
                    "api_key_breakdown": of_keys(&part.keys, keys),
                });
                (name.clone(), told)
            });
            breakdown.insert((*name).to_owned(), Value::Object(each.collect()));
        }
        breakdown.insert("api_keys".to_owned(), of_keys(&self.keys, keys));
        json!({"date": date.to_string(), "metrics": self.metrics.told(), "breakdown": breakdown})
    }
}

fn of_keys(sums: &BTreeMap<String, Metrics>, keys: &[Key]) -> Value {
    let each = sums.iter().map(|(token, metrics)| {
        let row = keys.iter().find(|row| row.token == *token);
        let told = json!({
            "metrics": metrics.told(),
            "metadata": {
                "key_alias": row.and_then(|row| row.key_alias.as_deref()),
                "team_id": row.and_then(|row| row.team_id.as_deref()),
            },
        });
        (token.clone(), told)
    });
    Value::Object(each.collect())
}

/// Which page.
struct Page {
    number: i64,
    size: i64,
}

impl Page {
    fn of<T>(&self, all: Vec<T>) -> Vec<T> {
        let before = usize::try_from((self.number - 1).saturating_mul(self.size)).unwrap_or(usize::MAX);
        all.into_iter().skip(before).take(usize::try_from(self.size).unwrap_or(usize::MAX)).collect()
    }
}

impl Desk<'_> {
    /// `GET /…/daily/activity`: the newest days first, page by page, or all of them.
    pub(super) async fn daily(&self, asked: &Asked<'_>, whose: Whose, is_whole: bool) -> Result<Shown, Failure> {
        let (kind, named, excluded) = named(whose);
        let (days, zone) = (asked.stated_days()?, asked.zone()?);
        if zone.is_some() && kind == "tag" {
            return Err(wrong("timezone", "left out: what is spent by tag is kept by day in UTC alone"));
        }
        if asked.text(excluded).is_some() {
            return Err(wrong(excluded, &format!("left out; say in `{named}` who is wanted")));
        }
        let page = page(asked, kind, zone.is_some(), is_whole)?;
        let filter = ActivityFilter {
            ids: asked.texts(named)?,
            api_keys: self.named_key(asked).await?.map(|token| vec![token]),
            model: asked.text("model"),
            ..Self::days_of(kind, Some(days))
        };
        let filter = self.own_days(filter, named).await?;
        let (total, shown, is_cut) = match zone {
            None => self.kept_days(&filter, &page).await?,
            Some(zone) => {
                let all: Vec<Date> = days.each().rev().collect();
                let total = all.len();
                let (days, is_cut) = self.zoned_days(&filter, page.of(all), &zone).await?;
                (total, days, is_cut)
            }
        };
        self.told_days(&shown, total, &page, is_cut).await
    }

    /// Whoever does not see everything: of users himself (a key without one: its own), of teams his own; there his own keys, but all
    /// of them if he leads the team.
    async fn own_days(&self, mut filter: ActivityFilter, named: &str) -> Result<ActivityFilter, Failure> {
        if filter.kind == "user" && filter.ids.is_none() && self.sees_his_own().is_none() {
            // Whoever sees everything sees what no user spent, too.
            filter.kind = "global".to_owned();
        }
        let Some(own) = self.sees_his_own() else { return Ok(filter) };
        let token = own.digest.to_hex();
        let holder = if filter.kind == "user" { own.user.as_ref() } else { own.team.as_ref() };
        let is_foreign = |ids: &Vec<String>| ids.iter().any(|id| Some(id) != holder);
        if filter.ids.as_ref().is_some_and(is_foreign) {
            return Err(not_yours(named));
        }
        match (filter.kind.as_str(), holder) {
            ("user", Some(user)) => filter.ids = Some(vec![user.clone()]),
            ("user", None) => {
                filter.kind = "global".to_owned();
                filter.api_keys = filter.api_keys.or(Some(vec![token]));
            }
            (_, None) => filter.ids = Some(Vec::new()),
            (_, Some(team)) => {
                if filter.api_keys.is_none() && !self.leads(own.user.as_deref(), team).await? {
                    filter.api_keys = Some(self.keys_of(own.user.as_deref(), token).await?);
                }
                filter.ids = Some(vec![team.clone()]);
            }
        }
        Ok(filter)
    }

    /// Whether the user is an admin of the team.
    async fn leads(&self, user: Option<&str>, team: &str) -> Result<bool, Failure> {
        let Some(user) = user else { return Ok(false) };
        let role = self.caller.key().map(|key| key.role);
        let members = self.store.memberships_of(user).await.map_err(|error| failure_of(error, ""))?;
        let admin = members.iter().any(|member| member.team_id == team && member.role == "admin");
        Ok(admin && role != Some(Role::Viewer))
    }

    /// The keys of a user, or this one.
    async fn keys_of(&self, user: Option<&str>, token: String) -> Result<Vec<String>, Failure> {
        let Some(user) = user else { return Ok(vec![token]) };
        let listing = KeyListing {
            filter: KeyFilter { user_id: Some(user.to_owned()), ..KeyFilter::default() },
            sort: KeySort::CreatedAt,
            descending: true,
            after: None,
            offset: 0,
            limit: MOST_KEYS,
            count: false,
        };
        let listed = self.store.list_keys(&listing).await.map_err(|error| failure_of(error, ""))?;
        Ok(listed.keys.into_iter().map(|(row, _)| row.token).collect())
    }

    /// The days of a page that sums are kept of: how many days have any, those of the page, and whether lines are missing.
    async fn kept_days(&self, filter: &ActivityFilter, page: &Page) -> Result<(usize, Days, bool), Failure> {
        let whole = self.sums(filter, &[By::Date], MOST_LINES).await?;
        let total = whole.len();
        let mut newest = whole;
        newest.reverse();
        let of_page = page.of(newest);
        let (Some(last), Some(first)) = (of_page.first(), of_page.last()) else {
            return Ok((total, Vec::new(), false));
        };
        let within = ActivityFilter { from: Some(first.date.clone()), to: Some(last.date.clone()), ..filter.clone() };
        let lines = self.sums(&within, &BY, MOST_LINES).await?;
        let mut days: BTreeMap<&str, Day> = BTreeMap::new();
        lines.iter().for_each(|line| days.entry(&line.date).or_default().add(line));
        let told = of_page.iter().filter_map(|line| {
            let mut day = days.remove(line.date.as_str()).unwrap_or_default();
            // What was cut off is missing in the parts, not in the whole.
            day.metrics = Metrics::of(line);
            Some((line.date.parse().ok()?, day))
        });
        let told: Days = told.collect();
        Ok((total, told, is_full(&lines, MOST_LINES)))
    }

    /// These days as they are in a zone, summed up from rows.
    async fn zoned_days(
        &self,
        filter: &ActivityFilter,
        dates: Vec<Date>,
        zone: &TimeZone,
    ) -> Result<(Days, bool), Failure> {
        let (mut days, mut left) = (Vec::new(), MOST_LINES);
        for date in dates {
            let next = date.tomorrow().unwrap_or(Date::MAX);
            let range = (midnight(date, zone), midnight(next, zone));
            let lines = self.store.activity_of_rows(range, filter, &BY, left).await;
            let lines = lines.map_err(|error| failure_of(error, ""))?;
            let is_cut = is_full(&lines, left);
            left -= i64::try_from(lines.len()).unwrap_or(left);
            let mut day = Day::default();
            lines.iter().for_each(|line| day.add(line));
            if !lines.is_empty() {
                days.push((date, day));
            }
            if is_cut {
                return Ok((days, true));
            }
        }
        Ok((days, false))
    }

    async fn told_days(&self, days: &Days, total: usize, page: &Page, is_cut: bool) -> Result<Shown, Failure> {
        let mut tokens: Vec<String> = days.iter().flat_map(|(_, day)| day.keys.keys().cloned()).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let keys = self.store.find_keys(&tokens).await.map_err(|error| failure_of(error, ""))?;
        let results: Vec<Value> = days.iter().map(|(date, day)| day.told(*date, &keys)).collect();
        let mut sum = Metrics::default();
        days.iter().for_each(|(_, day)| sum.add(day.metrics));
        let pages = i64::try_from(total).unwrap_or(i64::MAX).saturating_add(page.size - 1) / page.size;
        // As LiteLLM has them, the sums are of the page: its dashboard adds those of all pages.
        let metadata = json!({
            "total_spend": fields::usd(sum.spend),
            "total_prompt_tokens": sum.prompt,
            "total_completion_tokens": sum.completion,
            "total_tokens": sum.prompt + sum.completion,
            "total_api_requests": sum.requests,
            "total_successful_requests": sum.successes,
            "total_failed_requests": sum.failures,
            "total_cache_read_input_tokens": sum.cache_read,
            "total_cache_creation_input_tokens": sum.cache_write,
            "page": page.number,
            "total_pages": pages,
            "has_more": page.number < pages,
        });
        Ok(Shown { value: json!({"results": results, "metadata": metadata}), is_cut })
    }
}

/// The kind of days, the parameter that says whose, and LiteLLM's for whose not.
fn named(whose: Whose) -> (&'static str, &'static str, &'static str) {
    match whose {
        Whose::Users => ("user", "user_id", "exclude_user_ids"),
        Whose::Teams => ("team", "team_ids", "exclude_team_ids"),
        Whose::Tags => ("tag", "tags", "exclude_tags"),
        Whose::Organizations => ("organization", "organization_ids", "exclude_organization_ids"),
        Whose::Customers | Whose::EndUsers => ("customer", "end_user_ids", "exclude_end_user_ids"),
        Whose::Agents => ("agent", "agent_ids", "exclude_agent_ids"),
    }
}

fn page(asked: &Asked<'_>, kind: &str, is_zoned: bool, is_whole: bool) -> Result<Page, Failure> {
    let most = if is_zoned { LARGEST_ZONED_PAGE } else { i64::from(MOST_DAYS) };
    if is_whole {
        return Ok(Page { number: 1, size: most });
    }
    let usual = if kind == "user" { 50 } else { 10 };
    // LiteLLM's dashboard asks for pages of a thousand; the next page has what one of ours has not.
    let size = asked.number("page_size", usual, LARGEST_PAGE)?.min(most);
    Ok(Page { number: asked.number("page", 1, i64::from(i32::MAX))?, size })
}

/// Days with what was used on them, the newest first.
type Days = Vec<(Date, Day)>;
