//! Answers of providers that only go on with a text: one choice, made of words.

use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, ChatResponse, Choice, Delta, Extras, Finish, Part},
    framing::Frame,
};

use crate::{codec::ChatDecoder, target::Target};

/// One answer.
pub(crate) fn choice(index: u64, parts: Vec<Part>, finish: Finish, native_finish: Option<String>) -> Choice {
    Choice { index, parts, finish, native_finish, extras: Extras::new(), message_extras: Extras::new() }
}

/// A whole answer of these words.
pub(crate) fn of_text(text: impl Into<String>, finish: Finish) -> ChatResponse {
    ChatResponse { choices: vec![choice(0, vec![Part::text(text)], finish, None)], ..ChatResponse::default() }
}

/// How far a streamed answer with one choice has come.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    started: bool,
    ended: bool,
}

impl Telling {
    /// A piece of the answer; the first one begins it.
    pub(crate) fn say(&mut self, delta: Delta, out: &mut Vec<ChatChunk>) {
        self.begin(out);
        out.push(ChatChunk::Delta { choice: 0, delta });
    }

    /// Words, unless there are none.
    pub(crate) fn words(&mut self, text: &str, out: &mut Vec<ChatChunk>) {
        self.begin(out);
        if !text.is_empty() {
            self.say(Delta::Text(text.to_owned()), out);
        }
    }

    /// The answer is over; what is said of its end later is not heard.
    pub(crate) fn end(&mut self, finish: Finish, native: Option<String>, out: &mut Vec<ChatChunk>) {
        self.begin(out);
        if !self.ended {
            self.ended = true;
            out.push(ChatChunk::Finish { choice: 0, finish, native });
        }
    }

    fn begin(&mut self, out: &mut Vec<ChatChunk>) {
        if !self.started {
            self.started = true;
            out.push(ChatChunk::Start { id: String::new(), model: String::new() });
        }
    }

    /// The answer has begun.
    pub(crate) fn is_begun(&self) -> bool {
        self.started
    }

    /// The provider has said why it stopped.
    pub(crate) fn is_over(&self) -> bool {
        self.ended
    }

    /// The stream ended.
    ///
    /// # Errors
    /// When the answer did not.
    pub(crate) fn close(&self, target: &Target) -> Result<(), Failure> {
        if self.ended { Ok(()) } else { Err(target.unfinished(self.started)) }
    }
}

/// For dialects that stream nothing: a stream in their words is none.
pub(crate) struct NoStream(Target);

impl NoStream {
    pub(crate) fn new(target: &Target) -> Self {
        Self(target.clone())
    }
}

impl ChatDecoder for NoStream {
    fn feed(&mut self, _frame: &Frame<'_>, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        Err(self.0.failure(FailureKind::InvalidResponse, "the answer is a stream, which was not asked for"))
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        Err(self.0.unfinished(false))
    }

    fn is_done(&self) -> bool {
        false
    }
}
