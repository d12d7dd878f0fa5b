//! One coarse timer per connection: re-set only when it rings, because resetting a timer per chunk costs microseconds.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};
use tollgate_wire::clock::Clock;

// The timer cannot count to "never"; it rings once a day and is wound again.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Rings at a deadline on the injected clock. A later deadline costs nothing until the earlier one has passed.
#[derive(Default)]
pub(crate) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    rings_at: Duration,
}

impl Alarm {
    /// Ready once `clock` has reached `deadline`; otherwise the task is woken by then.
    pub(crate) fn poll(&mut self, clock: &dyn Clock, deadline: Duration, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(timer) = self.timer.as_mut().filter(|_| self.rings_at <= deadline) {
                ready!(timer.as_mut().poll(context));
            }
            let now = clock.monotonic();
            if now >= deadline {
                return Poll::Ready(());
            }
            self.wind(now, (deadline - now).min(LONGEST));
        }
    }

    /// Wakes nobody until it is polled again.
    pub(crate) fn forget_task(&mut self) {
        if let Some(timer) = &mut self.timer {
            let _ = timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    fn wind(&mut self, now: Duration, wait: Duration) {
        self.rings_at = now + wait;
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(Instant::now() + wait),
            None => self.timer = Some(Box::pin(tokio::time::sleep(wait))),
        }
    }
}
