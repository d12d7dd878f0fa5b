//! Between a connection's driver and the task that uses it. The driver and what it fills wake each other at every chunk;
//! as both are polled by one task, such a wake is answered on the spot instead of waking the task for another turn.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

/// The waker that the driver is given. Wakes from elsewhere (the socket) go on to the task.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Default)]
struct Shared {
    task: Mutex<Option<Waker>>,
    /// The task is within [`Relay::settle`].
    busy: AtomicBool,
    /// A wake came meanwhile.
    again: AtomicBool,
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // In this order: who ends being busy looks at `again` afterwards, so that no wake falls between.
        self.again.store(true, SeqCst);
        if self.busy.load(SeqCst) {
            return;
        }
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Relay {
    pub(crate) fn new() -> Self {
        let shared = Arc::<Shared>::default();
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// Lets go of the task: nobody is woken from now on.
    pub(crate) fn forget_task(&self) {
        *self.shared.task.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes turns with `turn` until it is ready, or nothing wakes any more. `turn` gets the context for the driver.
    pub(crate) fn settle<T>(
        &self,
        context: &Context<'_>,
        mut turn: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.remember_task(context.waker());
        self.shared.busy.store(true, SeqCst);
        loop {
            self.shared.again.store(false, SeqCst);
            let polled = turn(&mut Context::from_waker(&self.waker));
            if polled.is_ready() {
                // What woke meanwhile is looked for when the task asks for more.
                self.shared.busy.store(false, SeqCst);
                return polled;
            }
            self.shared.busy.store(false, SeqCst);
            if !self.shared.again.load(SeqCst) {
                return Poll::Pending;
            }
            self.shared.busy.store(true, SeqCst);
        }
    }

    fn remember_task(&self, waker: &Waker) {
        let mut task = self.shared.task.lock().unwrap_or_else(PoisonError::into_inner);
        match task.as_mut() {
            Some(known) => known.clone_from(waker),
            None => *task = Some(waker.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_wake_within_a_turn_is_another_turn_and_one_from_outside_wakes_the_task() {
        let (relay, counting) = (Relay::new(), Arc::<Counting>::default());
        let task = Waker::from(Arc::clone(&counting));
        let context = Context::from_waker(&task);
        let (mut turns, mut kept) = (0, None);
        let polled: Poll<()> = relay.settle(&context, |inner| {
            turns += 1;
            kept = Some(inner.waker().clone());
            if turns < 3 {
                inner.waker().wake_by_ref();
            }
            Poll::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((turns, counting.0.load(Ordering::SeqCst)), (3, 0));
        kept.as_ref().unwrap().wake_by_ref();
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
        relay.forget_task();
        kept.unwrap().wake();
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
    }
}
