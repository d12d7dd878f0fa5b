//! The two books beside each other.

use std::collections::BTreeMap;

use tollgate_journal::{Disk, RealDisk, look};
use tollgate_store::{EpochMs, LogListing, Page, SpendRow, Store, UnknownAttempt};

use super::{
    bank::{Asked, Charge, Kind, cost},
    clients::Crowd,
};

/// What is unknown holds what its request costs and its output, and not only the former.
const HOLDS_OUTPUT: bool = false;

/// What was found, for those who read along.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// Calls in the book of the provider.
    pub(crate) charged: usize,
    pub(crate) stated: usize,
    pub(crate) counted: usize,
    pub(crate) unknown: usize,
    /// Opens that never reached the provider.
    pub(crate) never_sent: usize,
    /// Unknown attempts whose hold is less than what the provider would charge.
    pub(crate) held_too_little: usize,
}

/// What we have of an attempt.
#[derive(Debug)]
enum Ours {
    Row(Box<SpendRow>),
    Unknown(UnknownAttempt),
}

/// Whether everything in all journals is in the store.
pub(crate) async fn is_caught_up(data: &std::path::Path, store: &Store) -> bool {
    let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(RealDisk::new(data));
    for journal in look(&disk).expect("the journals can be looked at") {
        let last = i64::try_from(journal.damage.last).expect("a number of records");
        if store.watermark(&journal.journal.to_string()).await.expect("the store answers") < last {
            return false;
        }
    }
    true
}

/// Fails unless every charge is in our book once, and nothing else but what was never sent.
pub(crate) async fn audit(store: &Store, charges: Vec<Charge>, crowd: &Crowd) -> Sums {
    let mut ours = ours(store).await;
    let mut sums = Sums { charged: charges.len(), ..Sums::default() };
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for charge in &charges {
        *asked.entry(charge.asked.marker()).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for charge in charges {
        let marker = charge.asked.marker();
        let at_least = if asked.get(&marker) == Some(&1) { crowd.had(&marker) } else { 0 };
        // One charge takes one of ours: a second one finds nothing.
        match ours.remove(&(marker, charge.model.clone())).as_deref() {
            Some([one]) => {
                if let Err(why) = compare(&charge, one, at_least, &mut sums) {
                    wrong.push(format!("{why}: {charge:?}, ours {one:?}"));
                }
            }
            other => wrong.push(format!("{charge:?} is in our book as {other:?}")),
        }
    }
    for ((marker, model), one) in ours {
        let is_lost = Asked::read(&marker).is_some_and(|asked| asked.kind == Kind::Lost) && model == "gpt-4o";
        match one.as_slice() {
            [Ours::Unknown(_)] => sums.never_sent += 1,
            [Ours::Row(row)] if is_lost && row.spend.0 == 0 && row.certainty == "stated" => sums.never_sent += 1,
            other => wrong.push(format!("nobody charges {marker} at {model}: {other:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ, {sums:?}: {:#?}",
        wrong.len(),
        sums.charged,
        wrong.iter().take(5).collect::<Vec<_>>()
    );
    assert_eq!(store.verify_totals().await.expect("the store answers"), [], "totals are what their rows say");
    assert!(store.quarantined(Page { offset: 0, limit: 1 }).await.expect("the store answers").is_empty());
    sums
}

/// Our book, by call and model.
async fn ours(store: &Store) -> BTreeMap<(String, String), Vec<Ours>> {
    let mut ours: BTreeMap<(String, String), Vec<Ours>> = BTreeMap::new();
    for offset in (0..).step_by(1000) {
        let listing = LogListing { offset, limit: 1000, ..LogListing::default() };
        let rows = store.spend_logs(&listing).await.expect("the store answers").rows;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            ours.entry((row.call_id.clone(), row.model.clone())).or_default().push(Ours::Row(Box::new(row)));
        }
    }
    for offset in (0..).step_by(1000) {
        let page = Page { offset, limit: 1000 };
        let held = store.unknown_attempts(EpochMs(i64::MAX), page).await.expect("the store answers");
        if held.is_empty() {
            break;
        }
        for one in held {
            ours.entry((one.call_id.clone(), one.model.clone())).or_default().push(Ours::Unknown(one));
        }
    }
    ours
}

/// What the provider charges and what we have booked for it.
fn compare(charge: &Charge, ours: &Ours, at_least: u64, sums: &mut Sums) -> Result<(), &'static str> {
    let row = match ours {
        Ours::Unknown(unknown) => {
            sums.unknown += 1;
            let true_cost = if charge.asked.kind.is_streamed() { charge.cost() } else { charge.full_cost() };
            if unknown.held.0 < cost(charge.input, 0) && !charge.is_refused {
                return Err("held less than its request costs");
            }
            if unknown.held.0 < true_cost {
                sums.held_too_little += 1;
                return if HOLDS_OUTPUT { Err("held less than it costs") } else { Ok(()) };
            }
            return Ok(());
        }
        Ours::Row(row) => row,
    };
    match row.certainty.as_str() {
        "stated" => {
            sums.stated += 1;
            if row.spend.0 == charge.full_cost() { Ok(()) } else { Err("stated, and not what is charged") }
        }
        "counted" => {
            sums.counted += 1;
            let (input, output) = (unsigned(row.prompt_tokens), unsigned(row.completion_tokens));
            if row.spend.0 != cost(input, output) {
                return Err("the cost is not that of its tokens");
            }
            if !(charge.input..=charge.bytes).contains(&input) {
                return Err("the request is counted as another");
            }
            // What the client has had was received, and more than was sent cannot have been.
            if (at_least..=charge.output).contains(&output) { Ok(()) } else { Err("counted, and not what was sent") }
        }
        _ => Err("neither stated nor counted"),
    }
}

fn unsigned(tokens: i64) -> u64 {
    u64::try_from(tokens).unwrap_or_default()
}
