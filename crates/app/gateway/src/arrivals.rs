//! How far this process's journal is in the store, for those who wait until a record of theirs is there.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch};

/// Records without effect that are remembered for those who wait for them.
const REMEMBERED: usize = 10_000;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is in the store.
    Booked,
    /// The store has it and booked nothing: somebody else had said the same before.
    Void,
    /// It is in the journal, and will be in the store.
    Awaited,
}

/// How far the journal is in the store.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    upto: watch::Sender<u64>,
    hurry: Notify,
    void: Mutex<BTreeSet<u64>>,
}

impl Arrivals {
    /// The store has everything up to this record; these of it had no effect.
    pub(crate) fn reach(&self, sequence: u64, void: &[i64]) {
        let mut remembered = self.void.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.extend(void.iter().filter_map(|position| u64::try_from(*position).ok()));
        while remembered.len() > REMEMBERED {
            remembered.pop_first();
        }
        drop(remembered);
        self.upto.send_replace(sequence);
    }

    /// Waits so long, or until somebody is in a hurry.
    pub(crate) async fn pause(&self, most: Duration) {
        // Over or hurried: both end the pause.
        let _ = tokio::time::timeout(most, self.hurry.notified()).await;
    }

    /// Waits until the store has this record, at most so long.
    pub(crate) async fn of(&self, sequence: u64, most: Duration) -> Arrival {
        self.hurry.notify_one();
        let mut upto = self.upto.subscribe();
        let reached = upto.wait_for(|upto| *upto >= sequence);
        if !matches!(tokio::time::timeout(most, reached).await, Ok(Ok(_))) {
            return Arrival::Awaited;
        }
        match self.void.lock().unwrap_or_else(PoisonError::into_inner).remove(&sequence) {
            true => Arrival::Void,
            false => Arrival::Booked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_what_became_of_his_record() {
        let arrivals = Arrivals::default();
        assert_eq!(arrivals.of(3, Duration::from_secs(1)).await, Arrival::Awaited);
        arrivals.reach(5, &[4]);
        assert_eq!(arrivals.of(3, Duration::ZERO).await, Arrival::Booked);
        assert_eq!(arrivals.of(4, Duration::from_secs(1)).await, Arrival::Void);
        // It was told.
        assert_eq!(arrivals.of(4, Duration::from_secs(1)).await, Arrival::Booked);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_ends_the_pause_of_who_carries() {
        let (arrivals, start) = (Arrivals::default(), tokio::time::Instant::now());
        let waits = arrivals.of(1, Duration::from_secs(9));
        let carries = async {
            arrivals.pause(Duration::from_secs(5)).await;
            arrivals.reach(1, &[]);
        };
        let (arrival, ()) = tokio::join!(waits, carries);
        assert_eq!((arrival, start.elapsed()), (Arrival::Booked, Duration::ZERO));
    }
}
