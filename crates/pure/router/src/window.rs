//! What a deployment did in the last minute: a sliding window of whole seconds.

/// The window, seconds. A second more is kept, as the first one has begun somewhere: a limit a minute holds in every minute.
const KEPT: u64 = 61;

/// What was counted in one second, or in all that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that began.
    pub requests: u64,
    /// Attempts that ended well.
    pub successes: u64,
    /// Attempts that failed through the provider's fault.
    pub failures: u64,
    /// Tokens, input and output.
    pub tokens: u64,
}

impl Counts {
    fn take(&mut self, other: &Self) {
        self.requests = self.requests.saturating_sub(other.requests);
        self.successes = self.successes.saturating_sub(other.successes);
        self.failures = self.failures.saturating_sub(other.failures);
        self.tokens = self.tokens.saturating_sub(other.tokens);
    }
}

/// The last minute.
#[derive(Debug)]
pub(crate) struct Window {
    seconds: [Counts; KEPT as usize],
    newest: u64,
    total: Counts,
}

impl Default for Window {
    fn default() -> Self {
        Self { seconds: [Counts::default(); KEPT as usize], newest: 0, total: Counts::default() }
    }
}

impl Window {
    /// What is counted at this second.
    pub(crate) fn at(&mut self, second: u64) -> Counts {
        self.advance(second);
        self.total
    }

    /// Adds to this second; gives the one that it is counted in, which is a later one for a clock that is behind.
    pub(crate) fn add(&mut self, second: u64, counts: &Counts) -> u64 {
        self.advance(second);
        let newest = self.newest;
        if let Some(slot) = self.slot(newest) {
            slot.requests += counts.requests;
            slot.successes += counts.successes;
            slot.failures += counts.failures;
            slot.tokens += counts.tokens;
        }
        self.total.requests += counts.requests;
        self.total.successes += counts.successes;
        self.total.failures += counts.failures;
        self.total.tokens += counts.tokens;
        newest
    }

    /// Takes back what was counted at `second` and did not come.
    pub(crate) fn give_back(&mut self, second: u64, counts: &Counts) {
        if self.newest.saturating_sub(second) >= KEPT {
            return;
        }
        let Some(slot) = self.slot(second) else { return };
        let back = Counts {
            requests: slot.requests.min(counts.requests),
            tokens: slot.tokens.min(counts.tokens),
            ..Counts::default()
        };
        slot.take(&back);
        self.total.take(&back);
    }

    /// How many seconds after `second` the oldest requests that count leave the window.
    pub(crate) fn until_room(&self, second: u64) -> u64 {
        let held = (0..KEPT).rev().map(|ago| second.saturating_sub(ago)).find(|at| {
            let slot = usize::try_from(at % KEPT).ok().and_then(|slot| self.seconds.get(slot));
            slot.is_some_and(|slot| slot.requests > 0 || slot.tokens > 0)
        });
        held.map_or(1, |oldest| (oldest + KEPT).saturating_sub(second)).max(1)
    }

    /// Nothing has failed.
    pub(crate) fn forget_failures(&mut self) {
        self.seconds.iter_mut().chain([&mut self.total]).for_each(|counts| counts.failures = 0);
    }

    /// The last second that is counted.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    fn slot(&mut self, second: u64) -> Option<&mut Counts> {
        usize::try_from(second % KEPT).ok().and_then(|slot| self.seconds.get_mut(slot))
    }

    fn advance(&mut self, second: u64) {
        // A clock that goes back counts into the newest second.
        if second <= self.newest {
            return;
        }
        if second - self.newest >= KEPT {
            *self = Self { newest: second, ..Self::default() };
            return;
        }
        for at in self.newest + 1..=second {
            let old = self.slot(at).map(std::mem::take).unwrap_or_default();
            self.total.take(&old);
        }
        self.newest = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Counts = Counts { requests: 1, successes: 0, failures: 0, tokens: 10 };

    #[test]
    fn a_second_counts_for_a_whole_minute_and_no_more() {
        let mut window = Window::default();
        window.add(100, &ONE);
        window.add(130, &ONE);
        assert_eq!(window.at(160).requests, 2);
        assert_eq!(window.until_room(160), 1);
        assert_eq!(window.at(161).requests, 1);
        assert_eq!(window.at(191), Counts::default());
        assert_eq!(window.at(10_000), Counts::default());
    }

    #[test]
    fn tokens_that_did_not_come_are_given_back_once() {
        let mut window = Window::default();
        window.add(100, &ONE);
        let tokens = |tokens| Counts { tokens, ..Counts::default() };
        window.give_back(100, &tokens(4));
        assert_eq!(window.at(110).tokens, 6);
        window.give_back(100, &tokens(40));
        assert_eq!(window.at(161).tokens, 0, "never less than nothing");
        window.add(200, &ONE);
        window.give_back(100, &tokens(5));
        assert_eq!(window.at(200).tokens, 10, "what has left the window is not taken from what is in it");
    }
}
