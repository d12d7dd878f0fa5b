//! Tokens counted by ourselves, for attempts whose provider sends no count. Only the beginning of what was asked and
//! answered is kept, and it is counted at the attempt's end, on a thread where computing may take its time.

use bytes::Bytes;
use tollgate_catalog::tokens::{Encoding, Skimmed, Tokenizer, guess, scaled, skim};
use tollgate_wire::Usage;

/// Most of a request and of an answer that is kept for counting, bytes. What is longer is counted by its beginning.
const KEPT: usize = 64 << 10;
/// Most of each that is counted where nothing can wait (a client left), bytes: half a millisecond's work.
const AT_ONCE: usize = 8 << 10;

/// What was asked.
pub(crate) enum Prompt {
    /// As it was sent.
    Whole(Bytes),
    /// Too long for that.
    Skimmed(Box<Skimmed>),
}

impl Prompt {
    /// The prompt in these bodies.
    pub(crate) fn of<'b>(bodies: impl Iterator<Item = &'b Bytes>) -> Self {
        let mut bodies = bodies.peekable();
        let first = bodies.next().cloned().unwrap_or_default();
        if bodies.peek().is_none() && first.len() <= KEPT {
            return Self::Whole(first);
        }
        let mut all = skim(&first, KEPT);
        for body in bodies {
            let more = skim(body, KEPT.saturating_sub(all.sample.len()));
            all.sample.push_str(&more.sample);
            all.bytes += more.bytes;
            all.media += more.media;
            all.roles += more.roles;
        }
        Self::Skimmed(Box::new(all))
    }

    fn count(&self, tokenizer: &Tokenizer) -> u64 {
        match self {
            Self::Whole(body) => match serde_json::from_slice(body) {
                Ok(body) => tokenizer.request(&body),
                Err(_) => tokenizer.skimmed(&skim(body, KEPT)),
            },
            Self::Skimmed(skimmed) => tokenizer.skimmed(skimmed),
        }
    }

    fn count_at_once(&self, tokenizer: &Tokenizer) -> u64 {
        match self {
            Self::Whole(body) => tokenizer.skimmed(&skim(body, AT_ONCE)),
            Self::Skimmed(skimmed) => {
                let words = tokenizer.text_by(&skimmed.sample, AT_ONCE);
                scaled(words, skimmed.sample.len() as u64, skimmed.bytes)
            }
        }
    }

    fn guess(&self) -> u64 {
        match self {
            Self::Whole(body) => guess(body.len()),
            Self::Skimmed(skimmed) => guess(usize::try_from(skimmed.bytes).unwrap_or(usize::MAX)),
        }
    }
}

/// What was answered so far.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Its beginning.
    words: String,
    /// All of its words, bytes.
    bytes: u64,
}

impl Said {
    pub(crate) fn push(&mut self, words: &str) {
        self.bytes += words.len() as u64;
        let room = KEPT.saturating_sub(self.words.len());
        if let Some(end) = (0..=words.len().min(room)).rev().find(|end| words.is_char_boundary(*end)) {
            self.words.push_str(words.get(..end).unwrap_or_default());
        }
    }

    /// How long all of it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Tokens by the first `most` bytes.
    fn count(&self, tokenizer: &Tokenizer, most: usize) -> u64 {
        scaled(tokenizer.text_by(&self.words, most), self.words.len() as u64, self.bytes)
    }
}

/// What is to be counted of one attempt.
pub(crate) struct Words {
    pub(crate) encoding: Encoding,
    pub(crate) prompt: Prompt,
    pub(crate) said: Said,
    /// A whole answer in words.
    pub(crate) answer: Option<Bytes>,
    /// Bytes of answer that were no words, such as sound.
    pub(crate) wordless: u64,
}

impl Words {
    /// Counts all that was kept. Computes for some milliseconds, and half a second when the vocabulary is read first.
    pub(crate) fn count(&self) -> Usage {
        let tokenizer = Tokenizer::get(self.encoding);
        let answer = self.answer.as_ref().map_or(0, |body| {
            let document = (body.len() <= KEPT).then(|| serde_json::from_slice(body).ok()).flatten();
            document.map_or_else(|| tokenizer.skimmed(&skim(body, KEPT)), |document| tokenizer.answer(&document))
        });
        self.usage(self.prompt.count(tokenizer), answer + self.said.count(tokenizer, KEPT))
    }

    /// Counts the beginning if the vocabulary is there, else guesses; for where nothing can wait.
    pub(crate) fn count_at_once(&self) -> Usage {
        match Tokenizer::loaded(self.encoding) {
            Some(tokenizer) => self.usage(self.prompt.count_at_once(tokenizer), self.said.count(tokenizer, AT_ONCE)),
            None => self.guess(),
        }
    }

    /// Tokens of what was answered so far, by its beginning; `None` where the vocabulary is not in memory.
    pub(crate) fn said_at_once(&self) -> Option<u64> {
        let wordless = guess(usize::try_from(self.wordless).unwrap_or(usize::MAX));
        Tokenizer::loaded(self.encoding).map(|tokenizer| self.said.count(tokenizer, AT_ONCE) + wordless)
    }

    /// By length alone.
    pub(crate) fn guess(&self) -> Usage {
        let answer = self.answer.as_ref().map_or(0, Bytes::len);
        let said = usize::try_from(self.said.bytes).unwrap_or(usize::MAX);
        self.usage(self.prompt.guess(), guess(answer) + guess(said))
    }

    fn usage(&self, input: u64, output: u64) -> Usage {
        let wordless = guess(usize::try_from(self.wordless).unwrap_or(usize::MAX));
        // Nothing is asked for nothing, whatever a tokenizer thinks of it.
        let input = if self.asked_something() { input.max(1) } else { input };
        Usage { input, output: output + wordless, ..Usage::default() }
    }

    fn asked_something(&self) -> bool {
        !matches!(&self.prompt, Prompt::Whole(body) if body.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(prompt: Prompt, said: &[&str]) -> Words {
        let mut heard = Said::default();
        said.iter().for_each(|words| heard.push(words));
        Words { encoding: Encoding::Cl100k, prompt, said: heard, answer: None, wordless: 0 }
    }

    fn prompt(body: &serde_json::Value) -> Prompt {
        Prompt::of([Bytes::from(body.to_string())].iter())
    }

    #[test]
    fn words_are_counted_not_their_bytes() {
        let asked = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "Hello, how are you?"}]});
        let counted = words(prompt(&asked), &["Hello,", " how are", " you?"]).count();
        assert_eq!((counted.input, counted.output), (13, 6));
    }

    #[test]
    fn what_is_too_long_is_counted_by_its_beginning() {
        let sentence = "It was a bright cold day in April, and the clocks were striking thirteen. ";
        let long = sentence.repeat(4 * KEPT / sentence.len());
        let asked = serde_json::json!({"messages": [{"role": "user", "content": long}]});
        let long = words(prompt(&asked), &[&long]);
        let exact = Tokenizer::get(Encoding::Cl100k).text(sentence) * (4 * KEPT / sentence.len()) as u64;
        assert!(long.said.words.len() <= KEPT);
        for counted in [long.count(), long.count_at_once()] {
            for tokens in [counted.input, counted.output] {
                assert!(tokens.abs_diff(exact) * 12 < exact, "{tokens} of {exact}");
            }
        }
    }

    #[test]
    fn nothing_said_costs_nothing_and_something_asked_costs_something() {
        let nothing = words(prompt(&serde_json::json!({})), &[]);
        assert_eq!((nothing.count().output, nothing.guess().output), (0, 0));
        assert!(nothing.count().input > 0);
        assert_eq!(words(Prompt::of([].iter()), &[]).count(), Usage::default());
    }

    #[test]
    fn a_character_is_not_cut() {
        let mut said = Said::default();
        said.push(&"a".repeat(KEPT - 1));
        said.push("é");
        said.push("b");
        assert_eq!((said.words.len(), said.bytes), (KEPT, KEPT as u64 + 2));
    }
}
