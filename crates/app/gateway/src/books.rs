//! The journal behind the two money points: an attempt is written down before its request goes out, and again before the last
//! byte of its answer leaves; what a process left open is taken over by the next one as unknown. What the records mean is the
//! pure ledger's matter, how they survive the journal's, where they end up `projection.rs`'.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tollgate_journal::{AppendError, Found, Journal, JournalError, OpenEntry};
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
/// After the journal could not be forced to disk: each time writes again what is not.
const FAILED: Duration = Duration::from_secs(1);
/// Ends of attempts that wait for a disk that can be written; up to 40 MiB.
const MOST_LATE: usize = 10_000;
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
    /// The last record was refused for want of room or as the disk fails, and it is so still.
    is_full: AtomicBool,
    /// Ends of attempts that could not be written down yet.
    late: Mutex<VecDeque<Late>>,
}

/// The end of an attempt that could not be written down when it came.
#[derive(Debug)]
struct Late {
    entry: Option<OpenEntry>,
    record: Vec<u8>,
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
        let (unwritten, is_full) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { journal, clock, unwritten, is_full, late: Mutex::default() })
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

    /// Ends of attempts that are written down when the disk can be written again.
    pub(crate) fn waiting(&self) -> usize {
        self.late().len()
    }

    /// An attempt goes out.
    pub(crate) fn open(&self, opening: &Opening, facts: Facts) -> Box<Page> {
        let Opening { attempt, held, input } = *opening;
        let record = Record::Open(Box::new(Open { attempt, facts, held, input }));
        let entry = encoded(&record, |bytes| {
            self.journal.append_open(bytes, SETTLEMENT_ROOM, self.clock.monotonic()).map(|(_, entry)| entry)
        });
        let entry = match entry {
            Some(Ok(entry)) => Some(entry),
            Some(Err(error)) => {
                self.failed(&error);
                None
            }
            None => {
                tracing::error!(target: "tollgate::ledger", "a record does not fit; it is not written down");
                None
            }
        };
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

    /// An attempt has ended. Where that cannot be written down now, it is when the disk can be written again.
    pub(crate) fn settle(&self, page: Page, settled: impl FnOnce(Facts) -> Settled) {
        let Page { facts, mut entry } = page;
        let record = Record::Settled(Box::new(settled(facts)));
        let done = encoded(&record, |bytes| self.put(entry.as_mut(), bytes).map_err(|error| (error, bytes.to_vec())));
        match done {
            Some(Ok(())) => {}
            Some(Err((error, record))) => {
                self.failed(&error);
                let mut late = self.late();
                if late.len() < MOST_LATE {
                    late.push_back(Late { entry, record });
                } else {
                    self.lacks_one();
                }
            }
            None => {
                tracing::error!(target: "tollgate::ledger", "a record does not fit; it is not written down");
                self.lacks_one();
            }
        }
    }

    fn put(&self, entry: Option<&mut OpenEntry>, bytes: &[u8]) -> Result<(), AppendError> {
        let now = self.clock.monotonic();
        match entry {
            Some(entry) => self.journal.append_close(entry, bytes, now).map(|_| ()),
            // It could not be written down when it went out; its end may find room again.
            None => self.journal.append(bytes, now).map(|_| ()),
        }
    }

    /// Writes down what could not be when it came, as far as that goes now.
    pub(crate) fn catch_up(&self) {
        let mut late = self.late();
        while let Some(first) = late.front_mut() {
            if self.put(first.entry.as_mut(), &first.record).is_err() {
                return;
            }
            late.pop_front();
        }
    }

    fn late(&self) -> MutexGuard<'_, VecDeque<Late>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record is not written. Told once, however many there are.
    fn failed(&self, error: &AppendError) {
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::error!(target: "tollgate::ledger", %error, "attempts cannot be written down; new calls are refused until they can be");
        }
    }

    /// An attempt goes out, or has ended, without that being written down.
    pub(crate) fn lacks_one(&self) {
        self.unwritten.fetch_add(1, Ordering::Relaxed);
    }

    /// Forces the journal to disk again and again, as long as the process lives.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut pruned = self.clock.monotonic();
        let mut pause = TICK;
        loop {
            tokio::time::sleep(pause).await;
            let books = Arc::clone(&self);
            let prunes = self.clock.monotonic().saturating_sub(pruned) >= PRUNE;
            let kept = tokio::task::spawn_blocking(move || books.tick(prunes)).await;
            pause = TICK;
            if let Ok(Err(error)) = kept {
                tracing::error!(target: "tollgate::ledger", %error, "the journal cannot be forced to disk");
                pause = FAILED;
            }
            if prunes {
                pruned = self.clock.monotonic();
            }
        }
    }

    /// Looks after the journal once.
    ///
    /// # Errors
    /// It cannot be forced to disk, or what is old cannot be removed.
    pub(crate) fn tick(&self, prunes: bool) -> Result<(), JournalError> {
        let forced = self.journal.sync();
        self.catch_up();
        // Before it is quite full: who goes out until the next look finds room still.
        let is_full = self.journal.standing().is_full;
        if self.is_full.swap(is_full, Ordering::Relaxed) && !is_full {
            tracing::warn!(target: "tollgate::ledger", "attempts can be written down again");
        }
        if prunes {
            self.journal.prune(self.clock.unix())?;
        }
        forced
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
    loop {
        let position = store.watermark(&journal).await?;
        // All of it was carried over before, and the store has not been restored from a backup since: it is not even read.
        let checkpoint = found.checkpoint().map(|last| i64::try_from(last).unwrap_or(i64::MAX));
        if checkpoint.is_some_and(|last| position > last) {
            return Ok(());
        }
        if carry_over(found, store, settings, now, position).await? {
            break;
        }
        // The store has moved on meanwhile: the last transaction of the process that died was still under way.
    }
    found.mark_projected()?;
    Ok(())
}

/// Books everything behind a position; `false` if the store turns out to be at another one.
async fn carry_over(
    found: &mut Found,
    store: &Store,
    settings: &Projecting,
    now: EpochMs,
    from: i64,
) -> Result<bool, TakeOverError> {
    let journal = found.journal().to_string();
    let mut position = from;
    let mut book = Book::default();
    let (mut entries, mut last) = (Vec::new(), 0);
    for entry in found.replay(0)? {
        let entry = entry?;
        let sequence = entry.position.sequence;
        if let Ok(Decoded::Record(record, _)) = records::decode(&entry.payload) {
            book.apply(&record);
        }
        last = i64::try_from(sequence).unwrap_or(i64::MAX);
        if last > from {
            entries.push((sequence, entry.payload));
        }
        if entries.len() >= AT_ONCE {
            let entries = std::mem::take(&mut entries);
            if !send(store, &projection::batch(settings, &journal, (position, last), now, entries)).await? {
                return Ok(false);
            }
            position = last;
        }
    }
    if !entries.is_empty() {
        if !send(store, &projection::batch(settings, &journal, (position, last), now, entries)).await? {
            return Ok(false);
        }
        position = last;
    }
    if position > last {
        return Ok(true);
    }
    // Behind its last record stands what it left open: a position of its own, so that it is booked once.
    let mut batch = Batch { journal, after: position, upto: last + 1, at: now, ..Batch::default() };
    let open = book.left_open();
    batch.unknown = open.iter().map(|settled| projection::unknown(&batch.journal, settled)).collect();
    if !batch.unknown.is_empty() {
        let count = batch.unknown.len();
        tracing::warn!(target: "tollgate::ledger", count, "attempts of a process that has ended are unknown: their cost is held");
    }
    Ok(send(store, &batch).await?)
}

/// Whether a batch is in the store now.
async fn send(store: &Store, batch: &Batch) -> Result<bool, StoreError> {
    match store.book(batch).await? {
        Projected::Done { quarantined } => {
            if !quarantined.is_empty() {
                tracing::error!(target: "tollgate::ledger", ?quarantined, "the store refused records; they are in quarantine");
            }
            Ok(true)
        }
        // Its answer was lost before.
        Projected::At(position) => Ok(position == batch.upto),
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
