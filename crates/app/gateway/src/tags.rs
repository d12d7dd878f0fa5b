//! The tags that have limits or a budget: all of them in memory, as they are few, and read anew when one of them changes.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use tollgate_policy::{BudgetOf, Limit, LimitScope};
use tollgate_store::{Budget, EpochMs, Page, Store, StoreError};

use crate::{admin::budgets, limits::of_rows};

/// Longest name of a tag that may have a budget, bytes.
const LONGEST: usize = 128;
/// Tags that are read at one time.
const PAGE: i64 = 500;
/// Tags with a budget that there may be; those behind them have none here.
const MOST: usize = 10_000;

/// What holds for calls with a tag.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TagTerms {
    /// How many there may be of them.
    pub(crate) limit: Option<Limit>,
    budget: Budget,
}

impl TagTerms {
    /// What they may cost.
    pub(crate) fn budgets(&self, tag: &str, now: EpochMs) -> Vec<tollgate_policy::Budget> {
        budgets::of_row(&self.budget, &BudgetOf::Tag(tag.into()), now)
    }
}

/// The tags.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    terms: ArcSwap<HashMap<String, Arc<TagTerms>>>,
}

impl Tags {
    /// What holds for a tag; none: nothing does.
    pub(crate) fn terms(&self, tag: &str) -> Option<Arc<TagTerms>> {
        self.terms.load().get(tag).cloned()
    }

    /// What the store has now.
    ///
    /// # Errors
    /// The store does not answer; what was known holds on.
    pub(crate) async fn read(&self, store: &Store) -> Result<(), StoreError> {
        let mut all = HashMap::new();
        let mut offset = 0;
        loop {
            let listed = store.list_tags(Page { offset, limit: PAGE }).await?.rows;
            let read = listed.len();
            let with_budget = listed.into_iter().filter_map(|(tag, _)| Some((tag.tag_name, tag.budget_id?)));
            let with_budget = with_budget.filter(|(name, _): &(String, String)| name.len() <= LONGEST);
            let named: Vec<(String, String)> = with_budget.collect();
            let ids: Vec<String> = named.iter().map(|(_, budget)| budget.clone()).collect();
            let budgets = store.find_budgets(&ids).await?;
            let budgets: HashMap<&str, &Budget> =
                budgets.iter().map(|budget| (budget.budget_id.as_str(), budget)).collect();
            for (tag, budget) in named {
                if let Some(budget) = budgets.get(budget.as_str()) {
                    let limit = of_rows::under(Some(budget), LimitScope::Tag, &tag);
                    all.insert(tag, Arc::new(TagTerms { limit, budget: (*budget).clone() }));
                }
            }
            if read < usize::try_from(PAGE).unwrap_or(usize::MAX) || all.len() >= MOST {
                break;
            }
            offset += PAGE;
        }
        self.terms.store(Arc::new(all));
        Ok(())
    }
}
