//! One journal against the store: what the store should have of it is there, and what it does not have yet is summed up.

use std::collections::{BTreeSet, HashMap};

use tollgate_journal::Looked;
use tollgate_ledger::{
    Nanos, Record,
    records::{self, Certainty, Decoded},
};
use tollgate_store::{Entry, NanoDollars, Quarantined, Store, Window};
use uuid::Uuid;

use super::{Lost, Pending, Review, ReviewError, Reviewed};
use crate::projection::windows;

/// Records that are compared in one go.
const AT_ONCE: usize = 500;

/// What a record should have left in the store.
struct Expected {
    sequence: u64,
    /// The record's own id, and that of its row.
    id: Uuid,
    /// The attempt under which its row is found.
    attempt: String,
    amount: NanoDollars,
    windows: Vec<Window>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// A row.
    Row,
    /// An unknown attempt, or what it was stated to cost.
    Unknown,
    /// A row, unless somebody had stated the attempt before.
    Statement,
}

/// What a journal leaves open.
type Open = HashMap<Uuid, (Vec<Window>, NanoDollars)>;

pub(super) async fn journal(
    store: &Store,
    review: &mut Review,
    looked: &Looked,
    watermark: u64,
    quarantine: &[Quarantined],
) -> Result<(), ReviewError> {
    let (id, damage) = (looked.journal.to_string(), &looked.damage);
    let aside = quarantine.iter().filter(|refused| refused.journal == id);
    let aside: BTreeSet<u64> = aside.filter_map(|refused| u64::try_from(refused.position).ok()).collect();
    let mut one = Reviewed {
        journal: looked.journal,
        is_held: looked.is_held,
        last: damage.last,
        watermark,
        open: 0,
        skipped_bytes: damage.skipped_bytes,
        unread: damage.foreign,
    };
    let (mut open, mut expected) = (Open::new(), Vec::new());
    for entry in looked.replay() {
        let entry = entry?;
        let sequence = entry.position.sequence;
        let record = match records::decode(&entry.payload) {
            Ok(Decoded::Record(record, _)) => record,
            _ => {
                one.unread += 1;
                continue;
            }
        };
        follow(&mut open, &record);
        let Some(said) = said(sequence, &record) else { continue };
        if sequence > watermark {
            add(review, &said);
        } else if !aside.contains(&sequence) {
            expected.push(said);
        }
        if expected.len() >= AT_ONCE {
            check(store, review, looked.journal, std::mem::take(&mut expected)).await?;
        }
    }
    one.open = open.len();
    expected.extend(left_open(review, &one, open));
    check(store, review, looked.journal, expected).await?;
    gaps(store, review, looked, &id).await?;
    review.journals.push(one);
    Ok(())
}

/// What a process that has ended left open is held as unknown as soon as its journal is taken over: one position behind its
/// last record.
fn left_open(review: &mut Review, one: &Reviewed, open: Open) -> Vec<Expected> {
    let mut expected = Vec::new();
    for (attempt, (windows, amount)) in open {
        let said = Expected {
            sequence: one.last,
            id: attempt,
            attempt: attempt.to_string(),
            amount,
            windows,
            what: What::Unknown,
        };
        if one.watermark > one.last {
            expected.push(said);
        } else if !one.is_held {
            add(review, &said);
        }
    }
    expected
}

fn follow(open: &mut Open, record: &Record) {
    match record {
        Record::Open(one) => {
            open.insert(one.attempt, (windows(&one.facts.slots).0, NanoDollars(one.held.get())));
        }
        Record::Progress(progress) => {
            if let Some((_, held)) = open.get_mut(&progress.attempt) {
                *held = NanoDollars(progress.held.get());
            }
        }
        Record::Settled(settled) => {
            open.remove(&settled.attempt);
        }
        Record::Noted(_) | Record::Corrected(_) => {}
    }
}

/// What a record books; nothing for what is only under way.
fn said(sequence: u64, record: &Record) -> Option<Expected> {
    let (attempt, amount, slots, what) = match record {
        Record::Open(_) | Record::Progress(_) => return None,
        Record::Settled(settled) => {
            let what = if settled.certainty == Certainty::Unknown { What::Unknown } else { What::Row };
            (settled.attempt, settled.cost.unwrap_or(Nanos::ZERO), &settled.facts.slots, what)
        }
        Record::Noted(noted) => (noted.id, Nanos::ZERO, &noted.facts.slots, What::Row),
        Record::Corrected(corrected) => {
            let what = if corrected.states_unknown { What::Statement } else { What::Row };
            (corrected.attempt.unwrap_or(corrected.id), corrected.change, &corrected.slots, what)
        }
    };
    Some(Expected {
        sequence,
        id: record.identity(),
        attempt: attempt.to_string(),
        amount: NanoDollars(amount.get()),
        windows: windows(slots).0,
        what,
    })
}

fn add(review: &mut Review, said: &Expected) {
    let each: BTreeSet<&Window> = said.windows.iter().collect();
    for window in each {
        let Pending { records, settled, unknown } = review.pending.entry(window.clone()).or_default();
        *records += 1;
        let sum = if said.what == What::Unknown { unknown } else { settled };
        sum.0 = sum.0.saturating_add(said.amount.0);
    }
}

/// Compares what should be in the store with what is.
async fn check(store: &Store, review: &mut Review, journal: Uuid, expected: Vec<Expected>) -> Result<(), ReviewError> {
    let attempts: Vec<String> = expected.iter().map(|one| one.attempt.clone()).collect();
    // Unknown attempts first: one that is stated meanwhile has its row afterwards.
    let unknown: BTreeSet<String> =
        store.unknown_of(&attempts).await?.into_iter().map(|attempt| attempt.attempt_id).collect();
    let mut rows: HashMap<String, Vec<Entry>> = HashMap::new();
    for entry in store.entries_of(&attempts).await? {
        rows.entry(entry.attempt_id.clone()).or_default().push(entry);
    }
    for one in expected {
        review.compared += 1;
        let rows = rows.get(&one.attempt).map_or(&[][..], Vec::as_slice);
        let own = rows.iter().find(|row| row.row_id == one.id.to_string());
        let is_stated = rows.iter().any(|row| row.certainty == "corrected");
        let what = match (one.what, own) {
            (What::Row | What::Statement, Some(row)) if row.spend == one.amount => continue,
            (What::Row | What::Statement, Some(row)) => {
                format!("the store has it with {} nano-dollars instead of {}", row.spend.0, one.amount.0)
            }
            (What::Unknown, _) if is_stated || own.is_some() || unknown.contains(&one.attempt) => continue,
            // Somebody else was faster.
            (What::Statement, None) if is_stated => continue,
            (What::Statement, None) if unknown.contains(&one.attempt) => {
                "what it cost was stated, and it is held as unknown all the same; state it again".to_owned()
            }
            // Rows go when they are old, or are not kept; what is in no window is in no sum.
            _ if one.windows.is_empty() || store.are_folded(&one.windows).await? => {
                review.folded += 1;
                continue;
            }
            (What::Unknown, _) => "it is neither held as unknown nor stated".to_owned(),
            _ => "the store does not have it".to_owned(),
        };
        let records = (one.sequence, one.sequence);
        review.lost.push(Lost { journal, records, id: Some(one.id), amount: one.amount, what });
    }
    Ok(())
}

/// Records that are in no file and that the store does not have either.
async fn gaps(store: &Store, review: &mut Review, looked: &Looked, id: &str) -> Result<(), ReviewError> {
    // Asked again: a journal that is written loses its beginning once the store has it.
    let has = u64::try_from(store.watermark(id).await?).unwrap_or_default();
    let mut lost = |first: u64, last: u64, what: &str| {
        if last > has {
            let records = (first.max(has + 1), last);
            let what = what.to_owned();
            review.lost.push(Lost { journal: looked.journal, records, id: None, amount: NanoDollars(0), what });
        }
    };
    lost(1, looked.damage.begins_after, "the journal begins later, and the store does not have them");
    for missing in &looked.damage.missing {
        lost(missing.first, missing.last, "they are missing from the journal, and the store does not have them");
    }
    Ok(())
}
