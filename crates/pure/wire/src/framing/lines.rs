//! One JSON document a line (NDJSON), as Ollama streams.

use std::borrow::Cow;

use super::{Frame, FramingError};

/// Cuts a byte stream into lines. Memory: at most one line and what is pushed at once.
#[derive(Debug)]
pub struct LineFramer {
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    limit: usize,
}

impl LineFramer {
    /// A framer that refuses lines of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, limit }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// When the line that is being received is over the bound.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FramingError> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        if self.buffer.len() > self.limit {
            return Err(FramingError::TooLarge { limit: self.limit });
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole line that is not blank.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        loop {
            let Some(offset) = memchr::memchr(b'\n', self.buffer.get(self.searched..)?) else {
                self.searched = self.buffer.len();
                return None;
            };
            let (from, end) = (self.start, self.searched + offset);
            self.start = end + 1;
            self.searched = self.start;
            if !self.buffer.get(from..end)?.trim_ascii().is_empty() {
                return Some(Frame::of(Cow::Borrowed(self.buffer.get(from..end)?.trim_ascii())));
            }
        }
    }

    /// The stream ended: what is left, if it is not blank.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        let from = std::mem::replace(&mut self.start, self.buffer.len());
        self.searched = self.start;
        let rest = self.buffer.get(from..)?.trim_ascii();
        (!rest.is_empty()).then(|| Frame::of(Cow::Borrowed(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = LineFramer::new(64);
        let mut out = Vec::new();
        for piece in pieces {
            framer.push(piece).unwrap();
            while let Some(frame) = framer.next_frame() {
                out.push(String::from_utf8(frame.data.into_owned()).unwrap());
            }
        }
        out.extend(framer.finish().map(|frame| String::from_utf8(frame.data.into_owned()).unwrap()));
        out
    }

    #[test]
    fn lines_are_the_same_wherever_they_are_cut() {
        let stream = b"{\"a\":1}\r\n\n{\"b\":2}\n  \n{\"c\":3}";
        let whole = lines(&[stream]);
        assert_eq!(whole, ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(lines(&[head, tail]), whole, "cut at {at}");
        }
    }

    #[test]
    fn a_line_over_the_bound_is_refused() {
        let mut framer = LineFramer::new(16);
        assert!((0..4).map(|_| framer.push(&[b'x'; 10])).any(|pushed| pushed.is_err()));
    }
}
