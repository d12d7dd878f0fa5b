//! Request bodies, read whole within a bound of size and one of time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
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
    patience: Duration,
) -> Result<Bytes, Failure> {
    if stated.is_some_and(|stated| stated > limit) {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(patience, collect(body, stated, limit)).await {
        Ok(read) => read,
        Err(_) => Err(Failure::new(
            FailureKind::RequestTimeout,
            format!("the request's body did not end within {} s", patience.as_secs_f64()),
        )),
    }
}

async fn collect(mut body: Body, stated: Option<usize>, limit: usize) -> Result<Bytes, Failure> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(too_large(limit));
    }
    let Some(second) = next(&mut body).await? else { return Ok(first) };
    // What a header promises is believed up to a megabyte; the rest grows as it comes.
    let room = stated.unwrap_or_default().min(1 << 20).max(first.len() + second.len());
    let mut whole = BytesMut::with_capacity(room);
    whole.extend_from_slice(&first);
    let mut piece = Some(second);
    while let Some(data) = piece {
        if whole.len() + data.len() > limit {
            return Err(too_large(limit));
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

fn too_large(limit: usize) -> Failure {
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let megabytes = limit as f64 / 1_048_576.0;
    Failure::new(
        FailureKind::TooLarge,
        format!("Request size is too large. Max size is {megabytes} MB; general_settings.max_request_size_mb sets it"),
    )
}
