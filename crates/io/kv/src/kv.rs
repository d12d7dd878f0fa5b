//! The connection: made when it is needed, kept while it answers, given up when it does not.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tokio::time::timeout;
use tollgate_wire::clock::Clock;

use crate::address::Address;

/// How long a connection may take to be made, TLS and greeting included.
const CONNECTING: Duration = Duration::from_secs(1);
/// The first pause after a connection was lost or not made; each failure doubles it.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause: so late at most is Redis's return noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The configuration names no Redis.
    #[error(
        "this is no address of a Redis: write redis://[user:password@]host[:port][/database], or rediss:// with TLS"
    )]
    Address,
    /// There is no connection, and it is not yet time to try again.
    #[error("redis is away")]
    Away,
    /// It took too long.
    #[error("redis did not answer within {0:?}")]
    Late(Duration),
    /// It could not be reached, refused, or said something else than expected.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
}

/// Whether Redis is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It answers.
    Connected,
    /// It does not, since this time after 1970; since the start, if it never did.
    Away {
        /// Since then.
        since: Duration,
    },
}

/// A script: sent whole once, then by its hash. Its keys should share a `{…}`, or a cluster cannot run it.
pub struct Script(redis::Script);

impl Script {
    /// From Lua, for Redis 5 or newer.
    #[must_use]
    pub fn new(code: &str) -> Self {
        Self(redis::Script::new(code))
    }
}

/// Redis.
pub struct Kv {
    client: Client,
    clock: Arc<dyn Clock>,
    link: Mutex<Link>,
}

struct Link {
    connection: Option<MultiplexedConnection>,
    state: State,
    /// Failures since it last answered.
    failures: u32,
    /// When a connection may be tried again, by the monotonic clock.
    next: Duration,
}

impl Kv {
    /// Redis at this address. Nothing is sent yet.
    ///
    /// # Errors
    /// It is no address.
    pub fn new(address: &Address, clock: Arc<dyn Clock>) -> Result<Self, KvError> {
        let client = Client::open(address.info()?).map_err(|_| KvError::Address)?;
        let state = State::Away { since: clock.unix() };
        let link = Mutex::new(Link { connection: None, state, failures: 0, next: Duration::ZERO });
        Ok(Self { client, clock, link })
    }

    /// Whether it answered last.
    #[must_use]
    pub fn state(&self) -> State {
        self.link().state
    }

    /// Makes a connection, unless there is one or the last try was just now.
    ///
    /// # Errors
    /// There is none.
    pub async fn connect(&self) -> Result<(), KvError> {
        {
            let mut link = self.link();
            if link.connection.is_some() {
                return Ok(());
            }
            let now = self.clock.monotonic();
            if now < link.next {
                return Err(KvError::Away);
            }
            // One tries; the others are told that it is away.
            link.next = now + CONNECTING;
        }
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECTING)).set_response_timeout(None);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        match timeout(CONNECTING, connecting).await {
            Ok(Ok(connection)) => {
                let mut link = self.link();
                link.connection = Some(connection);
                Ok(())
            }
            Ok(Err(failure)) => Err(self.lost(KvError::Redis(failure))),
            Err(_) => Err(self.lost(KvError::Late(CONNECTING))),
        }
    }

    /// Runs a script that answers numbers. It takes no longer than `within`, and makes no connection.
    ///
    /// # Errors
    /// There is no connection, or no answer in time. Whether the script ran is unknown then.
    pub async fn run(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[String],
        within: Duration,
    ) -> Result<Vec<i64>, KvError> {
        let Some(mut connection) = self.link().connection.clone() else { return Err(KvError::Away) };
        let mut invocation = script.0.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(argument);
        }
        match timeout(within, invocation.invoke_async(&mut connection)).await {
            Ok(Ok(numbers)) => {
                let mut link = self.link();
                link.state = State::Connected;
                link.failures = 0;
                Ok(numbers)
            }
            Ok(Err(failure)) => Err(self.lost(KvError::Redis(failure))),
            Err(_) => Err(self.lost(KvError::Late(within))),
        }
    }

    fn lost(&self, why: KvError) -> KvError {
        let mut link = self.link();
        link.connection = None;
        link.failures = link.failures.saturating_add(1);
        link.next = self.clock.monotonic() + pause(link.failures);
        if link.state == State::Connected {
            link.state = State::Away { since: self.clock.unix() };
        }
        why
    }

    fn link(&self) -> std::sync::MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tollgate_wire::clock::FixedClock;

    use super::*;

    fn kv(port: u16, clock: &Arc<FixedClock>) -> Kv {
        let address = Address { host: "127.0.0.1".to_owned(), port: Some(port), ..Address::default() };
        Kv::new(&address, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
    }

    #[tokio::test]
    async fn without_a_connection_nobody_waits_and_pauses_grow_between_tries() {
        let clock = Arc::new(FixedClock::at(Duration::from_secs(1_000)));
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let kv = kv(closed, &clock);
        let script = Script::new("return {1}");
        assert!(matches!(kv.run(&script, &[], &[], Duration::ZERO).await, Err(KvError::Away)));
        for wait in [50, 100, 200, 400, 800, 1_000, 1_000] {
            assert!(matches!(kv.connect().await, Err(KvError::Redis(_))), "a try");
            clock.advance(Duration::from_millis(wait - 1));
            assert!(matches!(kv.connect().await, Err(KvError::Away)), "no try before {wait} ms");
            clock.advance(Duration::from_millis(1));
        }
        assert_eq!(kv.state(), State::Away { since: Duration::from_secs(1_000) });
    }

    #[test]
    fn a_password_is_in_no_message() {
        let url = Some(tollgate_wire::Secret::new("redis://:hush@host:x/"));
        let address = Address { url, ..Address::default() };
        let clock = Arc::new(FixedClock::default());
        let refused = Kv::new(&address, clock).err().unwrap();
        assert!(!format!("{refused} {refused:?} {address:?}").contains("hush"));
    }
}
