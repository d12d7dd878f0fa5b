//! What is secret in the store: parameters of models and values of credentials, sealed with AES-256-GCM under the salt key
//! (`LITELLM_SALT_KEY`, else the master key, as `LiteLLM` has it). A seal is bound to the row it is in.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use tollgate_wire::clock::Random;

/// How this version writes; the first byte.
const VERSION: u8 = 1;
/// Bytes that name the key without telling it.
const NAME: usize = 8;

/// The key that seals, and those before it, which still open.
#[derive(Clone)]
pub struct Vault {
    current: Lock,
    former: Vec<Lock>,
}

#[derive(Clone, PartialEq, Eq)]
struct Lock {
    key: [u8; 32],
    name: [u8; NAME],
}

/// Why something does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Its key is not here.
    #[error(
        "it was sealed under another salt key: name that in TOLLGATE_FORMER_SALT_KEYS, or seal it anew with `tollgate credentials \
         reseal --from-salt-env NAME`"
    )]
    OtherKey,
    /// It was changed, moved to another row, or written by a newer version.
    #[error("it was changed or written by a newer version")]
    Broken,
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl Vault {
    /// The vault of a salt key, or of a master key where there is no salt.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self { current: Lock::of(secret), former: Vec::new() }
    }

    /// The same, which also opens what this secret sealed.
    #[must_use]
    pub fn opens_former(mut self, secret: &[u8]) -> Self {
        let lock = Lock::of(secret);
        if lock != self.current && !self.former.contains(&lock) {
            self.former.push(lock);
        }
        self
    }

    /// Seals for a row; `place` says which: its table and its id.
    #[must_use]
    pub fn seal(&self, place: &str, text: &[u8], random: &dyn Random) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = vec![VERSION];
        sealed.extend(self.current.name);
        sealed.extend(nonce);
        let mut body = text.to_vec();
        let done = self.current.cipher().and_then(|cipher| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            cipher.seal_in_place_append_tag(nonce, Aad::from(place.as_bytes()), &mut body).ok()
        });
        // AES-GCM refuses only what is longer than 64 GiB; an empty seal opens nowhere.
        if done.is_some() {
            sealed.extend(body);
        }
        sealed
    }

    /// Opens what was sealed for this row.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (version, rest) = sealed.split_first().ok_or(VaultError::Broken)?;
        let (name, rest) = rest.split_at_checked(NAME).ok_or(VaultError::Broken)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(VaultError::Broken)?;
        if *version != VERSION {
            return Err(VaultError::Broken);
        }
        let lock = std::iter::once(&self.current).chain(&self.former).find(|lock| lock.name == name);
        let cipher = lock.ok_or(VaultError::OtherKey)?.cipher().ok_or(VaultError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Broken)?;
        let mut body = body.to_vec();
        let opened = cipher.open_in_place(nonce, Aad::from(place.as_bytes()), &mut body);
        opened.map(|text| text.to_vec()).map_err(|_| VaultError::Broken)
    }

    /// It was sealed under the key that seals now.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=NAME).is_some_and(|name| name == self.current.name)
    }
}

impl Lock {
    fn of(secret: &[u8]) -> Self {
        let extracted = Salt::new(HKDF_SHA256, b"tollgate").extract(secret);
        let expanded = |purpose: &[u8]| {
            let mut bytes = [0; 32];
            // 32 bytes are never too long for HKDF-SHA-256.
            if let Ok(material) = extracted.expand(&[purpose], Length) {
                let _ = material.fill(&mut bytes);
            }
            bytes
        };
        let mut name = [0; NAME];
        expanded(b"name of the key of values").iter().zip(&mut name).for_each(|(from, to)| *to = *from);
        Self { key: expanded(b"values at rest"), name }
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.key).ok().map(LessSafeKey::new)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    #[test]
    fn what_is_sealed_opens_in_its_row_under_its_key_alone() {
        let (random, vault) = (Counting::default(), Vault::of(b"salt"));
        let sealed = vault.seal("models/a", b"sk-secret", &random);
        assert_eq!(vault.open("models/a", &sealed).as_deref(), Ok(&b"sk-secret"[..]));
        assert_eq!(vault.open("models/b", &sealed), Err(VaultError::Broken));
        assert_eq!(Vault::of(b"other").open("models/a", &sealed), Err(VaultError::OtherKey));
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_ne!(vault.seal("models/a", b"sk-secret", &random), sealed, "no nonce comes twice");
    }

    #[test]
    fn a_former_key_opens_and_does_not_seal() {
        let random = Counting::default();
        let sealed = Vault::of(b"old").seal("r", b"x", &random);
        let vault = Vault::of(b"new").opens_former(b"old");
        assert_eq!(vault.open("r", &sealed).as_deref(), Ok(&b"x"[..]));
        let again = vault.seal("r", b"x", &random);
        assert!(vault.is_current(&again) && !vault.is_current(&sealed));
        assert!(Vault::of(b"new").open("r", &again).is_ok() && Vault::of(b"old").open("r", &again).is_err());
    }

    #[test]
    fn whatever_was_changed_does_not_open() {
        let vault = Vault::of(b"salt");
        let sealed = vault.seal("r", b"some text", &Counting::default());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open("r", &changed).is_err(), "byte {at}");
            assert!(vault.open("r", &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
