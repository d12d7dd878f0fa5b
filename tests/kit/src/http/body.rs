//! The body of an answer, by length, in chunks, or to the end of the connection.

use super::{Connection, Event, event, find};

/// Reads the body of one answer, piece by piece.
#[derive(Debug)]
pub struct BodyReader<'connection> {
    connection: &'connection mut Connection,
    length: Length,
    text: Vec<u8>,
    complete: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    Left(usize),
    Chunked,
    UntilClose,
    Over,
}

impl<'connection> BodyReader<'connection> {
    pub(super) fn new(connection: &'connection mut Connection, length: Length) -> Self {
        Self { connection, length, text: Vec::new(), complete: false }
    }

    /// The next bytes of the body as they came; `None` at its end.
    pub async fn piece(&mut self) -> Option<Vec<u8>> {
        match self.length {
            Length::Over => None,
            Length::Left(0) => self.over(),
            Length::Chunked => self.chunk().await,
            Length::UntilClose => match self.bytes(usize::MAX).await {
                Some(bytes) => Some(bytes),
                None => self.over(),
            },
            Length::Left(left) => {
                let bytes = self.bytes(left).await;
                self.length = bytes.as_ref().map_or(Length::Over, |bytes| Length::Left(left - bytes.len()));
                bytes
            }
        }
    }

    /// The next event of an event stream; `None` at the end of the body.
    pub async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = event::take(&mut self.text) {
                return Some(event);
            }
            let piece = self.piece().await?;
            self.text.extend_from_slice(&piece);
        }
    }

    /// All that is left of the body, and whether it came to its proper end.
    pub async fn rest(mut self) -> (Vec<u8>, bool) {
        let mut body = std::mem::take(&mut self.text);
        while let Some(piece) = self.piece().await {
            body.extend_from_slice(&piece);
        }
        (body, self.complete)
    }

    /// Whether the body has come to its proper end.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    fn over(&mut self) -> Option<Vec<u8>> {
        self.length = Length::Over;
        self.complete = true;
        None
    }

    async fn bytes(&mut self, at_most: usize) -> Option<Vec<u8>> {
        if self.connection.buffer.is_empty() && self.connection.read_more().await == 0 {
            return None;
        }
        let end = self.connection.buffer.len().min(at_most);
        Some(self.connection.buffer.drain(..end).collect())
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let Some(size) = self.chunk_line().await.and_then(|line| usize::from_str_radix(line.trim(), 16).ok()) else {
            self.length = Length::Over;
            return None;
        };
        let mut chunk = Vec::with_capacity(size);
        while chunk.len() < size {
            match self.bytes(size - chunk.len()).await {
                Some(bytes) => chunk.extend(bytes),
                None => {
                    self.length = Length::Over;
                    return Some(chunk).filter(|chunk| !chunk.is_empty());
                }
            }
        }
        self.chunk_line().await;
        if size == 0 { self.over() } else { Some(chunk) }
    }

    async fn chunk_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.connection.buffer, b"\r\n") {
                let line: Vec<u8> = self.connection.buffer.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.connection.read_more().await == 0 {
                return None;
            }
        }
    }
}
