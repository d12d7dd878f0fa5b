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

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::{
        DateTime,
        event_stream::{Header, HeaderValue, Message},
    };

    use super::*;

    const LIMIT: usize = 1 << 16;

    fn message(headers: Vec<(&'static str, HeaderValue)>, payload: &[u8]) -> Vec<u8> {
        let mut message = Message::new(Bytes::copy_from_slice(payload));
        for (name, value) in headers {
            message = message.add_header(Header::new(name, value));
        }
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).unwrap();
        bytes
    }

    fn text(words: &str) -> HeaderValue {
        HeaderValue::String(words.to_owned().into())
    }

    /// A header of every type that the format knows.
    fn of_every_type() -> Vec<(&'static str, HeaderValue)> {
        vec![
            ("yes", HeaderValue::Bool(true)),
            ("no", HeaderValue::Bool(false)),
            ("byte", HeaderValue::Byte(-7)),
            ("short", HeaderValue::Int16(-300)),
            ("int", HeaderValue::Int32(i32::MIN)),
            ("long", HeaderValue::Int64(i64::MAX)),
            ("bytes", HeaderValue::ByteArray(Bytes::from_static(&[0, 255, 10, 13]))),
            ("when", HeaderValue::Timestamp(DateTime::from_millis(1_700_000_000_123))),
            ("which", HeaderValue::Uuid(0x1234_5678_9abc_def0_1234_5678_9abc_def0)),
            (":message-type", text("event")),
            (":event-type", text("chunk")),
        ]
    }

    type Seen = Vec<(Option<String>, Vec<u8>, bool)>;

    fn take(framer: &mut AwsFramer, seen: &mut Seen) -> Result<(), FramingError> {
        while let Some(frame) = framer.next_frame()? {
            seen.push((frame.event.map(Cow::into_owned), frame.data.into_owned(), frame.is_exception));
        }
        Ok(())
    }

    fn frames<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Result<Seen, FramingError> {
        let mut framer = AwsFramer::new(LIMIT);
        let mut seen = Vec::new();
        for piece in pieces {
            framer.push(piece)?;
            take(&mut framer, &mut seen)?;
        }
        Ok(seen)
    }

    #[test]
    fn messages_with_headers_of_every_type_survive_any_cut() {
        let mut bytes = message(of_every_type(), "{\"a\":\"日本\"}".as_bytes());
        bytes.extend(message(vec![(":message-type", text("exception")), (":exception-type", text("oops"))], b"{}"));
        bytes.extend(message(Vec::new(), b""));
        let expected: Seen = vec![
            (Some("chunk".to_owned()), "{\"a\":\"日本\"}".as_bytes().to_vec(), false),
            (Some("oops".to_owned()), b"{}".to_vec(), true),
            (None, Vec::new(), false),
        ];
        assert_eq!(frames([bytes.as_slice()].into_iter()).unwrap(), expected);
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(frames([head, tail].into_iter()).unwrap(), expected, "cut at byte {cut}");
        }
        assert_eq!(frames(bytes.chunks(1)).unwrap(), expected);
    }

    #[test]
    fn a_bit_that_is_wrong_anywhere_is_noticed() {
        let bytes = message(of_every_type(), b"payload");
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            // A length that grew waits for bytes that never come, or is over the bound; anything else is garbled.
            match frames([broken.as_slice()].into_iter()) {
                Ok(seen) => assert!(at < 4 && seen.is_empty(), "byte {at}: {seen:?}"),
                Err(FramingError::TooLarge { .. }) => assert!(at < 4, "byte {at}"),
                Err(FramingError::Garbled(_)) => {}
            }
        }
    }

    #[test]
    fn an_error_outside_the_model_tells_its_words() {
        let headers = vec![
            (":message-type", text("error")),
            (":error-code", text("InternalError")),
            (":error-message", text("it broke")),
        ];
        let seen = frames([message(headers, b"").as_slice()].into_iter()).unwrap();
        assert_eq!(seen, [(Some("InternalError".to_owned()), b"it broke".to_vec(), true)]);
    }

    #[test]
    fn a_message_over_the_bound_is_refused_before_it_is_there() {
        let bytes = message(Vec::new(), &[0; 100]);
        let mut framer = AwsFramer::new(bytes.len() - 1);
        assert!(matches!(framer.push(&bytes[..PRELUDE]), Err(FramingError::TooLarge { .. })));
        let mut framer = AwsFramer::new(bytes.len());
        framer.push(&bytes).unwrap();
        assert!(framer.next_frame().unwrap().is_some());
    }

    #[test]
    fn what_is_shorter_than_a_message_can_be_is_garbled() {
        for length in [0_u32, 1, 15] {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend([0; 12]);
            assert!(matches!(frames([bytes.as_slice()].into_iter()), Err(FramingError::Garbled(_))), "{length}");
        }
    }
}
