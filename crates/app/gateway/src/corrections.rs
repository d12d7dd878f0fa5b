//! What is spent is changed by hand or by a rule: a record of its own goes into this process's journal, and from there into
//! the store like everything else. Nothing that is written is ever edited (HOUSE: ledger rule 11).

use std::{sync::Arc, time::Duration};

use tollgate_config::Config;
use tollgate_journal::Journal;
use tollgate_ledger::{Nanos, Scope, Slot, records::Corrected, windows::Period};
use tollgate_store::{EpochMs, Kind, Page, Stamp, Store, StoreError, UnknownAttempt, Window};
use tollgate_wire::{Failure, FailureKind};
use uuid::Uuid;

use crate::{arrivals::Arrival, gateway::Gateway};

/// How long whoever changes what is spent waits until the store has it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an attempt is unknown before it is charged what it cost at least, if nobody says.
const UNKNOWN_TTL: Duration = Duration::from_secs(24 * 3600);
/// Between two looks for attempts that have been unknown for so long.
const EXPIRY_EVERY: Duration = Duration::from_secs(60);
/// Attempts that are charged in one go.
const EXPIRED_AT_ONCE: i64 = 200;
/// Who charges them.
const RULE: &str = "rule: unknown_spend_ttl";

/// How long attempts stay unknown; none: until somebody states them.
pub(crate) fn unknown_ttl(config: &Config) -> Option<Duration> {
    Some(config.general.unknown_spend_ttl.unwrap_or(UNKNOWN_TTL)).filter(|ttl| !ttl.is_zero())
}

/// One change of what is spent.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The attempt that it is about; it was unknown, and this states what it cost.
    pub(crate) states: Option<Uuid>,
    /// Where.
    pub(crate) slots: Arc<[Slot]>,
    /// What is added.
    pub(crate) by: Nanos,
    /// Who.
    pub(crate) author: Arc<str>,
    /// Why.
    pub(crate) reason: Arc<str>,
}

impl Gateway {
    /// Writes changes into the journal and waits, for a while, until the store has them; what became of each, with its id.
    ///
    /// # Errors
    /// 503 where the journal does not take one: those before it are written.
    pub(crate) async fn correct(&self, changes: Vec<Change>) -> Result<Vec<(Uuid, Arrival)>, Failure> {
        let Some(books) = self.ledger.books() else {
            return Err(Failure::new(FailureKind::NotBuilt, "this gateway runs without a journal"));
        };
        let mut written = Vec::with_capacity(changes.len());
        for Change { states, slots, by, author, reason } in changes {
            let id = self.uuid_v7();
            let corrected = Corrected {
                id,
                attempt: states,
                slots,
                change: by,
                states_unknown: states.is_some(),
                author,
                reason,
                at: self.clock.unix(),
            };
            written.push((id, books.correct(corrected).ok_or_else(no_room)?));
        }
        force(books.journal()).await;
        let (start, mut became) = (self.clock.monotonic(), Vec::with_capacity(written.len()));
        for (id, sequence) in written {
            let left = PATIENCE.saturating_sub(self.since(start));
            became.push((id, self.arrivals.of(sequence, left).await));
        }
        Ok(became)
    }

    /// Waits, for a while, until the store has everything that this process has written down so far; whether it has.
    pub(crate) async fn catch_up(&self) -> bool {
        let Some(books) = self.ledger.books() else { return true };
        let written = books.journal().standing().written;
        force(books.journal()).await;
        self.arrivals.of(written, PATIENCE).await != Arrival::Awaited
    }

    /// What a key has spent is another now, or (none) what all keys have: nothing that is remembered of it counts any more,
    /// here and, as soon as they hear of it, on the other instances.
    ///
    /// # Errors
    /// The store does not answer; others see it when they look the key up again.
    pub(crate) async fn spend_was_corrected(&self, token: Option<&str>, stamp: &Stamp) -> Result<(), StoreError> {
        let Some(callers) = &self.callers else { return Ok(()) };
        self.budgets.unhear();
        match token {
            Some(token) => {
                callers.store().announce(Kind::Key, token, stamp).await?;
                if let Some(digest) = tollgate_policy::KeyDigest::from_hex(token) {
                    callers.forget(&digest);
                }
            }
            None => {
                callers.store().announce(Kind::Other, "spend", stamp).await?;
                callers.forget_all();
            }
        }
        Ok(())
    }

    /// Charges attempts that have been unknown for too long, until the gateway goes down. Of several instances that do it one
    /// succeeds: the store books a statement only while the attempt is unknown.
    pub fn start_expiry(self: &Arc<Self>) {
        if let Some(callers) = &self.callers {
            let (gateway, store) = (Arc::clone(self), Arc::clone(callers.store()));
            self.workers.spawn_following(async move { gateway.expire(&store).await });
        }
    }

    async fn expire(self: Arc<Self>, store: &Store) {
        loop {
            let pause = match self.snapshot().unknown_ttl {
                Some(ttl) => match self.charge_expired(store, ttl).await {
                    Ok(full) if full => Duration::ZERO,
                    Ok(_) => EXPIRY_EVERY.min(ttl),
                    Err(error) => {
                        tracing::warn!(target: "tollgate::ledger", %error, "attempts that are unknown for too long are charged later");
                        EXPIRY_EVERY
                    }
                },
                None => EXPIRY_EVERY,
            };
            tokio::select! {
                () = self.draining() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Charges some of them; whether there may be more that can be charged now.
    async fn charge_expired(&self, store: &Store, ttl: Duration) -> Result<bool, StoreError> {
        let now = i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX);
        let before = EpochMs(now.saturating_sub(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)));
        let due = store.unknown_attempts(before, Page { offset: 0, limit: EXPIRED_AT_ONCE }).await?;
        let reason: Arc<str> = format!("nobody stated it within {} s", ttl.as_secs()).into();
        let changes: Vec<Change> = due
            .iter()
            .filter_map(|attempt| statement(attempt, at_least(attempt), RULE.into(), Arc::clone(&reason)))
            .collect();
        if changes.is_empty() {
            return Ok(false);
        }
        let became = match self.correct(changes).await {
            Ok(became) => became,
            Err(failure) => return Err(StoreError::Unavailable(failure.client_message())),
        };
        let count = became.iter().filter(|(_, arrival)| *arrival == Arrival::Booked).count();
        if count > 0 {
            tracing::warn!(target: "tollgate::ledger", count, "attempts that nobody stated are charged what they cost at least");
            for token in due.iter().map(|attempt| attempt.api_key.as_str()).collect::<std::collections::BTreeSet<_>>() {
                let stamp = Stamp { at: EpochMs(now), by: Some(RULE.to_owned()), audit: None };
                self.spend_was_corrected(Some(token), &stamp).await?;
            }
        }
        let is_full = i64::try_from(due.len()).unwrap_or(i64::MAX) >= EXPIRED_AT_ONCE;
        Ok(is_full && became.iter().all(|(_, arrival)| *arrival != Arrival::Awaited))
    }
}

/// Only what is forced to disk goes into the store.
async fn force(journal: &Journal) {
    let journal = journal.clone();
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || journal.force()).await {
        tracing::error!(target: "tollgate::ledger", %error, "the journal cannot be forced to disk");
    }
}

fn no_room() -> Failure {
    let words = "the journal takes no records now, so nothing was changed; the log says why";
    let mut failure = Failure::new(FailureKind::Overloaded, words);
    failure.retry_after = Some(Duration::from_secs(1));
    failure
}

/// What it costs to state an unknown attempt; none: its id or its windows are none of ours.
pub(crate) fn statement(attempt: &UnknownAttempt, cost: Nanos, author: Arc<str>, reason: Arc<str>) -> Option<Change> {
    let states = Uuid::parse_str(&attempt.attempt_id).ok()?;
    let slots: Option<Vec<Slot>> = attempt.windows.0.iter().map(slot).collect();
    Some(Change { states: Some(states), slots: slots?.into(), by: cost, author, reason })
}

/// What an unknown attempt cost at least; where nobody knows even that, what is held for it.
pub(crate) fn at_least(attempt: &UnknownAttempt) -> Nanos {
    let details = attempt.details.as_ref().and_then(|json| serde_json::from_str::<serde_json::Value>(&json.0).ok());
    let stated = details.as_ref().and_then(|details| details.get("at_least")?.as_f64());
    Nanos::new(stated.and_then(crate::admin::nanos).unwrap_or(attempt.held.0))
}

/// The slot that a window of the store is of.
pub(crate) fn slot(window: &Window) -> Option<Slot> {
    let (kind, period) = match window.kind.split_once('@') {
        Some((kind, period)) => (kind, Some(Period::parse(period).ok()?)),
        None => (window.kind.as_str(), None),
    };
    let scope = Scope::named(kind, &window.id)?;
    Some(Slot { scope, period, since: window.start.0.div_euclid(1000) })
}

#[cfg(test)]
mod tests {
    use tollgate_store::{Json, NanoDollars, Windows};

    use super::*;

    fn window(kind: &str, id: &str, start: i64) -> Window {
        Window { kind: kind.to_owned(), id: id.to_owned(), start: EpochMs(start) }
    }

    #[test]
    fn a_window_of_the_store_names_its_slot_and_the_slot_the_window() {
        for (kind, id, start) in [
            ("key", "abc", 0),
            ("key@1d", "abc", 1_700_000_000_000),
            ("team@1mo", "t/1", 1_700_000_000_000),
            ("member", "team/ann/b", 0),
            ("proxy", "", 0),
        ] {
            let window = window(kind, id, start);
            let slot = slot(&window).unwrap_or_else(|| panic!("{kind} {id}"));
            assert_eq!(crate::projection::window(&slot), window);
        }
        assert_eq!(slot(&window("planet", "earth", 0)), None);
        assert_eq!(slot(&window("key@soon", "k", 0)), None);
    }

    #[test]
    fn what_an_attempt_cost_at_least_is_what_was_written_down_else_all_that_is_held() {
        let attempt = UnknownAttempt {
            attempt_id: Uuid::from_u128(7).to_string(),
            held: NanoDollars(500),
            windows: Windows(vec![window("key", "k", 0)]),
            details: Some(Json(r#"{"at_least": 1.2e-8}"#.to_owned())),
            ..UnknownAttempt::default()
        };
        assert_eq!(at_least(&attempt), Nanos::new(12));
        let change = statement(&attempt, Nanos::new(12), "ann".into(), "why".into()).unwrap();
        assert_eq!((change.states, change.slots.len()), (Some(Uuid::from_u128(7)), 1));
        let bare = UnknownAttempt { details: None, attempt_id: "no id".to_owned(), ..attempt };
        assert_eq!(at_least(&bare), Nanos::new(500));
        assert!(statement(&bare, Nanos::ZERO, "ann".into(), "why".into()).is_none());
    }
}
