//! The one door to the outside: takes a wish, finds or opens a connection, brings the head of the response.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::{
    HeaderValue, StatusCode,
    header::{CONNECTION, CONTENT_ENCODING},
};
use hyper::body::Incoming;
use tollgate_wire::{clock::Clock, http::Outgoing};

use crate::{
    Bounds, ClientSettings, NetError, RequestBody, Response, Wait,
    connection::{Connection, Unanswered},
    dial::Dialer,
    pool::Pool,
    stream::Stream,
    target::Target,
    tls::Tls,
};

/// The HTTP client for provider calls; a clone shares connections. It belongs to the runtime it is first used on.
#[derive(Clone)]
pub struct Client {
    dialer: Arc<Dialer>,
    pool: Arc<Pool>,
    connect_timeout: Duration,
}

impl Client {
    /// Builds the client; reads the system's root certificates once. All waiting is measured by `clock`.
    ///
    /// # Errors
    /// [`NetError::Setting`] when the CA bundle cannot be used.
    pub fn new(settings: ClientSettings, clock: Arc<dyn Clock>) -> Result<Self, NetError> {
        let tls = Tls::new(settings.verify, settings.ca_bundle_pem.as_deref())?;
        let pool = Arc::new(Pool::new(&settings, clock));
        let dialer = Arc::new(Dialer { tls, proxy: settings.proxy });
        Ok(Self { dialer, pool, connect_timeout: settings.connect_timeout })
    }

    /// Sends `outgoing`; resolves when the head of the response is there, whatever its status. Redirects are not
    /// followed. Dropping the future closes the connection.
    ///
    /// # Errors
    /// Every [`NetError`] but `Cut`, `TooLarge` and an `Idle` timeout, which belong to the body.
    pub async fn send(&self, outgoing: &Outgoing, bounds: &Bounds) -> Result<Response, NetError> {
        self.send_with(outgoing, RequestBody::whole(outgoing.body.clone()), bounds).await
    }

    /// Sends `outgoing` with this body in place of its own. The head of the response may come before the body is sent
    /// to its end; what is left of it is sent while the response's body is read.
    ///
    /// # Errors
    /// As [`Self::send`]; an error of the body's own is [`NetError::Closed`].
    pub async fn send_with(
        &self,
        outgoing: &Outgoing,
        body: RequestBody,
        bounds: &Bounds,
    ) -> Result<Response, NetError> {
        let target = Target::parse(&outgoing.url)?;
        let total = bounds.total.map(|total| self.pool.clock.monotonic().saturating_add(total));
        let (mut connection, mut reused) = match self.pool.take(target.origin) {
            Some(idle) => (idle, true),
            None => (self.open(&target, None, bounds, total).await?, false),
        };
        let mut request = connection.request(outgoing, body, &target)?;
        loop {
            let head = self.pool.clock.monotonic().saturating_add(bounds.first_byte);
            let deadline = total.map_or(head, |total| total.min(head));
            match connection.exchange(request, self.pool.clock.as_ref(), deadline).await {
                Ok(answer) => return self.respond(answer, connection, bounds, total),
                // The one retry there is: an idle connection had died and nothing was written on it.
                Err(Unanswered::Unsent(unsent)) if reused => {
                    (connection, reused) = (self.open(&target, None, bounds, total).await?, false);
                    request = *unsent;
                }
                Err(Unanswered::Unsent(_)) => {
                    return Err(NetError::Connect { source: std::io::ErrorKind::ConnectionAborted.into() });
                }
                Err(Unanswered::Late) => return Err(late(bounds, deadline < head)),
                Err(Unanswered::Broken(error)) => return Err(error),
            }
        }
    }

    /// Like [`Self::send`], but to one of these addresses, whatever the name in the URL resolves to by now; certificate and
    /// `host` header are the name's. A proxy on the way is told the address, never the name. The connection serves this
    /// call only.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_to(
        &self,
        outgoing: &Outgoing,
        addresses: &[SocketAddr],
        bounds: &Bounds,
    ) -> Result<Response, NetError> {
        let target = Target::parse(&outgoing.url)?;
        let total = bounds.total.map(|total| self.pool.clock.monotonic().saturating_add(total));
        let mut connection = self.open(&target, Some(addresses), bounds, total).await?;
        let mut request = connection.request(outgoing, RequestBody::whole(outgoing.body.clone()), &target)?;
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let head = self.pool.clock.monotonic().saturating_add(bounds.first_byte);
        let deadline = total.map_or(head, |total| total.min(head));
        match connection.exchange(request, self.pool.clock.as_ref(), deadline).await {
            Ok(answer) => self.respond(answer, connection, bounds, total),
            Err(Unanswered::Unsent(_)) => {
                Err(NetError::Connect { source: std::io::ErrorKind::ConnectionAborted.into() })
            }
            Err(Unanswered::Late) => Err(late(bounds, deadline < head)),
            Err(Unanswered::Broken(error)) => Err(error),
        }
    }

    /// What this client measures time by.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.pool.clock.as_ref()
    }

    /// A connection for whoever speaks something else than HTTP on it afterwards.
    pub(crate) async fn dial(&self, target: &Target<'_>) -> Result<Stream, NetError> {
        let authority = target.authority()?;
        // A proxy that forwards requests cannot forward this one; it is asked for a tunnel.
        let dialing = Box::pin(self.dialer.dial_through(target, &authority));
        let dialed = tokio::time::timeout(self.connect_timeout, dialing).await;
        dialed.unwrap_or(Err(NetError::Timeout { which: Wait::Connect, after: self.connect_timeout }))
    }

    /// Closes idle connections past their time. Calls do it in passing; a worker does it for a gateway at rest.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    async fn open(
        &self,
        target: &Target<'_>,
        pinned: Option<&[SocketAddr]>,
        bounds: &Bounds,
        total: Option<Duration>,
    ) -> Result<Box<Connection>, NetError> {
        let authority = target.authority()?;
        let left = total.map(|total| total.saturating_sub(self.pool.clock.monotonic()));
        let patience = left.map_or(self.connect_timeout, |left| left.min(self.connect_timeout));
        // Boxed: connecting is rare and large, and would make every call's future as large.
        let dialing = Box::pin(self.dialer.dial(target, &authority, pinned));
        match tokio::time::timeout(patience, dialing).await {
            Ok(dialed) => Connection::open(dialed?, target, &authority, self.pool.clock.monotonic()).await,
            Err(_) if left.is_some_and(|left| left < self.connect_timeout) => Err(late(bounds, true)),
            Err(_) => Err(NetError::Timeout { which: Wait::Connect, after: self.connect_timeout }),
        }
    }

    fn respond(
        &self,
        answer: http::Response<Incoming>,
        connection: Box<Connection>,
        bounds: &Bounds,
        total: Option<Duration>,
    ) -> Result<Response, NetError> {
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(NetError::Invalid("it switches protocols unasked".to_owned()));
        }
        if let Some(encoding) = head.headers.get(CONTENT_ENCODING).filter(|coding| !is_plain(coding.as_bytes())) {
            let encoding = encoding.to_str().unwrap_or("unknown").chars().take(32).collect();
            return Err(NetError::Encoding { status: head.status.as_u16(), encoding });
        }
        Ok(Response::new(head, body, connection, Arc::clone(&self.pool), bounds, total))
    }
}

fn is_plain(coding: &[u8]) -> bool {
    coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity")
}

fn late(bounds: &Bounds, by_total: bool) -> NetError {
    match bounds.total {
        Some(total) if by_total => NetError::Timeout { which: Wait::Total, after: total },
        _ => NetError::Timeout { which: Wait::FirstByte, after: bounds.first_byte },
    }
}
