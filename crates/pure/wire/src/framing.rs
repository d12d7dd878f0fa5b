//! How streams are cut into frames: push bytes, take frames.

pub mod aws_events;
pub mod lines;
pub mod sse;

use std::borrow::Cow;

/// One frame of a stream, however the provider frames it.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The frame's name, if it has one: `event:` of server-sent events, `:event-type` or `:exception-type` of AWS.
    pub event: Option<Cow<'a, str>>,
    /// What it carries: the `data:` lines joined by LF, a line, a message's payload.
    pub data: Cow<'a, [u8]>,
    /// AWS says in the frame itself that this is a failure.
    pub is_exception: bool,
}

impl<'a> Frame<'a> {
    /// A frame without a name.
    #[must_use]
    pub fn of(data: Cow<'a, [u8]>) -> Self {
        Self { event: None, data, is_exception: false }
    }
}

/// How a provider frames its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// One JSON document a line (NDJSON).
    Lines,
    /// `application/vnd.amazon.eventstream`.
    AwsEvents,
}

/// Why a stream cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum FramingError {
    /// A frame grew over the framer's bound.
    #[error("an event of the stream is larger than {limit} bytes")]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// The bytes are no frame.
    #[error("the stream is garbled: {0}")]
    Garbled(String),
}

/// Cuts a byte stream into frames. Memory: at most one frame and what is pushed at once.
#[derive(Debug)]
pub enum Framer {
    /// Server-sent events.
    Sse(sse::SseFramer),
    /// Lines.
    Lines(lines::LineFramer),
    /// AWS messages.
    AwsEvents(aws_events::AwsFramer),
}

impl Framer {
    /// A framer that refuses frames of more than `limit` bytes.
    #[must_use]
    pub fn new(framing: Framing, limit: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(sse::SseFramer::new(limit)),
            Framing::Lines => Self::Lines(lines::LineFramer::new(limit)),
            Framing::AwsEvents => Self::AwsEvents(aws_events::AwsFramer::new(limit)),
        }
    }

    /// Takes the next bytes of the stream; call [`Self::next_frame`] until it has no more.
    ///
    /// # Errors
    /// When the frame that is being received is over the bound.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FramingError> {
        match self {
            Self::Sse(framer) => framer.push(bytes),
            Self::Lines(framer) => framer.push(bytes),
            Self::AwsEvents(framer) => framer.push(bytes),
        }
    }

    /// The next whole frame, if its end has arrived.
    ///
    /// # Errors
    /// When the bytes are no frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FramingError> {
        match self {
            Self::Sse(framer) => Ok(framer.next_frame()),
            Self::Lines(framer) => Ok(framer.next_frame()),
            Self::AwsEvents(framer) => framer.next_frame(),
        }
    }

    /// The stream ended: what is left as a last frame. Of AWS's messages a part is none.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        match self {
            Self::Sse(framer) => framer.finish(),
            Self::Lines(framer) => framer.finish(),
            Self::AwsEvents(_) => None,
        }
    }
}
