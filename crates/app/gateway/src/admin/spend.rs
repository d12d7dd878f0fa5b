//! What was spent, by whom and with what (surface chapter 4.7): each path is a [`SpendView`], each view one function below.
//! Nothing here changes anything. The admin and whoever may see everything sees all of it; others see what is their own.

mod activity;
pub(super) mod asked;
mod budgets;
mod daily;
mod logs;
mod price;
mod totals;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use tollgate_policy::{Caller, Role, RouteClass, admit};
use tollgate_store::ActivityFilter;
use tollgate_wire::{Failure, FailureKind};

use self::asked::{Asked, Days};
use super::{Desk, failure_of, keys::token_of, object};
use crate::gateway::Gateway;

/// Lines of sums that one answer is made of, at most; the dearest come first.
const MOST_LINES: i64 = 20_000;

/// Whose days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Users', or everybody's.
    Users,
    /// Teams'.
    Teams,
    /// Tags'.
    Tags,
    /// Organizations'.
    Organizations,
    /// Customers'.
    Customers,
    /// Customers', by their older name.
    EndUsers,
    /// Agents'.
    Agents,
}

/// What a route about spend shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendView {
    /// `GET /spend/logs`
    Logs,
    /// `GET /spend/logs/v2`
    LogsPaged,
    /// `GET /spend/logs/ui`
    LogsOfPage,
    /// `GET /spend/logs/session/ui`
    LogsOfSession,
    /// `GET /spend/logs/ui/{request_id}`
    Log,
    /// `GET /spend/keys`
    Keys,
    /// `GET /spend/users`
    Users,
    /// `GET /spend/tags`
    Tags,
    /// `POST /spend/calculate`
    Calculate,
    /// `GET /global/spend`
    Global,
    /// `GET /global/spend/logs`
    GlobalDays,
    /// `GET /global/spend/keys`
    GlobalKeys,
    /// `GET /global/spend/models`
    GlobalModels,
    /// `GET /global/spend/teams`
    GlobalTeams,
    /// `GET /global/spend/tags`
    GlobalTags,
    /// `GET /global/spend/all_tag_names`
    TagNames,
    /// `GET /global/spend/provider`
    GlobalProviders,
    /// `GET /global/spend/report`
    Report,
    /// `POST /global/spend/end_users`
    Customers,
    /// `GET /global/activity`
    Activity,
    /// `GET /global/activity/model`
    ActivityOfModels,
    /// `GET /global/activity/exceptions`
    Exceptions,
    /// `GET /global/activity/exceptions/deployment`
    ExceptionsOfDeployments,
    /// `GET /global/activity/cache_hits`
    CacheHits,
    /// `GET /provider/budgets`
    ProviderBudgets,
    /// `GET /user/daily/activity` and its like
    Daily(Whose),
    /// `GET /user/daily/activity/aggregated` and its like: all days at once
    Aggregated(Whose),
}

impl SpendView {
    /// All of them.
    pub const ALL: [Self; 39] = [
        Self::Logs,
        Self::LogsPaged,
        Self::LogsOfPage,
        Self::LogsOfSession,
        Self::Log,
        Self::Keys,
        Self::Users,
        Self::Tags,
        Self::Calculate,
        Self::Global,
        Self::GlobalDays,
        Self::GlobalKeys,
        Self::GlobalModels,
        Self::GlobalTeams,
        Self::GlobalTags,
        Self::TagNames,
        Self::GlobalProviders,
        Self::Report,
        Self::Customers,
        Self::Activity,
        Self::ActivityOfModels,
        Self::Exceptions,
        Self::ExceptionsOfDeployments,
        Self::CacheHits,
        Self::ProviderBudgets,
        Self::Daily(Whose::Users),
        Self::Aggregated(Whose::Users),
        Self::Daily(Whose::Teams),
        Self::Aggregated(Whose::Teams),
        Self::Daily(Whose::Tags),
        Self::Aggregated(Whose::Tags),
        Self::Daily(Whose::Organizations),
        Self::Aggregated(Whose::Organizations),
        Self::Daily(Whose::Customers),
        Self::Aggregated(Whose::Customers),
        Self::Daily(Whose::EndUsers),
        Self::Aggregated(Whose::EndUsers),
        Self::Daily(Whose::Agents),
        Self::Aggregated(Whose::Agents),
    ];

    /// The path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Logs => "/spend/logs",
            Self::LogsPaged => "/spend/logs/v2",
            Self::LogsOfPage => "/spend/logs/ui",
            Self::LogsOfSession => "/spend/logs/session/ui",
            Self::Log => "/spend/logs/ui/{request_id}",
            Self::Keys => "/spend/keys",
            Self::Users => "/spend/users",
            Self::Tags => "/spend/tags",
            Self::Calculate => "/spend/calculate",
            Self::Global => "/global/spend",
            Self::GlobalDays => "/global/spend/logs",
            Self::GlobalKeys => "/global/spend/keys",
            Self::GlobalModels => "/global/spend/models",
            Self::GlobalTeams => "/global/spend/teams",
            Self::GlobalTags => "/global/spend/tags",
            Self::TagNames => "/global/spend/all_tag_names",
            Self::GlobalProviders => "/global/spend/provider",
            Self::Report => "/global/spend/report",
            Self::Customers => "/global/spend/end_users",
            Self::Activity => "/global/activity",
            Self::ActivityOfModels => "/global/activity/model",
            Self::Exceptions => "/global/activity/exceptions",
            Self::ExceptionsOfDeployments => "/global/activity/exceptions/deployment",
            Self::CacheHits => "/global/activity/cache_hits",
            Self::ProviderBudgets => "/provider/budgets",
            Self::Daily(Whose::Users) => "/user/daily/activity",
            Self::Aggregated(Whose::Users) => "/user/daily/activity/aggregated",
            Self::Daily(Whose::Teams) => "/team/daily/activity",
            Self::Aggregated(Whose::Teams) => "/team/daily/activity/aggregated",
            Self::Daily(Whose::Tags) => "/tag/daily/activity",
            Self::Aggregated(Whose::Tags) => "/tag/daily/activity/aggregated",
            Self::Daily(Whose::Organizations) => "/organization/daily/activity",
            Self::Aggregated(Whose::Organizations) => "/organization/daily/activity/aggregated",
            Self::Daily(Whose::Customers) => "/customer/daily/activity",
            Self::Aggregated(Whose::Customers) => "/customer/daily/activity/aggregated",
            Self::Daily(Whose::EndUsers) => "/end_user/daily/activity",
            Self::Aggregated(Whose::EndUsers) => "/end_user/daily/activity/aggregated",
            Self::Daily(Whose::Agents) => "/agent/daily/activity",
            Self::Aggregated(Whose::Agents) => "/agent/daily/activity/aggregated",
        }
    }

    /// It has a body.
    #[must_use]
    pub const fn is_posted(self) -> bool {
        matches!(self, Self::Calculate | Self::Customers)
    }

    /// Whether it is for whoever sees everything, or everybody sees his own part.
    const fn class(self) -> RouteClass {
        match self {
            Self::Logs
            | Self::LogsPaged
            | Self::LogsOfPage
            | Self::LogsOfSession
            | Self::Log
            | Self::Calculate
            | Self::Daily(Whose::Users | Whose::Teams)
            | Self::Aggregated(Whose::Users | Whose::Teams) => RouteClass::Own,
            _ => RouteClass::Manage,
        }
    }
}

/// A request about spend as it came.
#[derive(Debug)]
pub struct SpendAsk {
    /// What is to be shown.
    pub view: SpendView,
    /// The request's headers.
    pub headers: HeaderMap,
    /// Its query.
    pub query: HashMap<String, String>,
    /// Its body: a JSON object, or nothing.
    pub body: Bytes,
    /// The id that its path names.
    pub of_path: Option<String>,
}

/// What is shown.
#[derive(Debug, PartialEq)]
pub struct Shown {
    /// The answer.
    pub value: Value,
    /// There is more than one answer may hold: it was cut.
    pub is_cut: bool,
}

impl From<Value> for Shown {
    fn from(value: Value) -> Self {
        Self { value, is_cut: false }
    }
}

impl Gateway {
    /// Shows what was spent.
    ///
    /// # Errors
    /// 401 and 403 for whoever may not see it, 400 for a request that cannot be read, 404 for what is not there, 503 while
    /// the store does not answer.
    pub async fn show_spend(self: &Arc<Self>, ask: SpendAsk) -> Result<Shown, Failure> {
        let snapshot = self.snapshot();
        let caller = self.identify(&snapshot, &ask.headers).await?;
        admit(&caller, ask.view.class(), ask.view.path())?;
        let Some(callers) = &self.callers else {
            return Err(Failure::new(FailureKind::NotBuilt, "this gateway runs without a store"));
        };
        let desk = self.desk(&snapshot, callers, &caller, ask.view.path());
        let (asked, body) = (Asked(&ask.query), object(&ask.body)?);
        match ask.view {
            SpendView::Logs => desk.logs(&asked).await,
            SpendView::LogsPaged | SpendView::LogsOfPage => desk.logs_paged(&asked).await,
            SpendView::LogsOfSession => desk.logs_of_session(&asked).await,
            SpendView::Log => desk.log(&asked, &ask.of_path.unwrap_or_default()).await,
            SpendView::Keys => desk.dearest_keys().await,
            SpendView::Users => desk.dearest_users(&asked).await,
            SpendView::Tags => desk.tags(&asked).await,
            SpendView::Calculate => desk.calculate(&body).await,
            SpendView::Global => desk.spent().await,
            SpendView::GlobalDays => desk.spent_by_day(&asked).await,
            SpendView::GlobalKeys => desk.spent_by_key(&asked).await,
            SpendView::GlobalModels => desk.spent_by_model(&asked).await,
            SpendView::GlobalTeams => desk.spent_by_team().await,
            SpendView::GlobalTags => desk.spent_by_tag(&asked).await,
            SpendView::TagNames => desk.tag_names().await,
            SpendView::GlobalProviders => desk.spent_by_provider(&asked).await,
            SpendView::Report => desk.report(&asked).await,
            SpendView::Customers => desk.spent_by_customer(&body).await,
            SpendView::Activity => desk.activity(&asked).await,
            SpendView::ActivityOfModels => desk.activity_of_models(&asked).await,
            SpendView::Exceptions => desk.exceptions(&asked).await,
            SpendView::ExceptionsOfDeployments => desk.exceptions_of_deployments(&asked).await,
            SpendView::CacheHits => desk.cache_hits(&asked).await,
            SpendView::ProviderBudgets => desk.provider_budgets(),
            SpendView::Daily(whose) => desk.daily(&asked, whose, false).await,
            SpendView::Aggregated(whose) => desk.daily(&asked, whose, true).await,
        }
    }
}

impl Desk<'_> {
    /// The key, if whoever asks sees only what is his own.
    fn sees_his_own(&self) -> Option<&tollgate_policy::Key> {
        match self.caller {
            Caller::Key(key) if !matches!(key.role, Role::Admin | Role::AdminViewer) => Some(key),
            _ => None,
        }
    }

    /// A key that a request names, by its hash, if whoever asks may see it.
    async fn named_key(&self, asked: &Asked<'_>) -> Result<Option<String>, Failure> {
        let Some(token) = asked.text("api_key").map(|named| token_of(&named)) else { return Ok(None) };
        let Some(own) = self.sees_his_own() else { return Ok(Some(token)) };
        if token == own.digest.to_hex() {
            return Ok(Some(token));
        }
        let row = self.store.key(&token).await.map_err(|error| failure_of(error, ""))?;
        // A key that is not there and one of somebody else's are the same to him.
        match row.is_some_and(|row| self.sees(&row)) {
            true => Ok(Some(token)),
            false => Err(not_yours("api_key")),
        }
    }

    fn days_of(kind: &str, days: Option<Days>) -> ActivityFilter {
        ActivityFilter {
            kind: kind.to_owned(),
            from: days.map(|days| days.from.to_string()),
            to: days.map(|days| days.to.to_string()),
            ..ActivityFilter::default()
        }
    }
}

/// 403 for what is somebody else's.
fn not_yours(name: &str) -> Failure {
    let words = format!("You are not allowed to see this spend: `{name}` names what is not your own");
    Failure::new(FailureKind::RouteDenied, words).with_param(name)
}

/// Whether as many lines came as were asked for: there may be more.
fn is_full<T>(lines: &[T], most: i64) -> bool {
    i64::try_from(lines.len()).unwrap_or(i64::MAX) >= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_listed_once() {
        let mut paths: Vec<&str> = SpendView::ALL.iter().map(|view| view.path()).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), SpendView::ALL.len());
    }
}
