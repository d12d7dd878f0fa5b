//! Budgets: what may be spent, by whom, and in which time.

use std::sync::Arc;

/// Whose a budget is. What holds the money is elsewhere; this is what a key's row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetOf {
    /// The key, under the first digest it had.
    Key(Arc<str>),
    /// A model, as the key uses it (`model_max_budget`).
    KeyModel {
        /// The key, under the first digest it had.
        key: Arc<str>,
        /// The model's name, as it is asked for or as its group is called.
        model: Arc<str>,
    },
    /// A member of a team.
    Member {
        /// The team's id.
        team: Arc<str>,
        /// The user's id.
        user: Arc<str>,
    },
    /// A team.
    Team(Arc<str>),
    /// A user, for keys that are not of a team.
    User(Arc<str>),
    /// An organization.
    Organization(Arc<str>),
    /// A project.
    Project(Arc<str>),
    /// A tag of requests.
    Tag(Arc<str>),
    /// A customer: whom a client's request is for.
    Customer(Arc<str>),
    /// The whole gateway (`litellm_settings.max_budget`).
    Proxy,
}

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Whose.
    pub of: BudgetOf,
    /// So much may be spent, nano-dollars. Nothing may be spent of 0.
    pub most: i64,
    /// In which time, as `budget_duration` says it; `None`: in all.
    pub duration: Option<Arc<str>>,
    /// When it began, seconds since 1970: windows of several days or months are counted from there.
    pub began: i64,
}

impl Budget {
    /// Whether it holds where this model is asked, by either of its names.
    #[must_use]
    pub fn holds_for(&self, models: &[&str]) -> bool {
        match &self.of {
            BudgetOf::KeyModel { model, .. } => models.contains(&&**model),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_of_a_model_holds_for_that_model_alone() {
        let of = |of| Budget { of, most: 1, duration: None, began: 0 };
        let model = of(BudgetOf::KeyModel { key: "k".into(), model: "gpt".into() });
        assert!(model.holds_for(&["alias", "gpt"]) && !model.holds_for(&["gpt-2"]) && !model.holds_for(&[]));
        assert!(of(BudgetOf::Proxy).holds_for(&[]));
    }
}
