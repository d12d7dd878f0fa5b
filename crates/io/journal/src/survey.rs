//! What is in a journal that a process left, and what is missing from it.

use std::{fmt, io, ops::Range, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    disk::Disk,
    frame::{self, Frame, Piece},
    segments,
    settings::Settings,
};

/// Records that are missing, both ends included. Some of these numbers may never have been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Missing {
    pub(crate) fn list(missing: &[Self]) -> String {
        missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.first, self.last)
    }
}

/// What a journal went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes that belong to no record. A torn last record is normal after a kill.
    pub skipped_bytes: u64,
    /// Whole records of a version that is not read here. Their journal is not removed.
    pub foreign: u64,
    /// Records that had been written long before the end.
    pub missing: Vec<Missing>,
    /// Records missing from the last moments, which a loss of power explains.
    pub unsure: Vec<Missing>,
    /// The record before the first one here; what is older went on purpose, or was not needed any more.
    pub begins_after: u64,
    /// The last record.
    pub last: u64,
}

/// A file of records.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) first: u64,
}

/// The files of a journal, in the order of what they hold.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) parts: Vec<Part>,
    pub(crate) damage: Damage,
}

/// A record that names another as the one before it, which is not before it in its file.
struct Link {
    previous: u64,
    sequence: u64,
    at: Duration,
}

#[derive(Default)]
struct Count {
    ranges: Vec<(u64, u64)>,
    links: Vec<Link>,
    last: u64,
    ended: Duration,
}

/// Reads all segments of a folder once.
pub(crate) fn survey(disk: &Arc<dyn Disk>, folder: &str, id: Uuid, settings: &Settings) -> io::Result<Survey> {
    let (mut survey, mut count) = (Survey::default(), Count::default());
    for file in disk.files(folder)? {
        count.ranges.extend(segments::gone(&file.name));
        if segments::is_segment(&file.name) && file.bytes > 0 {
            let bytes = disk.read(folder, &file.name, 0, usize::MAX)?;
            if let Some(first) = count.take(&bytes, id, &mut survey.damage) {
                survey.parts.push(Part { name: file.name, first });
            }
        }
    }
    survey.parts.sort_by_key(|part| part.first);
    count.judge(settings.unsure(), &mut survey.damage);
    Ok(survey)
}

/// Calls `each` with every record in the bytes of a segment, and where its payload is.
pub(crate) fn walk(bytes: &[u8], id: Uuid, damage: &mut Damage, mut each: impl FnMut(Frame<'_>, Range<usize>)) {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        at += match frame::read(rest, id) {
            Piece::Frame(frame, length) => {
                // The payload is the last part of its frame.
                let end = at + length;
                each(frame, end - frame.payload.len()..end);
                length
            }
            Piece::Foreign(length) => {
                damage.foreign += 1;
                length
            }
            Piece::Stump(length) => {
                damage.skipped_bytes += length as u64;
                length
            }
        };
    }
}

impl Count {
    /// Gives the lowest sequence in a segment.
    fn take(&mut self, bytes: &[u8], id: Uuid, damage: &mut Damage) -> Option<u64> {
        let (mut first, mut open) = (None::<u64>, None::<(u64, u64)>);
        walk(bytes, id, damage, |frame, _| {
            first = Some(first.map_or(frame.sequence, |first| first.min(frame.sequence)));
            if frame.sequence >= self.last {
                (self.last, self.ended) = (frame.sequence, frame.at);
            }
            match &mut open {
                // Numbers between the two were never used, or are accounted for by this very record.
                Some((_, last)) if frame.previous == *last && frame.sequence > *last => *last = frame.sequence,
                _ => {
                    self.ranges.extend(open.replace((frame.sequence, frame.sequence)));
                    self.links.push(Link { previous: frame.previous, sequence: frame.sequence, at: frame.at });
                }
            }
        });
        self.ranges.extend(open);
        first
    }

    fn judge(mut self, unsure: Duration, damage: &mut Damage) {
        self.ranges.sort_unstable();
        self.links.sort_unstable_by_key(|link| link.sequence);
        damage.last = self.last;
        damage.begins_after = self.links.first().map_or(0, |link| link.previous);
        for link in self.links.iter().skip(1).filter(|link| link.previous > damage.begins_after) {
            let is_there = |(first, last): &(u64, u64)| (*first..=*last).contains(&link.previous);
            if self.ranges.iter().any(is_there) {
                continue;
            }
            let below = self.ranges.iter().filter(|(first, _)| *first < link.previous).map(|(_, last)| *last).max();
            let first = below.unwrap_or(damage.begins_after) + 1;
            let missing = Missing { first, last: link.previous };
            let list = if link.at + unsure <= self.ended { &mut damage.missing } else { &mut damage.unsure };
            if list.last() != Some(&missing) {
                list.push(missing);
            }
        }
    }
}
