//! An answer that is passed on as it comes, byte for byte: sound, files, other providers' streams. Pulled by the client's
//! reading; what it says of its usage is read in passing, and booked before its last byte is handed out.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use tollgate_observe::Outcome;
use tollgate_providers::{gauge::Gauge, translate::Progress};
use tollgate_wire::{Failure, FailureKind, Usage};

use crate::{
    event_stream::Source,
    gateway::Closed,
    meter::{Booking, Meter},
};

/// The body of an answer, as its provider sends it. A cut at the provider's is a cut to the client.
pub struct ByteStream {
    source: Option<Source>,
    gauge: Gauge,
    meter: Meter,
    /// Words that were passed on, bytes.
    said: u64,
    /// Its words are counted, if it does not say what it used.
    counts: bool,
    /// Our own count, where the provider's is missing at the end.
    counting: Option<Pin<Box<dyn Future<Output = Usage> + Send>>>,
    status: u16,
    /// What has been read ahead.
    next: Option<Result<Bytes, Failure>>,
    /// A failure waits one turn, in which what came before it leaves.
    has_waited: bool,
    closing: Closed,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl ByteStream {
    pub(crate) fn new(source: Source, content_type: &str, booking: Booking, mut meter: Meter, closing: Closed) -> Self {
        let closed = Box::pin(closing.clone().wait());
        let gauge = Gauge::of(content_type);
        meter.passes(booking);
        Self {
            source: Some(source),
            gauge,
            meter,
            said: 0,
            counts: matches!(booking, Booking::Words),
            counting: None,
            status: 200,
            next: None,
            has_waited: false,
            closing,
            closed,
        }
    }

    /// The status that the call is recorded with.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The next piece.
    pub(crate) fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if self.closing.is_set() && self.source.is_some() {
            self.next = None;
            self.break_off(Failure::new(FailureKind::Overloaded, "the gateway is shutting down; try again"));
        }
        let piece = match self.next.take() {
            Some(piece) => Some(piece),
            None => match self.read(context) {
                Poll::Ready(piece) => piece,
                Poll::Pending => {
                    std::task::ready!(self.closed.as_mut().poll(context));
                    self.break_off(Failure::new(FailureKind::Overloaded, "the gateway is shutting down; try again"));
                    self.next.take()
                }
            },
        };
        if matches!(piece, Some(Ok(_))) && self.next.is_none() {
            // The end may be here already: money first, then the last bytes.
            match self.read(context) {
                Poll::Ready(ahead) => self.next = ahead,
                Poll::Pending if self.counting.is_some() => {
                    self.next = piece;
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
            self.meter.first_byte();
        }
        Poll::Ready(piece)
    }

    /// Nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        self.source.is_none() && self.next.is_none() && self.counting.is_none()
    }

    fn read(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if self.counting.is_some() {
            return self.count(context);
        }
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        match std::task::ready!(source.poll(context)) {
            Some(Ok(bytes)) => {
                self.gauge.push(&bytes);
                self.watch();
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Err(failure)) => {
                self.break_off(failure);
                Poll::Ready(self.next.take())
            }
            None => {
                self.source = None;
                self.gauge.finish();
                self.watch();
                if self.counts && self.meter.stated(self.gauge.reading().usage).is_none() {
                    self.counting = Some(Box::pin(self.meter.count(None)));
                    return self.count(context);
                }
                self.meter.passed(self.gauge.reading());
                self.meter.finish(self.status, Outcome::Answered);
                Poll::Ready(None)
            }
        }
    }

    fn count(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(counting) = &mut self.counting {
            let usage = std::task::ready!(counting.as_mut().poll(context));
            self.counting = None;
            self.meter.settle_counted(usage);
            self.meter.finish(self.status, Outcome::Answered);
        }
        Poll::Ready(None)
    }

    fn watch(&mut self) {
        let said = self.gauge.take_said();
        self.said += said.len() as u64;
        let output_bytes = self.said + if self.counts { self.gauge.unread() } else { 0 };
        let usage = self.gauge.reading().usage;
        self.meter.progress(Progress { done: false, content: true, usage, output_bytes, pieces: 0 }, &said);
    }

    fn break_off(&mut self, mut failure: Failure) {
        self.source = None;
        self.meter.failed(&mut failure);
        self.meter.finish(self.status, Outcome::Failed(failure.kind));
        self.next = Some(Err(failure));
    }
}

impl http_body::Body for ByteStream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let piece = match std::task::ready!(this.poll_bytes(context)) {
            // The server drops what it has not written when a body fails, the head of the answer too.
            Some(Err(failure)) if !this.has_waited => {
                (this.has_waited, this.next) = (true, Some(Err(failure)));
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            piece => piece,
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data).map_err(|failure| io::Error::other(failure.message))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }
}

impl std::fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByteStream")
    }
}
