//! How a call is refused whose money is spent: `LiteLLM`'s words (surface chapters 5.5, 7.5), in its one form for all scopes.

use std::time::Duration;

use tollgate_ledger::{Nanos, Scope, book::Refusal};
use tollgate_wire::{Failure, FailureKind};

/// The budget is used up: 400 `budget_exceeded`.
pub(super) fn refused(refusal: &Refusal) -> Failure {
    let Refusal { slot, budget, spent, .. } = refusal;
    let whose = whose(&slot.scope);
    let mut words =
        format!("Budget has been exceeded! {whose} Current cost: {}, Max budget: {}", usd(*spent), usd(*budget));
    if let Some(period) = slot.period {
        words.push_str(&format!(", budget_duration: {period}"));
    }
    if *spent < *budget {
        words.push_str(&format!(". What is left does not pay for this call, which may cost {}", usd(refusal.needs)));
    }
    Failure::new(FailureKind::BudgetExceeded, words)
}

/// It is not, but calls that run hold what is left of it: 429, to be tried again.
pub(super) fn held(refusal: &Refusal) -> Failure {
    let Refusal { slot, budget, spent, held, .. } = refusal;
    let words = format!(
        "Budget is held by calls that run. {} Current cost: {}, held: {}, Max budget: {}. Try again shortly",
        whose(&slot.scope),
        usd(*spent),
        usd(*held),
        usd(*budget)
    );
    let mut failure = Failure::new(FailureKind::LimitExceeded, words);
    failure.retry_after = Some(Duration::from_secs(1));
    failure
}

/// A stream's money has ended, and there was no more in time.
pub(super) fn ended() -> Failure {
    Failure::new(
        FailureKind::BudgetExceeded,
        "Budget has been exceeded! The answer ends here: what is left does not pay for more of it",
    )
}

/// Nobody can tell what is left.
pub(super) fn away() -> Failure {
    let words = "the budget cannot be checked now, as the database does not answer; try again shortly";
    let mut failure = Failure::new(FailureKind::Overloaded, words);
    failure.retry_after = Some(Duration::from_secs(1));
    failure
}

fn whose(scope: &Scope) -> String {
    match scope {
        Scope::Key(id) => format!("Key={id}"),
        Scope::KeyModel { key, model } => format!("Key={key} over its budget for model={model}."),
        Scope::Member { team, user } => format!("User={user} in Team={team}"),
        Scope::Team(id) => format!("Team={id}"),
        Scope::User(id) => format!("User={id}"),
        Scope::Organization(id) => format!("Organization={id}"),
        Scope::Project(id) => format!("Project={id}"),
        Scope::Tag(id) => format!("Tag={id}"),
        Scope::Customer(id) => format!("End User={id}"),
        Scope::Model(id) | Scope::Deployment(id) | Scope::Provider(id) => format!("{}={id}", scope.kind().as_str()),
        Scope::Proxy => "Proxy".to_owned(),
    }
}

/// USD with the decimals that it has, as Python prints a float.
fn usd(amount: Nanos) -> String {
    let text = amount.to_string();
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').map_or_else(|| text.to_owned(), |whole| format!("{whole}.0"))
}

#[cfg(test)]
mod tests {
    use tollgate_ledger::Slot;

    use super::*;

    fn refusal(spent: i64, budget: i64) -> Refusal {
        let slot = Slot::forever(Scope::Key("k".into()));
        let nanos = |millis: i64| Nanos::new(millis * 1_000_000);
        Refusal { slot, budget: nanos(budget), spent: nanos(spent), held: nanos(250), needs: nanos(20) }
    }

    #[test]
    fn a_budget_that_is_spent_is_told_in_the_known_words() {
        let failure = refused(&refusal(1500, 1500));
        assert_eq!((failure.http_status(), failure.error_type()), (400, "budget_exceeded"));
        assert_eq!(failure.message, "Budget has been exceeded! Key=k Current cost: 1.5, Max budget: 1.5");
        let failure = refused(&refusal(1490, 1500));
        assert!(
            failure.message.ends_with("Max budget: 1.5. What is left does not pay for this call, which may cost 0.02")
        );
    }

    #[test]
    fn what_is_held_may_be_free_soon() {
        let failure = held(&refusal(1000, 1500));
        assert_eq!((failure.http_status(), failure.retry_after), (429, Some(Duration::from_secs(1))));
        assert!(failure.message.contains("held: 0.25"), "{failure}");
    }
}
