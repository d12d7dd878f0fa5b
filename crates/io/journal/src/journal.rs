//! A journal that is being written.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use uuid::Uuid;

use crate::{
    disk::{Disk, Held},
    found::{self, Found},
    frame::{self, Frame, PAYLOAD_MOST},
    segments::Segments,
    settings::{Fsync, Settings},
    survey::Missing,
};

/// With more that is not forced to disk, whoever appends forces it.
const UNSYNCED_MOST: usize = 8 << 20;
/// With more than this the disk has been failing for long, and nothing new is accepted.
const UNSYNCED_END: usize = 64 << 20;

/// Where a record is. Positions of one journal are in the order of their sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The journal of one process.
    pub journal: Uuid,
    /// From 1; some numbers are never used.
    pub sequence: u64,
}

/// A record is not written. Nothing that it allows may be done.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk or the journal's bound leaves no room beside what is set aside, or the disk fails. Heals when there is room
    /// again, and it can be written.
    #[error("the journal has no room: free the disk under the data directory, make it writable, or raise its bound")]
    Full,
    /// The record is longer than [`PAYLOAD_MOST`].
    #[error("a record of {0} bytes is longer than a journal takes")]
    TooLong(usize),
    /// The disk fails.
    #[error("the journal cannot be written")]
    Disk(#[source] io::Error),
}

/// A journal cannot be opened, read or kept.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file system of another machine: its locks and its promises to have written are not to be trusted.
    #[error("the data directory is on a network file system; put it on a local disk")]
    Remote,
    /// The disk fails.
    #[error("cannot {doing} the journal")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Records are missing that had been written long before the end.
    #[error(
        "the journal {journal} misses records {}; start with --accept-journal-damage to go on without them, they are listed as unknown",
        Missing::list(.missing)
    )]
    Damaged {
        /// The journal, which is the name of its folder.
        journal: Uuid,
        /// What it misses.
        missing: Vec<Missing>,
    },
}

impl JournalError {
    pub(crate) fn disk(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { doing, source }
    }
}

/// How a journal stands, for readiness and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// On disk, room in advance included.
    pub bytes: u64,
    /// Set aside for the last records of what runs.
    pub set_aside: u64,
    /// Records that were opened and not closed.
    pub running: usize,
    /// The last record.
    pub written: u64,
    /// The last one that a loss of power spares.
    pub synced: u64,
    /// Nothing new would be accepted now, or soon: the room is nearly gone, and there is none to be had.
    pub is_full: bool,
    /// Records refused for want of room.
    pub refused: u64,
    /// Writes that the system cut short.
    pub stumps: u64,
    /// Times that forcing to disk failed.
    pub failed_syncs: u64,
    /// The file system cannot give room in advance: a full disk may stop what runs, too.
    pub lacks_promise: bool,
}

/// A journal that is being written. One per process; may be shared.
#[derive(Clone, Debug)]
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) settings: Settings,
    pub(crate) id: Uuid,
    pub(crate) folder: String,
    pub(crate) state: Mutex<State>,
    /// Whoever forces to disk; the others wait here and find it done.
    pub(crate) forcing: Mutex<()>,
    _held: Held,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) segments: Segments,
    /// The last number used, also for a record that could not be written.
    sequence: u64,
    /// The last record written.
    pub(crate) written: u64,
    pub(crate) synced: u64,
    /// The frames that are not forced to disk, to be written again if that fails. The frame being written is at its end.
    pub(crate) unsynced: Vec<u8>,
    /// Forcing failed, and what is not forced is not written again yet.
    pub(crate) is_suspect: bool,
    /// The last record could not be written in spite of its room, and nothing could be since.
    pub(crate) is_failing: bool,
    refused: u64,
    stumps: u64,
    pub(crate) failed_syncs: u64,
}

/// Something that was opened and has room set aside for its end. Dropped without an end, it gives the room back, and its
/// record stays open.
#[derive(Debug)]
pub struct OpenEntry {
    shared: Arc<Shared>,
    sequence: u64,
    room: u64,
    is_over: bool,
}

impl Journal {
    /// Opens a new journal of this id, and takes over those whose processes have ended.
    ///
    /// # Errors
    /// The disk is remote or fails, or a journal that is found is damaged and `settings` do not accept that.
    pub fn open(disk: Arc<dyn Disk>, settings: Settings, id: Uuid) -> Result<(Self, Vec<Found>), JournalError> {
        if disk.is_remote().map_err(JournalError::disk("make the folder of"))? {
            return Err(JournalError::Remote);
        }
        let settings = settings.bounded();
        let found = found::take_over(&disk, &settings)?;
        let folder = id.to_string();
        let held = disk.create_folder(&folder).map_err(JournalError::disk("make the folder of"))?;
        let state = State {
            segments: Segments::default(),
            sequence: 0,
            written: 0,
            synced: 0,
            unsynced: Vec::new(),
            is_suspect: false,
            is_failing: false,
            refused: 0,
            stumps: 0,
            failed_syncs: 0,
        };
        let (state, forcing) = (Mutex::new(state), Mutex::new(()));
        let journal = Self { shared: Arc::new(Shared { disk, settings, id, folder, state, forcing, _held: held }) };
        journal.prepare();
        Ok((journal, found))
    }

    /// The journal's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.shared.id
    }

    /// Appends what stands by itself: progress, notes, corrections. `now` is monotonic.
    ///
    /// # Errors
    /// The record is not written.
    pub fn append(&self, payload: &[u8], now: Duration) -> Result<Position, AppendError> {
        let sequence = {
            let mut state = self.shared.lock();
            self.shared.want(&mut state, payload, 0)?;
            self.shared.put(&mut state, payload, now)?
        };
        self.shared.finish(sequence)
    }

    /// Appends what opens something, whose last record will have at most `room` bytes.
    ///
    /// # Errors
    /// The record is not written, or there would be no room for the last one.
    pub fn append_open(
        &self,
        payload: &[u8],
        room: usize,
        now: Duration,
    ) -> Result<(Position, OpenEntry), AppendError> {
        let room = frame::length(room.min(PAYLOAD_MOST)) as u64;
        let entry = {
            let mut state = self.shared.lock();
            self.shared.want(&mut state, payload, room)?;
            let sequence = self.shared.put(&mut state, payload, now)?;
            state.segments.aside += room;
            state.segments.running.insert(sequence);
            OpenEntry { shared: Arc::clone(&self.shared), sequence, room, is_over: false }
        };
        Ok((self.shared.finish(entry.sequence)?, entry))
    }

    /// Appends the last record of what was opened, in the room that was set aside. After a failure the entry is as before, and
    /// it can be tried again.
    ///
    /// # Errors
    /// The record is not written, in spite of its room.
    pub fn append_close(&self, entry: &mut OpenEntry, payload: &[u8], now: Duration) -> Result<Position, AppendError> {
        if payload.len() > PAYLOAD_MOST {
            return Err(AppendError::TooLong(payload.len()));
        }
        let sequence = {
            let mut state = self.shared.lock();
            let sequence = self.shared.put(&mut state, payload, now)?;
            entry.end(&mut state);
            sequence
        };
        self.shared.finish(sequence)
    }

    /// Everything up to `sequence` is in the store. Segments go when nothing in them is needed; they are kept for a while
    /// ([`Journal::prune`]).
    pub fn release(&self, sequence: u64) {
        let mut state = self.shared.lock();
        // What is not forced to disk may have to be written again.
        let sequence = sequence.min(state.synced);
        state.segments.release(sequence);
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let (state, settings) = (self.shared.lock(), &self.shared.settings);
        let segments = &state.segments;
        let (aside, room) = (segments.aside, segments.room(settings));
        Standing {
            bytes: segments.bytes(settings),
            set_aside: aside,
            running: segments.running.len(),
            written: state.written,
            synced: state.synced,
            is_full: state.is_stuck(aside + settings.reserve() > room),
            refused: state.refused,
            stumps: state.stumps,
            failed_syncs: state.failed_syncs,
            lacks_promise: segments.lacks_promise,
        }
    }
}

impl State {
    fn is_stuck(&self, lacks_room: bool) -> bool {
        self.is_failing || (lacks_room && self.segments.is_stuck) || self.unsynced.len() > UNSYNCED_END
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // What is behind it is whole after each statement that can panic: none of them does between two halves of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for a record and `more`, beside what is set aside.
    fn want(&self, state: &mut State, payload: &[u8], more: u64) -> Result<(), AppendError> {
        if payload.len() > PAYLOAD_MOST {
            return Err(AppendError::TooLong(payload.len()));
        }
        let needed = state.segments.aside + frame::length(payload.len()) as u64 + more;
        while state.segments.room(&self.settings) < needed {
            if state.segments.make_spare(&self.folder, &*self.disk, &self.settings).is_err() {
                state.refused += 1;
                return Err(AppendError::Full);
            }
        }
        // Nothing begins on a disk that fails; what stands by itself may still be tried.
        if (state.is_failing && more > 0) || state.unsynced.len() > UNSYNCED_END {
            state.refused += 1;
            return Err(AppendError::Full);
        }
        Ok(())
    }

    /// Writes a record and gives its sequence.
    fn put(&self, state: &mut State, payload: &[u8], now: Duration) -> Result<u64, AppendError> {
        if self.settings.fsync == Fsync::Off {
            state.unsynced.clear();
        }
        // A number is used up even if its record fails: the disk may have kept it in spite of what it said.
        state.sequence += 1;
        let sequence = state.sequence;
        let start = state.unsynced.len();
        let frame = Frame { journal: self.id, sequence, previous: state.written, at: now, payload };
        frame::write(&mut state.unsynced, &frame);
        let frames = std::mem::take(&mut state.unsynced);
        let written = self.write_whole(state, sequence, frames.get(start..).unwrap_or_default());
        state.unsynced = frames;
        state.is_failing = written.is_err();
        if let Err(error) = written {
            state.unsynced.truncate(start);
            return Err(AppendError::Disk(error));
        }
        state.written = sequence;
        if self.settings.fsync == Fsync::Off {
            state.synced = sequence;
        }
        Ok(sequence)
    }

    /// Writes a frame into the active segment, or into the next one where the active one is full or fails.
    pub(crate) fn write_whole(&self, state: &mut State, sequence: u64, frame: &[u8]) -> io::Result<()> {
        if !state.segments.fits(frame.len(), &self.settings) {
            // Without a next segment it is tried behind the room of this one.
            let advanced = state.segments.advance(&self.folder, &*self.disk, &self.settings);
            if state.segments.active().is_none() {
                return advanced;
            }
        }
        let Err(error) = self.write_here(state, sequence, frame) else { return Ok(()) };
        if state.segments.advance(&self.folder, &*self.disk, &self.settings).is_err() {
            return Err(error);
        }
        self.write_here(state, sequence, frame)
    }

    /// A write that is cut short is never continued: others may have appended. The whole frame is written again, and readers
    /// skip the stump.
    fn write_here(&self, state: &mut State, sequence: u64, frame: &[u8]) -> io::Result<()> {
        let mut stumps = 0;
        let outcome = loop {
            let Some(active) = state.segments.active() else { break Err(io::ErrorKind::StorageFull.into()) };
            let Some(file) = &active.file else { break Err(io::ErrorKind::StorageFull.into()) };
            match file.append(frame) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
                Ok(written) => {
                    active.bytes += written as u64;
                    active.is_dirty |= written > 0;
                    if written == frame.len() {
                        active.holds(sequence);
                        break Ok(());
                    }
                    stumps += 1;
                    if stumps == 3 {
                        break Err(io::ErrorKind::StorageFull.into());
                    }
                }
            }
        };
        state.stumps += stumps;
        outcome
    }

    /// What is left to do without the lock.
    fn finish(&self, sequence: u64) -> Result<Position, AppendError> {
        if self.settings.fsync == Fsync::Always {
            self.force_up_to(sequence).map_err(AppendError::Disk)?;
        } else if self.lock().unsynced.len() > UNSYNCED_MOST {
            // A failure is counted, and told by the next one who forces.
            let _ = self.force_up_to(sequence);
        }
        Ok(Position { journal: self.id, sequence })
    }
}

impl OpenEntry {
    /// The sequence of the record that opened it.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    fn end(&mut self, state: &mut State) {
        if !std::mem::replace(&mut self.is_over, true) {
            state.segments.aside = state.segments.aside.saturating_sub(self.room);
            state.segments.running.remove(&self.sequence);
        }
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        if !self.is_over {
            let shared = Arc::clone(&self.shared);
            self.end(&mut shared.lock());
        }
    }
}
