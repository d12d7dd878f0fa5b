//! `application/vnd.amazon.eventstream`: binary messages with headers, a payload and two checksums. AWS's own crate reads
//! the messages; this cuts the stream into them, within a bound.

use std::borrow::Cow;

use aws_smithy_eventstream::frame::read_message_from;
use bytes::{Buf as _, Bytes, BytesMut};

use super::{Frame, FramingError};

/// Total length, length of the headers and the checksum of both, which open a message. Bytes.
const PRELUDE: usize = 12;
/// The shortest message: a prelude and the checksum of the whole. Bytes.
const SHORTEST: usize = PRELUDE + 4;

/// Cuts a byte stream into AWS's messages. Memory: at most one message and what is pushed at once.
#[derive(Debug)]
pub struct AwsFramer {
    buffer: BytesMut,
    limit: usize,
}

impl AwsFramer {
    /// A framer that refuses messages of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// When the message that is being received says that it is over the bound.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FramingError> {
        self.buffer.extend_from_slice(bytes);
        match self.announced() {
            Some(length) if length > self.limit => Err(FramingError::TooLarge { limit: self.limit }),
            _ => Ok(()),
        }
    }

    /// The next whole message.
    ///
    /// # Errors
    /// When a checksum does not hold, or the bytes are no message.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FramingError> {
        let Some(length) = self.announced() else { return Ok(None) };
        if length < SHORTEST {
            return Err(FramingError::Garbled(format!("a message of {length} bytes")));
        }
        if length > self.limit {
            return Err(FramingError::TooLarge { limit: self.limit });
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let mut message: Bytes = self.buffer.split_to(length).freeze();
        let message = read_message_from(&mut message).map_err(|error| FramingError::Garbled(error.to_string()))?;
        let header = |wanted: &str| {
            let found = message.headers().iter().find(|header| header.name().as_str() == wanted)?;
            Some(found.value().as_string().ok()?.as_str().to_owned())
        };
        let kind = header(":message-type").unwrap_or_default();
        let name = match kind.as_str() {
            "exception" => header(":exception-type"),
            "error" => header(":error-code"),
            _ => header(":event-type"),
        };
        let mut data = message.payload().to_vec();
        // Errors outside the model carry their words in a header.
        if let (true, "error", Some(words)) = (data.is_empty(), kind.as_str(), header(":error-message")) {
            data = words.into_bytes();
        }
        Ok(Some(Frame {
            event: name.map(Cow::Owned),
            data: Cow::Owned(data),
            is_exception: matches!(kind.as_str(), "exception" | "error"),
        }))
    }

    /// How long the message at hand says it is, once its prelude is here.
    fn announced(&self) -> Option<usize> {
        if self.buffer.len() < PRELUDE {
            return None;
        }
        usize::try_from(self.buffer.get(..4)?.get_u32()).ok()
    }
}
