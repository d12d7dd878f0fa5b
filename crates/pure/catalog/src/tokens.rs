//! Tokens counted by ourselves, where no provider counts them: text, conversations, raw bodies.
//!
//! Who comes in: a model's name and what was said. Who goes out: a number. Models of `OpenAI` are counted with their own
//! vocabulary, all others with `cl100k_base` as an approximation, as `LiteLLM` does where it has no tokenizer of theirs.
//! A vocabulary is read on first need and kept: `o200k_base` takes about 0.4 s and 46 MB, `cl100k_base` 0.2 s and 24 MB
//! (release build, 2 cores). Nothing here waits, but it computes: keep it off the threads that serve requests.

mod bodies;
mod chat;
mod images;
mod skim;
mod tools;

use std::{collections::HashSet, sync::OnceLock};

use tiktoken_rs::CoreBPE;
use tollgate_wire::chat::ChatRequest;

pub use skim::{Skimmed, skim};

/// Longest text that is counted in one go, bytes. The pattern that cuts text into words needs stack by the length of a
/// run of spaces, and the merging of a long word needs memory by its length.
const WINDOW: usize = 16 << 10;
/// Most of one text that is counted, bytes; what is longer is extrapolated. Half a second's work at the usual speed.
const MOST_COUNTED: usize = 8 << 20;
/// Bytes of text per token where nothing better is known: what English and code come to with today's vocabularies.
const BYTES_PER_TOKEN: usize = 4;

/// A vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `OpenAI`'s of 2023: gpt-3.5, gpt-4, embeddings; and our approximation for everybody else.
    Cl100k,
    /// `OpenAI`'s since gpt-4o.
    O200k,
}

impl Encoding {
    /// The vocabulary of a model, with or without its provider's name before it.
    #[must_use]
    pub fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        let name = name.strip_prefix("ft:").unwrap_or(&name);
        let series = name.strip_prefix("gpt-").or_else(|| name.strip_prefix("chatgpt-"));
        let is_new = match series {
            Some(series) => !(series.starts_with('3') || series == "4" || series.starts_with("4-")),
            None => {
                let mut letters = name.chars();
                let of_o = letters.next() == Some('o') && letters.next().is_some_and(|digit| digit.is_ascii_digit());
                of_o || name.starts_with("codex-") || name.starts_with("computer-use")
            }
        };
        if is_new { Self::O200k } else { Self::Cl100k }
    }

    /// Its name among those who use it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cl100k => "cl100k_base",
            Self::O200k => "o200k_base",
        }
    }
}

/// Counts with one vocabulary.
pub struct Tokenizer {
    /// None if the built-in data could not be read: then we guess.
    vocabulary: Option<CoreBPE>,
}

static CL100K: OnceLock<Tokenizer> = OnceLock::new();
static O200K: OnceLock<Tokenizer> = OnceLock::new();

impl Tokenizer {
    /// The tokenizer, read now if nobody has needed it yet.
    #[must_use]
    pub fn get(encoding: Encoding) -> &'static Self {
        match encoding {
            Encoding::Cl100k => CL100K.get_or_init(|| Self { vocabulary: tiktoken_rs::cl100k_base().ok() }),
            Encoding::O200k => O200K.get_or_init(|| Self { vocabulary: tiktoken_rs::o200k_base().ok() }),
        }
    }

    /// The tokenizer, if it was read before.
    #[must_use]
    pub fn loaded(encoding: Encoding) -> Option<&'static Self> {
        match encoding {
            Encoding::Cl100k => CL100K.get(),
            Encoding::O200k => O200K.get(),
        }
    }

    /// Tokens of a text. What special words would be to a model (`<|endoftext|>`) is text here. Of more than 8 MiB the
    /// beginning is counted and the rest is taken to be like it.
    #[must_use]
    pub fn text(&self, text: &str) -> u64 {
        self.text_by(text, MOST_COUNTED)
    }

    /// Tokens of a text by its first `most` bytes.
    #[must_use]
    pub fn text_by(&self, text: &str, most: usize) -> u64 {
        let start = floor(text, most);
        scaled(self.counted(text.get(..start).unwrap_or_default()), start as u64, text.len() as u64)
    }

    fn counted(&self, mut text: &str) -> u64 {
        let mut tokens = 0;
        while !text.is_empty() {
            let (piece, rest) = text.split_at_checked(seam(text)).unwrap_or((text, ""));
            tokens += self.piece(piece);
            text = rest;
        }
        tokens
    }

    fn piece(&self, piece: &str) -> u64 {
        let encoded = self.vocabulary.as_ref().and_then(|words| words.encode(piece, &HashSet::new()).ok());
        encoded.map_or_else(|| guess(piece.len()), |(tokens, _)| tokens.len() as u64)
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokenizer")
    }
}

/// Input tokens of a chat call as `LiteLLM` and `OpenAI`'s cookbook count them: 3 per message and its role, content, name
/// and arguments of calls, 3 for the answer's beginning, the tools as `OpenAI` writes them for its models, pictures by
/// `OpenAI`'s tiles. Reads the vocabulary on first need, so call it where computing may take its time.
#[must_use]
pub fn count_chat(request: &ChatRequest, model: &str) -> u64 {
    Tokenizer::get(Encoding::of(model)).chat(request)
}

/// Tokens of a text for a model. See [`count_chat`] for where to call it.
#[must_use]
pub fn count_text(text: &str, model: &str) -> u64 {
    Tokenizer::get(Encoding::of(model)).text(text)
}

/// Tokens of so many bytes when nothing was counted; never 0 of something.
#[must_use]
pub const fn guess(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}

/// `tokens` of `counted` units, taken to `all` units. Rounded up.
#[must_use]
pub const fn scaled(tokens: u64, counted: u64, all: u64) -> u64 {
    if counted == 0 || counted >= all {
        return tokens;
    }
    let scaled = (tokens as u128 * all as u128).div_ceil(counted as u128);
    if scaled > u64::MAX as u128 { u64::MAX } else { scaled as u64 }
}

/// The largest place up to `most` where a text may be cut.
fn floor(text: &str, most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    (0..=most).rev().find(|place| text.is_char_boundary(*place)).unwrap_or_default()
}

/// Where the first piece of a text ends: before a space behind a letter or digit, where every vocabulary cuts, too; so
/// that the pieces have as many tokens as the whole.
fn seam(text: &str) -> usize {
    if text.len() <= WINDOW {
        return text.len();
    }
    let end = floor(text, WINDOW);
    let window = text.as_bytes().get(..end).unwrap_or_default();
    let before = window.windows(2).rposition(|pair| matches!(pair, [word, b' '] if word.is_ascii_alphanumeric()));
    before.map_or(end, |place| place + 1)
}

#[cfg(test)]
mod tests;
