//! What is inside the frames of a stream: server-sent events or lines, cut wherever the container's buffer was full.

use serde_json::Value;
use tollgate_wire::{
    Failure, FailureKind,
    framing::{Frame, Framer, Framing, FramingError},
};

use crate::{dialects::aws, target::Target};

/// Largest event within a stream, bytes.
const LARGEST: usize = 16 << 20;

/// Puts the pieces together again. Memory: at most one event and one frame.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    inner: Option<Framer>,
}

impl Pieces {
    /// Takes a frame; whole events go to `take`, which says whether it wants more.
    ///
    /// # Errors
    /// When the frame tells a failure, or `take` does.
    pub(super) fn feed(
        &mut self,
        frame: &Frame<'_>,
        target: &Target,
        take: impl FnMut(&Frame<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if frame.is_exception {
            return Err(aws::exception(frame, target));
        }
        if self.inner.is_none() && frame.data.trim_ascii().is_empty() {
            return Ok(());
        }
        let begins = frame.data.trim_ascii_start().first().copied();
        let framing = if matches!(begins, Some(b'{' | b'[')) { Framing::Lines } else { Framing::Sse };
        let inner = self.inner.get_or_insert_with(|| Framer::new(framing, LARGEST));
        inner.push(&frame.data).map_err(|error| garbled(&error, target))?;
        drain(inner, target, take)
    }

    /// The stream is over: what is left is the last event.
    ///
    /// # Errors
    /// When `take` tells a failure.
    pub(super) fn finish(&mut self, mut take: impl FnMut(&Frame<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        match self.inner.as_mut().and_then(Framer::finish) {
            Some(frame) => take(&frame),
            None => Ok(()),
        }
    }
}

fn drain(
    inner: &mut Framer,
    target: &Target,
    mut take: impl FnMut(&Frame<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    while let Some(frame) = inner.next_frame().map_err(|error| garbled(&error, target))? {
        take(&frame)?;
    }
    Ok(())
}

fn garbled(error: &FramingError, target: &Target) -> Failure {
    target.failure(FailureKind::InvalidResponse, error.to_string())
}

/// The event in a frame; nothing in empty ones and in `[DONE]`.
///
/// # Errors
/// When it is no JSON.
pub(super) fn event(frame: &Frame<'_>, target: &Target) -> Result<Option<Value>, Failure> {
    let data = frame.data.trim_ascii();
    if data.is_empty() || data == b"[DONE]" {
        return Ok(None);
    }
    target.event(data).map(Some)
}
