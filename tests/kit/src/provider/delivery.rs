//! Writes an answer to the socket, with its faults.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::sleep,
};

use crate::answer::{Answer, Body, Finish, Framing, Piece, Place};

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    /// All written; the connection can carry another call.
    Whole,
    /// All written; the end of the connection is part of the answer.
    WholeThenClose,
    /// The script ends the connection here.
    Cut,
    /// The script resets the connection here.
    Reset,
    /// The client has closed the connection.
    ClientLeft,
}

/// Writes the answer; `body_bytes` counts what has been written of the body. Never returns from a stall.
pub(super) async fn deliver(
    answer: &Answer,
    headless: bool,
    writer: &mut (impl AsyncWrite + Unpin),
    body_bytes: &AtomicUsize,
) -> Delivered {
    let written = write(answer, headless, writer, body_bytes).await;
    let Ok(reached_the_end) = written else { return Delivered::ClientLeft };
    match answer.faults.finish {
        _ if reached_the_end => match (&answer.body, answer.faults.framing) {
            (Body::Garbage(_), _) | (_, Framing::UntilClose | Framing::Claimed(_)) => Delivered::WholeThenClose,
            _ => Delivered::Whole,
        },
        Finish::Stall(_) => std::future::pending().await,
        Finish::Reset(_) => Delivered::Reset,
        Finish::Whole | Finish::Cut(_) => Delivered::Cut,
    }
}

/// Whether the whole answer was written, and not only up to the place of its fault.
async fn write(
    answer: &Answer,
    headless: bool,
    writer: &mut (impl AsyncWrite + Unpin),
    body_bytes: &AtomicUsize,
) -> io::Result<bool> {
    let faults = &answer.faults;
    pause(faults.before_head).await;
    let place = faults.finish.place();
    if place == Some(Place::BeforeHead) {
        return Ok(false);
    }
    let pieces = answer.body.pieces();
    if let Body::Garbage(bytes) = &answer.body {
        writer.write_all(bytes).await?;
        return Ok(true);
    }
    let limit = place.map(|place| bytes_before(place, &pieces));
    let chunked = is_chunked(answer);
    writer.write_all(head(answer, &pieces).as_bytes()).await?;
    if headless {
        return Ok(true);
    }
    let mut left = limit.unwrap_or(usize::MAX);
    for (index, piece) in split(pieces, faults.split_every).into_iter().enumerate() {
        if left == 0 {
            return Ok(false);
        }
        pause(piece.wait + if index == 0 { Duration::ZERO } else { faults.between_chunks }).await;
        let allowed = piece.bytes.len().min(left);
        let (now, _) = piece.bytes.split_at(allowed);
        // A cut inside a piece leaves a chunk that promises more than it holds, as a dying server would.
        let mut bytes = if chunked { format!("{:x}\r\n", piece.bytes.len()).into_bytes() } else { Vec::new() };
        bytes.extend_from_slice(now);
        if chunked && allowed == piece.bytes.len() {
            bytes.extend_from_slice(b"\r\n");
        }
        if !piece.bytes.is_empty() {
            writer.write_all(&bytes).await?;
            body_bytes.fetch_add(allowed, Ordering::Relaxed);
        }
        left -= allowed;
    }
    // A fault at or after the last byte still comes before the end of the body is told.
    if limit.is_some() {
        return Ok(false);
    }
    if chunked {
        writer.write_all(b"0\r\n\r\n").await?;
    }
    Ok(true)
}

impl Finish {
    fn place(self) -> Option<Place> {
        match self {
            Self::Whole => None,
            Self::Cut(place) | Self::Reset(place) | Self::Stall(place) => Some(place),
        }
    }
}

/// How many bytes of the body come before the place.
fn bytes_before(place: Place, pieces: &[Piece]) -> usize {
    let of_events = |count: usize| pieces.iter().take(count).map(|piece| piece.bytes.len()).sum::<usize>();
    match place {
        Place::BeforeHead => 0,
        Place::AfterBytes(bytes) => bytes,
        Place::AfterEvents(count) => of_events(count),
        Place::InsideEvent(index) => of_events(index) + pieces.get(index).map_or(0, |piece| piece.bytes.len() / 2),
    }
}

fn split(pieces: Vec<Piece>, every: Option<usize>) -> Vec<Piece> {
    let Some(every) = every else { return pieces };
    let mut parts = Vec::new();
    for piece in pieces {
        for (index, bytes) in piece.bytes.chunks(every).enumerate() {
            let wait = if index == 0 { piece.wait } else { Duration::ZERO };
            parts.push(Piece { wait, bytes: bytes.to_vec() });
        }
    }
    parts
}

fn is_chunked(answer: &Answer) -> bool {
    match answer.faults.framing {
        Framing::Natural => matches!(answer.body, Body::Sse(_)),
        Framing::Chunked => true,
        Framing::Claimed(_) | Framing::UntilClose => false,
    }
}

fn head(answer: &Answer, pieces: &[Piece]) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    let sets = |name: &str| answer.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if let Some(content_type) = answer.body.content_type().filter(|_| !sets("content-type")) {
        head.push_str(&format!("content-type: {content_type}\r\n"));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let true_length: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    match answer.faults.framing {
        _ if is_chunked(answer) => head.push_str("transfer-encoding: chunked\r\n"),
        Framing::Claimed(length) => head.push_str(&format!("content-length: {length}\r\n")),
        Framing::UntilClose => head.push_str("connection: close\r\n"),
        Framing::Natural | Framing::Chunked => head.push_str(&format!("content-length: {true_length}\r\n")),
    }
    head.push_str("\r\n");
    head
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        sleep(wait).await;
    }
}
