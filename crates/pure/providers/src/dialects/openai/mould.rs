//! The chunks of one stream are alike but for their choices: the same id, time and model before them, the same bytes
//! after. What the first plain chunk taught is kept, so that the others are looked at where they differ, and nowhere else.

use bytes::Bytes;
use tollgate_wire::RawBody;

/// What stands around the choices, as the provider sends it and as the client gets it.
#[derive(Debug)]
pub(super) struct Mould {
    before: Bytes,
    after: Bytes,
    written_before: Vec<u8>,
    written_after: Vec<u8>,
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
        Some(Self { before: data.slice(..start), after: data.slice(end..), written_before: written, written_after })
    }

    /// The choices of `data`, if nothing else in it is new.
    pub(super) fn choices<'d>(&self, data: &'d [u8]) -> Option<&'d [u8]> {
        data.strip_prefix(self.before.as_ref())?.strip_suffix(self.after.as_ref())
    }

    /// Writes a chunk with these choices.
    pub(super) fn write(&self, choices: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.written_before.len() + choices.len() + self.written_after.len());
        out.extend_from_slice(&self.written_before);
        out.extend_from_slice(choices);
        out.extend_from_slice(&self.written_after);
    }
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
}
