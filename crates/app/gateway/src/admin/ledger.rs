//! The ledger by hand: attempts of which nobody knows what they cost, what keys have spent, and the audit log. Whatever is
//! changed here is changed by a record (`corrections.rs`), never by an edit.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use tollgate_ledger::Nanos;
use tollgate_policy::{Caller, Role, RouteClass, admit};
use tollgate_store::{EpochMs, Page, UnknownAttempt};
use tollgate_wire::{Failure, FailureKind};

use super::{
    Desk, changed_by, failure_of, fields, object,
    spend::asked::{Asked, wrong},
};
use crate::{
    arrivals::Arrival,
    corrections::{at_least, slot, statement},
    gateway::Gateway,
};

/// Lines on one page.
const PAGE_SIZE: i64 = 50;
/// Lines on a page at most.
const LARGEST_PAGE: i64 = 500;
/// Pages that may be asked for.
const LAST_PAGE: i64 = 1_000_000;
/// Bytes of a reason at most.
const LONGEST_REASON: usize = 500;

/// What is done with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerTask {
    /// `GET /ledger/unknown`
    Unknown,
    /// `POST /ledger/unknown/{attempt}`
    State,
    /// `POST /key/{key}/reset_spend`
    ResetKey,
    /// `POST /global/spend/reset`
    ResetAll,
    /// `GET /audit`
    Audits,
    /// `GET /audit/{id}`
    Audit,
}

impl LedgerTask {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Unknown, Self::State, Self::ResetKey, Self::ResetAll, Self::Audits, Self::Audit];

    /// The path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Unknown => "/ledger/unknown",
            Self::State => "/ledger/unknown/{attempt}",
            Self::ResetKey => "/key/{key}/reset_spend",
            Self::ResetAll => "/global/spend/reset",
            Self::Audits => "/audit",
            Self::Audit => "/audit/{id}",
        }
    }

    /// It changes something.
    #[must_use]
    pub const fn is_posted(self) -> bool {
        matches!(self, Self::State | Self::ResetKey | Self::ResetAll)
    }
}

/// A request about the ledger as it came.
#[derive(Debug)]
pub struct LedgerAsk {
    /// What is to be done.
    pub task: LedgerTask,
    /// The request's headers.
    pub headers: HeaderMap,
    /// Its query.
    pub query: HashMap<String, String>,
    /// Its body: a JSON object, or nothing.
    pub body: Bytes,
    /// The attempt, key or entry that its path names.
    pub of_path: Option<String>,
}

impl Gateway {
    /// Does what a request about the ledger asks for.
    ///
    /// # Errors
    /// 401 and 403 for whoever may not, 400 for a request that cannot be read, 404 for what is not there, 409 where somebody
    /// else does the same at this moment, 503 while store or journal take nothing.
    pub async fn keep_ledger(self: &Arc<Self>, ask: LedgerAsk) -> Result<Value, Failure> {
        let snapshot = self.snapshot();
        let caller = self.identify(&snapshot, &ask.headers).await?;
        admit(&caller, RouteClass::Own, ask.task.path())?;
        let Some(callers) = &self.callers else {
            return Err(Failure::new(FailureKind::NotBuilt, "this gateway runs without a store"));
        };
        let mut desk = self.desk(&snapshot, callers, &caller, ask.task.path());
        desk.changed_by = changed_by(&ask.headers);
        desk.may(ask.task)?;
        let (asked, body, named) = (Asked(&ask.query), object(&ask.body)?, ask.of_path.unwrap_or_default());
        match ask.task {
            LedgerTask::Unknown => desk.unknown(&asked).await,
            LedgerTask::State => desk.state(&named, &body).await,
            LedgerTask::ResetKey => desk.reset_key(&named, &body).await,
            LedgerTask::ResetAll => desk.reset_all().await,
            LedgerTask::Audits => desk.audits(&asked).await,
            LedgerTask::Audit => desk.audit(&named).await,
        }
    }
}

impl Desk<'_> {
    /// The admin may do all of it, whoever sees everything may look; all keys are reset with the master key alone, as in
    /// `LiteLLM` (surface 4.1).
    fn may(&self, task: LedgerTask) -> Result<(), Failure> {
        let role = self.caller.key().map_or(Role::Admin, |key| key.role);
        let may = match task {
            LedgerTask::ResetAll => matches!(self.caller, Caller::Admin),
            task if task.is_posted() => self.caller.is_admin(),
            _ => self.caller.is_admin() || role == Role::AdminViewer,
        };
        if may {
            return Ok(());
        }
        let words = format!(
            "user not allowed to access this route, role= {}. Trying to access: {}",
            role.as_str(),
            task.path()
        );
        Err(Failure::new(FailureKind::RouteDenied, words))
    }

    async fn unknown(&self, asked: &Asked<'_>) -> Result<Value, Failure> {
        let size = asked.number("page_size", PAGE_SIZE, LARGEST_PAGE)?;
        let page = asked.number("page", 1, LAST_PAGE)?;
        let failed = |error| failure_of(error, "");
        let (total, held) = self.store.unknown_sum().await.map_err(failed)?;
        let part = Page { offset: (page - 1) * size, limit: size };
        let attempts = self.store.unknown_attempts(EpochMs(i64::MAX), part).await.map_err(failed)?;
        let unknown: Vec<Value> = attempts.iter().map(shown).collect();
        Ok(json!({
            "unknown": unknown, "total": total, "total_held": fields::usd(held.0), "page": page, "page_size": size,
            "total_pages": (total + size - 1) / size,
        }))
    }

    /// Somebody knows what an attempt cost, or is content with what it cost at least.
    async fn state(&self, named: &str, body: &Map<String, Value>) -> Result<Value, Failure> {
        let found = self.store.unknown_attempt(named).await.map_err(|error| failure_of(error, ""))?;
        let attempt =
            found.ok_or_else(|| gone(404, "no attempt with this id is unknown: it never was, or it is stated"))?;
        let cost = stated(body, &attempt)?;
        let reason = reason(body)?;
        let change = statement(&attempt, cost, self.author(), reason.as_str().into());
        let change = change.ok_or_else(|| Failure::bug("the unknown attempt has windows that are none of ours"))?;
        let became = self.gateway.correct(vec![change]).await?;
        let (id, arrival) = became.into_iter().next().ok_or_else(|| Failure::bug("a correction has no outcome"))?;
        if arrival == Arrival::Void || self.stated_otherwise(named, &id.to_string()).await? {
            return Err(gone(409, "somebody else stated this attempt in the same moment; nothing was booked twice"));
        }
        let after = json!({"spend": fields::usd(cost.get()), "reason": reason});
        let before = json!({"held": fields::usd(attempt.held.0)});
        let stamp = self.noted("stated", "Tollgate_UnknownAttempt", named, (Some(before), Some(after)));
        let told = self.gateway.spend_was_corrected(Some(&attempt.api_key), &stamp).await;
        told.map_err(|error| failure_of(error, ""))?;
        Ok(json!({
            "attempt_id": attempt.attempt_id, "call_id": attempt.call_id, "cost": fields::usd(cost.get()),
            "held": fields::usd(attempt.held.0), "author": &*self.author(), "reason": reason, "correction_id": id.to_string(),
            "is_booked": arrival == Arrival::Booked,
        }))
    }

    /// Whether the store has another statement of the attempt and not this one: an answer of it may have been lost.
    async fn stated_otherwise(&self, attempt: &str, correction: &str) -> Result<bool, Failure> {
        let found = self.store.entries_of(&[attempt.to_owned()]).await.map_err(|error| failure_of(error, ""))?;
        let statements = || found.iter().filter(|entry| entry.certainty == "corrected");
        Ok(statements().next().is_some() && !statements().any(|entry| entry.row_id == correction))
    }

    /// Who changes what is spent, as its record remembers it.
    pub(super) fn author(&self) -> Arc<str> {
        self.changed_by.clone().unwrap_or_else(|| self.actor()).into()
    }
}

/// A refusal of what is not there, or not any more.
pub(super) fn gone(status: u16, words: &str) -> Failure {
    let mut failure = Failure::invalid(words);
    if status == 404 {
        failure = failure.with_type(tollgate_wire::ErrorType::NotFound);
    }
    failure.status = Some(status);
    failure
}

fn shown(attempt: &UnknownAttempt) -> Value {
    let details: Map<String, Value> = super::rows::document(attempt.details.as_ref());
    let scopes: Vec<Value> = attempt
        .windows
        .0
        .iter()
        .map(|window| {
            let since = (window.start.0 != 0).then(|| fields::iso(window.start));
            let period = slot(window).and_then(|slot| slot.period).map(|period| period.to_string());
            let kind = window.kind.split('@').next().unwrap_or_default();
            json!({"kind": kind, "id": window.id, "period": period, "since": since})
        })
        .collect();
    json!({
        "attempt_id": attempt.attempt_id,
        "call_id": attempt.call_id,
        "held": fields::usd(attempt.held.0),
        "at_least": fields::usd(at_least(attempt).get()),
        "since": fields::iso(attempt.opened_at),
        "scopes": scopes,
        "api_key": attempt.api_key,
        "model": attempt.model,
        "provider": attempt.provider,
        "input_tokens": details.get("input_tokens"),
        "output_tokens": details.get("output_tokens"),
        "journal": attempt.journal,
    })
}

/// `{"cost": 0.01}` or `{"accept": "at_least"}`.
fn stated(body: &Map<String, Value>, attempt: &UnknownAttempt) -> Result<Nanos, Failure> {
    match (body.get("cost"), body.get("accept")) {
        (Some(cost), None) => {
            let nanos = cost.as_f64().and_then(fields::nanos).filter(|nanos| *nanos >= 0);
            nanos.map(Nanos::new).ok_or_else(|| wrong("cost", "an amount of USD from 0 on"))
        }
        (None, Some(Value::String(word))) if word == "at_least" => Ok(at_least(attempt)),
        (None, Some(_)) => Err(wrong("accept", "\"at_least\"")),
        _ => Err(wrong("cost", "said, or `accept`: one of the two")),
    }
}

fn reason(body: &Map<String, Value>) -> Result<String, Failure> {
    let accepted = || body.contains_key("accept").then(|| "accepted what it cost at least".to_owned());
    match body.get("reason") {
        Some(Value::String(reason)) if !reason.trim().is_empty() && reason.len() <= LONGEST_REASON => {
            Ok(reason.trim().to_owned())
        }
        None | Some(Value::Null) => accepted().ok_or_else(|| wrong("reason", "said: why it cost that much")),
        Some(_) => Err(wrong("reason", "a text of at most 500 bytes")),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_store::NanoDollars;

    use super::*;

    fn body(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_stated_is_one_amount_with_a_reason() {
        let attempt = UnknownAttempt { held: NanoDollars(70), ..UnknownAttempt::default() };
        let of = |value| stated(&body(&value), &attempt);
        assert_eq!(of(json!({"cost": 0.5})).unwrap(), Nanos::new(500_000_000));
        assert_eq!(of(json!({"cost": 0})).unwrap(), Nanos::ZERO);
        assert_eq!(of(json!({"accept": "at_least"})).unwrap(), Nanos::new(70));
        for wrong in [
            json!({}),
            json!({"cost": -1}),
            json!({"cost": "1"}),
            json!({"accept": "all"}),
            json!({"cost": 1, "accept": "at_least"}),
        ] {
            assert_eq!(of(wrong.clone()).unwrap_err().http_status(), 400, "{wrong}");
        }
        assert_eq!(reason(&body(&json!({"reason": " invoice 7 "}))).unwrap(), "invoice 7");
        assert!(reason(&body(&json!({"accept": "at_least"}))).is_ok());
        for wrong in
            [json!({"cost": 1}), json!({"reason": ""}), json!({"reason": "x".repeat(501)}), json!({"reason": 1})]
        {
            assert_eq!(reason(&body(&wrong)).unwrap_err().http_status(), 400);
        }
    }

    #[test]
    fn every_task_is_listed_once() {
        let mut paths: Vec<&str> = LedgerTask::ALL.iter().map(|task| task.path()).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), LedgerTask::ALL.len());
    }
}
