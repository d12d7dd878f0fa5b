//! Records on local disk that survive a kill: appended by the task that makes them, read back once.
//!
//! Comes in: bytes whose meaning is not known here, at most 4 KiB each. Goes out: their positions, and after a crash the
//! bytes again, in order, with a report of what is missing. One folder per process, `<data-dir>/journal/<journal id>/`, held by
//! a lock; segments of a fixed size, preallocated, only ever appended to.
//!
//! What is promised is in [`Fsync`]; what is checked at the start is in [`Damage`]. The room for the last record of
//! whatever runs is set aside when it begins ([`Journal::append_open`]), so a full disk stops what is new and nothing else.

mod disk;
mod faulty;
mod found;
mod frame;
mod journal;
mod real;
mod segments;
mod settings;
mod survey;
mod sync;
mod tail;

pub use disk::{Appendable, Created, Disk, Held, Listed};
pub use faulty::{Fault, FaultyDisk, Loss};
pub use found::{Ended, Entry, Found, Looked, Replay, look};
pub use frame::{FRAME_MOST, PAYLOAD_MOST, VERSION};
pub use journal::{AppendError, Journal, JournalError, OpenEntry, Position, Standing};
pub use real::RealDisk;
pub use settings::{Fsync, Settings};
pub use survey::{Damage, Missing};
pub use tail::Cursor;
