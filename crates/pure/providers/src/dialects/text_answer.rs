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

/// Marks that open models put around what they think, at the start of their answers.
const MARKS: [(&str, &str); 2] = [("<think>", "</think>"), ("<thinking>", "</thinking>")];

/// A whole text's thoughts and words.
pub(crate) fn thoughts_and_words(text: &str) -> (Option<&str>, &str) {
    let parted = MARKS.iter().find_map(|(open, close)| text.strip_prefix(open)?.split_once(close));
    parted.map_or((None, text), |(thoughts, words)| (Some(thoughts), words))
}

/// Parts a streamed text into thoughts and words, wherever its pieces are cut. Keeps back at most one mark.
#[derive(Debug, Default)]
pub(crate) struct Parting {
    held: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// It may yet begin with a mark.
    #[default]
    Start,
    /// Within the mark that this closes.
    Thoughts(&'static str),
    Words,
}

impl Parting {
    /// The next piece.
    pub(crate) fn push(&mut self, piece: &str) -> Vec<Delta> {
        self.held.push_str(piece);
        let mut out = Vec::new();
        if self.place == Place::Start {
            let opened =
                MARKS.iter().find_map(|(open, close)| Some((self.held.strip_prefix(open)?.to_owned(), *close)));
            if let Some((rest, close)) = opened {
                self.held = rest;
                self.place = Place::Thoughts(close);
            } else if MARKS.iter().all(|(open, _)| !open.starts_with(&self.held)) {
                self.place = Place::Words;
            }
        }
        if let Place::Thoughts(close) = self.place {
            let parted = self.held.split_once(close).map(|(before, after)| (before.to_owned(), after.to_owned()));
            if let Some((before, after)) = parted {
                out.extend(some(Delta::Thinking, before));
                self.held = after;
                self.place = Place::Words;
            } else {
                let kept = held_back(&self.held, close);
                out.extend(some(Delta::Thinking, self.held.drain(..self.held.len() - kept).collect()));
            }
        }
        if self.place == Place::Words {
            out.extend(some(Delta::Text, std::mem::take(&mut self.held)));
        }
        out
    }

    /// What was kept back, at the end.
    pub(crate) fn rest(&mut self) -> Option<Delta> {
        let rest = std::mem::take(&mut self.held);
        if matches!(self.place, Place::Thoughts(_)) { some(Delta::Thinking, rest) } else { some(Delta::Text, rest) }
    }
}

fn some(kind: fn(String) -> Delta, text: String) -> Option<Delta> {
    (!text.is_empty()).then(|| kind(text))
}

/// How many bytes at the end of the text may be the begin of the mark.
fn held_back(text: &str, mark: &str) -> usize {
    let most = mark.len().saturating_sub(1).min(text.len());
    (1..=most).rev().find(|count| mark.get(..*count).is_some_and(|begin| text.ends_with(begin))).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(pieces: &[&str]) -> (String, String) {
        let mut parting = Parting::default();
        let mut deltas: Vec<Delta> = pieces.iter().flat_map(|piece| parting.push(piece)).collect();
        deltas.extend(parting.rest());
        let (mut thoughts, mut words) = (String::new(), String::new());
        for delta in deltas {
            match delta {
                Delta::Thinking(text) => thoughts.push_str(&text),
                Delta::Text(text) => words.push_str(&text),
                other => panic!("{other:?}"),
            }
        }
        (thoughts, words)
    }

    #[test]
    fn thoughts_are_parted_from_words_wherever_the_text_is_cut() {
        for text in [
            "<think>a</b>é</think>c<think>",
            "<thinking>a</thinking>",
            "<thin",
            "no <think>a</think>",
            "<think>open",
            "",
        ] {
            let whole = parted(&[text]);
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let (head, tail) = text.split_at(at);
                assert_eq!(parted(&[head, tail]), whole, "{text} cut at {at}");
            }
            assert_eq!([whole.0.as_str(), whole.1.as_str()].concat().len() + marks_in(text), text.len(), "{text}");
        }
        assert_eq!(parted(&["<think>a</b>é</think>c<think>"]), ("a</b>é".to_owned(), "c<think>".to_owned()));
    }

    /// Bytes of the marks that were understood as such.
    fn marks_in(text: &str) -> usize {
        MARKS
            .iter()
            .filter_map(|(open, close)| {
                let rest = text.strip_prefix(open)?;
                Some(open.len() + if rest.contains(close) { close.len() } else { 0 })
            })
            .sum()
    }

    #[test]
    fn a_whole_text_is_parted_alike() {
        assert_eq!(thoughts_and_words("<think>a</think>\nb"), (Some("a"), "\nb"));
        assert_eq!(thoughts_and_words("a<think>b</think>"), (None, "a<think>b</think>"));
    }
}
