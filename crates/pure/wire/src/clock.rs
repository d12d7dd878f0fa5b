//! Time and chance as arguments: the two traits through which everything below the command line gets them.
//!
//! The real ones are `tollgate_net::clock`, built once when the gateway starts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What time it is.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment of this process; never goes back. For durations and deadlines.
    fn monotonic(&self) -> Duration;

    /// Time since 1970-01-01 UTC; may jump. For what people and other machines read.
    fn unix(&self) -> Duration;
}

/// Where unguessable bytes come from.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// Any 64-bit number, each as likely.
    fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }
}

/// A clock for tests: stands still until it is told to go on.
#[derive(Debug, Default)]
pub struct FixedClock {
    // Nanoseconds since 1970; 584 years fit.
    unix: AtomicU64,
    // Nanoseconds since the clock was made.
    elapsed: AtomicU64,
}

impl FixedClock {
    /// A clock that stands at `unix` after 1970.
    #[must_use]
    pub fn at(unix: Duration) -> Self {
        Self { unix: AtomicU64::new(nanoseconds(unix)), elapsed: AtomicU64::new(0) }
    }

    /// Moves both readings forward.
    pub fn advance(&self, by: Duration) {
        self.unix.fetch_add(nanoseconds(by), Ordering::Relaxed);
        self.elapsed.fetch_add(nanoseconds(by), Ordering::Relaxed);
    }
}

impl Clock for FixedClock {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.elapsed.load(Ordering::Relaxed))
    }

    fn unix(&self) -> Duration {
        Duration::from_nanos(self.unix.load(Ordering::Relaxed))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::at(Duration::from_secs(1_700_000_000));
        assert_eq!((clock.monotonic(), clock.unix()), (Duration::ZERO, Duration::from_secs(1_700_000_000)));
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.monotonic(), Duration::from_millis(1500));
        assert_eq!(clock.unix(), Duration::from_millis(1_700_000_001_500));
    }
}
