//! Ids that clients get for what lives elsewhere: sealed with AES-GCM, so that they say to any of our instances where the
//! thing is and whose, to nobody else anything, and nothing has to be stored (decision 30).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tollgate_providers::kept_ids::beginning_of;

use crate::passing::Account;

/// What the ids of responses begin with, and what binds the seal to them.
const PREFIX: &str = "resp_";
/// What binds the seal of a thing, before its id's beginning.
const THING: &str = "thing:";
/// What binds the seal of what the store keeps.
const KEPT: &str = "kept:";
/// Longest id that is looked at, bytes; ours have some 200.
const LONGEST: usize = 4096;

/// Most former keys that still open ids.
const FORMER: usize = 8;

/// The key of the ids, and those before it, which still open theirs.
#[derive(Clone)]
pub(crate) struct SealKey {
    pair: Pair,
    former: Vec<Pair>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    seal: [u8; 32],
    nonces: [u8; 32],
}

/// Where an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Whose it is.
    pub(crate) owner: String,
    /// The deployment that made it.
    pub(crate) deployment: String,
    /// The provider's id for it, or ours.
    pub(crate) answer: String,
    /// We hold it in memory ourselves.
    pub(crate) ours: bool,
}

/// Where a thing is that is kept at a provider: a file, a batch, a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    /// Whose it is.
    pub(crate) owner: String,
    /// The deployment whose credential opens it; empty where the environment's does.
    pub(crate) deployment: String,
    /// The provider, for when the deployment is no more.
    pub(crate) provider: String,
    /// With which account, likewise.
    pub(crate) account: Account,
    /// The provider's id for it.
    pub(crate) id: String,
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl SealKey {
    /// The key that belongs to a secret of the configuration, or to random bytes.
    pub(crate) fn of(secret: &[u8]) -> Self {
        let extracted = Salt::new(HKDF_SHA256, b"tollgate").extract(secret);
        let expanded = |purpose: &[u8]| {
            let mut bytes = [0; 32];
            // 32 bytes are never too long for HKDF-SHA-256.
            if let Ok(material) = extracted.expand(&[purpose], Length) {
                let _ = material.fill(&mut bytes);
            }
            bytes
        };
        let pair = Pair { seal: expanded(b"ids of answers"), nonces: expanded(b"nonces of ids of answers") };
        Self { pair, former: Vec::new() }
    }

    /// The same, which also opens what another one opened: ids outlive a change of the key.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        for pair in std::iter::once(&before.pair).chain(&before.former) {
            if *pair != self.pair && !self.former.contains(pair) && self.former.len() < FORMER {
                self.former.push(*pair);
            }
        }
        self
    }

    /// The id for an answer.
    pub(crate) fn seal(&self, origin: &Origin) -> Option<String> {
        let Origin { owner, deployment, answer, ours } = origin;
        self.close(PREFIX, PREFIX, serde_json::to_vec(&(ours, owner, deployment, answer)).ok()?)
    }

    /// Where the answer of this id is; `None` where the id is none of ours.
    pub(crate) fn open(&self, id: &str) -> Option<Origin> {
        let (ours, owner, deployment, answer) = serde_json::from_slice(&self.text(PREFIX, PREFIX, id)?).ok()?;
        Some(Origin { owner, deployment, answer, ours })
    }

    /// The id for a thing. It begins as the provider's own does, else as ids of its kind do: clients look at that.
    pub(crate) fn seal_thing(&self, thing: &Thing, kind: &str) -> Option<String> {
        let Thing { owner, deployment, provider, account, id } = thing;
        let beginning = beginning_of(id).unwrap_or(kind);
        let text = serde_json::to_vec(&(owner, deployment, provider, account, id)).ok()?;
        self.close(beginning, &format!("{THING}{beginning}"), text)
    }

    /// Where the thing of this id is; `None` where the id is none of ours.
    pub(crate) fn open_thing(&self, id: &str) -> Option<Thing> {
        let beginning = beginning_of(id)?;
        let text = self.text(beginning, &format!("{THING}{beginning}"), id)?;
        let (owner, deployment, provider, account, id) = serde_json::from_slice(&text).ok()?;
        Some(Thing { owner, deployment, provider, account, id })
    }

    /// The same for the same text whenever it is asked for, as the nonce is made of what is sealed.
    fn close(&self, beginning: &str, bound_to: &str, mut text: Vec<u8>) -> Option<String> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.pair.nonces), &text);
        let nonce = Nonce::try_assume_unique_for_key(tag.as_ref().get(..NONCE_LEN)?).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        self.pair.key()?.seal_in_place_append_tag(nonce, Aad::from(bound_to.as_bytes()), &mut text).ok()?;
        sealed.append(&mut text);
        Some(format!("{beginning}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// What the store keeps and nobody else is to read, such as an answer with a new key in it. `bound_to` says what it is for:
    /// it opens for nothing else.
    pub(crate) fn seal_kept(&self, bound_to: &str, text: &[u8]) -> Option<Vec<u8>> {
        // Within what is sealed, too: the nonce is made of that alone.
        let text = [bound_to.as_bytes(), b"\0", text].concat();
        self.close("", &format!("{KEPT}{bound_to}"), text).map(String::into_bytes)
    }

    /// What was sealed so; `None` where it was for something else, or sealed with a key that is no more.
    pub(crate) fn open_kept(&self, bound_to: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let opened = self.opened(&format!("{KEPT}{bound_to}"), std::str::from_utf8(sealed).ok()?)?;
        opened.strip_prefix(bound_to.as_bytes())?.strip_prefix(b"\0").map(<[u8]>::to_vec)
    }

    fn text(&self, beginning: &str, bound_to: &str, id: &str) -> Option<Vec<u8>> {
        let encoded = id.strip_prefix(beginning).filter(|_| id.len() <= LONGEST)?;
        self.opened(bound_to, encoded)
    }

    fn opened(&self, bound_to: &str, encoded: &str) -> Option<Vec<u8>> {
        let sealed = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        std::iter::once(&self.pair).chain(&self.former).find_map(|pair| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = text.to_vec();
            let opened = pair.key()?.open_in_place(nonce, Aad::from(bound_to.as_bytes()), &mut text).ok()?;
            Some(opened.to_vec())
        })
    }
}

impl Pair {
    fn key(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.seal).ok().map(LessSafeKey::new)
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { owner: "admin".to_owned(), deployment: "d1".to_owned(), answer: "resp_68ab".to_owned(), ours: false }
    }

    #[test]
    fn an_id_opens_with_its_key_alone_and_says_nothing_by_itself() {
        let id = SealKey::of(b"salt").seal(&origin()).unwrap();
        assert_eq!(SealKey::of(b"salt").open(&id), Some(origin()));
        assert_eq!(SealKey::of(b"another").open(&id), None);
        let decoded = String::from_utf8_lossy(&URL_SAFE_NO_PAD.decode(&id["resp_".len()..]).unwrap()).into_owned();
        assert!(!decoded.contains("68ab") && !decoded.contains("admin"));
    }

    #[test]
    fn what_is_kept_opens_for_what_it_was_sealed_for() {
        let (key, answer) = (SealKey::of(b"salt"), vec![b'x'; 100_000]);
        let sealed = key.seal_kept("ann", &answer).unwrap();
        assert_eq!(key.open_kept("ann", &sealed), Some(answer.clone()));
        assert_eq!((key.open_kept("bob", &sealed), SealKey::of(b"other").open_kept("ann", &sealed)), (None, None));
        assert_eq!(SealKey::of(b"new").after(&key).open_kept("ann", &sealed), Some(answer));
    }

    #[test]
    fn an_id_outlives_some_changes_of_the_key() {
        let id = SealKey::of(b"first").seal(&origin()).unwrap();
        let changed = |times: u8| (0..times).fold(SealKey::of(b"first"), |key, time| SealKey::of(&[time]).after(&key));
        for times in 0..=8 {
            assert_eq!(changed(times).open(&id), Some(origin()), "{times}");
            assert_eq!(changed(times).former.len(), usize::from(times));
        }
        assert_eq!((changed(9).open(&id), changed(20).former.len()), (None, FORMER));
        assert_ne!(changed(1).seal(&origin()), Some(id), "the newest key seals");
        let back = SealKey::of(b"first").after(&changed(1));
        assert_eq!(back.former.len(), 1, "a key is not kept beside itself");
    }

    #[test]
    fn an_answer_has_one_id_and_another_answer_another() {
        let key = SealKey::of(b"salt");
        assert_eq!(key.seal(&origin()), key.seal(&origin()));
        assert_ne!(key.seal(&origin()), key.seal(&Origin { owner: "other".to_owned(), ..origin() }));
    }

    #[test]
    fn what_was_changed_or_is_no_id_does_not_open() {
        let key = SealKey::of(b"salt");
        let id = key.seal(&origin()).unwrap();
        let mut changed = id.clone().into_bytes();
        let last = changed.len() / 2;
        changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
        for wrong in
            [String::from_utf8(changed).unwrap(), "resp_".to_owned(), "resp_68ab".to_owned(), id.replace("resp_", "")]
        {
            assert_eq!(key.open(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_things_id_begins_as_its_providers_and_opens_as_nothing_else() {
        let key = SealKey::of(b"salt");
        let thing = |id: &str| Thing {
            owner: "admin".to_owned(),
            deployment: "d1".to_owned(),
            provider: "openai".to_owned(),
            account: Account::default(),
            id: id.to_owned(),
        };
        for (id, kind, beginning) in [
            ("file-68ab", "file-", "file-"),
            ("batch_68ab", "batch_", "batch_"),
            ("resp_68ab", "id_", "resp_"),
            ("0b5c-uuid", "file-", "file-"),
        ] {
            let sealed = key.seal_thing(&thing(id), kind).unwrap();
            assert!(sealed.starts_with(beginning) && !sealed.contains("68ab"), "{sealed}");
            assert_eq!(key.open_thing(&sealed), Some(thing(id)));
            assert_eq!((key.open(&sealed), SealKey::of(b"another").open_thing(&sealed)), (None, None));
            assert_eq!(key.open_thing(&sealed.replacen(beginning, "other_", 1)), None);
        }
        assert_eq!(key.open_thing(&key.seal(&origin()).unwrap()), None);
        assert_eq!(key.open_thing("file-68ab"), None);
    }
}
