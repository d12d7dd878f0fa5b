//! The real clock and the real randomness: the one place that asks the system for either.

use std::{
    cell::RefCell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tollgate_wire::clock::{Clock, Random};

/// The system's clock; `monotonic` counts from the moment this was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts counting.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "when it is made matters, so it is made in sight")]
    #[expect(clippy::disallowed_methods, reason = "this is the injected Clock")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the injected Clock")]
    fn unix(&self) -> Duration {
        // A system clock before 1970 reads as 1970.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// The operating system's random generator, by way of aws-lc. Small requests are served from a block per thread: the
/// generator costs microseconds a call, whatever its size.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

/// Bytes fetched at once, per thread.
const BLOCK: usize = 1024;

struct Block {
    bytes: [u8; BLOCK],
    used: usize,
}

thread_local! {
    static BLOCK_OF_THREAD: RefCell<Block> = const { RefCell::new(Block { bytes: [0; BLOCK], used: BLOCK }) };
}

impl Random for SystemRandom {
    /// Fills `bytes`; ends the process if the system has no randomness, because a predictable key is worse than none.
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > BLOCK / 8 {
            fetch(bytes);
            return;
        }
        BLOCK_OF_THREAD.with_borrow_mut(|block| {
            if block.used + bytes.len() > BLOCK {
                fetch(&mut block.bytes);
                block.used = 0;
            }
            let end = block.used + bytes.len();
            if let Some(fresh) = block.bytes.get_mut(block.used..end) {
                bytes.copy_from_slice(fresh);
                // Given out once, and nowhere to be found afterwards.
                fresh.fill(0);
            }
            block.used = end;
        });
    }
}

fn fetch(bytes: &mut [u8]) {
    if aws_lc_rs::rand::fill(bytes).is_err() {
        tracing::error!("the system gives no random bytes");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_does_not_go_back_and_knows_the_century() {
        let clock = SystemClock::new();
        let first = clock.monotonic();
        assert!(clock.monotonic() >= first);
        assert!(clock.unix() > Duration::from_secs(1_700_000_000));
    }

    #[test]
    fn random_numbers_differ() {
        let numbers: std::collections::HashSet<u64> = (0..1000).map(|_| SystemRandom.u64()).collect();
        assert_eq!(numbers.len(), 1000);
    }
}
