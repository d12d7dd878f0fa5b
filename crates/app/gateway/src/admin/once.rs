//! Writes that clients may send twice: under an `Idempotency-Key` the first is done, and whoever sends the same again within a
//! day gets its answer.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tollgate_policy::{Caller, KeyDigest};
use tollgate_store::{EpochMs, Known, Once, Store};
use tollgate_wire::{Failure, FailureKind};

use super::{Action, ManageAsk, failure_of};
use crate::{gateway::Gateway, snapshot::Snapshot};

/// The header.
const HEADER: &str = "idempotency-key";
/// Longest key, bytes.
const LONGEST: usize = 255;
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// A write that was begun so long ago and never ended is taken for dead.
const ABANDONED: Duration = Duration::from_secs(60);
/// How long the second of two waits for the first, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOKS: Duration = Duration::from_millis(50);

/// A key and what it stands for.
pub(super) struct Sent {
    caller: String,
    name: String,
    request: String,
}

impl Sent {
    /// What a request says; none: it may be done as often as it is sent.
    ///
    /// # Errors
    /// 400 for a key that is none.
    pub(super) fn of(ask: &ManageAsk, caller: &Caller) -> Result<Option<Self>, Failure> {
        let Some(named) = ask.headers.get(HEADER).filter(|_| ask.action.writes()) else { return Ok(None) };
        let name = named.to_str().ok().map(str::trim).filter(|name| !name.is_empty() && name.len() <= LONGEST);
        let words = "Idempotency-Key must be 1 to 255 visible ASCII characters";
        let name = name.ok_or_else(|| Failure::invalid(words).with_param(HEADER))?.to_owned();
        let caller = KeyDigest::of(&caller.owner()).to_hex();
        Ok(Some(Self { caller, name, request: request(ask) }))
    }

    fn once(&self) -> Once<'_> {
        Once { caller: &self.caller, name: &self.name, request: &self.request }
    }

    /// What the seal of its answer is bound to.
    fn bound_to(&self) -> String {
        format!("{}:{}:{}", self.caller, self.request, self.name)
    }
}

/// A hash of all that a request says.
fn request(ask: &ManageAsk) -> String {
    let mut query: Vec<(&String, &String)> = ask.query.iter().collect();
    query.sort();
    let version = ask.headers.get(http::header::IF_MATCH).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let query = format!("{query:?}");
    let of_path = ask.of_path.as_deref().unwrap_or_default();
    // Two may share a path and differ by their method.
    let action = format!("{:?}", ask.action);
    let mut hash = Sha256::new();
    for part in [action.as_bytes(), of_path.as_bytes(), query.as_bytes(), version, &ask.body] {
        // Each part with its length, so that none runs into the next.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    KeyDigest::of(&format!("{:x?}", hash.finalize())).to_hex()
}

impl Gateway {
    /// Does a write, unless it was done; then it gives the answer that it had.
    ///
    /// # Errors
    /// Those of the write; 409 while it is being done, 422 for another one under the same key.
    pub(super) async fn once(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        store: &Store,
        sent: &Sent,
        write: impl Future<Output = Result<Value, Failure>>,
    ) -> Result<Value, Failure> {
        if let Some(known) = self.known(snapshot, store, sent).await? {
            return Ok(known);
        }
        let done = write.await;
        let kept = done
            .as_ref()
            .ok()
            .and_then(|answer| self.seal_key(snapshot).seal_kept(&sent.bound_to(), answer.to_string().as_bytes()));
        let unclear = done.as_ref().is_err_and(|failure| failure.http_status() >= 500);
        let told = match kept {
            Some(sealed) => store.finish_once(sent.once(), 200, sealed).await,
            // It may have been done for all that is known: whoever tries again waits until nobody can be at it any more.
            None if unclear => Ok(()),
            None => store.forget_once(sent.once()).await,
        };
        if let Err(error) = told {
            tracing::warn!(target: "tollgate::store", %error, "the answer of a write is not kept; sent again it is refused for a minute");
        }
        done
    }

    /// The answer that the write had; none: it is to be done.
    async fn known(&self, snapshot: &Snapshot, store: &Store, sent: &Sent) -> Result<Option<Value>, Failure> {
        let until = self.clock.monotonic() + PATIENCE;
        loop {
            let now = EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX));
            let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            let (expires, abandoned) = (EpochMs(now.0 + millis(KEPT)), EpochMs(now.0 - millis(ABANDONED)));
            let begun = store.begin_once(sent.once(), now, expires, abandoned).await;
            match begun.map_err(|error| failure_of(error, ""))? {
                Known::New => return Ok(None),
                Known::Done(_, sealed) => {
                    let opened = self.seal_key(snapshot).open_kept(&sent.bound_to(), &sealed);
                    let answer = opened.and_then(|text| serde_json::from_slice(&text).ok());
                    let words = "this Idempotency-Key was used, and its answer can no longer be read as the master key is another";
                    return answer.map(Some).ok_or_else(|| refused(409, words));
                }
                Known::Other => {
                    return Err(refused(422, "this Idempotency-Key was used for another request; use a new one"));
                }
                Known::Running if self.clock.monotonic() < until => tokio::time::sleep(LOOKS).await,
                Known::Running => {
                    let mut failure =
                        refused(409, "a request with this Idempotency-Key is under way; ask again shortly");
                    failure.retry_after = Some(Duration::from_secs(1));
                    return Err(failure);
                }
            }
        }
    }
}

fn refused(status: u16, words: &str) -> Failure {
    let mut failure = Failure::new(FailureKind::InvalidRequest, words).with_param(HEADER);
    failure.status = Some(status);
    failure
}

impl Action {
    /// It changes something.
    fn writes(self) -> bool {
        match self {
            Self::KeyInfo
            | Self::KeysInfo
            | Self::ListKeys
            | Self::KeyAliases
            | Self::KeyHealth
            | Self::ListCredentials
            | Self::CredentialByName
            | Self::CredentialByModel => false,
            Self::Party(action) => action.writes(),
            Self::Account(action) => action.writes(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn ask(action: Action, of_path: &str, body: &'static [u8]) -> String {
        request(&ManageAsk {
            action,
            headers: http::HeaderMap::new(),
            query: HashMap::new(),
            body: bytes::Bytes::from_static(body),
            of_path: Some(of_path.to_owned()),
        })
    }

    #[test]
    fn requests_are_told_apart_by_all_that_they_say() {
        let all = [
            ask(Action::UpdateCredential, "a", b""),
            ask(Action::DeleteCredential, "a", b""),
            ask(Action::DeleteCredential, "b", b""),
            ask(Action::DeleteCredential, "", b"a"),
        ];
        let different: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        assert_eq!(all[0], ask(Action::UpdateCredential, "a", b""));
        assert!(!Action::ListCredentials.writes() && Action::DeleteCredential.writes());
    }
}
