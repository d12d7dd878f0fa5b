//! Records as bytes: a version, a kind, then fields, each a tag, a length and a value. A tag that is not known is skipped, so
//! a reader of yesterday reads what is written today, without what it does not know.
//!
//! Tags never change their meaning. Numbers are variable-length (7 bits a byte, signed ones zigzag).

use super::Record;

/// What is written. Versions only tell apart what tags cannot: none has had to yet.
pub const VERSION: u8 = 1;
/// A record's longest form.
pub const RECORD_MOST: usize = 4096;
/// What a settlement may need beyond what its opening had: an open record leaves so much free.
pub const SETTLEMENT_ROOM: usize = 512;
/// Beyond this a text is cut. Names that money is booked by are never cut.
pub(super) const TEXT_MOST: usize = 256;

/// Something was left out for want of room: texts cut, tags or metadata dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut(pub bool);

/// The slots alone are too long for a record: the call has too many tags, or names that are too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what a call is booked to takes more than a record: use fewer tags or shorter names")]
pub struct TooLong;

/// A record that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A record, and whether something had been left out of it.
    Record(Record, Cut),
    /// A whole record of a kind that this version does not know. It is to be kept.
    NewerKind(u8),
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record cannot be read: {0}")]
pub struct ReadError(pub(super) &'static str);

pub(super) const OPEN: u8 = 1;
pub(super) const PROGRESS: u8 = 2;
pub(super) const SETTLED: u8 = 3;
pub(super) const NOTED: u8 = 4;
pub(super) const CORRECTED: u8 = 5;

/// The tags of fields. One list for all kinds, so that a number means one thing everywhere.
pub(super) mod tag {
    pub(in crate::records) const IDENTITY: u8 = 1;
    pub(in crate::records) const CUT: u8 = 2;
    pub(in crate::records) const SLOT: u8 = 3;
    pub(in crate::records) const HELD: u8 = 4;
    pub(in crate::records) const INPUT: u8 = 5;
    pub(in crate::records) const SO_FAR: u8 = 6;
    pub(in crate::records) const USAGE: u8 = 7;
    pub(in crate::records) const AT: u8 = 8;
    pub(in crate::records) const COST: u8 = 9;
    pub(in crate::records) const AT_LEAST: u8 = 10;
    pub(in crate::records) const CERTAINTY: u8 = 11;
    pub(in crate::records) const OUTCOME: u8 = 12;
    pub(in crate::records) const STATUS: u8 = 13;
    pub(in crate::records) const FIRST_BYTE: u8 = 14;
    pub(in crate::records) const TOOK: u8 = 15;
    pub(in crate::records) const ANSWER: u8 = 16;
    pub(in crate::records) const CACHE_HIT: u8 = 17;
    pub(in crate::records) const SAVED: u8 = 18;
    pub(in crate::records) const ATTEMPT: u8 = 19;
    pub(in crate::records) const CHANGE: u8 = 20;
    pub(in crate::records) const STATES_UNKNOWN: u8 = 21;
    pub(in crate::records) const AUTHOR: u8 = 22;
    pub(in crate::records) const REASON: u8 = 23;
    pub(in crate::records) const STREAMED: u8 = 24;
    pub(in crate::records) const ORDINAL: u8 = 25;
    pub(in crate::records) const STARTED: u8 = 26;
    pub(in crate::records) const METADATA: u8 = 27;
    pub(in crate::records) const TAG: u8 = 28;
    pub(in crate::records) const CALL: u8 = 32;
    pub(in crate::records) const CALL_TYPE: u8 = 33;
    pub(in crate::records) const KEY: u8 = 34;
    pub(in crate::records) const KEY_ALIAS: u8 = 35;
    pub(in crate::records) const USER: u8 = 36;
    pub(in crate::records) const TEAM: u8 = 37;
    pub(in crate::records) const ORGANIZATION: u8 = 38;
    pub(in crate::records) const PROJECT: u8 = 39;
    pub(in crate::records) const CUSTOMER: u8 = 40;
    pub(in crate::records) const ASKED: u8 = 41;
    pub(in crate::records) const GROUP: u8 = 42;
    pub(in crate::records) const MODEL: u8 = 43;
    pub(in crate::records) const PROVIDER: u8 = 44;
    pub(in crate::records) const DEPLOYMENT: u8 = 45;
    pub(in crate::records) const API_BASE: u8 = 46;
    pub(in crate::records) const REQUESTER: u8 = 47;
    pub(in crate::records) const SESSION: u8 = 48;
}
