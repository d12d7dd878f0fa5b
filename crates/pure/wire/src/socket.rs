//! Messages of a connection on which both sides speak when they like.

use bytes::Bytes;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Text, nearly always JSON.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// The other side has nothing more to say; with a code and why, if it gave them.
    Close(Option<Closing>),
}

/// Why a socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The code (RFC 6455, 7.4).
    pub code: u16,
    /// In words, at most 123 bytes.
    pub reason: String,
}

impl Closing {
    /// The longest reason that a close frame holds, bytes.
    const LONGEST: usize = 123;

    /// With a reason that fits.
    #[must_use]
    pub fn new(code: u16, reason: &str) -> Self {
        let end = (0..=reason.len().min(Self::LONGEST)).rev().find(|end| reason.is_char_boundary(*end));
        Self { code, reason: reason.get(..end.unwrap_or_default()).unwrap_or_default().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_its_frame_without_cutting_a_character() {
        assert_eq!(Closing::new(1000, "bye").reason, "bye");
        let long = format!("{}é", "a".repeat(122));
        assert_eq!(Closing::new(1000, &long).reason, "a".repeat(122));
    }
}
