//! Who asks.

use std::{borrow::Cow, sync::Arc};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Key, Role};

/// SHA-256 of a key: what is kept and compared in a key's place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of `key`.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// The digest that this hex text is.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut digest = [0; 32];
        if bytes.len() != 64 {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
            let pair =
                std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// Compares in a time that does not depend on where the two differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Its first eight bytes as a number, by which sets of digests are kept.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Lower-case hex, as `LiteLLM` stores key hashes.
    #[must_use]
    pub fn to_hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_hex().get(..8).unwrap_or_default())
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Whoever holds the master key.
    Admin,
    /// Anyone, as no master key is set.
    Anyone,
    /// Whoever holds a virtual key.
    Key(Arc<Key>),
}

impl PartialEq for Caller {
    /// The same key, whatever it may do by now.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Admin, Self::Admin) | (Self::Anyone, Self::Anyone) => true,
            (Self::Key(one), Self::Key(other)) => one.origin == other.origin,
            _ => false,
        }
    }
}

impl Eq for Caller {}

impl Caller {
    /// The providers' accounts are the caller's own: whoever has the master key, and anyone where there is none. Others
    /// may neither list what is kept there nor name it by the providers' own ids, which would show them one another's.
    #[must_use]
    pub fn owns_accounts(&self) -> bool {
        match self {
            Self::Admin | Self::Anyone => true,
            Self::Key(key) => key.role == Role::Admin,
        }
    }

    /// May manage everything.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        match self {
            Self::Admin => true,
            Self::Anyone => false,
            Self::Key(key) => key.role == Role::Admin,
        }
    }

    /// The virtual key, where it is one.
    #[must_use]
    pub fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Admin | Self::Anyone => None,
            Self::Key(key) => Some(key),
        }
    }

    /// Whose things are whose: every key has its own.
    #[must_use]
    pub fn owner(&self) -> Cow<'static, str> {
        match self {
            Self::Admin => Cow::Borrowed("admin"),
            Self::Anyone => Cow::Borrowed("anyone"),
            Self::Key(key) => Cow::Owned(key.origin.clone()),
        }
    }

    /// The name for logs: of a key, the beginning of its digest.
    #[must_use]
    pub fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Admin => Cow::Borrowed("admin"),
            Self::Anyone => Cow::Borrowed("anyone"),
            Self::Key(key) => Cow::Owned(format!("key:{:?}", key.digest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_matches_its_key_alone() {
        let digest = KeyDigest::of("sk-1234");
        assert!(digest.matches(&KeyDigest::of("sk-1234")) && !digest.matches(&KeyDigest::of("sk-1235")));
        assert_eq!(KeyDigest::of("abc").to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(format!("{:?}", KeyDigest::of("abc")), "ba7816bf");
        assert_eq!(KeyDigest::of("abc").prefix(), 0xba78_16bf_8f01_cfea);
    }
}
