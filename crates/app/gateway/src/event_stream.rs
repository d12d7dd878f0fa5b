//! A streamed answer on its way to the client: pulled by the client's reading, so that a slow reader slows the
//! provider and costs no memory. Dropped early, it closes the provider's connection and settles what was received.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use tollgate_net::Response;
use tollgate_observe::Outcome;
use tollgate_providers::translate::AnswerStream;
use tollgate_wire::{Failure, FailureKind, Usage};

use crate::{
    continuation::{Continuation, GoingOn, Onward},
    gateway::Closed,
    meter::{Meter, More, Raising, Turn},
};

/// An idle stream gets a comment, or its client's like, this often, so that nothing on the way takes it for dead.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Most bytes of events without content that are held back before the first content.
const HELD_BACK: usize = 64 << 10;

/// A stream of server-sent events.
pub struct EventStream {
    source: Option<Source>,
    translation: AnswerStream,
    /// What goes on if it breaks; gone once nothing can.
    next: Option<Box<Continuation>>,
    /// The next attempt, on its way after this failure. Before the meter, in whose record it is.
    going_on: Option<(GoingOn, Failure)>,
    continued: bool,
    /// More money for what comes next, on its way.
    raising: Option<Raising>,
    meter: Meter,
    keep_alive: &'static [u8],
    /// What the client has not been given yet.
    out: Vec<u8>,
    quiet: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Our own count, where the provider's is missing at the end.
    counting: Option<Pin<Box<dyn Future<Output = Usage> + Send>>>,
    /// The task that `quiet` and `closed` wake.
    armed: Option<std::task::Waker>,
    closing: Closed,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Where the provider's bytes come from.
pub(crate) struct Source {
    response: Response,
    provider: &'static str,
    host: String,
}

impl Source {
    pub(crate) fn new(response: Response, provider: &'static str, host: String) -> Self {
        Self { response, provider, host }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let polled = self.response.poll_frame(context);
        polled.map(|frame| frame.map(|data| data.map_err(|error| error.into_failure(self.provider, &self.host))))
    }
}

/// How long a provider that has said its last word may take to end its body.
const LINGER: Duration = Duration::from_secs(1);

/// Reads an answer to its end, so that its connection goes back to the pool.
async fn linger(mut source: Source) {
    let ended = async { while let Some(Ok(_)) = std::future::poll_fn(|context| source.poll(context)).await {} };
    // A provider that does not end in time loses its connection.
    let _ = tokio::time::timeout(LINGER, ended).await;
}

impl EventStream {
    pub(crate) fn new(source: Source, translation: AnswerStream, meter: Meter, closed: Closed) -> Self {
        let closing = closed.clone();
        let closed = Box::pin(closed.wait());
        let keep_alive = meter.client().keep_alive();
        Self {
            source: Some(source),
            translation,
            next: None,
            going_on: None,
            continued: false,
            raising: None,
            meter,
            keep_alive,
            out: Vec::new(),
            quiet: None,
            counting: None,
            armed: None,
            closing,
            closed,
        }
    }

    /// Reads until there is content, so that a failure before it can still become another attempt or a real status.
    ///
    /// # Errors
    /// The provider's failure before its first content.
    pub(crate) async fn read_ahead(&mut self) -> Result<(), Failure> {
        std::future::poll_fn(|context| self.poll_content(context)).await
    }

    /// Gives the meter back when the stream came to nothing.
    pub(crate) fn into_meter(self) -> Meter {
        self.meter
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn meter_mut(&mut self) -> &mut Meter {
        &mut self.meter
    }

    /// What it goes on with if it breaks after content.
    pub(crate) fn goes_on_with(mut self, next: Option<Box<Continuation>>) -> Self {
        self.next = next;
        self
    }

    fn poll_content(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // Events without content, such as the role, are held back within bounds: a stream of nothing but them begins.
        while !self.translation.progress().content && !self.translation.progress().done && self.out.len() < HELD_BACK {
            let Some(source) = &mut self.source else { break };
            let read = match std::task::ready!(source.poll(context)) {
                Some(Ok(bytes)) => self.translation.push(&bytes, &mut self.out),
                Some(Err(failure)) => Err(failure),
                None => {
                    self.source = None;
                    self.translation.finish(&mut self.out)
                }
            };
            // First what was read, then what is wrong with it: a failure may come with usage.
            self.watch();
            read?;
        }
        Poll::Ready(Ok(()))
    }

    /// One step: reads what is there, and says whether the stream is over.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if self.going_on.is_some() {
            return self.poll_next(context);
        }
        if self.translation.progress().done {
            std::task::ready!(self.poll_end(context));
            return Poll::Ready(true);
        }
        if self.meter.is_short() {
            match std::task::ready!(self.poll_money(context)) {
                Ok(()) => return Poll::Ready(false),
                Err(failure) => return Poll::Ready(self.ends_for_money(failure)),
            }
        }
        let Some(source) = &mut self.source else {
            // Closed in order without a last word.
            let finished = self.translation.finish(&mut self.out);
            self.watch();
            return Poll::Ready(self.outcome(finished));
        };
        let read = match std::task::ready!(source.poll(context)) {
            Some(Ok(bytes)) => self.translation.push(&bytes, &mut self.out),
            Some(Err(failure)) => Err(failure),
            None => {
                self.source = None;
                Ok(())
            }
        };
        self.watch();
        Poll::Ready(self.outcome(read))
    }

    /// What is set aside for the answer is used up: nothing is read before there is more.
    fn poll_money(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let raising = match &mut self.raising {
            Some(raising) => raising,
            None => match self.meter.raise() {
                Some(raising) => self.raising.insert(raising),
                // It is enough after all.
                None => {
                    self.meter.raised(More::Held);
                    return Poll::Ready(Ok(()));
                }
            },
        };
        let raised = std::task::ready!(raising.as_mut().poll(context));
        self.raising = None;
        Poll::Ready(raised.map(|more| self.meter.raised(more)))
    }

    /// The money has ended: the provider's connection is closed, what came is booked, and the client is told in its dialect.
    fn ends_for_money(&mut self, mut failure: Failure) -> bool {
        self.source = None;
        self.meter.failed(&mut failure);
        self.fail(&failure)
    }

    fn watch(&mut self) {
        self.meter.progress(*self.translation.progress(), self.translation.said());
        let (said, is_text) = (self.translation.said(), self.translation.is_text());
        if self.next.as_mut().is_some_and(|next| !next.hears(said, is_text)) {
            self.next = None;
        }
        self.translation.forget_said();
    }

    /// Whether the provider's words were understood; a failure ends the stream, unless another deployment can go on with it.
    fn outcome(&mut self, read: Result<(), Failure>) -> bool {
        let Err(mut failure) = read else { return false };
        self.source = None;
        self.meter.failed(&mut failure);
        if let Some(next) = self.next.as_mut().filter(|next| next.may_follow(&failure)) {
            self.meter.splits();
            let meter = self.meter.beside(Turn::First, Duration::ZERO);
            self.going_on = Some((next.follow(failure.kind, meter), failure));
            return false;
        }
        self.fail(&failure)
    }

    /// The next deployment goes on, or nobody does.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Some((going_on, _)) = &mut self.going_on else { return Poll::Ready(false) };
        let asked = std::task::ready!(going_on.as_mut().poll(context));
        let Some((_, failure)) = self.going_on.take() else { return Poll::Ready(false) };
        let onward = match asked {
            Ok(onward) => onward,
            Err(missed) => {
                drop(missed);
                self.meter.gather(Turn::First);
                // What broke the answer is told, not what became of the attempt to mend it.
                return Poll::Ready(self.fail(&failure));
            }
        };
        if let Some(next) = &mut self.next {
            next.has_turned_to(&onward);
        }
        let Onward { source, translation, meter, space, .. } = onward;
        let before = self.meter.last_used();
        let mut call = std::mem::replace(&mut self.meter, meter);
        call.gather(Turn::First);
        call.goes_on();
        self.meter.becomes(call);
        self.source = Some(source);
        self.continued = true;
        if !self.translation.go_on(translation, &space, before) {
            return Poll::Ready(self.outcome(Err(Failure::bug("an answer that cannot be gone on with"))));
        }
        Poll::Ready(false)
    }

    fn fail(&mut self, failure: &Failure) -> bool {
        self.translation.fail(failure, &mut self.out);
        self.meter.finish(200, Outcome::Failed(failure.kind));
        true
    }

    /// The provider has said its last word: money first, then the client's last bytes.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.release(context);
        let cost = match self.meter.stated(self.translation.progress().usage) {
            Some(usage) => self.meter.settle_stated(usage),
            None => {
                let meter = &mut self.meter;
                let counting = self.counting.get_or_insert_with(|| Box::pin(meter.count(None)));
                let usage = std::task::ready!(counting.as_mut().poll(context));
                self.translation.counted(usage, &mut self.out);
                self.meter.settle_counted(usage)
            }
        };
        let cost = cost.map(tollgate_catalog::Cost::usd_f64);
        // An answer of two attempts cost what both did.
        let cost = if self.continued { cost.and_then(|_| self.meter.spent().to_string().parse().ok()) } else { cost };
        self.translation.close(cost, &mut self.out);
        self.meter.finish(200, Outcome::Answered);
        Poll::Ready(())
    }

    /// Lets go of the provider's connection.
    fn release(&mut self, context: &mut Context<'_>) {
        // Its connection is worth keeping: the end of its body is here, or will be in a moment.
        while let Some(source) = &mut self.source {
            match source.poll(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => self.source = None,
                Poll::Pending => {
                    if let Some(source) = self.source.take() {
                        self.meter.workers().spawn(linger(source));
                    }
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.meter.is_finished()
    }

    /// What else may be due while the provider is silent: the end of the gateway, or a comment. Both have woken this task
    /// before, so they are asked again only when the task or the time has changed.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.closing.is_set() {
            self.end_early();
            return Poll::Ready(());
        }
        let is_armed = self.armed.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        let is_due = self.quiet.as_ref().is_none_or(|sleep| sleep.deadline() <= tokio::time::Instant::now());
        if is_armed && !is_due {
            return Poll::Pending;
        }
        self.armed = Some(context.waker().clone());
        if self.closed.as_mut().poll(context).is_ready() {
            self.end_early();
            return Poll::Ready(());
        }
        let sleep = self.quiet.get_or_insert_with(|| Box::pin(tokio::time::sleep(KEEP_ALIVE)));
        std::task::ready!(sleep.as_mut().poll(context));
        self.quiet = None;
        self.out.extend_from_slice(self.keep_alive);
        Poll::Ready(())
    }

    fn end_early(&mut self) {
        (self.next, self.going_on) = (None, None);
        self.meter.gather(Turn::First);
        self.outcome(Err(Failure::new(FailureKind::Overloaded, "the gateway is shutting down; try again")));
    }
}

impl http_body::Body for EventStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        let this = self.get_mut();
        // A provider that is never silent would keep us from hearing it below.
        if this.closing.is_set() && !this.is_over() {
            this.end_early();
        }
        // A turn of reading is bounded by what one read of the connection brings.
        while this.out.is_empty() && !this.is_over() {
            match this.poll_step(context) {
                Poll::Ready(_) => {}
                Poll::Pending => {
                    if this.poll_silence(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
        if this.out.is_empty() {
            return Poll::Ready(None);
        }
        this.meter.first_byte();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(std::mem::take(&mut this.out))))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over() && self.out.is_empty()
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventStream")
    }
}
