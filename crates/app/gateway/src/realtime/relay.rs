//! Passing messages on between two sockets until one side ends, the key is no longer one, or nobody speaks.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tollgate_net::{NetError, SocketReceiver, SocketSender};
use tollgate_observe::Outcome;
use tollgate_wire::{
    FailureKind,
    socket::{Closing, Frame},
};

use super::{RealtimeCall, turns::Turns};
use crate::gateway::Gateway;

/// How often the client's key is looked at again.
pub(crate) const KEY_EVERY: Duration = Duration::from_secs(10);
/// How long a closed side may take to say goodbye itself.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a client that broke a rule, and whose further words nobody reads, has for reading why it is closed: a
/// connection that ends with something unread takes its last words with it.
const TO_READ: Duration = Duration::from_millis(500);
/// Codes of RFC 6455, 7.4.1.
pub(crate) const GOING_AWAY: u16 = 1001;
pub(crate) const POLICY: u16 = 1008;
const TOO_LARGE: u16 = 1009;
const INTERNAL: u16 = 1011;

/// Why a call is over.
enum End {
    /// The client has closed, or is gone.
    Client(Option<Closing>),
    /// The client broke a rule.
    Wrong(Closing),
    /// The provider has closed.
    Provider(Option<Closing>),
    /// The provider is gone without a word, or cannot be understood.
    Lost(NetError),
    /// We end it.
    Ours(Closing),
}

impl RealtimeCall {
    /// Runs the call to its end. A message that the client may not send comes as the words to close with.
    pub async fn run<S, R>(self, mut to_client: S, mut from_client: R)
    where
        S: Sink<Frame> + Unpin + Send,
        R: Stream<Item = Result<Frame, Closing>> + Unpin + Send,
    {
        let Self { gateway, headers, mut to_provider, mut from_provider, mut turns, idle } = self;
        let spoken = Spoken::new(&gateway);
        let end = tokio::select! {
            end = upwards(&mut from_client, &mut to_provider, &spoken) => end,
            end = downwards(&mut from_provider, &mut to_client, &mut turns, &spoken) => end,
            end = watch(&gateway, &headers, &spoken, idle) => end,
            () = gateway.closed().wait() => End::Ours(Closing::new(GOING_AWAY, "the gateway is shutting down")),
        };
        turns.finish(end.outcome(), gateway.clock.monotonic());
        let is_deaf = matches!(end, End::Wrong(_));
        let (to_say_up, to_say_down) = end.farewells();
        let farewells = async {
            let _ = to_provider.send(Frame::Close(to_say_up)).await;
            let _ = to_client.send(Frame::Close(to_say_down)).await;
            if is_deaf {
                return tokio::time::sleep(TO_READ).await;
            }
            // Until the client says goodbye, too.
            while let Some(Ok(frame)) = from_client.next().await {
                if matches!(frame, Frame::Close(_)) {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewells).await;
    }
}

/// When somebody spoke last.
struct Spoken<'g> {
    gateway: &'g Gateway,
    millis: AtomicU64,
}

impl<'g> Spoken<'g> {
    fn new(gateway: &'g Gateway) -> Self {
        let spoken = Self { gateway, millis: AtomicU64::new(0) };
        spoken.now();
        spoken
    }

    fn now(&self) {
        self.millis.store(self.monotonic(), Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.monotonic().saturating_sub(self.millis.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> u64 {
        u64::try_from(self.gateway.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }
}

async fn upwards<R>(from_client: &mut R, to_provider: &mut SocketSender, spoken: &Spoken<'_>) -> End
where
    R: Stream<Item = Result<Frame, Closing>> + Unpin,
{
    loop {
        match from_client.next().await {
            None => return End::Client(None),
            Some(Err(closing)) => return End::Wrong(closing),
            Some(Ok(Frame::Close(closing))) => return End::Client(closing),
            Some(Ok(frame)) => {
                spoken.now();
                // A provider that does not read slows its client.
                if let Err(error) = to_provider.send(frame).await {
                    return End::Lost(error);
                }
            }
        }
    }
}

async fn downwards<S>(
    from_provider: &mut SocketReceiver,
    to_client: &mut S,
    turns: &mut Turns,
    spoken: &Spoken<'_>,
) -> End
where
    S: Sink<Frame> + Unpin,
{
    loop {
        let frame = match from_provider.next().await {
            None => return End::Lost(NetError::Cut),
            Some(Err(error)) => return End::Lost(error),
            Some(Ok(Frame::Close(closing))) => return End::Provider(closing),
            Some(Ok(frame)) => frame,
        };
        spoken.now();
        // Money first, then the client's bytes.
        if let Frame::Text(text) = &frame {
            turns.hear(text, spoken.gateway.clock.monotonic());
        }
        let is_spent = turns.is_spent();
        if to_client.send(frame).await.is_err() {
            return End::Client(None);
        }
        turns.first_byte();
        if is_spent {
            return End::Ours(Closing::new(POLICY, "Budget has been exceeded!"));
        }
    }
}

/// Ends a call whose key was taken back, or on which nobody has spoken for `idle`.
async fn watch(gateway: &Gateway, headers: &http::HeaderMap, spoken: &Spoken<'_>, idle: Duration) -> End {
    loop {
        tokio::time::sleep(KEY_EVERY.min(idle)).await;
        if let Err(failure) = gateway.identify(&gateway.snapshot(), headers).await {
            return End::Ours(Closing::new(POLICY, &failure.message));
        }
        if spoken.silence() >= idle {
            let words = format!("nobody has spoken for {} s", idle.as_secs_f64());
            return End::Ours(Closing::new(GOING_AWAY, &words));
        }
    }
}

impl End {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Client(Some(_)) | Self::Provider(_) => Outcome::Answered,
            Self::Client(None) => Outcome::ClientLeft,
            Self::Wrong(_) => Outcome::Failed(FailureKind::BadRequest),
            Self::Lost(NetError::TooLarge { .. } | NetError::Invalid(_)) => {
                Outcome::Failed(FailureKind::InvalidResponse)
            }
            Self::Lost(_) => Outcome::Failed(FailureKind::Connection),
            Self::Ours(closing) if closing.code == POLICY => Outcome::Failed(FailureKind::InvalidKey),
            Self::Ours(_) => Outcome::Failed(FailureKind::Overloaded),
        }
    }

    /// What the provider is told, and what the client.
    fn farewells(self) -> (Option<Closing>, Option<Closing>) {
        let normal = || Some(Closing::new(1000, ""));
        match self {
            Self::Client(closing) => (closing.and_then(sayable).or_else(normal), normal()),
            Self::Wrong(closing) => (normal(), Some(closing)),
            Self::Provider(closing) => (None, closing.and_then(sayable).or_else(normal)),
            Self::Lost(NetError::TooLarge { limit }) => {
                let words = format!("a message of the provider is larger than {limit} bytes");
                (Some(Closing::new(TOO_LARGE, "the message is too large")), Some(Closing::new(INTERNAL, &words)))
            }
            Self::Lost(_) => (None, Some(Closing::new(INTERNAL, "the connection to the provider was lost"))),
            Self::Ours(closing) => (normal(), Some(closing)),
        }
    }
}

/// A code that may stand in a close frame; 1005, 1006 and 1015 only say what happened.
fn sayable(closing: Closing) -> Option<Closing> {
    let may = matches!(closing.code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    may.then_some(closing)
}
