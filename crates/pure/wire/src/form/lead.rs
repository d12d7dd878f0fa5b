//! The beginning of a form that is too long to hold: the fields before its first file are read, the rest is passed on as
//! it comes, and watched.

use bytes::{BufMut as _, Bytes, BytesMut};
use memchr::memmem;

use super::{Cut, Cutter, FormError, MAX_HEAD, MOST_PARTS, Part, head};

/// The fields that stand before the first file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    boundary: String,
    /// The fields, in order.
    pub fields: Vec<Part>,
    /// Where in the bytes read so far the first file's boundary begins, or the end of the form.
    pub at: usize,
}

impl Lead {
    /// Reads the beginning of a form; `None` while its first file has not begun.
    ///
    /// # Errors
    /// When this is no form.
    pub fn read(boundary: &str, bytes: &Bytes) -> Result<Option<Self>, FormError> {
        let mut cutter = Cutter::begin(bytes, boundary)?;
        let mut fields = Vec::new();
        loop {
            let at = cutter.part_at;
            let lead = |fields| Some(Self { boundary: boundary.to_owned(), fields, at });
            // A file is known by its head, long before its end is here.
            if let Some(Some((head_at, content_at))) = cutter.head_end()?
                && head::read(bytes.get(head_at..content_at - 2).unwrap_or_default())?.1
            {
                return Ok(lead(fields));
            }
            match cutter.next()? {
                Cut::Part(_) if fields.len() >= MOST_PARTS => return Err(FormError::TooMany),
                Cut::Part(part) => fields.push(part),
                Cut::End => return Ok(lead(fields)),
                Cut::Unfinished => return Ok(None),
            }
        }
    }

    /// A field as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|part| part.name == name)?.text()
    }

    /// The fields as they go on, to be followed by the bytes from [`Self::at`].
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        for field in &self.fields {
            field.write(&self.boundary, &mut out);
        }
        out.freeze()
    }
}

/// Watches what follows the first file for fields that should have come before it. Memory: one head of a part.
#[derive(Debug)]
pub struct Watch {
    delimiter: Vec<u8>,
    names: &'static [&'static str],
    /// What may be the beginning of a boundary, or of a part's head.
    held: BytesMut,
}

impl Watch {
    /// Watches for these names.
    #[must_use]
    pub fn new(boundary: &str, names: &'static [&'static str]) -> Self {
        Self { delimiter: format!("\r\n--{boundary}\r\n").into_bytes(), names, held: BytesMut::new() }
    }

    /// Looks at the next bytes.
    ///
    /// # Errors
    /// [`FormError::Late`] when a field of one of the names begins in them.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FormError> {
        self.held.put_slice(bytes);
        let mut from = 0;
        while let Some(found) = memmem::find(self.held.get(from..).unwrap_or_default(), &self.delimiter) {
            let head_at = from + found + self.delimiter.len();
            let rest = self.held.get(head_at..).unwrap_or_default();
            let Some(end) = memmem::find(rest, b"\r\n\r\n") else {
                if rest.len() > MAX_HEAD {
                    return Err(FormError::Head);
                }
                let _ = self.held.split_to(from + found);
                return Ok(());
            };
            let (name, _) = head::read(rest.get(..end + 2).unwrap_or_default())?;
            if let Some(late) = self.names.iter().find(|known| **known == name) {
                return Err(FormError::Late(late));
            }
            from = head_at;
        }
        let kept = (self.delimiter.len() - 1).min(self.held.len() - from);
        let _ = self.held.split_to(self.held.len() - kept);
        Ok(())
    }
}
