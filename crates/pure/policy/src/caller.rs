//! Who asks.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of a key: what is kept and compared in a key's place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of `key`.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Compares in a time that does not depend on where the two differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever holds the master key.
    Admin,
    /// Anyone, as no master key is set.
    Anyone,
}

impl Caller {
    /// The providers' accounts are the caller's own: whoever has the master key, and anyone where there is none. Others
    /// may neither list what is kept there nor name it by the providers' own ids, which would show them one another's.
    #[must_use]
    pub fn owns_accounts(self) -> bool {
        match self {
            Self::Admin | Self::Anyone => true,
        }
    }

    /// The name for logs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Anyone => "anyone",
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
    }
}
