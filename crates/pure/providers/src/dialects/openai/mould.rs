//! The chunks of one stream are alike but for their choices: the same id, time and model before them, the same bytes
//! after. What the first plain chunk taught is kept, so that the others are looked at where they differ, and nowhere else.

use bytes::Bytes;
use tollgate_wire::RawBody;

use super::plain::{self, Seen};

/// What stands around the choices, as the provider sends it and as the client gets it.
#[derive(Debug)]
pub(super) struct Mould {
    before: Bytes,
    after: Bytes,
    written_before: Vec<u8>,
    written_after: Vec<u8>,
    text: Option<TextMould>,
    /// How often another text was learned from; streams of tool calls never teach one.
    lessons: u8,
}

/// Lessons of one stream. The first chunk brings the role, the second is like those that follow.
const MOST_LESSONS: u8 = 4;

/// The choices of a chunk that brings nothing but a text: what stands around it, and whose it is.
#[derive(Debug)]
struct TextMould {
    before: Bytes,
    after: Bytes,
    index: u64,
}

/// Stands for the choices while the rest is written; no JSON holds it.
const GAP: u8 = 0;

impl Mould {
    /// The mould of `data`, a chunk that was read as `body` and whose choices pass as they are.
    pub(super) fn of(data: &Bytes, body: &RawBody) -> Option<Self> {
        let choices = body.get("choices")?;
        let start = (choices.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let end = start.checked_add(choices.len()).filter(|end| *end <= data.len())?;
        let mut around = body.clone();
        around.set_raw("choices", Bytes::from_static(&[GAP]));
        let mut written = b"data: ".to_vec();
        around.write_to(&mut written);
        written.extend_from_slice(b"\n\n");
        let gap = memchr::memchr(GAP, &written)?;
        let written_after = written.get(gap + 1..)?.to_vec();
        written.truncate(gap);
        let text = TextMould::of(choices);
        Some(Self {
            before: data.slice(..start),
            after: data.slice(end..),
            written_before: written,
            written_after,
            text,
            lessons: 0,
        })
    }

    /// The choices of `data`, if nothing else in it is new.
    pub(super) fn choices<'d>(&self, data: &'d [u8]) -> Option<&'d [u8]> {
        data.strip_prefix(self.before.as_ref())?.strip_suffix(self.after.as_ref())
    }

    /// What choices bring that differ from the first ones only in the text, and the text; `None` has to be looked at.
    pub(super) fn seen<'c>(&self, choices: &'c [u8]) -> Option<(Seen, &'c str)> {
        let mould = self.text.as_ref()?;
        let text = choices.strip_prefix(mould.before.as_ref())?.strip_suffix(mould.after.as_ref())?;
        let text = plain(text)?;
        Some((Seen { index: mould.index, ended: false, said: text.len() }, text))
    }

    /// Learns from choices that were looked at.
    pub(super) fn learn(&mut self, choices: &[u8]) {
        if self.lessons < MOST_LESSONS {
            self.lessons += 1;
            self.text = TextMould::of(&Bytes::copy_from_slice(choices)).or_else(|| self.text.take());
        }
    }

    /// Writes a chunk with these choices.
    pub(super) fn write(&self, choices: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.written_before.len() + choices.len() + self.written_after.len());
        out.extend_from_slice(&self.written_before);
        out.extend_from_slice(choices);
        out.extend_from_slice(&self.written_after);
    }
}

impl TextMould {
    fn of(choices: &Bytes) -> Option<Self> {
        const NAME: &[u8] = b"\"content\":\"";
        let [seen] = plain::look(choices)?.try_into().ok()?;
        // Within a text these bytes would stand escaped, so this is the member.
        let start = memchr::memmem::find(choices, NAME)? + NAME.len();
        let length = memchr::memchr(b'"', choices.get(start..)?)?;
        let is_all = plain(choices.get(start..start + length)?).is_some() && seen.said == length && !seen.ended;
        is_all.then(|| Self {
            before: choices.slice(..start),
            after: choices.slice(start + length..),
            index: seen.index,
        })
    }
}

/// A text without anything that JSON escapes, and that cannot begin with a thought in tags.
fn plain(text: &[u8]) -> Option<&str> {
    let is_plain = text.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
        && text.trim_ascii_start().first() != Some(&b'<');
    is_plain.then(|| std::str::from_utf8(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_like_the_last_is_written_like_the_last() {
        let data = Bytes::from_static(br#"{"id":"a","model":"up", "choices":[1],"usage":null}"#);
        let mut body = RawBody::parse(&data).unwrap();
        body.remove("usage");
        body.set_str("model", "alias");
        let mould = Mould::of(&data, &body).unwrap();
        let choices = mould.choices(br#"{"id":"a","model":"up", "choices":[2, 3],"usage":null}"#).unwrap();
        let mut out = Vec::new();
        mould.write(choices, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "data: {\"id\":\"a\",\"model\":\"alias\",\"choices\":[2, 3]}\n\n");
    }

    #[test]
    fn a_chunk_that_differs_elsewhere_does_not_fit() {
        let data = Bytes::from_static(br#"{"id":"a","choices":[1],"usage":null}"#);
        let mould = Mould::of(&data, &RawBody::parse(&data).unwrap()).unwrap();
        assert_eq!(mould.choices(br#"{"id":"b","choices":[1],"usage":null}"#), None);
        assert_eq!(mould.choices(br#"{"id":"a","choices":[1],"usage":{"prompt_tokens":1}}"#), None);
    }
    #[test]
    fn a_text_is_measured_without_reading_json_and_anything_else_is_looked_at() {
        let chunk = |text: &str| {
            format!(r#"{{"id":"a","choices":[{{"index":1,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#)
        };
        let data = Bytes::from(chunk("Hel"));
        let mould = Mould::of(&data, &RawBody::parse(&data).unwrap()).unwrap();
        let seen = |text: &str| {
            let chunk = chunk(text);
            let (seen, words) = mould.seen(mould.choices(chunk.as_bytes()).unwrap())?;
            assert_eq!(words, text);
            Some(seen)
        };
        assert_eq!(seen("lo"), Some(Seen { index: 1, ended: false, said: 2 }));
        assert_eq!(seen("h\u{e9}"), Some(Seen { index: 1, ended: false, said: 3 }));
        let other = br#"[{"index":2,"delta":{"content":"x"},"finish_reason":null}]"#;
        assert_eq!(mould.seen(other), None, "another answer has to be looked at");
        for text in [r#"a\nb"#, r#"","role":"x"#, " <think>", "\u{1}"] {
            assert_eq!(seen(text), None, "{text}");
        }
        let broken =
            [b"[{\"index\":1,\"delta\":{\"content\":\"".as_slice(), b"\xff", b"\"},\"finish_reason\":null}]"].concat();
        assert_eq!(mould.seen(&broken), None);
    }
}
