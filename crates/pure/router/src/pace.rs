//! How fast a deployment answers. Streams are compared with streams and whole answers with whole answers: the time to a
//! first token and the time of each token are no numbers of one kind.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What the latency of a call is measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Seconds for each token of a whole answer.
    #[default]
    Token,
    /// Seconds until the first content of a stream.
    First,
    /// Seconds of a whole answer that has no tokens, such as embeddings and pictures.
    Whole,
}

/// Latencies that are averaged, as many as `LiteLLM` has by default.
const SAMPLES: usize = 10;
/// A latency of so long ago says nothing of now.
const STALE: Duration = Duration::from_secs(3600);
/// What a timeout counts as, in seconds, so that nobody is sent where it happened; `LiteLLM`'s number.
const LATE: f64 = 1_000.0;

/// The latencies of one deployment: the means beside one another, as they are looked at by every call, the samples behind.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Paces {
    means: [Mean; 3],
    samples: [Mutex<Samples>; 3],
}

/// The latencies of one kind.
#[derive(Debug, Default)]
struct Mean {
    /// The mean of the samples, seconds as bits; 0: none.
    mean: AtomicU64,
    /// When the last sample was taken, whole seconds.
    at: AtomicU64,
}

#[derive(Debug, Default)]
struct Samples {
    seconds: [f64; SAMPLES],
    count: usize,
    next: usize,
}

impl Paces {
    fn of(&self, pace: Pace) -> (&Mean, &Mutex<Samples>) {
        let ([token, first, whole], [of_token, of_first, of_whole]) = (&self.means, &self.samples);
        match pace {
            Pace::Token => (token, of_token),
            Pace::First => (first, of_first),
            Pace::Whole => (whole, of_whole),
        }
    }

    /// The mean of the last latencies of a kind. `None`: unknown.
    pub(crate) fn mean(&self, pace: Pace, now: Duration) -> Option<f64> {
        let (lane, _) = self.of(pace);
        let mean = f64::from_bits(lane.mean.load(Relaxed));
        let age = now.as_secs().saturating_sub(lane.at.load(Relaxed));
        (mean > 0.0 && age < STALE.as_secs()).then_some(mean)
    }

    /// A call of a kind took so many seconds.
    pub(crate) fn sample(&self, pace: Pace, now: Duration, seconds: f64) {
        let (lane, samples) = self.of(pace);
        let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
        let next = samples.next;
        if let Some(slot) = samples.seconds.get_mut(next) {
            *slot = seconds;
        }
        samples.next = (next + 1) % SAMPLES;
        samples.count = (samples.count + 1).min(SAMPLES);
        let known = samples.seconds.get(..samples.count).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "at most ten")]
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        lane.mean.store(mean.to_bits(), Relaxed);
        lane.at.store(now.as_secs(), Relaxed);
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&self) {
        for (lane, samples) in self.means.iter().zip(&self.samples) {
            *samples.lock().unwrap_or_else(PoisonError::into_inner) = Samples::default();
            lane.mean.store(0, Relaxed);
        }
    }

    /// A call of a kind ran into its timeout.
    pub(crate) fn late(&self, pace: Pace, now: Duration) {
        self.sample(pace, now, LATE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_latency_is_the_mean_of_the_last_ten_and_gets_old() {
        let paces = Paces::default();
        assert_eq!(paces.mean(Pace::Token, at(1)), None);
        for second in 0..12 {
            paces.sample(Pace::Token, at(second), if second < 2 { 50.0 } else { 2.0 });
        }
        assert_eq!(paces.mean(Pace::Token, at(12)), Some(2.0));
        assert_eq!(paces.mean(Pace::Token, at(4_000)), None);
    }

    #[test]
    fn latencies_of_two_kinds_are_never_added() {
        let paces = Paces::default();
        paces.sample(Pace::First, at(1), 0.4);
        paces.sample(Pace::Token, at(1), 0.02);
        paces.sample(Pace::Whole, at(1), 3.0);
        paces.late(Pace::Whole, at(1));
        let known = [Pace::First, Pace::Token, Pace::Whole].map(|pace| paces.mean(pace, at(2)));
        assert_eq!(known, [Some(0.4), Some(0.02), Some(501.5)]);
    }
}
