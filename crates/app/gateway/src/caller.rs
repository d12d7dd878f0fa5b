//! Who asks: from the request's headers to a [`Caller`].

use http::HeaderMap;
use tollgate_config::EphemeralKeys;
use tollgate_policy::{Caller, KeyDigest, RouteClass, admit};
use tollgate_wire::{Failure, FailureKind, secret::masked};

use crate::{gateway::Gateway, snapshot::Snapshot};

/// Where a key may stand, in the order in which it is looked for (surface chapter 5.2).
const KEY_HEADERS: [&str; 6] =
    ["x-litellm-api-key", AUTHORIZATION, "api-key", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key"];
const AUTHORIZATION: &str = "authorization";

impl Gateway {
    /// Who sent these headers. Without a master key anyone may call, whatever key he shows (decision 4).
    ///
    /// # Errors
    /// 401 when a master key is set and the request shows no key, a malformed one, or one that is not known; 503 when that
    /// cannot be told, as the store does not answer.
    pub async fn identify(&self, snapshot: &Snapshot, headers: &HeaderMap) -> Result<Caller, Failure> {
        let Some(master) = &snapshot.master else { return Ok(Caller::Anyone) };
        let key = key_of(snapshot, headers)?;
        let digest = KeyDigest::of(key);
        if digest.matches(master) {
            return Ok(Caller::Admin);
        }
        let Some(callers) = self.callers.as_ref().filter(|_| key.starts_with("sk-")) else { return Err(unknown(key)) };
        let address = snapshot.whom.address(headers);
        let found = callers.find(digest, address).await?.ok_or_else(|| unknown(key))?;
        found.usable_at(u64::try_from(self.clock.unix().as_millis()).unwrap_or(u64::MAX))?;
        Ok(Caller::Key(found))
    }

    /// Lets those pass who may manage, at this path, and nobody else.
    ///
    /// # Errors
    /// As [`Self::identify`], and 401 or 403 for anybody else.
    pub async fn admits_admin(&self, headers: &HeaderMap, path: &'static str) -> Result<(), Failure> {
        admit(&self.identify(&self.snapshot(), headers).await?, RouteClass::Manage, path)
    }
}

/// Whether a caller may be given a provider's ephemeral key, with which he calls past this gateway.
///
/// # Errors
/// 403 with what to set.
pub(crate) fn admit_ephemeral_key(snapshot: &Snapshot, caller: &Caller) -> Result<(), Failure> {
    let words = match (snapshot.ephemeral_keys, caller) {
        (EphemeralKeys::Everyone, _) => return Ok(()),
        (EphemeralKeys::Admin, caller) if caller.is_admin() => return Ok(()),
        (EphemeralKeys::Admin, _) => {
            "a provider's ephemeral keys are given to the holder of the master key only, as calls with them are not \
             metered; set general_settings.master_key, or general_settings.ephemeral_keys to everyone"
        }
        (EphemeralKeys::Nobody, _) => {
            "a provider's ephemeral keys are given to nobody here (general_settings.ephemeral_keys); call through the \
             gateway, /v1/realtime for sockets"
        }
    };
    Err(Failure::new(FailureKind::RouteDenied, words))
}

fn key_of<'h>(snapshot: &Snapshot, headers: &'h HeaderMap) -> Result<&'h str, Failure> {
    let custom = snapshot.key_header.as_ref().and_then(|name| Some((name.as_str(), headers.get(name)?)));
    let found = custom.or_else(|| KEY_HEADERS.iter().find_map(|name| Some((*name, headers.get(*name)?))));
    let Some((name, value)) = found else { return Err(refused("No api key passed in.")) };
    let text = value.to_str().map_err(|_| refused("the key holds characters that no key has."))?.trim();
    let scheme = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let bare = scheme.map(|(_, key)| key.trim());
    match bare {
        Some("") => Err(refused("No api key passed in.")),
        Some(key) => Ok(key),
        None if text.is_empty() => Err(refused("No api key passed in.")),
        None if name == AUTHORIZATION => Err(refused("Malformed API Key passed in. Ensure Key has `Bearer ` prefix.")),
        None => Ok(text),
    }
}

fn refused(words: &str) -> Failure {
    Failure::new(FailureKind::InvalidKey, format!("Authentication Error, {words}"))
}

fn unknown(key: &str) -> Failure {
    if !key.starts_with("sk-") {
        let shown = masked(key, 4);
        return refused(&format!("LiteLLM Virtual Key expected. Received={shown}, expected to start with 'sk-'."));
    }
    let tail: String = key.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    refused(&format!(
        "Invalid proxy server token passed. Received API Key = sk-...{tail}, Key Hash (Token) ={}. Unable to find token \
         in cache or `LiteLLM_VerificationTokenTable`",
        KeyDigest::of(key).to_hex()
    ))
}
