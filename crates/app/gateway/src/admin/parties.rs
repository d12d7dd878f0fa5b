//! Management of what calls are made for and paid from beside keys: customers, budgets, tags (surface chapter 4.5).

use std::collections::HashMap;

use serde_json::{Map, Value};
use tollgate_store::{Budget, EpochMs, NanoDollars, StoreError};
use tollgate_wire::{ErrorType, Failure, FailureKind};

use super::{Desk, failure_of};

/// What a management route does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the path that stands beside it below")]
pub enum PartyAction {
    NewCustomer,
    UpdateCustomer,
    DeleteCustomers,
    BlockCustomers,
    UnblockCustomers,
    CustomerInfo,
    ListCustomers,
    NewBudget,
    UpdateBudget,
    BudgetInfo,
    DeleteBudget,
    ListBudgets,
    BudgetSettings,
    NewTag,
    UpdateTag,
    TagInfo,
    DeleteTag,
    ListTags,
}

impl PartyAction {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::NewCustomer,
        Self::UpdateCustomer,
        Self::DeleteCustomers,
        Self::BlockCustomers,
        Self::UnblockCustomers,
        Self::CustomerInfo,
        Self::ListCustomers,
        Self::NewBudget,
        Self::UpdateBudget,
        Self::BudgetInfo,
        Self::DeleteBudget,
        Self::ListBudgets,
        Self::BudgetSettings,
        Self::NewTag,
        Self::UpdateTag,
        Self::TagInfo,
        Self::DeleteTag,
        Self::ListTags,
    ];

    /// The path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::NewCustomer => "/customer/new",
            Self::UpdateCustomer => "/customer/update",
            Self::DeleteCustomers => "/customer/delete",
            Self::BlockCustomers => "/customer/block",
            Self::UnblockCustomers => "/customer/unblock",
            Self::CustomerInfo => "/customer/info",
            Self::ListCustomers => "/customer/list",
            Self::NewBudget => "/budget/new",
            Self::UpdateBudget => "/budget/update",
            Self::BudgetInfo => "/budget/info",
            Self::DeleteBudget => "/budget/delete",
            Self::ListBudgets => "/budget/list",
            Self::BudgetSettings => "/budget/settings",
            Self::NewTag => "/tag/new",
            Self::UpdateTag => "/tag/update",
            Self::TagInfo => "/tag/info",
            Self::DeleteTag => "/tag/delete",
            Self::ListTags => "/tag/list",
        }
    }

    /// It is asked for with GET.
    #[must_use]
    pub const fn is_got(self) -> bool {
        matches!(
            self,
            Self::CustomerInfo | Self::ListCustomers | Self::ListBudgets | Self::BudgetSettings | Self::ListTags
        )
    }

    /// It changes something.
    #[must_use]
    pub const fn writes(self) -> bool {
        !(self.is_got() || matches!(self, Self::BudgetInfo | Self::TagInfo))
    }
}

impl Desk<'_> {
    pub(super) async fn party(
        &self,
        action: PartyAction,
        query: &HashMap<String, String>,
        body: Map<String, Value>,
    ) -> Result<Value, Failure> {
        match action {
            PartyAction::NewCustomer => self.new_customer(&body).await,
            PartyAction::UpdateCustomer => self.update_customer(&body).await,
            PartyAction::DeleteCustomers => self.delete_customers(&body).await,
            PartyAction::BlockCustomers => self.block_customers(&body, true).await,
            PartyAction::UnblockCustomers => self.block_customers(&body, false).await,
            PartyAction::CustomerInfo => self.customer_info(query).await,
            PartyAction::ListCustomers => self.list_customers(query).await,
            PartyAction::NewBudget => self.new_budget(&body).await,
            PartyAction::UpdateBudget => self.update_budget(&body).await,
            PartyAction::BudgetInfo => self.budget_info(&body).await,
            PartyAction::DeleteBudget => self.delete_budget(&body).await,
            PartyAction::ListBudgets => self.list_budgets(query).await,
            PartyAction::BudgetSettings => self.budget_settings(query).await,
            PartyAction::NewTag => self.new_tag(&body).await,
            PartyAction::UpdateTag => self.update_tag(&body).await,
            PartyAction::TagInfo => self.tag_info(&body).await,
            PartyAction::DeleteTag => self.delete_tag(&body).await,
            PartyAction::ListTags => self.list_tags(query).await,
        }
    }

    /// The budget of one that a request describes: the one that it names, or one of his own with the limits it states.
    ///
    /// # Errors
    /// 400 for a request that does both, or names one that is not there.
    pub(super) async fn budget_for(
        &self,
        body: &Map<String, Value>,
        own: &str,
        before: Option<String>,
    ) -> Result<Option<String>, Failure> {
        let named = body.get("budget_id").filter(|id| !id.is_null());
        let states =
            super::budget_rows::FIELDS.iter().any(|name| body.get(*name).is_some_and(|value| !value.is_null()));
        let lost = |error| failure_of(error, own);
        match (named, states) {
            (Some(_), true) => {
                let words = "Set either `budget_id` or limits of its own such as `max_budget`, not both";
                Err(Failure::invalid(words).with_param("budget_id"))
            }
            (Some(named), false) => {
                let id = named.as_str().unwrap_or_default();
                match self.store.budget(id).await.map_err(lost)? {
                    Some(_) => Ok(Some(id.to_owned())),
                    None => Err(Failure::invalid(format!("Budget not found, budget_id={id}")).with_param("budget_id")),
                }
            }
            (None, false) if body.contains_key("budget_id") => Ok(None),
            (None, _) if !super::budget_rows::FIELDS.iter().any(|name| body.contains_key(*name)) => Ok(before),
            // What is stated as null empties a limit of its own, and nothing of a budget that others share.
            (None, false) if before.as_deref() != Some(own) => Ok(before),
            (None, _) => {
                let known = self.store.budget(own).await.map_err(lost)?;
                let new = Budget {
                    budget_id: own.to_owned(),
                    created_at: self.now,
                    created_by: Some(self.actor()),
                    ..Budget::default()
                };
                let is_new = known.is_none();
                let mut budget = known.unwrap_or(new);
                if is_new || before.as_deref() != Some(own) {
                    // One that nobody refers to any more is not taken up again.
                    budget = Budget {
                        version: budget.version,
                        ..Budget {
                            budget_id: own.to_owned(),
                            created_at: self.now,
                            created_by: Some(self.actor()),
                            ..Budget::default()
                        }
                    };
                }
                super::budget_rows::write(&mut budget, body)?;
                if is_new {
                    self.store.insert_budget(&budget, &self.stamp()).await.map_err(lost)?;
                } else {
                    self.store.update_budget(&budget, budget.version, &self.stamp()).await.map_err(lost)?;
                }
                Ok(Some(own.to_owned()))
            }
        }
    }

    /// What was spent for all time under each of these ids.
    pub(super) async fn spent_under(
        &self,
        kind: &str,
        ids: &[String],
    ) -> Result<HashMap<String, NanoDollars>, Failure> {
        let scopes: Vec<(String, String)> = ids.iter().map(|id| (kind.to_owned(), id.clone())).collect();
        let totals = self.store.totals_of(&scopes).await.map_err(|error| failure_of(error, ""))?;
        let forever = totals.into_iter().filter(|total| total.window.start == EpochMs(0));
        Ok(forever.map(|total| (total.window.id, total.settled)).collect())
    }

    /// The budgets of these ids.
    pub(super) async fn budgets(
        &self,
        ids: impl Iterator<Item = Option<String>>,
    ) -> Result<HashMap<String, Budget>, Failure> {
        let ids: Vec<String> = ids.flatten().collect();
        let found = self.store.find_budgets(&ids).await.map_err(|error| failure_of(error, ""))?;
        Ok(found.into_iter().map(|budget| (budget.budget_id.clone(), budget)).collect())
    }
}

/// The texts of a list that a body must have.
pub(super) fn texts(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, Failure> {
    let items = body.get(name).and_then(Value::as_array).filter(|items| items.len() <= super::keys::MOST_NAMED);
    let items = items.and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    items.ok_or_else(|| Failure::invalid(format!("`{name}` must be a list of at most 1,000 texts")).with_param(name))
}

/// The text that a body must have.
pub(super) fn text(body: &Map<String, Value>, name: &str) -> Result<String, Failure> {
    let text = body.get(name).and_then(Value::as_str).map(str::trim);
    let fits = |text: &&str| !text.is_empty() && text.len() <= 256 && !text.contains('\0');
    let refused = || Failure::invalid(format!("`{name}` must be a text of 1 to 256 bytes")).with_param(name);
    text.filter(fits).map(str::to_owned).ok_or_else(refused)
}

/// Which part of a list a query asks for; all that one answer may hold, where it asks for none.
pub(super) fn page(query: &HashMap<String, String>) -> Result<tollgate_store::Page, Failure> {
    let number = |name: &str, default: i64| match query.get(name).map(|text| text.trim()) {
        None | Some("") => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number: &i64| *number >= 1)
            .ok_or_else(|| Failure::invalid(format!("`{name}` must be a number from 1 on")).with_param(name)),
    };
    let limit = number("page_size", MOST_LISTED)?.min(MOST_LISTED);
    Ok(tollgate_store::Page { offset: number("page", 1)?.min(LAST_PAGE).saturating_sub(1) * limit, limit })
}

/// Rows that one list holds at most.
const MOST_LISTED: i64 = 1000;
const LAST_PAGE: i64 = 1_000_000;

/// 404 in these words.
pub(super) fn missing(words: &str, param: &str) -> Failure {
    let mut failure = Failure::invalid(words).with_param(param).with_type(ErrorType::NotFound);
    failure.status = Some(404);
    failure
}

/// What the store's refusal means for a row that is no key.
pub(super) fn refusal(error: StoreError, taken: &str, gone: &str, param: &str) -> Failure {
    match error {
        StoreError::Taken { .. } => Failure::new(FailureKind::InvalidRequest, taken).with_param(param),
        StoreError::Missing => missing(gone, param),
        other => failure_of(other, ""),
    }
}
