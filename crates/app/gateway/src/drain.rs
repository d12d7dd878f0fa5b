//! A whole call whose client leaves is read to its end in the background, for its usage; a stream where that is asked
//! for (decision 29).

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame};

use crate::{
    answer::{Answer, AnswerBody},
    gateway::Closed,
    workers::Workers,
};

/// Runs a call; dropped before its end, hands it to the workers.
pub(crate) struct Drained<F: Future<Output: Send> + Send + 'static> {
    call: Option<Pin<Box<F>>>,
    workers: Workers,
    /// Calls that may be drained at once; beyond them a call is dropped, and settled by what is known.
    most: usize,
    /// Told when the client leaves.
    left: Closed,
}

impl<F: Future<Output: Send> + Send + 'static> Drained<F> {
    pub(crate) fn new(call: Pin<Box<F>>, workers: Workers, most: usize, left: Closed) -> Self {
        Self { call: Some(call), workers, most, left }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Drained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let Some(call) = &mut this.call else { return Poll::Pending };
        let output = std::task::ready!(call.as_mut().poll(context));
        this.call = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Drained<F> {
    fn drop(&mut self) {
        self.left.set();
        if let Some(call) = self.call.take()
            && self.workers.running() < self.most
        {
            self.workers.spawn(async move {
                drop(call.await);
            });
        }
    }
}

/// A stream; dropped before its end, hands what is left of it to the workers.
pub struct DrainedStream {
    body: Option<AnswerBody>,
    workers: Workers,
    most: usize,
}

impl DrainedStream {
    /// The answer, its stream to be read to its end.
    pub(crate) async fn of(answering: impl Future<Output = Answer>, workers: Workers, most: usize) -> Answer {
        let Answer { status, headers, body } = answering.await;
        let body = match body {
            AnswerBody::Whole(bytes) => AnswerBody::Whole(bytes),
            AnswerBody::Bytes(stream) => AnswerBody::Bytes(stream),
            stream => AnswerBody::Drained(Box::new(Self { body: Some(stream), workers, most })),
        };
        Answer { status, headers, body }
    }

    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(context));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

impl Drop for DrainedStream {
    fn drop(&mut self) {
        if self.is_over() || self.workers.running() >= self.most {
            return;
        }
        let Some(mut body) = self.body.take() else { return };
        self.workers
            .spawn(async move { while poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.is_some() {} });
    }
}
