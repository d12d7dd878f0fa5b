//! Whether the ledger is whole: totals against rows, the records of the journals against the store, leases against those who
//! have them. It only reads, and may be done while gateways run: they add, and nothing that is there is changed.

mod compare;
#[cfg(test)]
mod tests;
mod trace;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tollgate_journal::{Disk, JournalError, look};
use tollgate_store::{Difference, EpochMs, Instance, Lease, NanoDollars, Page, Store, StoreError, Window};
use uuid::Uuid;

pub use self::trace::{Said, trace};
use crate::admin::{iso, usd};

/// Why nothing can be said about the ledger.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What a look at the whole ledger found.
#[derive(Debug, Default)]
pub struct Review {
    /// Totals that are not what rows, sums of rows that are gone, and unknown attempts come to.
    pub differences: Vec<Difference>,
    /// Records that should be in the store and are not, or not as they were written.
    pub lost: Vec<Lost>,
    /// Leases of instances that are no more: nobody gives them back.
    pub orphans: Vec<Lease>,
    /// The journals that are here.
    pub journals: Vec<Reviewed>,
    /// What is written down here and not in the store yet.
    pub pending: BTreeMap<Window, Pending>,
    /// Records that were compared with the store.
    pub compared: u64,
    /// Records whose rows are not kept (any more), so that only their sums could be checked.
    pub folded: u64,
    /// Records that the store refused: how many, and what they would have booked. In no total.
    pub quarantined: (usize, NanoDollars),
    /// Attempts of which nobody knows: how many, and what is held for them.
    pub unknown: (i64, NanoDollars),
    /// What is moved to instances.
    pub leases: Vec<Lease>,
    /// Journals that the store has something of and that are not here.
    pub elsewhere: usize,
}

/// A record that is not where it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its journal.
    pub journal: Uuid,
    /// Its number there, and the last one of several.
    pub records: (u64, u64),
    /// The attempt or correction, where it is known.
    pub id: Option<Uuid>,
    /// What it books.
    pub amount: NanoDollars,
    /// What is wrong.
    pub what: String,
}

/// A journal that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// Its id.
    pub journal: Uuid,
    /// A process writes it.
    pub is_held: bool,
    /// Its last record.
    pub last: u64,
    /// Up to which the store has it.
    pub watermark: u64,
    /// Attempts that were opened and not closed.
    pub open: usize,
    /// Bytes that belong to no record; a torn last one is normal after a kill.
    pub skipped_bytes: u64,
    /// Records that are not read here: a newer version's.
    pub unread: u64,
}

/// What is on its way into the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Records.
    pub records: u64,
    /// What they add to what is spent.
    pub settled: NanoDollars,
    /// What they hold as unknown.
    pub unknown: NanoDollars,
}

/// Looks at the whole ledger: the store, and the journals on this disk, if there are any.
///
/// # Errors
/// The store or a journal cannot be read.
pub async fn review(store: &Store, disk: Option<&Arc<dyn Disk>>) -> Result<Review, ReviewError> {
    // Before anything else: what the store has up to here is there in whatever is asked afterwards.
    let watermarks: BTreeMap<String, u64> = store
        .watermarks()
        .await?
        .into_iter()
        .map(|mark| (mark.journal, u64::try_from(mark.position).unwrap_or_default()))
        .collect();
    let mut review = Review { differences: store.verify_totals().await?, ..Review::default() };
    let quarantine = store.quarantined(Page { offset: 0, limit: i64::MAX }).await?;
    review.quarantined = (quarantine.len(), NanoDollars(quarantine.iter().map(|refused| refused.spend.0).sum()));
    let journals = disk.map(look).transpose()?.unwrap_or_default();
    review.elsewhere =
        watermarks.keys().filter(|id| !journals.iter().any(|looked| looked.journal.to_string() == **id)).count();
    for looked in &journals {
        let watermark = watermarks.get(&looked.journal.to_string()).copied().unwrap_or_default();
        compare::journal(store, &mut review, looked, watermark, &quarantine).await?;
    }
    review.unknown = store.unknown_sum().await?;
    review.leases = store.leases().await?;
    let living = store.silent_instances(EpochMs(i64::MAX)).await?;
    review.orphans = orphans(&review.leases, &living);
    Ok(review)
}

/// Leases of instances that are none.
fn orphans(leases: &[Lease], living: &[Instance]) -> Vec<Lease> {
    let has_owner = |lease: &&Lease| living.iter().any(|instance| instance.instance == lease.instance);
    leases.iter().filter(|lease| !has_owner(lease)).cloned().collect()
}

impl Review {
    /// Nothing is missing and nothing differs.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.differences.is_empty() && self.lost.is_empty() && self.orphans.is_empty()
    }

    /// By how much the totals differ, all windows together.
    #[must_use]
    pub fn difference(&self) -> NanoDollars {
        let by = |(said, is): (NanoDollars, NanoDollars)| said.0.saturating_sub(is.0).saturating_abs();
        let each = self.differences.iter().map(|one| by(one.settled).saturating_add(by(one.unknown)));
        NanoDollars(each.fold(0, i64::saturating_add))
    }

    /// All of it for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let lease = |lease: &Lease| {
            let window = Window { kind: lease.kind.clone(), id: lease.id.clone(), start: lease.window_start };
            json!({
                "instance": lease.instance, "scope": scope(&window), "granted": usd(lease.granted.0),
                "used": usd(lease.used.0), "reserved": usd(lease.reserved.0),
            })
        };
        let leases = |leases: &[Lease]| leases.iter().map(lease).collect::<Vec<Value>>();
        let differences = self.differences.iter().map(|one| {
            json!({
                "scope": scope(&one.window),
                "settled": {"total": usd(one.settled.0.0), "rows": usd(one.settled.1.0)},
                "unknown": {"total": usd(one.unknown.0.0), "attempts": usd(one.unknown.1.0)},
            })
        });
        let lost = self.lost.iter().map(|lost| {
            json!({
                "journal": lost.journal.to_string(), "first": lost.records.0, "last": lost.records.1,
                "id": lost.id.map(|id| id.to_string()), "amount": usd(lost.amount.0), "what": lost.what,
            })
        });
        let journals = self.journals.iter().map(|one| {
            json!({
                "journal": one.journal.to_string(), "is_held": one.is_held, "last": one.last, "in_store": one.watermark,
                "open": one.open, "skipped_bytes": one.skipped_bytes, "unread": one.unread,
            })
        });
        let pending = self.pending.iter().map(|(window, pending)| {
            json!({
                "scope": scope(window), "records": pending.records, "settled": usd(pending.settled.0),
                "unknown": usd(pending.unknown.0),
            })
        });
        json!({
            "is_sound": self.is_sound(),
            "difference": usd(self.difference().0),
            "differences": differences.collect::<Vec<Value>>(),
            "lost": lost.collect::<Vec<Value>>(),
            "orphan_leases": leases(&self.orphans),
            "journals": journals.collect::<Vec<Value>>(),
            "journals_elsewhere": self.elsewhere,
            "pending": pending.collect::<Vec<Value>>(),
            "compared": self.compared,
            "folded": self.folded,
            "quarantined": {"records": self.quarantined.0, "amount": usd(self.quarantined.1.0)},
            "unknown": {"attempts": self.unknown.0, "held": usd(self.unknown.1.0)},
            "leases": leases(&self.leases),
        })
    }
}

/// A window in words: `key:abc`, or `key@1d:abc since 2026-11-21T00:00:00.000000+00:00`.
#[must_use]
pub fn scope(window: &Window) -> String {
    let Window { kind, id, start } = window;
    // All of it together has no name.
    let colon = if id.is_empty() { "" } else { ":" };
    match start.0 {
        0 => format!("{kind}{colon}{id}"),
        _ => format!("{kind}{colon}{id} since {}", iso(*start)),
    }
}
