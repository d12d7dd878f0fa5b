//! From the store's rows to the budgets that hold for a key's calls.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};
use tollgate_ledger::windows::Period;
use tollgate_policy::{Budget, BudgetOf};
use tollgate_store::{EpochMs, Json, KeyView, NanoDollars};
use tollgate_wire::Failure;

use super::{fields, rows::document};

/// What one holder's columns say of its money.
struct Columns<'a> {
    most: Option<NanoDollars>,
    duration: Option<&'a str>,
    began: EpochMs,
    /// More, until then.
    raised: Option<(NanoDollars, EpochMs)>,
    /// Several budgets, each with its window (`budget_limits`).
    several: Option<&'a Json>,
}

impl Columns<'_> {
    /// All budgets that they are.
    fn of(&self, of: &BudgetOf, now: EpochMs, budgets: &mut Vec<Budget>) {
        let raised = self.raised.filter(|(_, until)| *until > now).map_or(0, |(more, _)| more.0);
        let began = self.began.0.div_euclid(1000);
        if let Some(most) = self.most {
            let (most, duration) = (most.0.saturating_add(raised), self.duration.map(Arc::from));
            budgets.push(Budget { of: of.clone(), most, duration, began });
        }
        let several: Vec<Map<String, Value>> = document(self.several);
        for one in &several {
            let Some(most) = one.get("max_budget").or_else(|| one.get("budget_limit")).and_then(amount) else {
                continue;
            };
            let duration =
                one.get("budget_duration").or_else(|| one.get("time_period")).and_then(Value::as_str).map(Arc::from);
            budgets.push(Budget { of: of.clone(), most: most.saturating_add(raised), duration, began });
        }
    }
}

/// A budget that others refer to, as columns.
fn shared(budget: &tollgate_store::Budget) -> Columns<'_> {
    Columns {
        most: budget.max_budget,
        duration: budget.budget_duration.as_deref(),
        began: budget.created_at,
        raised: budget.temp_budget_increase.zip(budget.temp_budget_expiry),
        several: None,
    }
}

/// What a budget comes to for somebody who refers to it.
pub(crate) fn of_row(budget: &tollgate_store::Budget, of: &BudgetOf, now: EpochMs) -> Vec<Budget> {
    let mut budgets = Vec::new();
    shared(budget).of(of, now, &mut budgets);
    budgets
}

/// An amount of USD in a document: a number, or one in quotes.
fn amount(value: &Value) -> Option<i64> {
    let usd = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    usd.and_then(fields::nanos).filter(|nanos| *nanos >= 0)
}

/// One budget of a document: an amount and a duration that can be read, or nothing is held of it.
fn check(says: &Value, name: &'static str) -> Result<(), Failure> {
    let refused = |what: &str| Err(Failure::invalid(format!("`{name}`: {what}")).with_param(name));
    let member = |names: [&str; 2]| names.into_iter().find_map(|name| says.get(name));
    let most = if says.is_object() { member(["max_budget", "budget_limit"]) } else { Some(says) };
    if most.and_then(amount).is_none() {
        return refused("each budget needs an amount of USD from 0 on, as `max_budget` or `budget_limit`");
    }
    match member(["budget_duration", "time_period"]).filter(|duration| !duration.is_null()) {
        None => Ok(()),
        Some(duration) if duration.as_str().is_some_and(|text| Period::parse(text).is_ok()) => Ok(()),
        Some(_) => refused("a duration is a whole number and one of s, m, h, d, w, mo, such as 30d"),
    }
}

/// Whether all of `budget_limits` can be held.
///
/// # Errors
/// 400 saying what is wrong.
pub(super) fn check_limits(value: &Value) -> Result<(), Failure> {
    value.as_array().into_iter().flatten().try_for_each(|one| check(one, "budget_limits"))
}

/// Whether all of `model_max_budget` can be held.
///
/// # Errors
/// 400 saying what is wrong.
pub(super) fn check_models(value: &Value) -> Result<(), Failure> {
    value.as_object().into_iter().flatten().try_for_each(|(_, one)| check(one, "model_max_budget"))
}

impl super::Desk<'_> {
    /// Whether the budget is there that a key refers to now and did not before.
    ///
    /// # Errors
    /// 400 if it is not: the key would have none.
    pub(super) async fn has_its_budget(&self, now: Option<&str>, before: Option<&str>) -> Result<(), Failure> {
        let Some(id) = now.filter(|id| before != Some(*id)) else { return Ok(()) };
        let found = self.store.budget(id).await.map_err(|error| super::failure_of(error, id))?;
        let missing =
            || Failure::invalid(format!("there is no budget `{id}`; make it with /budget/new")).with_param("budget_id");
        found.map(drop).ok_or_else(missing)
    }
}

/// All budgets that hold for the calls of a key, its own first.
pub(crate) fn of_key(view: &KeyView, now: EpochMs) -> Vec<Budget> {
    let mut budgets = Vec::new();
    let row = &view.key;
    let key: Arc<str> = row.origin.as_str().into();
    own(view, &BudgetOf::Key(Arc::clone(&key)), now, &mut budgets);
    models(view, &key, &mut budgets);
    if let Some(team) = &view.team {
        let columns = Columns {
            most: team.max_budget,
            duration: team.budget_duration.as_deref(),
            began: team.created_at,
            raised: None,
            several: team.budget_limits.as_ref(),
        };
        columns.of(&BudgetOf::Team(team.team_id.as_str().into()), now, &mut budgets);
    }
    // A user's budget is for keys of his own; in a team the team's and the member's hold (surface chapter 7.8).
    if let Some(user) = view.user.as_ref().filter(|_| row.team_id.is_none()) {
        let columns = Columns {
            most: user.max_budget,
            duration: user.budget_duration.as_deref(),
            began: user.created_at,
            raised: None,
            several: user.budget_limits.as_ref(),
        };
        columns.of(&BudgetOf::User(user.user_id.as_str().into()), now, &mut budgets);
    }
    if let (Some(member), Some(budget)) = (&view.member, &view.member_budget) {
        let of = BudgetOf::Member { team: member.team_id.as_str().into(), user: member.user_id.as_str().into() };
        // Windows of a budget for all members begin for each with himself.
        Columns { began: member.created_at, ..shared(budget) }.of(&of, now, &mut budgets);
    }
    if let (Some(organization), Some(budget)) = (&view.organization, &view.organization_budget) {
        shared(budget).of(&BudgetOf::Organization(organization.organization_id.as_str().into()), now, &mut budgets);
    }
    if let (Some(project), Some(budget)) = (&view.project, &view.project_budget) {
        shared(budget).of(&BudgetOf::Project(project.project_id.as_str().into()), now, &mut budgets);
    }
    budgets
}

/// The key's own budget; what it does not say itself, the one that it refers to says.
fn own(view: &KeyView, of: &BudgetOf, now: EpochMs, budgets: &mut Vec<Budget>) {
    let row = &view.key;
    let shared = view.budget.as_ref().filter(|_| row.max_budget.is_none());
    let columns = Columns {
        most: row.max_budget.or_else(|| shared?.max_budget),
        duration: row.budget_duration.as_deref().or_else(|| shared?.budget_duration.as_deref()),
        began: row.created_at,
        raised: row.temp_budget_increase.zip(row.temp_budget_expiry),
        several: row.budget_limits.as_ref(),
    };
    columns.of(of, now, budgets);
}

/// `model_max_budget`: `{"gpt-4o": {"budget_limit": 0.5, "time_period": "1d"}}`, or `{"gpt-4o": 0.5}` as older clients say it.
fn models(view: &KeyView, key: &Arc<str>, budgets: &mut Vec<Budget>) {
    let mut of_models: BTreeMap<String, Value> = document(view.key.model_max_budget.as_ref());
    if of_models.is_empty() {
        of_models = document(view.budget.as_ref().and_then(|budget| budget.model_max_budget.as_ref()));
    }
    let began = view.key.created_at.0.div_euclid(1000);
    for (model, says) in of_models {
        let member = |names: [&str; 2]| names.into_iter().find_map(|name| says.get(name));
        let most = match &says {
            Value::Object(_) => member(["budget_limit", "max_budget"]).and_then(amount),
            plain => amount(plain),
        };
        let Some(most) = most else { continue };
        let duration = member(["time_period", "budget_duration"]).and_then(Value::as_str).map(Arc::from);
        let of = BudgetOf::KeyModel { key: Arc::clone(key), model: model.as_str().into() };
        budgets.push(Budget { of, most, duration, began });
    }
}
