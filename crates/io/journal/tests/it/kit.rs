//! A journal over a disk that fails as it is told to, and what it holds after a crash.

use std::{sync::Arc, time::Duration};

use tollgate_journal::{Disk, FaultyDisk, Found, Fsync, Journal, JournalError, Settings};
use uuid::Uuid;

pub(crate) const NOW: Duration = Duration::from_secs(100);

/// Segments as small as they may be: four of the longest records.
pub(crate) fn settings(fsync: Fsync) -> Settings {
    Settings { fsync, segment_bytes: 1, most_bytes: 1 << 20, ..Settings::default() }
}

pub(crate) fn interval() -> Settings {
    settings(Fsync::default())
}

pub(crate) fn open(disk: &FaultyDisk, settings: Settings, id: u128) -> (Journal, Vec<Found>) {
    try_open(disk, settings, id).expect("the journal opens")
}

pub(crate) fn try_open(disk: &FaultyDisk, settings: Settings, id: u128) -> Result<(Journal, Vec<Found>), JournalError> {
    Journal::open(shared(disk), settings, Uuid::from_u128(id))
}

fn shared(disk: &FaultyDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// What a journal that was found holds: sequences and payloads.
pub(crate) fn records(found: &mut Found) -> Vec<(u64, Vec<u8>)> {
    let entries = found.replay(0).expect("it can be read");
    entries.map(|entry| entry.expect("it can be read")).map(|entry| (entry.position.sequence, entry.payload)).collect()
}

/// What a living journal gives to whoever follows it from the beginning.
pub(crate) fn tail(journal: &Journal) -> Vec<(u64, Vec<u8>)> {
    let mut read = Vec::new();
    let take = |position: tollgate_journal::Position, payload: &[u8]| {
        read.push((position.sequence, payload.to_vec()));
        true
    };
    journal.tail(&mut tollgate_journal::Cursor::default(), take).expect("it can be read");
    read
}
