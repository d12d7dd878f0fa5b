//! What keys and teams have spent is set to another amount, in all and in their current windows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use tollgate_ledger::{
    Nanos, Scope, Slot,
    windows::{Period, Windows, Zone},
};
use tollgate_store::{EpochMs, Key, Known, NanoDollars, Once, StoreError, Total, Window};
use tollgate_wire::Failure;

use super::{Desk, failure_of, fields, ledger::gone, rows::document, spend::asked::wrong};
use crate::{
    arrivals::Arrival,
    corrections::{Change, slot},
};

/// How long one who sets an amount keeps others from doing it: longer than he waits for the store.
const HOLDS: i64 = 15_000;
/// Windows that are looked at in one go when all are reset.
const AT_ONCE: i64 = 500;
/// The windows of keys and teams: of all time, and of periods (`key@1d`). `!` and `A` come right behind a blank and `@`.
const RESET: [(&str, &str); 4] = [("key", "key!"), ("key@", "keyA"), ("team", "team!"), ("team@", "teamA")];
/// Windows are counted in UTC here, and begin up to so much earlier or later in their zone.
const SLACK: Duration = Duration::from_secs(26 * 3600);

/// What became of an amount that was set.
pub(super) struct Set {
    pub(super) previous: NanoDollars,
    /// The store has it.
    pub(super) is_booked: bool,
}

impl Desk<'_> {
    /// `POST /key/{key}/reset_spend`
    pub(super) async fn reset_key(&self, named: &str, body: &Map<String, Value>) -> Result<Value, Failure> {
        let to = body.get("reset_to").and_then(Value::as_f64).and_then(fields::nanos).filter(|nanos| *nanos >= 0);
        let to = NanoDollars(to.ok_or_else(|| wrong("reset_to", "an amount of USD from 0 on"))?);
        let row = self.row(named).await?;
        let set = self.set_spend(&row, to, self.path).await?;
        Ok(json!({
            "key_hash": row.token, "spend": fields::usd(to.0), "previous_spend": fields::usd(set.previous.0),
            "max_budget": row.max_budget.map_or(Value::Null, |budget| fields::usd(budget.0)),
            "budget_reset_at": row.budget_reset_at.map_or(Value::Null, |at| fields::iso(at).into()),
            "is_booked": set.is_booked,
        }))
    }

    /// Sets what a key has spent.
    pub(super) async fn set_spend(&self, row: &Key, to: NanoDollars, why: &str) -> Result<Set, Failure> {
        let id = self.gateway.uuid_v4().to_string();
        let name = format!("key:{}", row.origin);
        let alone = Once { caller: "spend", name: &name, request: &id };
        self.alone(alone).await?;
        let set = self.set_spend_alone(row, to, why).await;
        // If this fails the hold ends by itself.
        let _ = self.store.forget_once(alone).await;
        set
    }

    /// Two who set the same amount at one time would both add what is missing.
    async fn alone(&self, once: Once<'_>) -> Result<(), Failure> {
        let (until, abandoned) = (EpochMs(self.now.0 + HOLDS), EpochMs(self.now.0 - HOLDS));
        match self.store.begin_once(once, self.now, until, abandoned).await {
            Ok(Known::New) => Ok(()),
            Ok(_) => Err(gone(409, "somebody else changes what is spent at this moment; look, and try again")),
            Err(error) => Err(failure_of(error, "")),
        }
    }

    async fn set_spend_alone(&self, row: &Key, to: NanoDollars, why: &str) -> Result<Set, Failure> {
        let failed = |error| failure_of(error, "");
        self.catch_up().await?;
        let view = self.store.find_key(&row.token, self.now).await.map_err(failed)?;
        let shared = view.and_then(|view| view.budget).and_then(|budget| budget.budget_duration);
        let scope = Scope::Key(row.origin.as_str().into());
        let Set { previous, is_booked } = self.set_scope(scope, periods(row, shared.as_deref()), to, why).await?;
        let spend = |amount: NanoDollars| Some(json!({"spend": fields::usd(amount.0)}));
        let stamp = self.noted("spend_reset", super::audits::KEYS, &row.token, (spend(previous), spend(to)));
        self.gateway.spend_was_corrected(Some(&row.token), &stamp).await.map_err(failed)?;
        Ok(Set { previous, is_booked })
    }

    /// Sets what a scope has spent, in all and in its current window of each of these periods.
    async fn set_scope(
        &self,
        scope: Scope,
        periods: impl Iterator<Item = Period>,
        to: NanoDollars,
        why: &str,
    ) -> Result<Set, Failure> {
        let totals = self.current(&scope, periods).await?;
        let previous = totals.get(&Slot::forever(scope)).copied().unwrap_or_default();
        let is_booked = self.correct_all(changes(totals, to, &self.author(), why)).await?;
        Ok(Set { previous, is_booked })
    }

    async fn correct_all(&self, changes: Vec<Change>) -> Result<bool, Failure> {
        let became = self.gateway.correct(changes).await?;
        Ok(became.iter().all(|(_, arrival)| *arrival == Arrival::Booked))
    }

    /// What this process has written down so far goes into the store first: it was spent before.
    async fn catch_up(&self) -> Result<(), Failure> {
        if self.gateway.catch_up().await {
            return Ok(());
        }
        Err(failure_of(StoreError::Unavailable("the journal waits for it".to_owned()), ""))
    }

    /// What a scope has spent, in all and in its current window of each period.
    async fn current(
        &self,
        scope: &Scope,
        periods: impl Iterator<Item = Period>,
    ) -> Result<BTreeMap<Slot, NanoDollars>, Failure> {
        let (kind, id) = (scope.kind().as_str(), scope.name());
        let mut kinds = vec![(kind.to_owned(), id.clone())];
        kinds.extend(periods.map(|period| (format!("{kind}@{period}"), id.clone())));
        let totals = self.store.totals_of(&kinds).await.map_err(|error| failure_of(error, ""))?;
        let mut current = BTreeMap::from([(Slot::forever(scope.clone()), NanoDollars(0))]);
        let mut last: BTreeMap<&str, &Total> = BTreeMap::new();
        for total in &totals {
            let kept = last.entry(&total.window.kind).or_insert(total);
            if kept.window.start < total.window.start {
                *kept = total;
            }
        }
        for total in last.into_values() {
            if let Some(slot) = slot(&total.window).filter(|slot| is_current(slot, self.now)) {
                current.insert(slot, total.settled);
            }
        }
        Ok(current)
    }

    /// `POST /global/spend/reset`
    pub(super) async fn reset_all(&self) -> Result<Value, Failure> {
        let id = self.gateway.uuid_v4().to_string();
        let alone = Once { caller: "spend", name: "all", request: &id };
        self.alone(alone).await?;
        let reset = self.reset_all_alone().await;
        let _ = self.store.forget_once(alone).await;
        let is_booked = reset?;
        Ok(json!({
            "message": "Spend for all API Keys and Teams reset successfully", "status": "success", "is_booked": is_booked,
        }))
    }

    async fn reset_all_alone(&self) -> Result<bool, Failure> {
        let failed = |error| failure_of(error, "");
        self.catch_up().await?;
        let mut is_booked = true;
        for kinds in RESET {
            let mut after: Option<Window> = None;
            loop {
                let totals = self.store.settled_totals(kinds, after.as_ref(), AT_ONCE).await.map_err(failed)?;
                let Some(last) = totals.last() else { break };
                after = Some(last.window.clone());
                let slots = totals.iter().filter_map(|total| Some((slot(&total.window)?, total.settled)));
                let current = slots.filter(|(slot, _)| is_current(slot, self.now)).collect();
                is_booked &= self.correct_all(changes(current, NanoDollars(0), &self.author(), self.path)).await?;
            }
        }
        let stamp = self.noted("spend_reset", super::audits::KEYS, "all", (None, Some(json!({"spend": 0.0}))));
        self.gateway.spend_was_corrected(None, &stamp).await.map_err(failed)?;
        Ok(is_booked)
    }
}

/// What a body says that the key has spent.
pub(super) fn spend_of(body: &Map<String, Value>) -> Result<Option<NanoDollars>, Failure> {
    let Some(spend) = body.get("spend").filter(|spend| !spend.is_null()) else { return Ok(None) };
    let nanos = spend.as_f64().and_then(fields::nanos).filter(|nanos| *nanos >= 0);
    let refused = || Failure::invalid("`spend` must be an amount of USD from 0 on").with_param("spend");
    nanos.map(|nanos| Some(NanoDollars(nanos))).ok_or_else(refused)
}

/// The periods of a key's budgets, its own and the one it refers to.
fn periods(row: &Key, shared: Option<&str>) -> impl Iterator<Item = Period> {
    let limits: Vec<Map<String, Value>> = document(row.budget_limits.as_ref());
    let of_limits = limits.into_iter().filter_map(|limit| {
        let duration = limit.get("budget_duration").or_else(|| limit.get("time_period"))?;
        duration.as_str().map(str::to_owned)
    });
    let texts: Vec<String> =
        row.budget_duration.clone().into_iter().chain(shared.map(str::to_owned)).chain(of_limits).collect();
    texts.into_iter().filter_map(|text| Period::parse(&text).ok())
}

/// What makes of each of these amounts the same one: slots that lack the same share a record.
fn changes(current: BTreeMap<Slot, NanoDollars>, to: NanoDollars, author: &Arc<str>, why: &str) -> Vec<Change> {
    let reason: Arc<str> = why.into();
    let lacking = current.into_iter().map(|(slot, is)| (slot, to.0.saturating_sub(is.0))).filter(|(_, by)| *by != 0);
    let change = |(slot, by): (Slot, i64)| Change {
        states: None,
        slots: Arc::from([slot]),
        by: Nanos::new(by),
        author: Arc::clone(author),
        reason: Arc::clone(&reason),
    };
    lacking.map(change).collect()
}

/// Whether a window may not be over yet. One that is over by less than two days may be taken for current: where it is the
/// last one that anything was spent in.
fn is_current(slot: &Slot, now: EpochMs) -> bool {
    let Some(period) = slot.period else { return true };
    let slack = i64::try_from(SLACK.as_secs()).unwrap_or(i64::MAX);
    let began = slot.since.saturating_add(slack);
    let windows = Windows { period, zone: Zone::default(), began };
    windows.end(began).saturating_add(slack) > now.0.div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use tollgate_store::Json;

    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn each_amount_is_changed_by_what_it_lacks() {
        let scope = || Scope::Key("k".into());
        let day = Slot { scope: scope(), period: Some(Period::Days(1)), since: 10 * DAY };
        let current = BTreeMap::from([(Slot::forever(scope()), NanoDollars(50)), (day.clone(), NanoDollars(7))]);
        let by = |to: i64| -> Vec<i64> {
            changes(current.clone(), NanoDollars(to), &"ann".into(), "why")
                .iter()
                .map(|change| change.by.get())
                .collect()
        };
        assert_eq!((by(0), by(7), by(50)), (vec![-50, -7], vec![-43], vec![43]));
    }

    #[test]
    fn a_window_is_current_until_its_end_in_every_zone() {
        let at = |days: i64, hours: i64| EpochMs((days * DAY + hours * 3600) * 1000);
        let slot = |period, since| Slot { scope: Scope::Key("k".into()), period: Some(period), since };
        // A month from 1970-01-01 on, in Berlin and in New York.
        for since in [-3600, 5 * 3600] {
            let month = slot(Period::Months(1), since);
            assert!(is_current(&month, at(31, -2)) && !is_current(&month, at(34, 0)), "{since}");
            let two = slot(Period::Months(2), since);
            assert!(is_current(&two, at(59, -2)) && !is_current(&two, at(62, 0)), "{since}");
            let day = slot(Period::Days(1), since);
            assert!(is_current(&day, at(1, -2)) && !is_current(&day, at(5, 0)), "{since}");
        }
        assert!(is_current(&Slot::forever(Scope::Key("k".into())), at(99_999, 0)));
    }

    #[test]
    fn a_key_has_the_periods_of_all_its_budgets() {
        let row = Key {
            budget_duration: Some("1d".to_owned()),
            budget_limits: Some(Json(r#"[{"budget_duration": "7d"}, {"budget_duration": "soon"}, {}]"#.to_owned())),
            ..Key::default()
        };
        assert_eq!(periods(&row, Some("30d")).collect::<Vec<_>>(), [Period::Days(1), Period::Months(1), Period::Week]);
    }
}
