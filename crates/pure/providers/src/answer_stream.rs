//! Streamed answers between provider and client, in either lane.

use std::sync::Arc;

use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatChunk, Delta, Extras},
    framing::Framer,
};

use crate::{
    codec::{ChatDecoder, ChatEncoder},
    continuation::Joint,
    dialects::openai::{SplicedStream, merge::Merger},
    target::Target,
};

/// How far a stream is, for whoever meters it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The provider has said its last word.
    pub done: bool,
    /// Something that the client can read has been produced: from here on a failure is told in-band.
    pub content: bool,
    /// The provider's own count, the last it gave.
    pub usage: Option<Usage>,
    /// Bytes of answer received, for a count of our own when the provider gives none.
    pub output_bytes: u64,
    /// Pieces in which they came. No provider cuts a token in two, so that there are at least as many tokens.
    pub pieces: u64,
}

impl Progress {
    /// More of the answer came, in one piece.
    pub(crate) fn hear(&mut self, bytes: u64) {
        self.output_bytes = self.output_bytes.saturating_add(bytes);
        self.pieces += u64::from(bytes > 0);
    }
}

/// A streamed answer between provider and client.
pub enum AnswerStream {
    /// Same dialect on both sides.
    Spliced(Box<SplicedStream>),
    /// The same, by a dialect's [`crate::codec::Splice`].
    Passed(Box<dyn PassedStream>),
    /// Through the hub.
    Hub(Box<HubStream>),
}

/// A streamed answer that passes between two sides of the same words; see [`AnswerStream`] for what each step is.
pub trait PassedStream: Send {
    /// How far the stream is.
    fn progress(&self) -> &Progress;

    /// Takes the provider's next bytes; whole events for the client are appended to `out`.
    ///
    /// # Errors
    /// When the provider reports a failure in the stream, or cannot be understood.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure>;

    /// The provider closed the stream without a cut.
    ///
    /// # Errors
    /// When that was too early.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure>;

    /// The words of the answer that came since the last [`Self::forget_said`].
    fn said(&self) -> &str;

    /// They have been heard.
    fn forget_said(&mut self);

    /// Writes the end of a stream that went well; `cost` in dollars, if known.
    fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>);

    /// Writes a failure as the end.
    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>);
}

impl AnswerStream {
    /// How far the stream is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        match self {
            Self::Spliced(stream) => stream.progress(),
            Self::Passed(stream) => stream.progress(),
            Self::Hub(stream) => &stream.progress,
        }
    }

    /// Takes the provider's next bytes; whole events for the client are appended to `out`.
    ///
    /// # Errors
    /// When the provider reports a failure in the stream, or cannot be understood.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Spliced(stream) => stream.push(bytes, out),
            Self::Passed(stream) => stream.push(bytes, out),
            Self::Hub(stream) => stream.push(bytes, out),
        }
    }

    /// The provider closed the stream without a cut.
    ///
    /// # Errors
    /// When that was too early.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Spliced(stream) => stream.finish(out),
            Self::Passed(stream) => stream.finish(out),
            Self::Hub(stream) => stream.finish(out),
        }
    }

    /// The words of the answer that came since the last [`Self::forget_said`], for a count of our own.
    #[must_use]
    pub fn said(&self) -> &str {
        match self {
            Self::Spliced(stream) => stream.said(),
            Self::Passed(stream) => stream.said(),
            Self::Hub(stream) => &stream.said,
        }
    }

    /// The words so far have been heard.
    pub fn forget_said(&mut self) {
        match self {
            Self::Spliced(stream) => stream.forget_said(),
            Self::Passed(stream) => stream.forget_said(),
            Self::Hub(stream) => stream.said.clear(),
        }
    }

    /// So far the answer is one text that has not come to its end: another model could go on with it.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Hub(stream) if stream.is_text)
    }

    /// Goes on with what `next` reads. `space` is the white space at the end of what was said, which the next one was not told,
    /// `before` what was used so far. Says whether it can.
    pub fn go_on(&mut self, next: Self, space: &str, before: Usage) -> bool {
        let (Self::Hub(own), Self::Hub(next)) = (self, next) else { return false };
        own.go_on(*next, space, before);
        true
    }

    /// Takes a count of our own in the place of the provider's, so that a client that asked for usage gets one.
    pub fn counted(&mut self, usage: Usage, out: &mut Vec<u8>) {
        match self {
            Self::Spliced(stream) => stream.counted(usage),
            // What passes as it is says what its provider says.
            Self::Passed(_) => {}
            Self::Hub(stream) => {
                let before = stream.joint.as_ref().map(|joint| joint.before).unwrap_or_default();
                stream.encoder.encode(&ChatChunk::Usage { usage: before.plus(usage), extras: Extras::new() }, out);
            }
        }
    }

    /// Writes the end of a stream that went well; `cost` in dollars, if known.
    pub fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>) {
        match self {
            Self::Spliced(stream) => stream.close(cost, out),
            Self::Passed(stream) => stream.close(cost, out),
            Self::Hub(stream) => stream.encoder.close(cost, out),
        }
    }

    /// Writes a failure as the end.
    pub fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        match self {
            Self::Spliced(stream) => stream.fail(failure, out),
            Self::Passed(stream) => stream.fail(failure, out),
            Self::Hub(stream) => stream.encoder.fail(failure, out),
        }
    }
}

/// A stream whose two sides speak different dialects.
pub struct HubStream {
    pub(crate) framer: Framer,
    pub(crate) decoder: Box<dyn ChatDecoder>,
    pub(crate) encoder: Box<dyn ChatEncoder>,
    pub(crate) target: Arc<Target>,
    pub(crate) progress: Progress,
    pub(crate) chunks: Vec<ChatChunk>,
    pub(crate) merger: Option<Merger>,
    pub(crate) said: String,
    /// `OpenAI`'s clients get thoughts without blocks, which only a seal makes useful.
    pub(crate) bare_thoughts: bool,
    /// The answer is one text, and not over.
    pub(crate) is_text: bool,
    /// Where it goes on after another attempt.
    pub(crate) joint: Option<Joint>,
}

impl HubStream {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let pushed = self.framer.push(bytes);
        pushed.map_err(|error| self.target.failure(FailureKind::InvalidResponse, error.to_string()))?;
        while !self.decoder.is_done() {
            let frame = self.framer.next_frame();
            let frame = frame.map_err(|error| self.target.failure(FailureKind::InvalidResponse, error.to_string()))?;
            let Some(frame) = frame else { break };
            let fed = self.decoder.feed(&frame, &mut self.chunks);
            self.write(out);
            fed?;
        }
        self.progress.done = self.decoder.is_done();
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.decoder.is_done()
            && let Some(frame) = self.framer.finish()
        {
            self.decoder.feed(&frame, &mut self.chunks)?;
        }
        let finished = self.decoder.finish(&mut self.chunks);
        self.write(out);
        finished?;
        self.progress.done = true;
        Ok(())
    }

    fn go_on(&mut self, next: Self, space: &str, before: Usage) {
        let before = self.joint.take().map(|joint| joint.before).unwrap_or_default().plus(before);
        self.joint = Some(Joint::new(space, before));
        (self.framer, self.decoder, self.target) = (next.framer, next.decoder, next.target);
        // What was written is content, whatever becomes of this attempt.
        self.progress = Progress { content: true, ..Progress::default() };
        self.chunks.clear();
        self.said.clear();
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        let mut chunks = std::mem::take(&mut self.chunks);
        if let Some(merger) = &mut self.merger {
            chunks = chunks.into_iter().flat_map(|chunk| merger.hub(chunk)).collect();
        }
        for chunk in chunks.drain(..) {
            if let ChatChunk::Usage { usage, .. } = &chunk {
                self.progress.usage = Some(*usage);
            }
            let chunk = match &mut self.joint {
                None => chunk,
                Some(joint) => match joint.join(chunk) {
                    Some(chunk) => chunk,
                    None => continue,
                },
            };
            self.is_text &= match &chunk {
                ChatChunk::Delta { choice, delta } => *choice == 0 && matches!(delta, Delta::Text(_)),
                ChatChunk::Finish { .. } => false,
                ChatChunk::Start { .. } | ChatChunk::Usage { .. } => true,
            };
            match &chunk {
                ChatChunk::Delta { delta, .. } => {
                    self.progress.content |= says(delta);
                    let words = words_of(delta);
                    self.progress.hear(words.len() as u64);
                    self.said.push_str(words);
                }
                ChatChunk::Finish { .. } => self.progress.content = true,
                ChatChunk::Start { .. } | ChatChunk::Usage { .. } => {}
            }
            let bare = if self.bare_thoughts { bare(&chunk) } else { None };
            self.encoder.encode(bare.as_ref().unwrap_or(&chunk), out);
        }
        self.chunks = chunks;
    }
}

/// A thought as the one member that `OpenAI`'s clients read.
fn bare(chunk: &ChatChunk) -> Option<ChatChunk> {
    let ChatChunk::Delta { choice, delta: Delta::Thinking(text) } = chunk else { return None };
    let members = Extras::from_iter([("reasoning_content".to_owned(), text.as_str().into())]);
    Some(ChatChunk::Delta { choice: *choice, delta: Delta::Extras(members) })
}

/// A step that holds nothing is no content: the answer may still come from elsewhere.
fn says(delta: &Delta) -> bool {
    match delta {
        Delta::Text(text) | Delta::Thinking(text) | Delta::Refusal(text) => !text.is_empty(),
        Delta::ToolStart { .. } => true,
        Delta::ToolArguments { fragment, .. } => !fragment.is_empty(),
        Delta::Signature(data) | Delta::RedactedThinking(data) => !data.is_empty(),
        Delta::Extras(extras) => !extras.is_empty(),
    }
}

fn words_of(delta: &Delta) -> &str {
    match delta {
        Delta::Text(text) | Delta::Thinking(text) | Delta::Refusal(text) => text,
        Delta::ToolStart { name, .. } => name,
        Delta::ToolArguments { fragment, .. } => fragment,
        Delta::Signature(_) | Delta::RedactedThinking(_) | Delta::Extras(_) => "",
    }
}
