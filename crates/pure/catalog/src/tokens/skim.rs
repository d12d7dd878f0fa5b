//! A look over raw JSON that builds nothing: where a body is too large to be kept until somebody may want it counted, or
//! time is too short to read it properly.

use memchr::memchr2;

use super::{
    Tokenizer,
    bodies::{SILENT, holds_bytes},
    chat::PER_MESSAGE,
    scaled,
};

/// What a picture or file counts that is not looked into: a close look at 1024 × 1024.
const MEDIA: u64 = 765;

/// The words of a JSON document, by their beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skimmed {
    /// The first of them, as they stand in the JSON.
    pub sample: String,
    /// How long all of them are, bytes.
    pub bytes: u64,
    /// Pictures and files in base64.
    pub media: u64,
    /// Members that say who speaks.
    pub roles: u64,
}

/// Collects the texts of a document, at most `most` bytes of them. Broken JSON gives what can be seen.
#[must_use]
pub fn skim(json: &[u8], most: usize) -> Skimmed {
    let mut skimmed = Skimmed::default();
    let (mut rest, mut silent) = (json, false);
    while let Some((text, after)) = next_string(rest) {
        rest = after;
        let is_key = rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
        let text = std::str::from_utf8(text).unwrap_or_default();
        if is_key {
            silent = SILENT.contains(&text);
            skimmed.roles += u64::from(text == "role");
        } else if !std::mem::take(&mut silent) {
            skimmed.take(text, most);
        }
    }
    skimmed
}

impl Skimmed {
    fn take(&mut self, text: &str, most: usize) {
        if holds_bytes(text) {
            self.media += 1;
            return;
        }
        self.bytes += text.len() as u64;
        let room = super::floor(text, most.saturating_sub(self.sample.len()));
        self.sample.push_str(text.get(..room).unwrap_or_default());
    }
}

impl Tokenizer {
    /// Tokens of a document that was skimmed.
    #[must_use]
    pub fn skimmed(&self, skimmed: &Skimmed) -> u64 {
        let words = scaled(self.text(&skimmed.sample), skimmed.sample.len() as u64, skimmed.bytes);
        words + skimmed.media * MEDIA + skimmed.roles * PER_MESSAGE
    }
}

/// The next string of a document, without its quotes, and what follows.
fn next_string(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, inside) = json.split_at_checked(memchr::memchr(b'"', json)? + 1)?;
    let mut place = 0;
    loop {
        place += memchr2(b'"', b'\\', inside.get(place..)?)?;
        match inside.get(place) {
            Some(b'"') => return Some((inside.get(..place)?, inside.get(place + 1..)?)),
            _ => place += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;

    #[test]
    fn words_are_seen_and_keys_and_bytes_are_not() {
        let data = "iVBORw0KGgo0".repeat(100);
        let body = format!(
            r#"{{"model": "gpt", "messages": [{{"role" : "user", "content": [{{"type":"text","text":"a \"b\" ü\\"}}, {{"data": "{data}"}},
            {{"url": "data:image/png;base64,{data}"}}]}}], "n": 1}}"#
        );
        let skimmed = skim(body.as_bytes(), 100);
        assert_eq!(skimmed, Skimmed { sample: r#"usera \"b\" ü\\"#.to_owned(), bytes: 16, media: 2, roles: 1 });
        assert_eq!(skim(br#"["one","two","#, 4), Skimmed { sample: "onet".to_owned(), bytes: 6, media: 0, roles: 0 });
        assert_eq!(skim(br#"["cut off"#, 4), Skimmed::default());
        assert_eq!(skim(br#"["x\"#, 4), Skimmed::default());
    }

    #[test]
    fn a_skimmed_document_has_about_as_many_tokens_as_a_read_one() {
        let tokenizer = Tokenizer::get(Encoding::Cl100k);
        let words = "It was a bright cold day in April, and the clocks were striking thirteen. ".repeat(2_000);
        let body = serde_json::json!({"messages": [{"role": "user", "content": words}]});
        let (read, skimmed) =
            (tokenizer.request(&body), tokenizer.skimmed(&skim(body.to_string().as_bytes(), 4 << 10)));
        assert!(read.abs_diff(skimmed) * 50 < read, "{read} and {skimmed}");
    }
}
