//! Every task that outlives the request it came from, started and drained in one place.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
};

/// Computations at once; the others wait their turn.
const COMPUTING: usize = 2;

/// Where background work runs. Clones share their count.
#[derive(Clone, Debug)]
pub struct Workers {
    runtime: Handle,
    running: Arc<AtomicUsize>,
    following: Arc<AtomicUsize>,
    idle: Arc<Notify>,
    computing: Arc<Semaphore>,
}

struct Counted {
    running: Arc<AtomicUsize>,
    idle: Arc<Notify>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }
}

impl Workers {
    /// Workers on this runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            running: Arc::default(),
            following: Arc::default(),
            idle: Arc::default(),
            computing: Arc::new(Semaphore::new(COMPUTING)),
        }
    }

    /// Starts a task that is waited for at shutdown.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.start(&self.running, task);
    }

    /// Starts a task that lasts until it hears of the shutdown, and is then waited for. It takes no place of the calls
    /// that [`Self::running`] counts.
    pub fn spawn_following(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.start(&self.following, task);
    }

    fn start(&self, count: &Arc<AtomicUsize>, task: impl Future<Output = ()> + Send + 'static) {
        count.fetch_add(1, Ordering::AcqRel);
        let counted = Counted { running: Arc::clone(count), idle: Arc::clone(&self.idle) };
        self.runtime.spawn(async move {
            let _counted = counted;
            task.await;
        });
    }

    /// Starts a task that ends with the process, such as a loop.
    pub fn spawn_loop(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Computes something that takes longer than a request's thread may be held, on a thread of its own. `None` if it
    /// panicked. Begins when it is waited for.
    pub fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send + 'static {
        let (runtime, computing) = (self.runtime.clone(), Arc::clone(&self.computing));
        async move {
            let _turn = computing.acquire_owned().await.ok()?;
            runtime.spawn_blocking(work).await.ok()
        }
    }

    /// How many calls are read to their end.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Waits until no task runs, at most `patience`. Says whether that was reached.
    pub async fn drained(&self, patience: Duration) -> bool {
        let all_ended = async {
            loop {
                let notified = self.idle.notified();
                if self.running() == 0 && self.following.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        tokio::time::timeout(patience, all_ended).await.is_ok()
    }
}
