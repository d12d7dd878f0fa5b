//! Reading a journal while it is written.

use crate::{
    frame::{self, FRAME_MOST, Piece},
    journal::{Journal, JournalError, Position, Shared},
    segments,
};

/// How much is read at once.
const PART: usize = 1 << 20;

/// How far somebody has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    segment: u64,
    offset: u64,
    sequence: u64,
}

impl Cursor {
    /// Behind this record, 0 for the beginning.
    #[must_use]
    pub fn after(sequence: u64) -> Self {
        Self { sequence, ..Self::default() }
    }

    /// The last record that was read.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// A part of a segment that may be read.
struct Part {
    segment: u64,
    /// The last record that counts in it, and may be told.
    last: u64,
    is_active: bool,
}

impl Journal {
    /// Gives the next records in order to `take`, until that says no or there are no more for now. Only what a loss of
    /// power spares is given, as far as [`crate::Fsync`] promises anything. Gives how many were read.
    ///
    /// # Errors
    /// The disk fails. What was given stays given.
    pub fn tail(
        &self,
        cursor: &mut Cursor,
        mut take: impl FnMut(Position, &[u8]) -> bool,
    ) -> Result<usize, JournalError> {
        let mut count = 0;
        while let Some(part) = self.shared.part(*cursor) {
            if cursor.segment != part.segment {
                (cursor.segment, cursor.offset) = (part.segment, 0);
            }
            let goes_on = self.shared.give(&part, cursor, &mut |position, payload| {
                count += 1;
                take(position, payload)
            })?;
            if !goes_on {
                break;
            }
        }
        Ok(count)
    }
}

impl Shared {
    /// The segment at the cursor, or the next one that has more.
    fn part(&self, cursor: Cursor) -> Option<Part> {
        let mut state = self.lock();
        let (synced, active) = (state.synced, state.segments.active()?.number);
        let holds_any = |first: u64, last: u64| first <= last.min(synced);
        let unread = state.segments.iter().filter(|segment| segment.number >= cursor.segment);
        unread
            .filter(|segment| holds_any(segment.first, segment.last))
            .map(|segment| Part {
                segment: segment.number,
                last: segment.last.min(synced),
                is_active: segment.number == active,
            })
            .find(|part| part.last > cursor.sequence)
    }

    /// Whether there may be more behind this part.
    fn give(
        &self,
        part: &Part,
        cursor: &mut Cursor,
        take: &mut dyn FnMut(Position, &[u8]) -> bool,
    ) -> Result<bool, JournalError> {
        let name = segments::name(part.segment);
        while cursor.sequence < part.last {
            // To the end of the file: a write that failed may have left more than it said.
            let bytes = self.disk.read(&self.folder, &name, cursor.offset, PART);
            let bytes = bytes.map_err(JournalError::disk("read"))?;
            let is_end = bytes.len() < PART;
            let mut rest = bytes.as_slice();
            // A frame that is not read to its end looks like a stump.
            while !rest.is_empty() && (is_end || rest.len() >= FRAME_MOST) && cursor.sequence < part.last {
                let (length, frame) = match frame::read(rest, self.id) {
                    Piece::Frame(frame, length) => (length, Some(frame)),
                    Piece::Foreign(length) | Piece::Stump(length) => (length, None),
                };
                rest = rest.get(length..).unwrap_or_default();
                cursor.offset += length as u64;
                if let Some(frame) = frame.filter(|frame| frame.sequence > cursor.sequence) {
                    cursor.sequence = frame.sequence;
                    if !take(Position { journal: self.id, sequence: frame.sequence }, frame.payload) {
                        return Ok(false);
                    }
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        if cursor.sequence < part.last {
            // The file no longer has what was written to it.
            let source = std::io::ErrorKind::UnexpectedEof.into();
            return Err(JournalError::Disk { doing: "read again", source });
        }
        Ok(!part.is_active)
    }
}
