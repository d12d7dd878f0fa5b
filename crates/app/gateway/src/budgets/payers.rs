//! Which budgets an attempt is paid from, and in which window of each: frozen when it goes out.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tollgate_ledger::{
    Nanos, Scope, Slot,
    windows::{Period, Windows, Zone},
};
use tollgate_policy::{Budget, BudgetOf};

/// Windows whose beginning is remembered; more are worked out each time.
const MOST_KNOWN: usize = 10_000;

/// The budgets of an attempt. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payers {
    slots: Arc<[Slot]>,
    most: Arc<[Nanos]>,
}

impl Payers {
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn slots(&self) -> &Arc<[Slot]> {
        &self.slots
    }

    /// Each with its budget.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&Slot, Nanos)> {
        self.slots.iter().zip(self.most.iter().copied())
    }
}

/// When the windows of now began. One that has begun is never left for an earlier one, however clocks are set.
#[derive(Default)]
pub(super) struct Starts {
    zone: RwLock<Zone>,
    known: RwLock<HashMap<(Period, i64), (i64, i64)>>,
    /// Windows that the store has seen begin and this clock has not.
    ahead: RwLock<HashMap<(Scope, Period), i64>>,
}

impl Starts {
    /// By which clock days begin, from now on.
    pub(super) fn set_zone(&self, zone: Zone) {
        let mut own = self.zone.write().unwrap_or_else(PoisonError::into_inner);
        if *own != zone {
            *own = zone;
            self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// The budgets that hold for an attempt now, seconds since 1970.
    pub(super) fn payers<'b>(&self, budgets: impl Iterator<Item = &'b Budget>, now: i64) -> Payers {
        let (mut slots, mut most) = (Vec::new(), Vec::new());
        for budget in budgets {
            let slot = self.slot(budget, now);
            match slots.iter().position(|known| *known == slot) {
                // Two budgets of one scope in one window: the smaller one.
                Some(place) => {
                    if let Some(least) = most.get_mut(place) {
                        *least = Nanos::new(budget.most).min(*least);
                    }
                }
                None => {
                    slots.push(slot);
                    most.push(Nanos::new(budget.most));
                }
            }
        }
        Payers { slots: slots.into(), most: most.into() }
    }

    fn slot(&self, budget: &Budget, now: i64) -> Slot {
        let scope = scope(&budget.of);
        let Some(duration) = &budget.duration else { return Slot::forever(scope) };
        // Rows that others wrote may hold anything; `LiteLLM` takes what it cannot read for a day (surface chapter 7.4).
        let period = Period::parse(duration).unwrap_or(Period::Days(1));
        let start = self.start(period, budget.began, now);
        let ahead = self.ahead.read().unwrap_or_else(PoisonError::into_inner);
        let since = ahead.get(&(scope.clone(), period)).map_or(start, |ahead| start.max(*ahead));
        Slot { scope, period: Some(period), since }
    }

    fn start(&self, period: Period, began: i64, now: i64) -> i64 {
        let counts = matches!(period, Period::Days(2..) | Period::Months(2..));
        let began = if counts { began } else { 0 };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&(period, began)).copied();
        if let Some((start, _)) = known.filter(|(_, end)| now < *end) {
            return start;
        }
        let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner).clone();
        let windows = Windows { period, zone, began };
        let (start, end) = (windows.current(now, known.map(|(start, _)| start)), windows.end(now));
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_KNOWN {
            all.retain(|_, (_, end)| now < *end);
        }
        if all.len() < MOST_KNOWN || all.contains_key(&(period, began)) {
            let own = all.entry((period, began)).or_insert((start, end));
            *own = (own.0.max(start), own.1.max(end));
        }
        start
    }

    /// The store has seen a later window of a scope. Says whether that is news.
    pub(super) fn is_ahead(&self, slot: &Slot, since: i64) -> bool {
        let Some(period) = slot.period.filter(|_| since > slot.since) else { return false };
        let mut ahead = self.ahead.write().unwrap_or_else(PoisonError::into_inner);
        if ahead.len() >= MOST_KNOWN {
            ahead.clear();
        }
        ahead.insert((slot.scope.clone(), period), since).is_none_or(|before| before < since)
    }

    /// Whether there is a later window of the slot's scope.
    pub(super) fn has_moved(&self, slot: &Slot) -> bool {
        let Some(period) = slot.period else { return false };
        let ahead = self.ahead.read().unwrap_or_else(PoisonError::into_inner);
        ahead.get(&(slot.scope.clone(), period)).is_some_and(|ahead| *ahead > slot.since)
    }

    /// Whether a window is past.
    pub(super) fn is_over(&self, slot: &Slot, now: i64) -> bool {
        self.end_of(slot) <= now
    }

    /// When a window ends.
    pub(super) fn end_of(&self, slot: &Slot) -> i64 {
        let Some(period) = slot.period else { return i64::MAX };
        let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner).clone();
        Windows { period, zone, began: slot.since }.end(slot.since)
    }
}

/// The ledger's name for whose a budget is.
pub(crate) fn scope(of: &BudgetOf) -> Scope {
    match of {
        BudgetOf::Key(id) => Scope::Key(Arc::clone(id)),
        BudgetOf::KeyModel { key, model } => Scope::KeyModel { key: Arc::clone(key), model: Arc::clone(model) },
        BudgetOf::Member { team, user } => Scope::Member { team: Arc::clone(team), user: Arc::clone(user) },
        BudgetOf::Team(id) => Scope::Team(Arc::clone(id)),
        BudgetOf::User(id) => Scope::User(Arc::clone(id)),
        BudgetOf::Organization(id) => Scope::Organization(Arc::clone(id)),
        BudgetOf::Project(id) => Scope::Project(Arc::clone(id)),
        BudgetOf::Tag(id) => Scope::Tag(Arc::clone(id)),
        BudgetOf::Customer(id) => Scope::Customer(Arc::clone(id)),
        BudgetOf::Proxy => Scope::Proxy,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(of: BudgetOf, most: i64, duration: Option<&str>) -> Budget {
        Budget { of, most, duration: duration.map(Into::into), began: 1_763_683_200 }
    }

    /// 2025-11-21T10:00:00Z.
    const NOW: i64 = 1_763_719_200;

    #[test]
    fn each_budget_is_a_slot_in_the_window_of_now() {
        let starts = Starts::default();
        let key = || BudgetOf::Key("k".into());
        let budgets = [
            budget(key(), 5, None),
            budget(key(), 3, Some("1d")),
            budget(key(), 2, Some("daily")),
            budget(BudgetOf::Team("t".into()), 9, Some("30d")),
        ];
        let payers = starts.payers(budgets.iter(), NOW);
        let texts: Vec<String> = payers
            .each()
            .map(|(slot, most)| format!("{} {:?} {} {}", slot.scope, slot.period, slot.since, most.get()))
            .collect();
        assert_eq!(
            texts,
            [
                "key:k None 0 5".to_owned(),
                // The smaller one of two in the same window.
                format!("key:k Some(Days(1)) {} 2", NOW - 36_000),
                "team:t Some(Months(1)) 1761955200 9".to_owned(),
            ]
        );
    }

    #[test]
    fn house_13_10_a_clock_that_goes_back_opens_no_window_anew() {
        let starts = Starts::default();
        let day = [budget(BudgetOf::Proxy, 1, Some("1d"))];
        let since = |now| starts.payers(day.iter(), now).slots().first().map(|slot| slot.since);
        let today = since(NOW);
        assert_eq!(since(NOW - 86_400), today);
        assert_eq!(since(NOW + 86_400), today.map(|start| start + 86_400));
        assert_eq!(since(NOW), today.map(|start| start + 86_400));
        // What another instance has begun is not left, either.
        let slot = starts.payers(day.iter(), NOW).slots().first().cloned().unwrap();
        assert!(starts.is_ahead(&slot, slot.since + 86_400) && !starts.is_ahead(&slot, slot.since));
        assert_eq!(since(NOW), Some(slot.since + 86_400));
    }

    #[test]
    fn the_zone_says_when_a_day_begins() {
        let starts = Starts::default();
        starts.set_zone(Zone::named("America/New_York").unwrap());
        let day = [budget(BudgetOf::Proxy, 1, Some("1d"))];
        // Five hours behind: it is five in the morning there.
        assert_eq!(starts.payers(day.iter(), NOW).slots().first().map(|slot| slot.since), Some(NOW - 5 * 3600));
    }

    #[test]
    fn a_duration_that_cannot_be_read_is_a_day() {
        let starts = Starts::default();
        let odd = [budget(BudgetOf::Proxy, 1, Some("soon"))];
        let slot = starts.payers(odd.iter(), NOW).slots().first().cloned().unwrap();
        assert_eq!((slot.period, starts.is_over(&slot, NOW)), (Some(Period::Days(1)), false));
        assert!(starts.is_over(&slot, NOW + 86_400));
    }

    /// One of each kind of scope. A new one does not compile until it is here.
    fn each_kind() -> Vec<BudgetOf> {
        let (id, other): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let all = vec![
            BudgetOf::Key(Arc::clone(&id)),
            BudgetOf::KeyModel { key: Arc::clone(&id), model: Arc::clone(&other) },
            BudgetOf::Member { team: Arc::clone(&id), user: other },
            BudgetOf::Team(Arc::clone(&id)),
            BudgetOf::User(Arc::clone(&id)),
            BudgetOf::Organization(Arc::clone(&id)),
            BudgetOf::Project(Arc::clone(&id)),
            BudgetOf::Tag(Arc::clone(&id)),
            BudgetOf::Customer(id),
            BudgetOf::Proxy,
        ];
        for of in &all {
            match of {
                BudgetOf::Key(_)
                | BudgetOf::KeyModel { .. }
                | BudgetOf::Member { .. }
                | BudgetOf::Team(_)
                | BudgetOf::User(_)
                | BudgetOf::Organization(_)
                | BudgetOf::Project(_)
                | BudgetOf::Tag(_)
                | BudgetOf::Customer(_)
                | BudgetOf::Proxy => {}
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Over days that are 23 or 25 hours long, a leap day and clocks that jump: the money of each scope begins anew exactly once
        /// for each window that its clock reaches, and never again.
        #[test]
        fn house_13_10_each_scope_begins_each_window_once(
            zone in prop::sample::select(vec!["UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]),
            duration in prop::sample::select(vec!["1h", "1d", "7d", "30d", "2d", "3mo"]),
            // 2028-02-26, three days before the leap day, or three days before clocks go on.
            from in prop::sample::select(vec![1_835_136_000_i64, 1_836_900_000]),
            steps in prop::collection::vec(-100_000_i64..200_000, 1..60),
        ) {
            let zone = Zone::named(zone).unwrap();
            let starts = Starts::default();
            starts.set_zone(zone.clone());
            let budgets: Vec<Budget> = each_kind().into_iter().map(|of| Budget { began: from, ..budget(of, 1, Some(duration)) }).collect();
            let windows = Windows { period: Period::parse(duration).unwrap(), zone, began: from };
            let (mut now, mut latest, mut begun) = (from, i64::MIN, vec![Vec::new(); budgets.len()]);
            for step in steps {
                now += step;
                latest = latest.max(now);
                let payers = starts.payers(budgets.iter(), now);
                prop_assert_eq!(payers.slots().len(), budgets.len());
                for (slot, begun) in payers.slots().iter().zip(&mut begun) {
                    // The window of the latest moment that was ever seen, and no other.
                    prop_assert_eq!(slot.since, windows.start(latest));
                    if begun.last() != Some(&slot.since) {
                        prop_assert!(!begun.contains(&slot.since), "{} begins again", slot.since);
                        begun.push(slot.since);
                    }
                }
            }
        }
    }
}
