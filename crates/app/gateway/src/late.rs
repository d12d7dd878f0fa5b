//! A stream whose answer is slow to come: the client gets its headers and comments meanwhile, and every attempt is
//! still open until there is content.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as _, Frame};
use tollgate_providers::codec::ClientDialect;
use tollgate_wire::{Failure, FailureKind};

use crate::{
    answer::{Answer, AnswerBody},
    event_stream::KEEP_ALIVE,
    gateway::Closed,
    headers,
};

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The answer if it is there within `patience`; else the head of a stream that will bring it.
pub(crate) async fn in_time(
    mut answering: Answering,
    client: &'static dyn ClientDialect,
    patience: Duration,
    call_id: String,
    closed: Closed,
) -> Answer {
    match tokio::time::timeout(patience, &mut answering).await {
        Ok(answer) => answer,
        Err(_) => {
            let mut answer = Answer::events(AnswerBody::Late(Box::new(LateStream {
                client,
                state: State::Waiting(answering),
                closed: Box::pin(closed.wait()),
                // The first comment leaves with the headers.
                quiet: Box::pin(tokio::time::sleep(Duration::ZERO)),
            })));
            headers::common(&mut answer.headers, &call_id);
            answer
        }
    }
}

/// Comments, then the answer.
pub struct LateStream {
    client: &'static dyn ClientDialect,
    state: State,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    quiet: Pin<Box<tokio::time::Sleep>>,
}

enum State {
    Waiting(Answering),
    Here(AnswerBody),
    Over,
}

impl LateStream {
    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        loop {
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Here(body) => {
                    let polled = Pin::new(body).poll_frame(context);
                    return polled.map(|frame| frame.map(|Ok(frame)| frame));
                }
                State::Waiting(answering) => match answering.as_mut().poll(context) {
                    Poll::Ready(answer) => self.state = State::Here(in_band(self.client, answer)),
                    Poll::Pending => return self.poll_waiting(context).map(Some),
                },
            }
        }
    }

    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<Frame<Bytes>> {
        if self.closed.as_mut().poll(context).is_ready() {
            self.state = State::Over;
            let failure = Failure::new(FailureKind::Overloaded, "the gateway is shutting down; try again");
            return Poll::Ready(Frame::data(event(self.client, &Answer::failure_to(self.client, &failure))));
        }
        std::task::ready!(self.quiet.as_mut().poll(context));
        self.quiet = Box::pin(tokio::time::sleep(KEEP_ALIVE));
        Poll::Ready(Frame::data(Bytes::from_static(self.client.keep_alive())))
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

/// The status has left already: a refusal becomes the stream's only event.
fn in_band(client: &dyn ClientDialect, answer: Answer) -> AnswerBody {
    if answer.status == StatusCode::OK { answer.body } else { AnswerBody::Whole(event(client, &answer)) }
}

fn event(client: &dyn ClientDialect, answer: &Answer) -> Bytes {
    let AnswerBody::Whole(body) = &answer.body else { return Bytes::new() };
    Bytes::from(client.error_event(body))
}
