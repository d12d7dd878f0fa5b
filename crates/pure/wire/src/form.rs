//! Forms (`multipart/form-data`, RFC 7578): cut into parts that are slices of the body, fields read and rewritten, and
//! written down again. Strict: what is no form is refused. Bounded in parts and in the size of their heads.

mod head;
mod lead;

use bytes::{BufMut as _, Bytes, BytesMut};
use memchr::memmem;

pub use lead::{Lead, Watch};

/// Most parts of a form. A request for pictures has at most some dozens.
pub const MOST_PARTS: usize = 1000;
/// Longest head of a part. Bytes.
pub const MAX_HEAD: usize = 8 << 10;
/// Longest field that is read as text. Bytes.
const MAX_TEXT: usize = 1 << 20;
/// Longest boundary (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// Why a body is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The content type is another.
    #[error("the content type is not multipart/form-data")]
    NoForm,
    /// The content type names no boundary, or none that RFC 2046 allows.
    #[error("the content type names no usable boundary")]
    NoBoundary,
    /// The body does not begin with the boundary.
    #[error("the form does not begin with its boundary")]
    NoBeginning,
    /// The body ends before the form does.
    #[error("the form has no end; it was cut off")]
    NoEnd,
    /// A part's head is over [`MAX_HEAD`], or is none.
    #[error("the head of a part of the form is too long or garbled")]
    Head,
    /// A part has no name.
    #[error("a part of the form has no name")]
    NoName,
    /// A form within a form (RFC 7578 section 4.3 forbids it).
    #[error("a part of the form is a form itself")]
    Nested,
    /// A part is encoded (RFC 7578 section 4.7 forbids it).
    #[error("a part of the form has a transfer encoding")]
    Encoded,
    /// More than [`MOST_PARTS`].
    #[error("the form has more than {MOST_PARTS} parts")]
    TooMany,
    /// A field of the gateway's own comes after the file, when the file is on its way already.
    #[error("`{0}` must come before the file in the form")]
    Late(&'static str),
}

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// Whether it is a file: it has a file name, empty or not.
    pub is_file: bool,
    /// Its headers as they came, each line with its end.
    head: Bytes,
    /// What it holds.
    pub content: Bytes,
}

impl Part {
    /// A text field.
    #[must_use]
    pub fn text_of(name: &str, value: &str) -> Self {
        let head = format!("Content-Disposition: form-data; name=\"{}\"\r\n", head::quoted(name));
        Self { name: name.to_owned(), is_file: false, head: head.into(), content: Bytes::from(value.to_owned()) }
    }

    /// What a field holds, as text; `None` of files, and of what is no text or too long to be a field.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let is_field = !self.is_file && self.content.len() <= MAX_TEXT;
        is_field.then(|| std::str::from_utf8(&self.content).ok()).flatten()
    }

    fn write(&self, boundary: &str, out: &mut BytesMut) {
        out.put_slice(b"--");
        out.put_slice(boundary.as_bytes());
        out.put_slice(b"\r\n");
        out.put_slice(&self.head);
        out.put_slice(b"\r\n");
        out.put_slice(&self.content);
        out.put_slice(b"\r\n");
    }
}

/// A form, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    boundary: String,
    parts: Vec<Part>,
}

impl Form {
    /// Reads a whole body of this content type.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(content_type: &str, body: &Bytes) -> Result<Self, FormError> {
        let boundary = boundary(content_type)?;
        let mut cutter = Cutter::begin(body, &boundary)?;
        let mut parts = Vec::new();
        loop {
            match cutter.next()? {
                Cut::Part(part) if parts.len() < MOST_PARTS => parts.push(part),
                Cut::Part(_) => return Err(FormError::TooMany),
                Cut::End => return Ok(Self { boundary, parts }),
                Cut::Unfinished => return Err(FormError::NoEnd),
            }
        }
    }

    /// The content type of [`Self::to_bytes`].
    #[must_use]
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary=\"{}\"", self.boundary)
    }

    /// All parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter()
    }

    /// A field as text; of several of one name the first.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.parts.iter().find(|part| part.name == name)?.text()
    }

    /// Keeps the parts that `keep` says yes to.
    pub fn retain(&mut self, keep: impl FnMut(&Part) -> bool) {
        self.parts.retain(keep);
    }

    /// Sets a field; it takes the place of all of its name, or comes first, so that who reads on the way knows it soon.
    pub fn set_text(&mut self, name: &str, value: &str) {
        let at = self.parts.iter().position(|part| part.name == name).unwrap_or(0);
        self.parts.retain(|part| part.name != name);
        self.parts.insert(at.min(self.parts.len()), Part::text_of(name, value));
    }

    /// Renames parts; all else in their heads stays.
    pub fn rename(&mut self, from: &str, to: &str) {
        for part in self.parts.iter_mut().filter(|part| part.name == from) {
            part.head = head::renamed(&part.head, to);
            to.clone_into(&mut part.name);
        }
    }

    /// The form as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let room = self.boundary.len() + 8;
        let size: usize = self.parts.iter().map(|part| room + part.head.len() + part.content.len()).sum();
        let mut out = BytesMut::with_capacity(size + room);
        for part in &self.parts {
            part.write(&self.boundary, &mut out);
        }
        out.put_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        out.freeze()
    }
}

/// The boundary that a content type names.
///
/// # Errors
/// When it is no form's content type, or names none.
pub fn boundary(content_type: &str) -> Result<String, FormError> {
    let (kind, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(FormError::NoForm);
    }
    let boundary = head::parameter(rest, "boundary").ok_or(FormError::NoBoundary)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let usable =
        (1..=MAX_BOUNDARY).contains(&boundary.len()) && boundary.bytes().all(allowed) && !boundary.ends_with(' ');
    usable.then_some(boundary).ok_or(FormError::NoBoundary)
}

/// What comes next in a form.
enum Cut {
    Part(Part),
    End,
    /// More bytes are needed to know.
    Unfinished,
}

/// Cuts a body, or the beginning of one, at its boundary.
struct Cutter<'a> {
    body: &'a Bytes,
    delimiter: Vec<u8>,
    /// Behind a boundary.
    at: usize,
    /// The beginning of the part that was looked at last.
    part_at: usize,
}

impl<'a> Cutter<'a> {
    fn begin(body: &'a Bytes, boundary: &str) -> Result<Self, FormError> {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let first = delimiter.get(2..).unwrap_or_default();
        // An empty line before the first boundary is an empty preamble.
        let skipped = if body.starts_with(b"\r\n") { 2 } else { 0 };
        let start = body.get(skipped..).unwrap_or_default();
        let seen = first.len().min(start.len());
        if first.get(..seen) != start.get(..seen) {
            return Err(FormError::NoBeginning);
        }
        Ok(Self { body, at: skipped + first.len(), part_at: skipped, delimiter })
    }

    fn next(&mut self) -> Result<Cut, FormError> {
        let Some(content_at) = self.head_end()? else { return Ok(Cut::Unfinished) };
        let Some((head_at, content_at)) = content_at else { return Ok(Cut::End) };
        let (name, is_file) = head::read(self.body.get(head_at..content_at - 2).unwrap_or_default())?;
        let Some(end) = self.delimiter_after(content_at) else { return Ok(Cut::Unfinished) };
        let head = self.body.slice(head_at..content_at - 2);
        let content = self.body.slice(content_at..end);
        self.part_at = end + 2;
        self.at = end + self.delimiter.len();
        Ok(Cut::Part(Part { name, is_file, head, content }))
    }

    /// Where the head of the next part begins and its content; inner `None` at the end of the form, outer one where
    /// more bytes are needed.
    fn head_end(&self) -> Result<Option<Option<(usize, usize)>>, FormError> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(Some(None));
        }
        let Some(line_end) = padding(rest) else { return Ok(None) };
        let head_at = self.at + line_end.ok_or(FormError::NoBeginning)?;
        let after = self.body.get(head_at..).unwrap_or_default();
        let window = after.get(..after.len().min(MAX_HEAD + 4)).unwrap_or_default();
        match memmem::find(window, b"\r\n\r\n") {
            Some(end) => Ok(Some(Some((head_at, head_at + end + 4)))),
            None if window.len() >= MAX_HEAD + 4 => Err(FormError::Head),
            None => Ok(None),
        }
    }

    /// The next boundary that ends a line of the content: what merely begins like one is content.
    fn delimiter_after(&self, from: usize) -> Option<usize> {
        let mut from = from;
        loop {
            let found = from + memmem::find(self.body.get(from..)?, &self.delimiter)?;
            let rest = self.body.get(found + self.delimiter.len()..)?;
            if rest.starts_with(b"--") {
                return Some(found);
            }
            match padding(rest)? {
                Some(_) => return Some(found),
                None => from = found + 1,
            }
        }
    }
}

/// Spaces and tabs, and the end of the line, behind a boundary: how long they are; inner `None` where something else
/// stands there, outer one where more bytes are needed.
#[expect(clippy::option_option, reason = "not there, and not there yet, are two answers")]
fn padding(rest: &[u8]) -> Option<Option<usize>> {
    let spaces = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match rest.get(spaces..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Some(Some(spaces + 2)),
        [] | [b'\r'] | [b'-'] => None,
        _ => Some(None),
    }
}

#[cfg(test)]
mod tests;
