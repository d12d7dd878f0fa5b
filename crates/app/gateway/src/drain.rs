//! A whole call whose client leaves is read to its end in the background, for its usage (decision 29).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::workers::Workers;

/// Runs a call; dropped before its end, hands it to the workers.
pub(crate) struct Drained<F: Future<Output: Send> + Send + 'static> {
    call: Option<Pin<Box<F>>>,
    workers: Workers,
    /// Calls that may be drained at once; beyond them a call is dropped, and settled by what is known.
    most: usize,
}

impl<F: Future<Output: Send> + Send + 'static> Drained<F> {
    pub(crate) fn new(call: Pin<Box<F>>, workers: Workers, most: usize) -> Self {
        Self { call: Some(call), workers, most }
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
        if let Some(call) = self.call.take()
            && self.workers.running() < self.most
        {
            self.workers.spawn(async move {
                drop(call.await);
            });
        }
    }
}
