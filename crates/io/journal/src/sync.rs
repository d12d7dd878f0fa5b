//! Forcing to disk, and looking after a journal from time to time.

use std::{
    io,
    sync::{Arc, PoisonError},
    time::Duration,
};

use crate::{
    disk::{Appendable, Listed},
    found,
    frame::{self, FRAME_MOST, Piece},
    journal::{Journal, JournalError, Shared, State},
    segments::{self, Spare},
    settings::Fsync,
};

/// So often what is not forced is written again, before it is left for the next time.
const TRIES: usize = 3;

/// A file that is made to see whether one can be.
const PROBE: &str = "probe";

/// What is being forced to disk.
#[derive(Debug)]
struct Flight {
    files: Vec<(u64, Arc<dyn Appendable>)>,
    frames: Vec<u8>,
    last: u64,
    has_new_names: bool,
}

impl Journal {
    /// Forces what was written to disk, and keeps a segment ready. For a worker, each interval: it may take long.
    ///
    /// # Errors
    /// The disk fails. What is not forced is kept, and written again by the next call.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.shared.lock().segments.is_stuck = false;
        let forced = match self.shared.settings.fsync {
            Fsync::Off => Ok(()),
            Fsync::Always | Fsync::Interval(_) => self.force(),
        };
        self.prepare();
        self.probe();
        forced
    }

    /// After a write that failed: finds out whether the disk can be written again, by a file that nobody reads.
    fn probe(&self) {
        let shared = &self.shared;
        if !shared.lock().is_failing {
            return;
        }
        // One that a process has left that died here.
        let _ = shared.disk.remove(&shared.folder, PROBE);
        let made = shared.disk.create(&shared.folder, PROBE, 0);
        let written =
            made.and_then(|made| made.file.append(b"?")).and_then(|_| shared.disk.remove(&shared.folder, PROBE));
        if written.is_ok() {
            shared.lock().is_failing = false;
        }
    }

    /// As [`Journal::sync`], also where it is else left to the system: for an orderly end.
    ///
    /// # Errors
    /// The disk fails.
    pub fn force(&self) -> Result<(), JournalError> {
        self.shared.force_up_to(u64::MAX).map_err(JournalError::disk("force"))
    }

    /// Keeps one segment more than is needed now, so that no caller waits for one to be made.
    pub(crate) fn prepare(&self) {
        let shared = &self.shared;
        let number = {
            let mut state = shared.lock();
            let segments = &mut state.segments;
            if segments.has_spare() && segments.room(&shared.settings) > segments.aside + 2 * FRAME_MOST as u64 {
                return;
            }
            if segments.allow_one_more(&shared.folder, &*shared.disk, &shared.settings).is_err() {
                segments.is_stuck = true;
                return;
            }
            segments.take_number()
        };
        let created = shared.disk.create(&shared.folder, &segments::name(number), shared.settings.segment_bytes);
        let mut state = shared.lock();
        match created {
            Ok(created) => {
                state.segments.is_folder_dirty = true;
                state.segments.add_spare(Spare { number, file: created.file }, created.has_room);
            }
            Err(_) => state.segments.is_stuck = true,
        }
    }

    /// Removes what is only kept: what is older than the settings say at `unix`, and the oldest beyond their bytes. Journals of
    /// ended processes that are projected are looked after as well.
    ///
    /// # Errors
    /// The disk fails.
    pub fn prune(&self, unix: Duration) -> Result<(), JournalError> {
        let shared = &self.shared;
        let fail = || JournalError::disk("prune");
        let listed = shared.disk.files(&shared.folder).map_err(fail())?;
        let is_old = |file: &Listed| file.modified + shared.settings.keep_for <= unix;
        let kept = {
            let mut state = shared.lock();
            let numbers: Vec<u64> =
                state.segments.iter().filter(|segment| segment.is_released).map(|segment| segment.number).collect();
            for number in numbers {
                let name = segments::name(number);
                let too_old = listed.iter().any(|file| file.name == name && is_old(file));
                if too_old || state.segments.released_bytes() > shared.settings.keep_bytes {
                    state.segments.drop_oldest_released(&shared.folder, &*shared.disk).map_err(fail())?;
                }
            }
            state.segments.released_bytes()
        };
        found::prune(&shared.disk, &shared.settings, &shared.folder, kept, unix).map_err(fail())
    }
}

impl Shared {
    /// Forces everything up to `sequence`. Those who come meanwhile wait and find it done: one call serves them all.
    pub(crate) fn force_up_to(&self, sequence: u64) -> io::Result<()> {
        let _turn = self.forcing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failure = None;
        for _ in 0..TRIES {
            if self.lock().synced >= sequence {
                return Ok(());
            }
            let Some(flight) = self.take_off()? else { return Ok(()) };
            match self.fly(&flight) {
                Ok(()) => {
                    self.land(flight);
                    return Ok(());
                }
                Err(error) => {
                    self.crash(flight);
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// What there is to force; `None` for nothing.
    fn take_off(&self) -> io::Result<Option<Flight>> {
        let mut state = self.lock();
        if state.is_suspect {
            self.write_again(&mut state)?;
        }
        let dirty = state.segments.iter().filter(|segment| segment.is_dirty);
        let files: Vec<_> =
            dirty.filter_map(|segment| Some((segment.number, Arc::clone(segment.file.as_ref()?)))).collect();
        if files.is_empty() {
            return Ok(None);
        }
        for segment in state.segments.iter_mut() {
            segment.is_dirty = false;
        }
        let (last, has_new_names) = (state.written, std::mem::take(&mut state.segments.is_folder_dirty));
        Ok(Some(Flight { files, frames: std::mem::take(&mut state.unsynced), last, has_new_names }))
    }

    fn fly(&self, flight: &Flight) -> io::Result<()> {
        if flight.has_new_names {
            self.disk.sync_folder(&self.folder)?;
        }
        flight.files.iter().try_for_each(|(_, file)| file.sync())
    }

    fn land(&self, flight: Flight) {
        let mut state = self.lock();
        state.synced = state.synced.max(flight.last);
        let active = state.segments.active().map(|active| active.number);
        for segment in state.segments.iter_mut().filter(|segment| !segment.is_dirty && Some(segment.number) != active) {
            segment.file = None;
        }
        // The buffer is used again, unless it has become large.
        if state.unsynced.is_empty() && flight.frames.capacity() <= 1 << 20 {
            let mut frames = flight.frames;
            frames.clear();
            state.unsynced = frames;
        }
    }

    /// After a failure the system may have dropped what it could not write, and say yes the next time. So these files are done
    /// with, and what was not forced goes into a new one.
    fn crash(&self, flight: Flight) {
        let mut state = self.lock();
        state.failed_syncs += 1;
        state.segments.is_folder_dirty |= flight.has_new_names;
        let since = std::mem::replace(&mut state.unsynced, flight.frames);
        state.unsynced.extend_from_slice(&since);
        state.is_suspect = true;
        // If this fails it is tried again by the next one who forces; meanwhile the records are in files that outlive a kill.
        let _ = self.write_again(&mut state);
    }

    fn write_again(&self, state: &mut State) -> io::Result<()> {
        let frames = std::mem::take(&mut state.unsynced);
        let outcome = self.write_frames(state, &frames);
        state.unsynced = frames;
        state.is_suspect = outcome.is_err();
        if outcome.is_ok() {
            state.segments.drop_rewritten(&self.folder, &*self.disk);
        }
        outcome
    }

    fn write_frames(&self, state: &mut State, frames: &[u8]) -> io::Result<()> {
        state.segments.advance(&self.folder, &*self.disk, &self.settings)?;
        let synced = state.synced;
        state.segments.count_up_to(synced);
        let mut rest = frames;
        while let Piece::Frame(frame, length) = frame::read(rest, self.id) {
            self.write_whole(state, frame.sequence, rest.get(..length).unwrap_or_default())?;
            rest = rest.get(length..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
        }
        Ok(())
    }
}
