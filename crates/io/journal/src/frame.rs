//! How one record stands in a segment.
//!
//! ```text
//!  0  magic            4   12  previous, as a distance  4   40  written at, µs  8
//!  4  CRC32C from 8 on 4   16  journal id              16   48  payload
//!  8  version          1   32  sequence                 8
//!  9  header length    1
//! 10  payload length   2                 all numbers little-endian
//! ```
//!
//! The journal's id is in each frame, so that blocks of an older file, or a forged frame in a payload, are never taken
//! for a record. `previous` is the sequence of the record before it, so that a lost record is told from a number
//! that was never used.

use std::time::Duration;

use memchr::memmem;
use uuid::Uuid;

const MAGIC: [u8; 4] = [0xD7, b'T', b'J', 0x1A];
/// The version that is written.
pub const VERSION: u8 = 1;
/// Versions that are read: the neighbours, too, as a newer header only grows at its end.
const READS: std::ops::RangeInclusive<u8> = VERSION - 1..=VERSION + 1;
const HEADER: usize = 48;
/// Where the checksum begins.
const CHECKED: usize = 8;
/// The longest payload.
pub const PAYLOAD_MOST: usize = 4096;
/// The longest frame that is written.
pub const FRAME_MOST: usize = HEADER + PAYLOAD_MOST;

/// A record in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'bytes> {
    pub(crate) journal: Uuid,
    pub(crate) sequence: u64,
    /// The sequence of the record before it, 0 for none.
    pub(crate) previous: u64,
    /// By the monotonic clock of the process that wrote it.
    pub(crate) at: Duration,
    pub(crate) payload: &'bytes [u8],
}

/// How long the frame of such a payload is.
pub(crate) fn length(payload: usize) -> usize {
    HEADER + payload
}

/// Appends the frame to `into`. The payload is not longer than [`PAYLOAD_MOST`].
pub(crate) fn write(into: &mut Vec<u8>, frame: &Frame<'_>) {
    write_as(into, frame, VERSION, &[]);
}

/// As [`write()`], as another version would: `more` stands at the end of its header.
pub(crate) fn write_as(into: &mut Vec<u8>, frame: &Frame<'_>, version: u8, more: &[u8]) {
    let start = into.len();
    let back = u32::try_from(frame.sequence - frame.previous.min(frame.sequence)).unwrap_or(u32::MAX);
    let header = u8::try_from(HEADER + more.len()).unwrap_or(u8::MAX);
    into.extend_from_slice(&MAGIC);
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&[version, header]);
    into.extend_from_slice(&u16::try_from(frame.payload.len()).unwrap_or(u16::MAX).to_le_bytes());
    into.extend_from_slice(&back.to_le_bytes());
    into.extend_from_slice(frame.journal.as_bytes());
    into.extend_from_slice(&frame.sequence.to_le_bytes());
    into.extend_from_slice(&u64::try_from(frame.at.as_micros()).unwrap_or(u64::MAX).to_le_bytes());
    into.extend_from_slice(more);
    into.extend_from_slice(frame.payload);
    let sum = crc32c::crc32c(into.get(start + CHECKED..).unwrap_or_default());
    if let Some(place) = into.get_mut(start + 4..start + CHECKED) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

/// What stands at one place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'bytes> {
    /// A record, and how long its frame is.
    Frame(Frame<'bytes>, usize),
    /// A whole frame of a version that is not read here.
    Foreign(usize),
    /// No frame, or not all of one: so many bytes up to where the next may begin.
    Stump(usize),
}

/// What stands at the beginning of `bytes`, which are not empty.
pub(crate) fn read(bytes: &[u8], journal: Uuid) -> Piece<'_> {
    parse(bytes, journal).unwrap_or_else(|| {
        let next = bytes.get(1..).and_then(|rest| memmem::find(rest, &MAGIC));
        Piece::Stump(next.map_or(bytes.len(), |next| next + 1))
    })
}

fn parse(bytes: &[u8], journal: Uuid) -> Option<Piece<'_>> {
    let (fixed, _) = bytes.split_first_chunk::<HEADER>()?;
    let number = |from: usize| Some(u64::from_le_bytes(fixed.get(from..from + 8)?.try_into().ok()?));
    let short = |from: usize| Some(u32::from_le_bytes(fixed.get(from..from + 4)?.try_into().ok()?));
    let (version, header) = (*fixed.get(8)?, usize::from(*fixed.get(9)?));
    let payload = usize::from(u16::from_le_bytes(fixed.get(10..12)?.try_into().ok()?));
    let whole = bytes.get(..header + payload)?;
    let is_ours = fixed.get(..4)? == MAGIC && header >= HEADER && fixed.get(16..32)? == journal.as_bytes();
    if !is_ours || crc32c::crc32c(whole.get(CHECKED..)?) != short(4)? {
        return None;
    }
    if !READS.contains(&version) {
        return Some(Piece::Foreign(whole.len()));
    }
    let sequence = number(32)?;
    let previous = sequence.saturating_sub(u64::from(short(12)?));
    let at = Duration::from_micros(number(40)?);
    let frame = Frame { journal, sequence, previous, at, payload: whole.get(header..)? };
    Some(Piece::Frame(frame, whole.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: Uuid = Uuid::from_u128(7);

    fn frame(payload: &[u8]) -> Frame<'_> {
        Frame { journal: JOURNAL, sequence: 9, previous: 7, at: Duration::from_micros(5), payload }
    }

    fn bytes(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, &frame(payload));
        bytes
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for payload in [&b""[..], b"x", &[0xD7; PAYLOAD_MOST]] {
            let bytes = bytes(payload);
            assert_eq!(read(&bytes, JOURNAL), Piece::Frame(frame(payload), bytes.len()));
            assert_eq!(bytes.len(), length(payload.len()));
        }
    }

    #[test]
    fn the_checksum_is_crc32c() {
        // The check value of CRC-32C (RFC 3720, B.4: the sum of 32 zeros is 8a9136aa).
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_frame_that_is_cut_or_changed_anywhere_is_none() {
        let whole = bytes(b"paid");
        for cut in 1..whole.len() {
            assert!(matches!(read(&whole[..cut], JOURNAL), Piece::Stump(_)), "cut at {cut}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                assert!(matches!(read(&changed, JOURNAL), Piece::Stump(_)), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_frame_of_another_journal_is_none() {
        assert!(matches!(read(&bytes(b"paid"), Uuid::from_u128(8)), Piece::Stump(_)));
    }

    #[test]
    fn a_stump_ends_where_the_next_frame_may_begin() {
        let whole = bytes(b"paid");
        let mut torn = whole[..30].to_vec();
        torn.extend_from_slice(&whole);
        assert_eq!(read(&torn, JOURNAL), Piece::Stump(30));
        assert_eq!(read(&torn[30..], JOURNAL), Piece::Frame(frame(b"paid"), whole.len()));
    }

    #[test]
    fn house_13_8_the_next_version_is_read_and_the_one_after_it_is_told_as_foreign() {
        let mut newer = Vec::new();
        write_as(&mut newer, &frame(b"paid"), VERSION + 1, b"more to know");
        assert_eq!(read(&newer, JOURNAL), Piece::Frame(frame(b"paid"), newer.len()));
        let mut older = Vec::new();
        write_as(&mut older, &frame(b"paid"), VERSION - 1, b"");
        assert_eq!(read(&older, JOURNAL), Piece::Frame(frame(b"paid"), older.len()));
        let mut foreign = Vec::new();
        write_as(&mut foreign, &frame(b"paid"), VERSION + 2, b"more to know");
        assert_eq!(read(&foreign, JOURNAL), Piece::Foreign(foreign.len()));
    }
}
