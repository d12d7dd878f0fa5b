//! Google's other stream: without `alt=sse` the answers are the elements of one JSON list, each sent when it is there. Made
//! of the stream of events, whose events it holds one by one.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

/// A stream of server-sent events as a JSON list.
pub(crate) struct JsonList {
    events: Body,
    /// Of a line that has not come to its end.
    line: Vec<u8>,
    /// The element that the lines so far make.
    element: Vec<u8>,
    begun: bool,
    over: bool,
}

impl JsonList {
    pub(crate) fn of(events: Body) -> Self {
        Self { events, line: Vec::new(), element: Vec::new(), begun: false, over: false }
    }

    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.take_line(line.trim_ascii_end(), &mut out);
            }
        }
        out
    }

    fn take_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if line.is_empty() {
            self.end_element(out);
        } else if let Some(data) = line.strip_prefix(b"data:") {
            self.element.extend_from_slice(data.trim_ascii_start());
        } else if line.starts_with(b":") {
            // What keeps a silent stream awake: white space between elements.
            out.push(b'\n');
        }
    }

    fn end_element(&mut self, out: &mut Vec<u8>) {
        if !self.element.is_empty() {
            out.extend_from_slice(if self.begun { b",\n" } else { b"[" });
            out.append(&mut self.element);
            out.push(b'\n');
            self.begun = true;
        }
    }

    fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let line = std::mem::take(&mut self.line);
        self.take_line(line.trim_ascii_end(), &mut out);
        self.end_element(&mut out);
        out.extend_from_slice(if self.begun { b"]\n" } else { b"[]\n" });
        self.over = true;
        out
    }
}

impl HttpBody for JsonList {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        while !this.over {
            let out = match ready!(Pin::new(&mut this.events).poll_frame(context)) {
                Some(Ok(frame)) => this.take(frame.data_ref().map_or(&[], |bytes| bytes)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.end(),
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(pieces: &[&[u8]]) -> String {
        let mut list = JsonList::of(Body::empty());
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| list.take(piece)).collect();
        out.extend(list.end());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_become_elements_wherever_they_are_cut() {
        let events = b": keep-alive\n\nevent: x\ndata: {\"a\": 1}\r\n\r\ndata:{\"b\":\ndata: 2}\n\n: keep-alive\n\ndata: {\"c\":3}";
        let expected = "\n[{\"a\": 1}\n,\n{\"b\":2}\n\n,\n{\"c\":3}\n]\n";
        assert_eq!(list(&[events]), expected);
        for cut in 0..events.len() {
            let (first, second) = events.split_at(cut);
            assert_eq!(list(&[first, second]), expected, "cut at {cut}");
        }
        let read: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(read, serde_json::json!([{"a": 1}, {"b": 2}, {"c": 3}]));
    }

    #[test]
    fn a_stream_without_events_is_an_empty_list() {
        assert_eq!(list(&[]), "[]\n");
        assert_eq!(list(&[b": keep-alive\n\n"]), "\n[]\n");
    }
}
