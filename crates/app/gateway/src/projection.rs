//! From the journal into the store: records become rows, sums and the journal's position in one transaction, so that each is
//! booked exactly once however often the process dies (HOUSE: ledger rule 7). What is here decides nothing about money.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use tollgate_journal::{Cursor, Journal};
use tollgate_ledger::{
    Nanos, Record, Slot,
    records::{self, Certainty, Corrected, Decoded, Facts, Noted, Outcome, Settled},
};
use tollgate_store::{
    Batch, Booked, EpochMs, Json, NanoDollars, Projected, SpendRow, Store, StoreError, UnknownAttempt, Unread, Window,
    Windows,
};
use tollgate_wire::clock::Clock;

/// Records that go into the store in one transaction.
const AT_ONCE: usize = 500;

/// How rows are written.
#[derive(Clone, Debug)]
pub(crate) struct Projecting {
    /// Whose leases pay for what is in the journal.
    pub(crate) instance: Option<String>,
    /// Rows are kept, not only sums (`disable_spend_logs`).
    pub(crate) keep_rows: bool,
    /// The zone in which days are counted.
    pub(crate) zone: jiff::tz::TimeZone,
}

impl Default for Projecting {
    fn default() -> Self {
        Self { instance: None, keep_rows: true, zone: jiff::tz::TimeZone::UTC }
    }
}

/// Carries records from a journal into the store.
pub(crate) struct Projector {
    journal: Journal,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    settings: Projecting,
    cursor: Cursor,
}

impl std::fmt::Debug for Projector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projector").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Projector {
    pub(crate) fn new(journal: Journal, store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { journal, store, clock, settings: Projecting::default(), cursor: Cursor::default() }
    }

    /// Carries over the next records; gives how many there were, and tells `arrived` what was spent, or is unknown now,
    /// in each window.
    ///
    /// # Errors
    /// The store does not take them now; they stay where they are.
    pub(crate) async fn carry(
        &mut self,
        settings: Projecting,
        arrived: impl Fn(&Window, i64, Certainty),
    ) -> Result<usize, StoreError> {
        self.settings = settings;
        let mut cursor = self.cursor;
        let mut entries: Vec<(u64, Vec<u8>)> = Vec::new();
        let read = self.journal.tail(&mut cursor, |position, payload| {
            entries.push((position.sequence, payload.to_vec()));
            entries.len() < AT_ONCE
        });
        if let Err(error) = read {
            tracing::error!(target: "tollgate::ledger", %error, "the journal cannot be read");
        }
        let Some(last) = entries.last().map(|(sequence, _)| *sequence) else { return Ok(0) };
        let (count, upto) = (entries.len(), i64::try_from(last).unwrap_or(i64::MAX));
        let now = EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX));
        let after = i64::try_from(self.cursor.sequence()).unwrap_or(i64::MAX);
        let sent = batch(&self.settings, &self.journal.id().to_string(), (after, upto), now, entries);
        match self.store.book(&sent).await? {
            Projected::Done { quarantined } if !quarantined.is_empty() => {
                tracing::error!(target: "tollgate::ledger", ?quarantined, "the store refused records; they are in quarantine");
            }
            Projected::Done { .. } => {}
            // An answer of the store was lost: what it has is not sent again, and has arrived all the same.
            Projected::At(position) => {
                let (id, position) = (self.journal.id().to_string(), u64::try_from(position).unwrap_or_default());
                let there = self.between(position);
                tell(&batch(&self.settings, &id, (after, upto), now, there), arrived);
                self.cursor = Cursor::after(position);
                return Ok(count);
            }
        }
        tell(&sent, arrived);
        self.journal.release(last);
        self.cursor = cursor;
        Ok(count)
    }

    /// The records behind the cursor, up to this one.
    fn between(&self, last: u64) -> Vec<(u64, Vec<u8>)> {
        let (mut cursor, mut entries) = (self.cursor, Vec::new());
        let read = self.journal.tail(&mut cursor, |position, payload| {
            if position.sequence <= last {
                entries.push((position.sequence, payload.to_vec()));
            }
            position.sequence < last
        });
        if let Err(error) = read {
            tracing::error!(target: "tollgate::ledger", %error, "the journal cannot be read");
        }
        entries
    }
}

/// Tells what has arrived in the store with a batch, window by window.
fn tell(batch: &Batch, arrived: impl Fn(&Window, i64, Certainty)) {
    for booked in batch.booked.iter().filter(|booked| booked.leased) {
        booked.row.windows.0.iter().for_each(|window| arrived(window, booked.row.spend.0, Certainty::Stated));
    }
    for attempt in &batch.unknown {
        attempt.windows.0.iter().for_each(|window| arrived(window, attempt.held.0, Certainty::Unknown));
    }
}

/// The records between two positions as the store books them.
pub(crate) fn batch(
    settings: &Projecting,
    journal: &str,
    (after, upto): (i64, i64),
    now: EpochMs,
    entries: Vec<(u64, Vec<u8>)>,
) -> Batch {
    let mut batch = Batch {
        journal: journal.to_owned(),
        instance: settings.instance.clone(),
        after,
        upto,
        at: now,
        keep_rows: settings.keep_rows,
        ..Batch::default()
    };
    for (sequence, payload) in entries {
        let position = i64::try_from(sequence).unwrap_or(i64::MAX);
        let record = match records::decode(&payload) {
            Ok(Decoded::Record(record, _)) => record,
            // The journal's position moves on over both: a version that can read them finds them in quarantine.
            Ok(Decoded::NewerKind(kind)) => {
                let cause = format!("a record of a newer version, of kind {kind}");
                batch.unread.push(Unread { position, cause, record: payload });
                continue;
            }
            Err(error) => {
                batch.unread.push(Unread { position, cause: error.to_string(), record: payload });
                continue;
            }
        };
        add(&mut batch, settings, position, &record, payload);
    }
    batch
}

fn add(batch: &mut Batch, settings: &Projecting, position: i64, record: &Record, payload: Vec<u8>) {
    let (row, tags, at, leased) = match record {
        // What is under way is in no sum; a process that dies is taken over with what it left open.
        Record::Open(_) | Record::Progress(_) => return,
        Record::Settled(settled) if settled.certainty == Certainty::Unknown => {
            batch.unknown.push(unknown(&batch.journal, settled));
            return;
        }
        Record::Settled(settled) => (row(settled), tags(&settled.facts), Some(settled.facts.started), true),
        Record::Noted(noted) => (noted_row(noted), tags(&noted.facts), Some(noted.facts.started), false),
        Record::Corrected(corrected) => {
            if let Some(attempt) = corrected.attempt.filter(|_| corrected.states_unknown) {
                batch.resolved.push(attempt.to_string());
            }
            (corrected_row(corrected), Vec::new(), None, false)
        }
    };
    let day = at.map(|at| day(at, &settings.zone));
    batch.booked.push(Booked { position, row, day, tags, leased, record: payload });
}

fn tags(facts: &Facts) -> Vec<String> {
    facts.tags.iter().map(|tag| tag.to_string()).collect()
}

/// The day in which a call began.
fn day(at: Duration, zone: &jiff::tz::TimeZone) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(zone.clone()).date().to_string()
}

fn windows(slots: &[Slot]) -> Windows {
    Windows(slots.iter().map(window).collect())
}

/// A slot as the store knows it.
pub(crate) fn window(slot: &Slot) -> Window {
    // The plain name: the store joins it with the ids of keys, users and teams. Windows of another length are of another kind, as
    // two may begin in the same moment.
    let kind = slot.scope.kind().as_str();
    let kind = slot.period.map_or_else(|| kind.to_owned(), |period| format!("{kind}@{period}"));
    Window { kind, id: slot.scope.name(), start: EpochMs(slot.since.saturating_mul(1000)) }
}

fn millis(at: Duration) -> EpochMs {
    EpochMs(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What a row says of the call.
fn of_facts(facts: &Facts) -> SpendRow {
    let tags = (!facts.tags.is_empty()).then(|| {
        let tags: Vec<&str> = facts.tags.iter().map(AsRef::as_ref).collect();
        Json(json!(tags).to_string())
    });
    SpendRow {
        started_at: millis(facts.started),
        ended_at: millis(facts.started),
        call_id: facts.call.to_string(),
        request_id: facts.call.to_string(),
        call_type: facts.call_type.to_string(),
        api_key: facts.key.to_string(),
        key_alias: some(&facts.key_alias),
        user_id: some(&facts.user),
        team_id: some(&facts.team),
        organization_id: some(&facts.organization),
        project_id: some(&facts.project),
        end_user: some(&facts.customer),
        model: facts.model.to_string(),
        model_id: some(&facts.deployment),
        model_group: some(&facts.group),
        provider: some(&facts.provider),
        api_base: some(&facts.api_base),
        session_id: some(&facts.session),
        requester_ip_address: some(&facts.requester),
        request_tags: tags,
        windows: windows(&facts.slots),
        ..SpendRow::default()
    }
}

fn status(outcome: &Outcome) -> (&'static str, Option<String>) {
    match outcome {
        Outcome::Answered => ("success", None),
        Outcome::ClientLeft => ("failure", Some("client left".to_owned())),
        Outcome::Failed(kind) => ("failure", Some(kind.to_string())),
        Outcome::Died => ("failure", Some("the process died".to_owned())),
    }
}

/// What is known beside the columns, with what the client and the key have added.
fn metadata(facts: &Facts, status: &str, more: Value) -> Option<Json> {
    let mut all: Map<String, Value> = serde_json::from_str(&facts.metadata).unwrap_or_default();
    if let Value::Object(more) = more {
        all.extend(more);
    }
    for (name, text) in [
        ("user_api_key", &facts.key),
        ("user_api_key_alias", &facts.key_alias),
        ("user_api_key_user_id", &facts.user),
        ("user_api_key_team_id", &facts.team),
        ("user_api_key_org_id", &facts.organization),
    ] {
        all.insert(name.to_owned(), some(text).map_or(Value::Null, Value::from));
    }
    all.insert("status".to_owned(), status.into());
    Some(Json(Value::Object(all).to_string()))
}

fn row(settled: &Settled) -> SpendRow {
    let (facts, usage) = (&settled.facts, &settled.usage);
    let (status, error) = status(&settled.outcome);
    let certainty = match settled.certainty {
        Certainty::Stated => "stated",
        Certainty::Counted => "counted",
        Certainty::Unknown => "unknown",
    };
    let more = json!({
        "usage_object": {
            "prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.total(),
            "cache_read_input_tokens": usage.cache_read, "cache_creation_input_tokens": usage.cache_write,
            "reasoning_tokens": usage.reasoning,
        },
        "certainty": certainty,
        "unpriced": settled.cost.is_none(),
        "attempt": facts.ordinal,
    });
    SpendRow {
        row_id: settled.attempt.to_string(),
        attempt_id: settled.attempt.to_string(),
        ended_at: millis(facts.started + settled.took),
        completion_started_at: settled.first_byte.map(|first| millis(facts.started + first)),
        request_duration_ms: count(u64::try_from(settled.took.as_millis()).unwrap_or(u64::MAX)),
        request_id: some(&settled.answer).unwrap_or_else(|| facts.call.to_string()),
        status: status.to_owned(),
        spend: NanoDollars(settled.cost.map_or(0, Nanos::get)),
        certainty: certainty.to_owned(),
        total_tokens: count(usage.total()),
        prompt_tokens: count(usage.input),
        completion_tokens: count(usage.output),
        cache_read_tokens: count(usage.cache_read),
        cache_write_tokens: count(usage.cache_write),
        error_code: error.is_some().then(|| settled.status.to_string()),
        error_message: error,
        metadata: metadata(facts, status, more),
        ..of_facts(facts)
    }
}

fn noted_row(noted: &Noted) -> SpendRow {
    let (facts, usage) = (&noted.facts, &noted.usage);
    let (status, error) = status(&noted.outcome);
    let more = json!({"saved_cache_cost": noted.saved.map(|saved| crate::admin::usd(saved.get()))});
    SpendRow {
        row_id: noted.id.to_string(),
        attempt_id: noted.id.to_string(),
        ended_at: millis(facts.started + noted.took),
        request_duration_ms: count(u64::try_from(noted.took.as_millis()).unwrap_or(u64::MAX)),
        status: status.to_owned(),
        certainty: "stated".to_owned(),
        total_tokens: count(usage.total()),
        prompt_tokens: count(usage.input),
        completion_tokens: count(usage.output),
        cache_hit: Some(if noted.is_cache_hit { "True" } else { "False" }.to_owned()),
        error_code: error.is_some().then(|| noted.status.to_string()),
        error_message: error,
        metadata: metadata(facts, status, more),
        ..of_facts(facts)
    }
}

fn corrected_row(corrected: &Corrected) -> SpendRow {
    let (at, id) = (millis(corrected.at), corrected.id.to_string());
    SpendRow {
        attempt_id: corrected.attempt.map_or_else(|| id.clone(), |attempt| attempt.to_string()),
        row_id: id.clone(),
        call_id: id.clone(),
        request_id: id,
        started_at: at,
        ended_at: at,
        call_type: "correction".to_owned(),
        status: "success".to_owned(),
        spend: NanoDollars(corrected.change.get()),
        certainty: "corrected".to_owned(),
        metadata: Some(Json(json!({"author": &*corrected.author, "reason": &*corrected.reason}).to_string())),
        windows: windows(&corrected.slots),
        ..SpendRow::default()
    }
}

pub(crate) fn unknown(journal: &str, settled: &Settled) -> UnknownAttempt {
    let facts = &settled.facts;
    let details = json!({
        "at_least": crate::admin::usd(settled.at_least.get()), "input_tokens": settled.usage.input,
        "output_tokens": settled.usage.output,
    });
    UnknownAttempt {
        attempt_id: settled.attempt.to_string(),
        call_id: facts.call.to_string(),
        journal: journal.to_owned(),
        opened_at: millis(facts.started),
        held: NanoDollars(settled.cost.map_or(0, Nanos::get)),
        windows: windows(&facts.slots),
        api_key: facts.key.to_string(),
        model: facts.model.to_string(),
        provider: some(&facts.provider),
        details: Some(Json(details.to_string())),
    }
}
