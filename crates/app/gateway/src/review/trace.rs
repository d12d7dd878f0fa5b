//! Everything that is written down about one call or attempt, wherever it is: rows, unknown attempts, quarantine, journals.
//! No prompts are in any of it, and metadata is left out: clients write it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use tollgate_journal::{Disk, look};
use tollgate_ledger::{
    Nanos, Record, Slot,
    records::{self, Certainty, Decoded, Facts, Outcome},
};
use tollgate_store::{EpochMs, LogFilter, LogListing, NanoDollars, Page, SpendRow, Store, UnknownAttempt, Windows};

use super::{ReviewError, scope};
use crate::{
    admin::{iso, usd},
    projection::{millis, windows},
};

/// Rows of one call that are looked for at most.
const MOST: i64 = 1000;

/// One thing that is written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// When.
    pub at: EpochMs,
    /// Where: `spend log`, `unknown`, `quarantine`, or a journal and the number there.
    pub place: String,
    /// `open`, `progress`, `settled`, `noted`, `corrected`, `held`.
    pub what: &'static str,
    /// The attempt, or the correction that is about none.
    pub attempt: String,
    /// What it costs, or what is held.
    pub amount: Option<NanoDollars>,
    /// `stated`, `counted`, `unknown`, `corrected`; of what runs nothing.
    pub certainty: String,
    /// Whose money it is.
    pub scopes: Vec<String>,
    /// What else is known.
    pub more: Map<String, Value>,
    /// The call, as far as it is said.
    call: String,
    /// The provider's id of the answer.
    answer: String,
}

impl Said {
    /// All of it for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut all = self.more.clone();
        for (name, value) in [
            ("at", iso(self.at).into()),
            ("place", self.place.clone().into()),
            ("what", self.what.into()),
            ("attempt", self.attempt.clone().into()),
            ("call", self.call.clone().into()),
            ("cost", self.amount.map_or(Value::Null, |amount| usd(amount.0))),
            ("certainty", self.certainty.clone().into()),
            ("scopes", self.scopes.clone().into()),
        ] {
            all.insert(name.to_owned(), value);
        }
        all.into()
    }
}

/// Everything that is written down about a call or an attempt, the oldest first.
///
/// # Errors
/// The store or a journal cannot be read.
pub async fn trace(store: &Store, disk: Option<&Arc<dyn Disk>>, id: &str) -> Result<Vec<Said>, ReviewError> {
    let filter = LogFilter { request_id: Some(id.to_owned()), ..LogFilter::default() };
    let rows = store.spend_logs(&LogListing { filter, limit: MOST, ..LogListing::default() }).await?.rows;
    let unknown = store.unknown_of(&[id.to_owned()]).await?;
    let aside = in_quarantine(store).await?;
    // A call has several attempts, and what corrects one names the attempt alone. So journals are read twice.
    let named = |said: &Said| said.attempt == id || said.call == id || said.answer == id;
    let mut attempts: BTreeSet<String> = rows.into_iter().map(|row| row.attempt_id).collect();
    attempts.extend(unknown.into_iter().map(|attempt| attempt.attempt_id));
    attempts.extend(aside.iter().filter(|said| named(said)).map(|said| said.attempt.clone()));
    if let Some(disk) = disk {
        in_journals(disk, |said| attempts.extend(named(&said).then_some(said.attempt)))?;
    }
    let mut found: Vec<Said> = aside.into_iter().filter(|said| attempts.contains(&said.attempt)).collect();
    if let Some(disk) = disk {
        in_journals(disk, |said| found.extend(attempts.contains(&said.attempt).then_some(said)))?;
    }
    let attempts: Vec<String> = attempts.into_iter().collect();
    found.extend(store.rows_of(&attempts).await?.iter().map(of_row));
    found.extend(store.unknown_of(&attempts).await?.iter().map(of_unknown));
    found.sort_by_key(|said| said.at);
    Ok(found)
}

async fn in_quarantine(store: &Store) -> Result<Vec<Said>, ReviewError> {
    let refused = store.quarantined(Page { offset: 0, limit: i64::MAX }).await?;
    let said = refused.iter().filter_map(|refused| {
        let mut said = of_record(&refused.record)?;
        said.place = format!("quarantine (record {} of {}): {}", refused.position, refused.journal, refused.cause);
        Some(said)
    });
    Ok(said.collect())
}

/// Everything in all journals on a disk, one by one, their numbers as places.
fn in_journals(disk: &Arc<dyn Disk>, mut take: impl FnMut(Said)) -> Result<(), ReviewError> {
    for looked in look(disk)? {
        for entry in looked.replay() {
            let entry = entry?;
            if let Some(mut said) = of_record(&entry.payload) {
                said.place = format!("journal {} record {}", looked.journal, entry.position.sequence);
                take(said);
            }
        }
    }
    Ok(())
}

fn of_record(payload: &[u8]) -> Option<Said> {
    let Ok(Decoded::Record(record, _)) = records::decode(payload) else { return None };
    let attempt = record.identity().to_string();
    Some(match record {
        Record::Open(open) => {
            Said { amount: Some(nanos(open.held)), ..of_facts("open", attempt, &open.facts, open.facts.started) }
        }
        Record::Progress(progress) => Said {
            amount: Some(nanos(progress.held)),
            more: members(json!({"so_far": usd(progress.so_far.get()), "total_tokens": progress.usage.total()})),
            ..blank("progress", attempt, progress.at)
        },
        Record::Settled(settled) => {
            let certainty = match settled.certainty {
                Certainty::Stated => "stated",
                Certainty::Counted => "counted",
                Certainty::Unknown => "unknown",
            };
            let mut said = of_facts("settled", attempt, &settled.facts, settled.facts.started + settled.took);
            said.more.extend(members(json!({
                "status": settled.status, "outcome": outcome(&settled.outcome), "input_tokens": settled.usage.input,
                "output_tokens": settled.usage.output, "at_least": usd(settled.at_least.get()),
            })));
            let (certainty, answer) = (certainty.to_owned(), settled.answer.to_string());
            Said { amount: settled.cost.map(nanos), certainty, answer, ..said }
        }
        Record::Noted(noted) => {
            let mut said = of_facts("noted", attempt, &noted.facts, noted.facts.started + noted.took);
            said.more.extend(members(json!({"status": noted.status, "is_cache_hit": noted.is_cache_hit})));
            Said { amount: Some(NanoDollars(0)), certainty: "stated".to_owned(), ..said }
        }
        Record::Corrected(corrected) => Said {
            amount: Some(nanos(corrected.change)),
            certainty: "corrected".to_owned(),
            scopes: scopes(&corrected.slots),
            more: members(json!({
                "author": &*corrected.author, "reason": &*corrected.reason, "correction": corrected.id.to_string(),
                "states_unknown": corrected.states_unknown,
            })),
            ..blank("corrected", corrected.attempt.map_or(attempt, |attempt| attempt.to_string()), corrected.at)
        },
    })
}

fn blank(what: &'static str, attempt: String, at: Duration) -> Said {
    Said {
        at: millis(at),
        place: String::new(),
        what,
        attempt,
        amount: None,
        certainty: String::new(),
        scopes: Vec::new(),
        more: Map::new(),
        call: String::new(),
        answer: String::new(),
    }
}

fn of_facts(what: &'static str, attempt: String, facts: &Facts, at: Duration) -> Said {
    Said {
        scopes: scopes(&facts.slots),
        call: facts.call.to_string(),
        more: members(json!({
            "key": &*facts.key, "model": &*facts.model, "group": &*facts.group, "provider": &*facts.provider,
            "deployment": &*facts.deployment, "ordinal": facts.ordinal,
        })),
        ..blank(what, attempt, at)
    }
}

fn of_row(row: &SpendRow) -> Said {
    let mut more = members(json!({
        "key": row.api_key, "model": row.model, "provider": row.provider, "deployment": row.model_id,
        "status": row.status, "input_tokens": row.prompt_tokens, "output_tokens": row.completion_tokens,
    }));
    let is_correction = row.certainty == "corrected";
    if is_correction {
        let metadata: Map<String, Value> = crate::admin::rows::document(row.metadata.as_ref());
        more = metadata.into_iter().filter(|(name, _)| name == "author" || name == "reason").collect();
        more.insert("correction".to_owned(), row.row_id.clone().into());
    }
    Said {
        at: row.ended_at,
        place: "spend log".to_owned(),
        what: if is_correction { "corrected" } else { "settled" },
        attempt: row.attempt_id.clone(),
        amount: Some(row.spend),
        certainty: row.certainty.clone(),
        scopes: of_windows(&row.windows),
        more,
        call: if is_correction { String::new() } else { row.call_id.clone() },
        answer: row.request_id.clone(),
    }
}

fn of_unknown(attempt: &UnknownAttempt) -> Said {
    Said {
        at: attempt.opened_at,
        place: "unknown".to_owned(),
        what: "held",
        attempt: attempt.attempt_id.clone(),
        amount: Some(attempt.held),
        certainty: "unknown".to_owned(),
        scopes: of_windows(&attempt.windows),
        more: members(json!({
            "key": attempt.api_key, "model": attempt.model, "provider": attempt.provider, "journal": attempt.journal,
            "at_least": usd(crate::corrections::at_least(attempt).get()),
        })),
        call: attempt.call_id.clone(),
        answer: String::new(),
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered => "answered".to_owned(),
        Outcome::ClientLeft => "client left".to_owned(),
        Outcome::Failed(kind) => kind.to_string(),
        Outcome::Died => "the process died".to_owned(),
    }
}

fn nanos(amount: Nanos) -> NanoDollars {
    NanoDollars(amount.get())
}

fn scopes(slots: &[Slot]) -> Vec<String> {
    of_windows(&windows(slots))
}

fn of_windows(windows: &Windows) -> Vec<String> {
    windows.0.iter().map(scope).collect()
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
