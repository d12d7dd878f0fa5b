//! Server-sent events (WHATWG HTML, 9.2.6), as providers really send them: lines may end in CR, LF or CRLF, comments
//! are keep-alives, the last event may lack its blank line, and some providers put bare JSON lines between events.

use std::borrow::Cow;

use super::{Frame, FramingError};

/// Cuts a byte stream into events. Memory: at most one event and what is pushed at once.
#[derive(Debug)]
pub struct SseFramer {
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    limit: usize,
}

impl SseFramer {
    /// A framer that refuses events of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, limit }
    }

    /// Takes the next bytes of the stream; call [`Self::next_frame`] until it has no more.
    ///
    /// # Errors
    /// When the event that is being received is over the bound.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FramingError> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        // What is left here has no end yet: it is one event that still grows.
        if self.buffer.len() > self.limit {
            return Err(FramingError::TooLarge { limit: self.limit });
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole event, if its end has arrived. Comments and empty events are passed over.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        loop {
            let (end, next) = self.find_end()?;
            let from = self.start;
            self.start = next;
            self.searched = next;
            // Checked twice, as the borrow of a returned frame must not live through the loop.
            if only_data(self.buffer.get(from..end)?).is_some() {
                return only_data(self.buffer.get(from..end)?);
            }
            if has_content(self.buffer.get(from..end)?) {
                return read_event(self.buffer.get(from..end)?);
            }
        }
    }

    /// The stream ended: what is left as a last event, if it holds a whole line of data.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        let from = self.start;
        self.start = self.buffer.len();
        self.searched = self.start;
        read_event(self.buffer.get(from..)?)
    }

    /// Where the current event's lines end, and where the next event begins.
    fn find_end(&mut self) -> Option<(usize, usize)> {
        let mut at = self.searched;
        loop {
            let offset = memchr::memchr2(b'\n', b'\r', self.buffer.get(at..)?);
            let Some(line_end) = offset.map(|offset| at + offset) else {
                // Resume at the line that is not complete yet; the bytes before it are searched.
                return None;
            };
            let after = self.after_line_end(line_end)?;
            if line_end == at {
                return Some((line_end, after));
            }
            at = after;
            self.searched = at;
        }
    }

    /// The index after a line end; `None` when a CR is the last byte, as an LF may follow.
    fn after_line_end(&self, at: usize) -> Option<usize> {
        match (self.buffer.get(at)?, self.buffer.get(at + 1)) {
            (b'\r', Some(b'\n')) => Some(at + 2),
            (b'\r', None) => None,
            _ => Some(at + 1),
        }
    }
}

fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    event.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty())
}

/// An event of one line of data, as nearly all are.
fn only_data(event: &[u8]) -> Option<Frame<'_>> {
    let line = event.strip_suffix(b"\n").unwrap_or(event);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let value = line.strip_prefix(b"data:")?;
    if memchr::memchr2(b'\n', b'\r', value).is_some() {
        return None;
    }
    Some(Frame::of(Cow::Borrowed(value.strip_prefix(b" ").unwrap_or(value))))
}

/// Whether [`read_event`] finds something: `database: x` is a field of another name.
fn has_content(event: &[u8]) -> bool {
    lines(event).any(|line| matches!(field(line).0, b"data" | b"event") || line.starts_with(b"{"))
}

/// The name of a line's field, and its value.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let (name, value) = line.split_at_checked(colon).unwrap_or((line, b""));
    let value = value.strip_prefix(b":").unwrap_or(value);
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

fn read_event(event: &[u8]) -> Option<Frame<'_>> {
    let mut name = None;
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in lines(event) {
        if line.first() == Some(&b'{') {
            join(&mut data, line);
            continue;
        }
        let (name_of_field, value) = field(line);
        match name_of_field {
            b"event" => name = Some(String::from_utf8_lossy(value)),
            b"data" => join(&mut data, value),
            _ => {}
        }
    }
    if name.is_none() && data.is_none() {
        return None;
    }
    Some(Frame { event: name, data: data.unwrap_or_default(), is_exception: false })
}

fn join<'a>(data: &mut Option<Cow<'a, [u8]>>, line: &'a [u8]) {
    match data {
        None => *data = Some(Cow::Borrowed(line)),
        Some(before) => {
            let before = before.to_mut();
            before.push(b'\n');
            before.extend_from_slice(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let mut framer = SseFramer::new(1 << 20);
        let mut out = Vec::new();
        let own =
            |frame: Frame<'_>| (frame.event.map(Cow::into_owned), String::from_utf8(frame.data.into_owned()).unwrap());
        for chunk in chunks {
            framer.push(chunk).unwrap();
            while let Some(frame) = framer.next_frame() {
                out.push(own(frame));
            }
        }
        out.extend(framer.finish().map(own));
        out
    }

    const STREAM: &[u8] = b": hello\n\nevent: a\r\ndata: {\"x\":1}\r\n\r\ndata:two\ndata: lines\n\n\rdata: cr\r\rid: 7\n\n{\"error\":1}\n\ndata: last";

    #[test]
    fn every_line_ending_and_a_missing_last_blank_line_are_read() {
        let expected = vec![
            (Some("a".to_owned()), "{\"x\":1}".to_owned()),
            (None, "two\nlines".to_owned()),
            (None, "cr".to_owned()),
            (None, "{\"error\":1}".to_owned()),
            (None, "last".to_owned()),
        ];
        assert_eq!(frames(&[STREAM]), expected);
    }

    #[test]
    fn a_stream_cut_at_every_byte_gives_the_same_frames() {
        let whole = frames(&[STREAM]);
        for cut in 0..=STREAM.len() {
            let (head, tail) = STREAM.split_at(cut);
            assert_eq!(frames(&[head, tail]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(frames(&bytes), whole);
    }

    #[test]
    fn a_field_whose_name_begins_like_ours_does_not_hide_what_follows() {
        let whole = frames(&[b"database: x\n\ndata: 1\n\neventful: y\n\ndata: 2\n\n"]);
        assert_eq!(whole, [(None, "1".to_owned()), (None, "2".to_owned())]);
    }

    #[test]
    fn an_event_over_the_bound_is_refused() {
        let mut framer = SseFramer::new(16);
        assert!((0..4).map(|_| framer.push(&[b'x'; 10])).any(|pushed| pushed.is_err()));
    }
}
