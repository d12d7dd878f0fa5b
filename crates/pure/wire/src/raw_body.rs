//! A JSON object whose top-level fields stay raw slices of the body they came in: read `model`, set it, drop a field,
//! write it out, and nothing else was parsed. The same-dialect lane stands on it.

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting of a body that is accepted; `serde_json`'s own bound for parsed values.
pub const MAX_DEPTH: usize = 128;

/// Why some bytes are not a JSON object we take.
#[derive(Debug, thiserror::Error)]
pub enum RawBodyError {
    /// Not JSON, or not an object.
    #[error("{0}")]
    Syntax(String),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// An object's fields in their order; of a repeated name the last value counts, as in Python.
#[derive(Clone, Debug, Default)]
pub struct RawBody {
    fields: Vec<(Box<str>, Bytes)>,
}

impl RawBody {
    /// Reads an object; its values are kept as slices of `body`, which is not copied.
    ///
    /// # Errors
    /// When `body` is not one JSON object in UTF-8, or nests too deep.
    pub fn parse(body: &Bytes) -> Result<Self, RawBodyError> {
        check_depth(body)?;
        let mut reader = serde_json::Deserializer::from_slice(body);
        let fields = serde::de::Deserializer::deserialize_map(&mut reader, Fields { body })
            .and_then(|fields| reader.end().map(|()| fields))
            .map_err(|error| RawBodyError::Syntax(error.to_string()))?;
        Ok(Self { fields })
    }

    /// The raw JSON of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.fields.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    /// There is such a field, and it is not `null`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|raw| raw.as_ref() != b"null")
    }

    /// A field as `T`; `None` when absent, `null` or of another type.
    #[must_use]
    pub fn typed<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let raw = self.get(name).filter(|raw| raw.as_ref() != b"null")?;
        serde_json::from_slice(raw).ok()
    }

    /// Sets a field to raw JSON; the caller vouches that it is JSON.
    pub fn set_raw(&mut self, name: &str, raw: impl Into<Bytes>) {
        let raw = raw.into();
        match self.fields.iter_mut().find(|(key, _)| &**key == name) {
            Some((_, value)) => *value = raw,
            None => self.fields.push((name.into(), raw)),
        }
    }

    /// Sets a field.
    pub fn set(&mut self, name: &str, value: &serde_json::Value) {
        self.set_raw(name, value.to_string());
    }

    /// Sets a field to a string.
    pub fn set_str(&mut self, name: &str, text: &str) {
        self.set_raw(name, quoted(text));
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Bytes> {
        let at = self.fields.iter().position(|(key, _)| &**key == name)?;
        Some(self.fields.remove(at).1)
    }

    /// Renames a field; one that already has the new name loses.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(value) = self.remove(from) {
            self.set_raw(to, value);
        }
    }

    /// Keeps the fields that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.fields.retain(|(key, _)| keep(key));
    }

    /// All fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.fields.iter().map(|(key, value)| (&**key, value))
    }

    /// The object as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let size = self.fields.iter().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>() + 2;
        let mut out = BytesMut::with_capacity(size);
        self.put_into(&mut out);
        out.freeze()
    }

    /// Appends the object to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.put_into(out);
    }

    fn put_into(&self, out: &mut impl BufMut) {
        out.put_u8(b'{');
        for (index, (key, value)) in self.fields.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            put_quoted(out, key);
            out.put_u8(b':');
            out.put_slice(value);
        }
        out.put_u8(b'}');
    }

    /// The whole object as a tree.
    #[must_use]
    pub fn to_map(&self) -> serde_json::Map<String, serde_json::Value> {
        self.iter().filter_map(|(key, raw)| Some((key.to_owned(), serde_json::from_slice(raw).ok()?))).collect()
    }

    /// An object of these members.
    #[must_use]
    pub fn from_map(map: &serde_json::Map<String, serde_json::Value>) -> Self {
        Self { fields: map.iter().map(|(key, value)| (key.as_str().into(), Bytes::from(value.to_string()))).collect() }
    }
}

/// `text` as a JSON string.
#[must_use]
pub fn quoted(text: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(text.len() + 2);
    put_quoted(&mut out, text);
    out.freeze()
}

fn put_quoted(out: &mut impl BufMut, text: &str) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.put_u8(b'"');
        out.put_slice(text.as_bytes());
        out.put_u8(b'"');
    } else {
        out.put_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

/// Refuses bodies nested so deep that a parser (ours or the provider's) may run out of stack.
fn check_depth(body: &[u8]) -> Result<(), RawBodyError> {
    // A body with so few brackets cannot be too deep: counting them is much cheaper than following them.
    if memchr::memchr2_iter(b'{', b'[', body).nth(MAX_DEPTH).is_none() {
        return Ok(());
    }
    let mut depth = 0usize;
    let mut rest = body;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(RawBodyError::TooDeep);
        }
    }
    Ok(())
}

/// What follows a string whose opening quote was just read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let step = if rest.get(at) == Some(&b'\\') { at + 2 } else { at + 1 };
        let closed = rest.get(at) == Some(&b'"');
        rest = rest.get(step..).unwrap_or_default();
        if closed {
            return rest;
        }
    }
    &[]
}

struct Fields<'b> {
    body: &'b Bytes,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Vec<(Box<str>, Bytes)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = Vec::with_capacity(8);
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let raw: &'de RawValue = map.next_value()?;
            let value = self.body.slice_ref(raw.get().as_bytes());
            match fields.iter_mut().find(|(known, _)| **known == *key) {
                Some((_, old)) => *old = value,
                None => fields.push((key.into(), value)),
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> RawBody {
        RawBody::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn fields_come_out_as_they_went_in() {
        let mut raw = body(r#" {"model":"a", "n": 1.50, "deep":{"x":[1, 2]} } "#);
        raw.set_str("model", "b\"c");
        raw.rename("n", "m");
        assert_eq!(raw.to_bytes(), r#"{"model":"b\"c","deep":{"x":[1, 2]},"m":1.50}"#);
    }

    #[test]
    fn of_a_repeated_name_the_last_value_counts() {
        assert_eq!(body(r#"{"a":1,"a":2}"#).to_bytes(), r#"{"a":2}"#);
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in ["", "[]", "1", "{", r#"{"a":1}x"#, r#"{"a":}"#, "{\"a\":\"\u{1}\"}", r#"{"a":1,}"#] {
            assert!(RawBody::parse(&Bytes::copy_from_slice(text.as_bytes())).is_err(), "{text}");
        }
        assert!(RawBody::parse(&Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_and_brackets_in_strings_do_not_count() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(matches!(RawBody::parse(&Bytes::from(deep)), Err(RawBodyError::TooDeep)));
        let text = format!("{{\"a\":\"{}\\\"[[\"}}", "[".repeat(500));
        assert!(RawBody::parse(&Bytes::from(text)).is_ok());
    }

    #[test]
    fn null_is_there_but_does_not_count() {
        let raw = body(r#"{"a":null,"b":3}"#);
        assert!(raw.get("a").is_some() && !raw.has("a"));
        assert_eq!(raw.typed::<u64>("b"), Some(3));
        assert_eq!(raw.typed::<String>("b"), None);
    }
}
