//! The segments of a living journal, and the room that is set aside in them.
//!
//! A record is never cut in two, so up to a frame less a byte is left at the end of a segment. All sums here allow for it.

use std::{
    collections::{HashSet, VecDeque},
    io,
    sync::Arc,
};

use crate::{
    disk::{Appendable, Disk},
    frame::FRAME_MOST,
    settings::{Fsync, Settings},
};

/// How segments end.
const ENDING: &str = ".segment";
/// A file without content, whose name says which records went with a segment from between others.
const GONE: &str = "gone-";

/// One file of records.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Until it is forced to disk for the last time.
    pub(crate) file: Option<Arc<dyn Appendable>>,
    /// What is written, stumps included.
    pub(crate) bytes: u64,
    /// The records that count here; empty while `first > last`.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Written since it was forced to disk.
    pub(crate) is_dirty: bool,
    /// All of it is taken over by the store, and it is kept only for a restored one.
    pub(crate) is_released: bool,
}

/// A file that is ready to become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn Appendable>,
}

/// All segments of one journal, the last one being written.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    list: VecDeque<Segment>,
    spares: VecDeque<Spare>,
    next: u64,
    /// Bytes that what runs may still need.
    pub(crate) aside: u64,
    /// The sequences of what runs.
    pub(crate) running: HashSet<u64>,
    /// There was no room for a segment; tried again when the journal is tended.
    pub(crate) is_stuck: bool,
    /// A file was made whose name is not forced to disk yet.
    pub(crate) is_folder_dirty: bool,
    /// Some file system below gives no room in advance.
    pub(crate) lacks_promise: bool,
}

impl Segment {
    fn new(number: u64, file: Arc<dyn Appendable>) -> Self {
        Self { number, file: Some(file), bytes: 0, first: u64::MAX, last: 0, is_dirty: false, is_released: false }
    }

    pub(crate) fn holds(&mut self, sequence: u64) {
        self.first = self.first.min(sequence);
        self.last = self.last.max(sequence);
    }
}

/// The name of a segment's file.
pub(crate) fn name(number: u64) -> String {
    format!("{number:010}{ENDING}")
}

/// Whether a file holds records.
pub(crate) fn is_segment(name: &str) -> bool {
    name.ends_with(ENDING)
}

/// The records that a file says are gone on purpose.
pub(crate) fn gone(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_prefix(GONE)?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

impl Segments {
    /// The one that is written.
    pub(crate) fn active(&mut self) -> Option<&mut Segment> {
        self.list.back_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.list.iter_mut()
    }

    /// The number of the next file.
    pub(crate) fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn add_spare(&mut self, spare: Spare, has_room: bool) {
        self.lacks_promise |= !has_room;
        self.spares.push_back(spare);
    }

    /// Whether the frame fits into the room that the active one has left.
    pub(crate) fn fits(&self, frame: usize, settings: &Settings) -> bool {
        self.list.back().is_some_and(|active| active.bytes + frame as u64 <= settings.segment_bytes)
    }

    /// Goes on to the next segment; makes it if need be.
    pub(crate) fn advance(&mut self, folder: &str, disk: &dyn Disk, settings: &Settings) -> io::Result<()> {
        if self.spares.is_empty() {
            self.make_spare(folder, disk, settings)?;
        }
        if let Some(Spare { number, file }) = self.spares.pop_front() {
            let is_left_to_the_system = settings.fsync == Fsync::Off;
            if let Some(full) = self.list.back_mut() {
                // One that is left early, as it fails, keeps no room from others. If that fails too, it is room and nothing else.
                if settings.segment_bytes.saturating_sub(full.bytes) > FRAME_MOST as u64 {
                    let _ = disk.trim(folder, &name(full.number));
                }
                if is_left_to_the_system || !full.is_dirty {
                    full.file = None;
                    full.is_dirty = false;
                }
            }
            self.list.push_back(Segment::new(number, file));
        }
        Ok(())
    }

    /// Makes a file for later, where callers wait for it.
    pub(crate) fn make_spare(&mut self, folder: &str, disk: &dyn Disk, settings: &Settings) -> io::Result<()> {
        if self.is_stuck {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let made = self.allow_one_more(folder, disk, settings).and_then(|()| {
            let number = self.take_number();
            let created = disk.create(folder, &name(number), settings.segment_bytes)?;
            self.is_folder_dirty = true;
            self.add_spare(Spare { number, file: created.file }, created.has_room);
            Ok(())
        });
        self.is_stuck = made.is_err();
        made
    }

    /// Makes place below the bound: what is only kept goes first.
    pub(crate) fn allow_one_more(&mut self, folder: &str, disk: &dyn Disk, settings: &Settings) -> io::Result<()> {
        while self.bytes(settings) + settings.segment_bytes > settings.most_bytes {
            self.drop_oldest_released(folder, disk)?;
        }
        Ok(())
    }

    /// Removes the oldest segment that is only kept, and says how large it was.
    pub(crate) fn drop_oldest_released(&mut self, folder: &str, disk: &dyn Disk) -> io::Result<u64> {
        let Some(at) = self.list.iter().position(|segment| segment.is_released) else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        let Some(segment) = self.list.get(at) else { return Ok(0) };
        let (bytes, number) = (segment.bytes, segment.number);
        // Whoever reads the journal after a crash shall not miss them.
        if self.list.iter().take(at).any(|before| before.first <= before.last) && segment.first <= segment.last {
            disk.create(folder, &format!("{GONE}{}-{}", segment.first, segment.last), 0)?;
            disk.sync_folder(folder)?;
        }
        disk.remove(folder, &name(number))?;
        self.list.remove(at);
        Ok(bytes)
    }

    /// Removes files all of whose records were written again in later ones: the newest of them stays, as long as the disk
    /// cannot force what is in the later ones.
    pub(crate) fn drop_rewritten(&mut self, folder: &str, disk: &dyn Disk) {
        let closed = self.list.len().saturating_sub(1);
        let rewritten = self.list.iter().take(closed).enumerate().filter(|(_, segment)| segment.first > segment.last);
        let mut at: Vec<usize> = rewritten.map(|(at, _)| at).collect();
        at.pop();
        for at in at.into_iter().rev() {
            let number = self.list.get(at).map_or(0, |segment| segment.number);
            if disk.remove(folder, &name(number)).is_ok() {
                self.list.remove(at);
            }
        }
    }

    /// What all segments take on disk.
    pub(crate) fn bytes(&self, settings: &Settings) -> u64 {
        let closed = self.list.len().saturating_sub(1);
        let written: u64 = self.list.iter().take(closed).map(|segment| segment.bytes).sum();
        let active = self.list.back().map_or(0, |active| active.bytes.max(settings.segment_bytes));
        written + active + self.spares.len() as u64 * settings.segment_bytes
    }

    /// What is only kept.
    pub(crate) fn released_bytes(&self) -> u64 {
        self.list.iter().filter(|segment| segment.is_released).map(|segment| segment.bytes).sum()
    }

    /// What may surely be written without asking the disk for more room.
    pub(crate) fn room(&self, settings: &Settings) -> u64 {
        let usable = |room: u64| room.saturating_sub(FRAME_MOST as u64);
        let active = self.list.back().map_or(0, |active| usable(settings.segment_bytes.saturating_sub(active.bytes)));
        active + self.spares.len() as u64 * usable(settings.segment_bytes)
    }

    pub(crate) fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    /// Whatever was not forced to disk by now counts in the segments that follow only.
    pub(crate) fn count_up_to(&mut self, synced: u64) {
        for segment in &mut self.list {
            if segment.last > synced {
                segment.last = synced;
                segment.is_dirty = false;
            }
        }
    }

    /// Everything up to `sequence` is in the store: segments in which nothing begins that runs are only kept from now on.
    pub(crate) fn release(&mut self, sequence: u64) {
        let closed = self.list.len().saturating_sub(1);
        let running = &self.running;
        for segment in self.list.iter_mut().take(closed).filter(|segment| segment.last <= sequence) {
            let begins_here = |open: &u64| (segment.first..=segment.last).contains(open);
            if !running.iter().any(begins_here) {
                segment.is_released = true;
                segment.is_dirty = false;
                segment.file = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_on_purpose_is_read_from_a_name() {
        assert_eq!(gone("gone-3-17"), Some((3, 17)));
        assert_eq!((gone("gone-3"), gone("0000000001.segment")), (None, None));
        assert!(is_segment(&name(1)) && !is_segment("gone-3-17"));
    }
}
