//! What a key may spend in all, and what it has.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tollgate_wire::{Failure, FailureKind};

/// A budget for all time. Copies share what is spent. Nano-dollars.
#[derive(Clone, Debug, Default)]
pub struct Spending {
    most: Option<i64>,
    spent: Arc<AtomicI64>,
}

impl Spending {
    /// At most so much, if there is a bound, of which so much is spent already.
    #[must_use]
    pub fn new(most: Option<i64>, spent: i64) -> Self {
        Self { most, spent: Arc::new(AtomicI64::new(spent)) }
    }

    /// A call has cost so much.
    pub fn add(&self, nanos: i64) {
        self.spent.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What is spent.
    #[must_use]
    pub fn spent(&self) -> i64 {
        self.spent.load(Ordering::Relaxed)
    }

    /// What may be spent.
    #[must_use]
    pub fn most(&self) -> Option<i64> {
        self.most
    }

    /// Whether there is money left for another call; `key` is for the words.
    ///
    /// # Errors
    /// 400 `budget_exceeded` in `LiteLLM`'s words.
    pub fn admit(&self, key: &str) -> Result<(), Failure> {
        let spent = self.spent();
        match self.most {
            Some(most) if spent >= most => {
                let (spent, most) = (usd(spent), usd(most));
                let words = format!("Budget has been exceeded! Key={key} Current cost: {spent}, Max budget: {most}");
                Err(Failure::new(FailureKind::BudgetExceeded, words))
            }
            _ => Ok(()),
        }
    }
}

/// USD with the decimals that it has.
fn usd(nanos: i64) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let text = format!("{whole}.{rest:09}");
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').map_or_else(|| text.to_owned(), |whole| format!("{whole}.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_is_spent_refuses_and_says_so() {
        let spending = Spending::new(Some(1_500_000_000), 1_000_000_000);
        assert!(spending.admit("k").is_ok());
        spending.clone().add(500_000_000);
        let refused = spending.admit("k").unwrap_err();
        assert_eq!((refused.http_status(), refused.error_type()), (400, "budget_exceeded"));
        assert_eq!(refused.message, "Budget has been exceeded! Key=k Current cost: 1.5, Max budget: 1.5");
    }

    #[test]
    fn nothing_may_be_spent_of_a_budget_of_zero_and_anything_without_one() {
        assert!(Spending::new(Some(0), 0).admit("k").unwrap_err().message.contains("Max budget: 0.0"));
        assert!(Spending::new(None, i64::MAX).admit("k").is_ok());
    }
}
