//! Request bodies, read whole within a bound of size and one of time.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep};
use tollgate_gateway::UploadBody;
use tollgate_wire::{Failure, FailureKind};

/// How long the body says it is.
pub(crate) fn stated(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body that states this length.
///
/// # Errors
/// 413 over `limit`, 408 when it does not end in time, 400 when it is cut.
pub(crate) async fn read(
    stated: Option<usize>,
    body: Body,
    limit: usize,
    setting: &'static str,
    patience: Duration,
) -> Result<Bytes, Failure> {
    if stated.is_some_and(|stated| stated > limit) {
        return Err(over(limit, setting));
    }
    match tokio::time::timeout(patience, collect(body, stated, limit, setting)).await {
        Ok(read) => read,
        Err(_) => Err(Failure::new(
            FailureKind::RequestTimeout,
            format!("the request's body did not end within {} s", patience.as_secs_f64()),
        )),
    }
}

async fn collect(mut body: Body, stated: Option<usize>, limit: usize, setting: &'static str) -> Result<Bytes, Failure> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(over(limit, setting));
    }
    let Some(second) = next(&mut body).await? else { return Ok(first) };
    // What a header promises is believed up to a megabyte; the rest grows as it comes.
    let room = stated.unwrap_or_default().min(1 << 20).max(first.len() + second.len());
    let mut whole = BytesMut::with_capacity(room);
    whole.extend_from_slice(&first);
    let mut piece = Some(second);
    while let Some(data) = piece {
        if whole.len() + data.len() > limit {
            return Err(over(limit, setting));
        }
        whole.extend_from_slice(&data);
        piece = next(&mut body).await?;
    }
    Ok(whole.freeze())
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::invalid("the request's body was cut off or is garbled"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A body that is read while it is sent on: bounded in size, and in how long it may be silent.
pub(crate) struct Passed {
    body: Body,
    received: usize,
    limit: usize,
    patience: Duration,
    silence: Pin<Box<Sleep>>,
}

impl Passed {
    /// The body.
    ///
    /// # Errors
    /// 413 when it says that it is over `limit`.
    pub(crate) fn of(
        stated: Option<usize>,
        body: Body,
        limit: usize,
        patience: Duration,
    ) -> Result<UploadBody, Failure> {
        if stated.is_some_and(|stated| stated > limit) {
            return Err(over(limit, "max_file_size_mb"));
        }
        let silence = Box::pin(tokio::time::sleep(patience));
        Ok(Box::pin(Self { body, received: 0, limit, patience, silence }))
    }
}

impl HttpBody for Passed {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        let frame = match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                std::task::ready!(this.silence.as_mut().poll(context));
                let words = format!("the request's body was silent for {} s", this.patience.as_secs_f64());
                return Poll::Ready(Some(Err(Failure::new(FailureKind::RequestTimeout, words))));
            }
        };
        this.silence.as_mut().reset(Instant::now() + this.patience);
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(|_| Failure::invalid("the request's body was cut off or is garbled"));
        if let Ok(Some(data)) = frame.as_ref().map(Frame::data_ref) {
            this.received += data.len();
            if this.received > this.limit {
                return Poll::Ready(Some(Err(over(this.limit, "max_file_size_mb"))));
            }
        }
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn over(limit: usize, setting: &str) -> Failure {
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let megabytes = limit as f64 / 1_048_576.0;
    Failure::new(
        FailureKind::TooLarge,
        format!("Request size is too large. Max size is {megabytes} MB; general_settings.{setting} sets it"),
    )
}
