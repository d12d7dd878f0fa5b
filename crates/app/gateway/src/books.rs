//! The journal behind the two money points: an attempt is written down before its request goes out, and again before the last
//! byte of its answer leaves; what a process left open is taken over by the next one as unknown. What the records mean is the
//! pure ledger's matter, how they survive the journal's, where they end up `projection.rs`'.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tollgate_journal::{Found, Journal, JournalError, OpenEntry};
use tollgate_ledger::{
    Book, Nanos, Record,
    records::{self, Decoded, Facts, Open, Progress, RECORD_MOST, SETTLEMENT_ROOM, Settled},
};
use tollgate_store::{Batch, EpochMs, Projected, Store, StoreError};
use tollgate_wire::{Usage, clock::Clock};
use uuid::Uuid;

use crate::{
    ledger::Opening,
    projection::{self, Projecting},
};

/// How often the journal is forced to disk, and looked after (`fsync: interval`).
const TICK: Duration = Duration::from_millis(100);
/// How often what is only kept is looked through.
const PRUNE: Duration = Duration::from_secs(60);
/// Records of another process's journal that are booked at one time.
const AT_ONCE: usize = 500;

thread_local! {
    /// Records are written into it one after the other, so that none costs an allocation.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(RECORD_MOST));
}

/// The journal of this process.
pub(crate) struct Books {
    journal: Journal,
    clock: Arc<dyn Clock>,
    unwritten: AtomicU64,
    /// The last record was refused for want of room, and there is none still.
    is_full: AtomicBool,
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books").field("journal", &self.journal.id()).finish_non_exhaustive()
    }
}

/// An attempt that is written down as open.
#[derive(Debug)]
pub(crate) struct Page {
    facts: Facts,
    entry: Option<OpenEntry>,
}

impl Page {
    /// It is in the journal.
    pub(crate) fn is_written(&self) -> bool {
        self.entry.is_some()
    }
}

impl Books {
    pub(crate) fn new(journal: Journal, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { journal, clock, unwritten: AtomicU64::new(0), is_full: AtomicBool::new(false) })
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// There is room for another attempt and its end.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }

    /// Attempts that could not be written down.
    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// An attempt goes out.
    pub(crate) fn open(&self, opening: &Opening, facts: Facts) -> Box<Page> {
        let Opening { attempt, held, input } = *opening;
        let record = Record::Open(Box::new(Open { attempt, facts, held, input }));
        let entry = encoded(&record, |bytes| {
            self.journal.append_open(bytes, SETTLEMENT_ROOM, self.clock.monotonic()).map(|(_, entry)| entry)
        });
        let entry = self.written(entry);
        let facts = match record {
            Record::Open(open) => open.facts,
            _ => Facts::default(),
        };
        Box::new(Page { facts, entry })
    }

    /// An attempt has come so far. What cannot be written down now is said by the next record.
    pub(crate) fn progress(&self, attempt: Uuid, held: Nanos, so_far: Nanos, usage: Usage) {
        let record = Record::Progress(Progress { attempt, held, so_far, usage, at: self.clock.unix() });
        let written = encoded(&record, |bytes| self.journal.append(bytes, self.clock.monotonic()).map(|_| ()));
        if let Some(Err(error)) = written {
            tracing::debug!(target: "tollgate::ledger", %error, "how far an attempt is could not be written down");
        }
    }

    /// An attempt has ended.
    pub(crate) fn settle(&self, page: Page, settled: impl FnOnce(Facts) -> Settled) {
        let Page { facts, entry } = page;
        let record = Record::Settled(Box::new(settled(facts)));
        let now = self.clock.monotonic();
        let done = encoded(&record, |bytes| match entry {
            Some(mut entry) => self.journal.append_close(&mut entry, bytes, now).map(|_| ()),
            // It could not be written down when it went out; its end may find room again.
            None => self.journal.append(bytes, now).map(|_| ()),
        });
        self.written(done);
    }

    fn written<T>(&self, outcome: Option<Result<T, tollgate_journal::AppendError>>) -> Option<T> {
        match outcome {
            Some(Ok(written)) => return Some(written),
            Some(Err(error)) => {
                tracing::error!(target: "tollgate::ledger", %error, "an attempt is not written down; its cost is lost if this process dies");
            }
            None => tracing::error!(target: "tollgate::ledger", "a record does not fit; it is not written down"),
        }
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        self.is_full.store(self.journal.standing().is_full, Ordering::Relaxed);
        None
    }

    /// Forces the journal to disk again and again, as long as the process lives.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut pruned = self.clock.monotonic();
        loop {
            tokio::time::sleep(TICK).await;
            let books = Arc::clone(&self);
            let prunes = self.clock.monotonic().saturating_sub(pruned) >= PRUNE;
            let kept = tokio::task::spawn_blocking(move || books.tick(prunes)).await;
            if let Ok(Err(error)) = kept {
                tracing::error!(target: "tollgate::ledger", %error, "the journal cannot be forced to disk");
            }
            if prunes {
                pruned = self.clock.monotonic();
            }
        }
    }

    fn tick(&self, prunes: bool) -> Result<(), JournalError> {
        if !self.has_room() {
            self.is_full.store(self.journal.standing().is_full, Ordering::Relaxed);
        }
        if prunes {
            self.journal.prune(self.clock.unix())?;
        }
        self.journal.sync()
    }
}

/// Gives the bytes of a record to `write`; none: it does not fit.
fn encoded<T>(record: &Record, write: impl FnOnce(&[u8]) -> T) -> Option<T> {
    BUFFER.with_borrow_mut(|bytes| {
        bytes.clear();
        records::encode(record, bytes).ok().map(|_| write(bytes))
    })
}

/// Books what a process that has ended left in its journal: what it had settled, and what it left open as unknown. Once, by
/// position, however often this is begun.
///
/// # Errors
/// The store does not take it, or the journal cannot be read; both are as they were.
pub(crate) async fn take_over(
    found: &mut Found,
    store: &Store,
    settings: &Projecting,
    now: EpochMs,
) -> Result<(), TakeOverError> {
    let journal = found.journal().to_string();
    let mut position = store.watermark(&journal).await?;
    let mut book = Book::default();
    let (mut entries, mut last) = (Vec::new(), 0);
    for entry in found.replay(0)? {
        let entry = entry?;
        let sequence = entry.position.sequence;
        if let Ok(Decoded::Record(record, _)) = records::decode(&entry.payload) {
            book.apply(&record);
        }
        last = i64::try_from(sequence).unwrap_or(i64::MAX);
        if last > position {
            entries.push((sequence, entry.payload));
        }
        if entries.len() >= AT_ONCE {
            position = send(store, settings, &journal, (position, last), now, std::mem::take(&mut entries)).await?;
        }
    }
    if !entries.is_empty() {
        position = send(store, settings, &journal, (position, last), now, entries).await?;
    }
    // Behind its last record stands what it left open: a position of its own, so that it is booked once.
    if position <= last {
        let mut batch = Batch { journal, after: position, upto: last + 1, at: now, ..Batch::default() };
        let open = book.left_open();
        batch.unknown = open.iter().map(|settled| projection::unknown(&batch.journal, settled)).collect();
        if !batch.unknown.is_empty() {
            let count = batch.unknown.len();
            tracing::warn!(target: "tollgate::ledger", count, "attempts of a process that has ended are unknown: their cost is held");
        }
        store.book(&batch).await?;
    }
    found.mark_projected()?;
    Ok(())
}

async fn send(
    store: &Store,
    settings: &Projecting,
    journal: &str,
    positions: (i64, i64),
    now: EpochMs,
    entries: Vec<(u64, Vec<u8>)>,
) -> Result<i64, StoreError> {
    let batch = projection::batch(settings, journal, positions, now, entries);
    match store.book(&batch).await? {
        Projected::Done { .. } => Ok(positions.1),
        Projected::At(position) => Ok(position),
    }
}

/// Why a journal was not taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeOverError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
