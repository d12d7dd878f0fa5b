//! Idle connections by origin, last in first out, so that few stay warm and the rest age away.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tollgate_wire::clock::Clock;

use crate::{ClientSettings, connection::Connection};

/// How often the whole list is looked through for connections nobody asks for any more.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Pool {
    idle: Mutex<Idle>,
    pub(crate) clock: Arc<dyn Clock>,
    max_idle_per_host: usize,
    idle_timeout: Duration,
    max_age: Duration,
}

#[derive(Default)]
struct Idle {
    by_origin: HashMap<Arc<str>, VecDeque<Box<Connection>>>,
    swept: Duration,
}

impl Pool {
    pub(crate) fn new(settings: &ClientSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            idle: Mutex::default(),
            clock,
            max_idle_per_host: settings.pool_max_idle_per_host,
            idle_timeout: settings.pool_idle_timeout,
            max_age: settings.pool_max_age,
        }
    }

    /// The connection to `origin` that was used last. It may have died since: sending on it will tell.
    pub(crate) fn take(&self, origin: &str) -> Option<Box<Connection>> {
        let now = self.clock.monotonic();
        loop {
            // The lock is free again before a connection past its time is closed.
            let connection = self.locked().by_origin.get_mut(origin)?.pop_back()?;
            if self.is_fresh(&connection, now) {
                return Some(connection);
            }
        }
    }

    /// Keeps `connection` for the next call, or closes it when it is aged or not in a state to serve one.
    pub(crate) fn put(&self, mut connection: Box<Connection>) {
        let now = self.clock.monotonic();
        connection.idle_since = now;
        if !self.is_fresh(&connection, now) || !connection.rest() {
            return;
        }
        let mut idle = self.locked();
        let surplus = match idle.by_origin.get_mut(&connection.origin) {
            Some(kept) => {
                kept.push_back(connection);
                (kept.len() > self.max_idle_per_host).then(|| kept.pop_front())
            }
            None if self.max_idle_per_host == 0 => None,
            None => {
                idle.by_origin.insert(Arc::clone(&connection.origin), VecDeque::from([connection]));
                None
            }
        };
        let stale =
            if now.saturating_sub(idle.swept) >= SWEEP_EVERY { self.stale(&mut idle, now) } else { VecDeque::new() };
        // Closing a socket is a system call: not under the lock.
        drop(idle);
        drop((surplus, stale));
    }

    /// Closes what is too old or idle for too long; a gateway at rest has no calls that would do it.
    pub(crate) fn sweep(&self) {
        let stale = self.stale(&mut self.locked(), self.clock.monotonic());
        drop(stale);
    }

    fn stale(&self, idle: &mut Idle, now: Duration) -> VecDeque<Box<Connection>> {
        let mut stale = VecDeque::new();
        for kept in idle.by_origin.values_mut() {
            let (fresh, old) = std::mem::take(kept).into_iter().partition(|connection| self.is_fresh(connection, now));
            *kept = fresh;
            stale.extend::<VecDeque<_>>(old);
        }
        idle.by_origin.retain(|_, kept| !kept.is_empty());
        idle.swept = now;
        stale
    }

    fn is_fresh(&self, connection: &Connection, now: Duration) -> bool {
        now.saturating_sub(connection.born) < self.max_age
            && now.saturating_sub(connection.idle_since) < self.idle_timeout
    }

    fn locked(&self) -> MutexGuard<'_, Idle> {
        // Nothing under the lock can leave the list half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
