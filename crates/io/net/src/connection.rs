//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! Hyper wants a driver task per connection. Here the call itself polls the driver: no task, no wake-up across threads,
//! and a dropped call drops the socket with it. What hyper's channels would wake is always the polling task itself, so
//! they are polled after the driver, with a waker that wakes nobody.

use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{
    HeaderValue, Request, Uri,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING},
    uri::{Authority, Scheme},
};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tollgate_wire::{clock::Clock, http::Outgoing};

use crate::{
    NetError, RequestBody, alarm::Alarm, dial::Dialed, error, proxy::Proxy, relay::Relay, stream::Stream,
    target::Target,
};

/// The most that is read ahead of a slow reader, and the longest response head. Bytes.
const READ_BUFFER: usize = 64 * 1024;

type Driver = http1::Connection<TokioIo<Stream>, RequestBody>;

pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    /// None once it has ended: its drop hands an unsent request back.
    driver: Option<Driver>,
    relay: Relay,
    /// The pool's name for it.
    pub(crate) origin: Arc<str>,
    host: HeaderValue,
    /// A proxy on the way wants to see whole URLs of this authority.
    forwarded: Option<(Authority, Proxy)>,
    /// When it was opened.
    pub(crate) born: Duration,
    /// When it was last put into the pool.
    pub(crate) idle_since: Duration,
    pub(crate) alarm: Alarm,
}

/// Why there is no answer.
pub(crate) enum Unanswered {
    /// The connection was dead already; not a byte of the request was written.
    Unsent(Box<Request<RequestBody>>),
    /// The deadline passed.
    Late,
    /// It broke after the request may have been seen.
    Broken(NetError),
}

impl Connection {
    pub(crate) async fn open(
        dialed: Dialed,
        target: &Target<'_>,
        authority: &Authority,
        born: Duration,
    ) -> Result<Box<Self>, NetError> {
        let host = target.host_header(authority)?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(dialed.stream))
            .await
            .map_err(|error| error::of_head(&error))?;
        Ok(Box::new(Self {
            sender,
            driver: Some(driver),
            relay: Relay::new(),
            origin: Arc::from(target.origin),
            host,
            forwarded: dialed.forwarder,
            born,
            idle_since: born,
            alarm: Alarm::default(),
        }))
    }

    /// The request as it goes onto this connection.
    pub(crate) fn request(
        &self,
        outgoing: &Outgoing,
        body: RequestBody,
        target: &Target<'_>,
    ) -> Result<Request<RequestBody>, NetError> {
        let mut request = Request::new(body);
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = self.request_uri(target)?;
        let mut headers = outgoing.headers.clone();
        // Framing is ours; a second opinion about it would be an open door for smuggling. And nothing here decompresses.
        for ours in [CONTENT_LENGTH, TRANSFER_ENCODING, ACCEPT_ENCODING] {
            headers.remove(ours);
        }
        headers.entry(HOST).or_insert_with(|| self.host.clone());
        if let Some(authorization) = target.authorization() {
            headers.insert(AUTHORIZATION, authorization);
        }
        if let Some(authorization) = self.forwarded.as_ref().and_then(|(_, proxy)| proxy.authorization()) {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn request_uri(&self, target: &Target<'_>) -> Result<Uri, NetError> {
        let path = target.path()?;
        let Some((authority, _)) = &self.forwarded else { return Ok(path) };
        let mut parts = path.into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority.clone());
        Uri::from_parts(parts).map_err(|error| NetError::Setting(format!("the provider's address: {error}")))
    }

    /// Sends `request` and waits until `deadline` for the head of its response.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        clock: &dyn Clock,
        deadline: Duration,
    ) -> Result<http::Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let (driver, relay, alarm) = (&mut self.driver, &self.relay, &mut self.alarm);
        poll_fn(|context| {
            let answered = relay.settle(context, |inner| {
                drive(driver, inner);
                answer.as_mut().poll(&mut nobody())
            });
            if let Poll::Ready(answered) = answered {
                return Poll::Ready(answered.map_err(|mut refused| match refused.take_message() {
                    Some(unsent) => Unanswered::Unsent(Box::new(unsent)),
                    None => Unanswered::Broken(error::of_head(refused.error())),
                }));
            }
            if driver.is_none() {
                return Poll::Ready(Err(Unanswered::Broken(NetError::Closed)));
            }
            alarm.poll(clock, deadline, context).map(|()| Err(Unanswered::Late))
        })
        .await
    }

    /// Reads and writes what can be read and written now, and looks after each turn; the task is woken when there is more.
    pub(crate) fn drive<T>(&mut self, context: &Context<'_>, mut look: impl FnMut() -> Poll<T>) -> Poll<T> {
        let driver = &mut self.driver;
        self.relay.settle(context, |inner| {
            drive(driver, inner);
            look()
        })
    }

    /// Lets go of the task that used it, for the idle list. False when it can serve no further call: the other side has
    /// closed, has said something unasked, or has left our last request unread.
    pub(crate) fn rest(&mut self) -> bool {
        // Whatever woke the task from now on would wake it for nothing, and would keep its memory.
        self.alarm.forget_task();
        self.relay.forget_task();
        drive(&mut self.driver, &mut nobody());
        self.driver.is_some() && self.sender.is_ready()
    }
}

fn drive(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    // The driver's own error is dropped: whoever waits for an answer or a body gets it from there.
    if driver.as_mut().is_some_and(|running| Pin::new(running).poll(context).is_ready()) {
        *driver = None;
    }
}

/// A context that wakes nobody: for what the driver fills while we poll it.
pub(crate) fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
