//! How large a journal may grow, how long it is kept, and when it is forced to disk.

use std::time::Duration;

use crate::frame::FRAME_MOST;

/// When what is written is forced to disk. A process that is killed loses nothing in any of them: the system has what was
/// written. They differ in what a loss of power costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Whenever this has passed, by whoever calls [`crate::Journal::sync`]: a loss of power costs at most so much.
    Interval(Duration),
    /// Before an append returns; appends that wait together are forced together. A loss of power costs nothing.
    Always,
    /// Never by us: the system does it when it likes.
    Off,
}

impl Default for Fsync {
    fn default() -> Self {
        Self::Interval(Duration::from_millis(100))
    }
}

/// The bounds of a journal.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When it is forced to disk.
    pub fsync: Fsync,
    /// Room that a segment is given at once.
    pub segment_bytes: u64,
    /// What all segments of this process may take together; with more that nobody has taken over, new records are refused.
    pub most_bytes: u64,
    /// What may be kept of segments that have been taken over, to catch up a store that is restored from a backup.
    pub keep_bytes: u64,
    /// How long they are kept.
    pub keep_for: Duration,
    /// Records may be missing from a journal that is found: it is copied aside, and they are told as [`crate::Missing`].
    pub accept_damage: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fsync: Fsync::default(),
            segment_bytes: 16 << 20,
            most_bytes: 4 << 30,
            keep_bytes: 1 << 30,
            keep_for: Duration::from_hours(7 * 24),
            accept_damage: false,
        }
    }
}

impl Settings {
    /// Without values that could hold no record.
    pub(crate) fn bounded(mut self) -> Self {
        self.segment_bytes = self.segment_bytes.max(4 * FRAME_MOST as u64);
        self.most_bytes = self.most_bytes.max(2 * self.segment_bytes);
        self
    }

    /// With less room than this a journal that gets no more is told to be full: enough for what begins until that is heard.
    pub(crate) fn reserve(&self) -> u64 {
        (self.segment_bytes / 4).clamp(2 * FRAME_MOST as u64, 4 << 20)
    }

    /// How long before the end records may be missing after a loss of power.
    pub(crate) fn unsure(&self) -> Duration {
        match self.fsync {
            Fsync::Interval(interval) => (interval * 2).max(Duration::from_secs(1)),
            Fsync::Always | Fsync::Off => Duration::from_secs(1),
        }
    }
}
