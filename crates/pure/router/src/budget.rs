//! The retry budget: when everything is down, retries must not make it worse.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Retries a second that are always free, so that small installations see exactly `num_retries`.
const FREE: u64 = 10;
/// Retries beyond them: one for so many requests of the last seconds.
const REQUESTS_PER_RETRY: u64 = 5;
/// The window, seconds.
const SECONDS: u64 = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at: u64,
    requests: u64,
    retries: u64,
}

/// Counts the requests and retries of the last ten seconds, of all groups together.
#[derive(Debug, Default)]
pub struct RetryBudget {
    seconds: Mutex<[Second; SECONDS as usize]>,
}

impl RetryBudget {
    /// A request came in.
    pub fn request(&self, now: Duration) {
        self.second(now, |second, _| second.requests += 1);
    }

    /// Whether a retry may be made; if so it is counted.
    pub fn retry(&self, now: Duration) -> bool {
        self.second(now, |second, (requests, retries)| {
            let may = second.retries < FREE || retries.saturating_mul(REQUESTS_PER_RETRY) < requests;
            second.retries += u64::from(may);
            may
        })
        .unwrap_or(true)
    }

    /// Works on this second, with the sums of the window.
    fn second<T>(&self, now: Duration, work: impl FnOnce(&mut Second, (u64, u64)) -> T) -> Option<T> {
        let at = now.as_secs();
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = seconds.iter().filter(|second| at.saturating_sub(second.at) < SECONDS && second.at <= at);
        let sums = recent.fold((0, 0), |sums, second| (sums.0 + second.requests, sums.1 + second.retries));
        let slot = seconds.get_mut(usize::try_from(at % SECONDS).ok()?)?;
        if slot.at != at {
            *slot = Second { at, ..Second::default() };
        }
        Some(work(slot, sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_are_free_and_a_fifth_of_the_requests_beyond() {
        let budget = RetryBudget::default();
        let now = Duration::from_secs(100);
        assert_eq!((0..50).filter(|_| budget.retry(now)).count(), 10);
        let later = Duration::from_secs(120);
        for _ in 0..1_000 {
            budget.request(later);
        }
        assert_eq!((0..1_000).filter(|_| budget.retry(later)).count(), 200);
        assert_eq!((0..50).filter(|_| budget.retry(later + Duration::from_secs(1))).count(), 10);
    }
}
