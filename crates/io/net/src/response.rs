//! A response whose body is still on its way.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, response::Parts};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::{
    Bounds, NetError, Wait,
    connection::{Connection, nobody},
    error,
    pool::Pool,
};

/// Room taken in advance for a body of known length. Bytes.
const READY_ROOM: u64 = 1024 * 1024;

/// The head of a response, and its body chunk by chunk. A body read to its end gives the connection back to the pool;
/// dropping the response earlier closes it at once.
pub struct Response {
    /// The status, redirects included.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Body,
}

struct Body {
    /// The body's source and the connection that feeds it; none once it has ended, well or badly.
    open: Option<(Incoming, Box<Connection>)>,
    pool: Arc<Pool>,
    idle: Duration,
    /// The moment and the length of the total bound.
    total: Option<(Duration, Duration)>,
    max: usize,
    received: usize,
    /// When the last chunk, or the head, came.
    heard: Duration,
}

impl Response {
    pub(crate) fn new(
        head: Parts,
        incoming: Incoming,
        connection: Box<Connection>,
        pool: Arc<Pool>,
        bounds: &Bounds,
        total: Option<Duration>,
    ) -> Self {
        let heard = pool.clock.monotonic();
        let mut body = Body {
            open: Some((incoming, connection)),
            pool,
            idle: bounds.idle,
            total: total.zip(bounds.total),
            max: bounds.max_body,
            received: 0,
            heard,
        };
        body.give_back_if_ended();
        Self { status: head.status, headers: head.headers, body }
    }

    /// The next chunk, `None` at the end. After an error there is only the end.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, NetError>>> {
        let polled = self.body.poll(context);
        if let Poll::Ready(Some(Err(_))) = polled {
            // What broke is not to be used again: closes the connection.
            self.body.open = None;
        }
        polled
    }

    /// The next chunk, `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, NetError>> {
        poll_fn(|context| self.poll_frame(context)).await
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`NetError::Timeout`] (`Idle` or `Total`), `Cut`, `TooLarge`, `Invalid`.
    pub async fn collect(mut self) -> Result<Bytes, NetError> {
        let room = self.body.expected();
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut whole = BytesMut::with_capacity(room.max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.next().await {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole.freeze())
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Body {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, NetError>>> {
        loop {
            let Some((incoming, connection)) = &mut self.open else { return Poll::Ready(None) };
            if incoming.size_hint().lower() > self.max as u64 {
                return Poll::Ready(Some(Err(NetError::TooLarge { limit: self.max })));
            }
            let mut polled = Pin::new(&mut *incoming).poll_frame(&mut nobody());
            if polled.is_pending() {
                polled = connection.drive(context, || Pin::new(&mut *incoming).poll_frame(&mut nobody()));
            }
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(self.received(data))),
                    // Trailers tell us nothing.
                    _ => {}
                },
                Poll::Ready(Some(Err(broken))) => return Poll::Ready(Some(Err(error::of_body(&broken)))),
                Poll::Ready(None) => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Poll::Pending => return self.poll_deadline(context).map(|error| Some(Err(error))),
            }
        }
    }

    fn received(&mut self, data: Bytes) -> Result<Bytes, NetError> {
        self.received = self.received.saturating_add(data.len());
        if self.received > self.max {
            return Err(NetError::TooLarge { limit: self.max });
        }
        self.heard = self.pool.clock.monotonic();
        if let Some((end, bound)) = self.total
            && self.heard >= end
        {
            return Err(NetError::Timeout { which: Wait::Total, after: bound });
        }
        self.give_back_if_ended();
        Ok(data)
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<NetError> {
        let Some((_, connection)) = &mut self.open else { return Poll::Ready(NetError::Cut) };
        let silence = self.heard.saturating_add(self.idle);
        let (deadline, which, after) = match self.total {
            Some((end, bound)) if end < silence => (end, Wait::Total, bound),
            _ => (silence, Wait::Idle, self.idle),
        };
        connection.alarm.poll(self.pool.clock.as_ref(), deadline, context).map(|()| NetError::Timeout { which, after })
    }

    // Before the last chunk is handed out, so that whoever has the whole answer finds the connection in the pool.
    fn give_back_if_ended(&mut self) {
        if self.open.as_ref().is_some_and(|(incoming, _)| incoming.is_end_stream()) {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some((incoming, connection)) = self.open.take() {
            drop(incoming);
            self.pool.put(connection);
        }
    }

    fn expected(&self) -> usize {
        let hint = self.open.as_ref().map_or(0, |(incoming, _)| incoming.size_hint().lower());
        usize::try_from(hint.min(READY_ROOM)).unwrap_or_default()
    }
}
