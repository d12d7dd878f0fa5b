//! Management: keys, and whatever else lives in the store. A request is read here, whoever asks is known here, and each
//! action is one function of the modules below.

mod accounts;
mod audits;
mod budget_rows;
pub(crate) mod budgets;
mod credentials;
mod customers;
mod fields;
mod keys;
mod ledger;
mod listing;
mod members;
mod models;
mod once;
mod organizations;
mod parties;
mod resets;
mod rotation;
pub(crate) mod rows;
pub(crate) mod rules;
mod spend;
mod tags;
mod team_keys;
mod teams;
mod user_rows;
mod users;
mod windows;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
pub(crate) use fields::{iso, nanos, usd};
use http::HeaderMap;
use serde_json::{Map, Value};
use tollgate_policy::{Caller, RouteClass, admit};
use tollgate_store::{EpochMs, Stamp, Store, StoreError};
use tollgate_wire::{Failure, FailureKind};

pub use self::accounts::AccountAction;
pub use self::ledger::{LedgerAsk, LedgerTask};
pub use self::parties::PartyAction;
pub use self::spend::{Shown, SpendAsk, SpendView};
use crate::{callers, gateway::Gateway, snapshot::Snapshot};

/// What a management route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `POST /key/generate`
    GenerateKey,
    /// `POST /key/service-account/generate`
    GenerateServiceAccount,
    /// `POST /key/update`
    UpdateKey,
    /// `POST /key/bulk_update`
    UpdateKeys,
    /// `POST /key/delete`
    DeleteKeys,
    /// `GET /key/info`
    KeyInfo,
    /// `POST /v2/key/info`
    KeysInfo,
    /// `GET /key/list`
    ListKeys,
    /// `GET /key/aliases`
    KeyAliases,
    /// `POST /key/regenerate`, `POST /key/{key}/regenerate`
    RegenerateKey,
    /// `POST /key/block`
    BlockKey,
    /// `POST /key/unblock`
    UnblockKey,
    /// `GET`, `POST /key/health`
    KeyHealth,
    /// `POST /model/new`
    NewModel,
    /// `POST /model/update`, `PATCH /model/{id}/update`
    UpdateModel,
    /// `POST /model/delete`
    DeleteModel,
    /// `POST /credentials`
    NewCredential,
    /// `GET /credentials`
    ListCredentials,
    /// `GET /credentials/by_name/{name}`
    CredentialByName,
    /// `GET /credentials/by_model/{id}`
    CredentialByModel,
    /// `PATCH /credentials/{name}`
    UpdateCredential,
    /// `DELETE /credentials/{name}`
    DeleteCredential,
    /// Customers, budgets and tags.
    Party(PartyAction),
    /// Users, teams, members, organizations.
    Account(AccountAction),
}

impl Action {
    /// The path, as keys' `allowed_routes` name it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::GenerateKey => "/key/generate",
            Self::GenerateServiceAccount => "/key/service-account/generate",
            Self::UpdateKey => "/key/update",
            Self::UpdateKeys => "/key/bulk_update",
            Self::DeleteKeys => "/key/delete",
            Self::KeyInfo => "/key/info",
            Self::KeysInfo => "/v2/key/info",
            Self::ListKeys => "/key/list",
            Self::KeyAliases => "/key/aliases",
            Self::RegenerateKey => "/key/regenerate",
            Self::BlockKey => "/key/block",
            Self::UnblockKey => "/key/unblock",
            Self::KeyHealth => "/key/health",
            Self::NewModel => "/model/new",
            Self::UpdateModel => "/model/update",
            Self::DeleteModel => "/model/delete",
            Self::NewCredential | Self::ListCredentials => "/credentials",
            Self::CredentialByName => "/credentials/by_name",
            Self::CredentialByModel => "/credentials/by_model",
            Self::UpdateCredential | Self::DeleteCredential => "/credentials/{name}",
            Self::Party(action) => action.path(),
            Self::Account(action) => action.path(),
        }
    }

    fn class(self) -> RouteClass {
        match self {
            Self::UpdateKeys
            | Self::NewModel
            | Self::UpdateModel
            | Self::DeleteModel
            | Self::NewCredential
            | Self::ListCredentials
            | Self::CredentialByName
            | Self::CredentialByModel
            | Self::UpdateCredential
            | Self::DeleteCredential
            | Self::Party(_) => RouteClass::Manage,
            Self::Account(action) if action.is_admins() => RouteClass::Manage,
            _ => RouteClass::Own,
        }
    }
}

/// A management request as it came.
#[derive(Debug)]
pub struct ManageAsk {
    /// What is to be done.
    pub action: Action,
    /// The request's headers.
    pub headers: HeaderMap,
    /// Its query.
    pub query: HashMap<String, String>,
    /// Its body: a JSON object, or nothing.
    pub body: Bytes,
    /// The key, model or credential that its path names.
    pub of_path: Option<String>,
}

impl Gateway {
    /// Does what a management request asks for.
    ///
    /// # Errors
    /// 401 and 403 for whoever may not, 400 for a request that cannot be read, 404 for what is not there, 412 for what has
    /// changed since it was read, 409 and 422 for an `Idempotency-Key` that is in use, 503 while the store does not answer.
    pub async fn manage(self: &Arc<Self>, ask: ManageAsk) -> Result<Value, Failure> {
        let snapshot = self.snapshot();
        let caller = self.identify(&snapshot, &ask.headers).await?;
        admit(&caller, ask.action.class(), ask.action.path())?;
        let Some(callers) = &self.callers else {
            return Err(Failure::new(FailureKind::NotBuilt, "this gateway runs without a store"));
        };
        let mut desk = self.desk(&snapshot, callers, &caller, ask.action.path());
        desk.version = expected_version(&ask.headers)?;
        desk.changed_by = changed_by(&ask.headers);
        match once::Sent::of(&ask, &caller)? {
            Some(sent) => self.once(&snapshot, callers.store(), &sent, Box::pin(desk.act(&ask))).await,
            None => desk.act(&ask).await,
        }
    }

    fn desk<'a>(
        self: &'a Arc<Self>,
        snapshot: &'a Snapshot,
        callers: &'a Arc<callers::Callers>,
        caller: &'a Caller,
        path: &'static str,
    ) -> Desk<'a> {
        let millis = i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX);
        Desk {
            gateway: self,
            snapshot,
            store: callers.store(),
            callers,
            caller,
            path,
            version: None,
            changed_by: None,
            now: EpochMs(millis),
        }
    }
}

/// `If-Match`: the version that the client has read, if it says so.
fn expected_version(headers: &HeaderMap) -> Result<Option<i64>, Failure> {
    let Some(stated) = headers.get(http::header::IF_MATCH) else { return Ok(None) };
    let text = stated.to_str().unwrap_or_default().trim().trim_matches('"');
    if text == "*" {
        return Ok(None);
    }
    let words = "If-Match must be the `version` that /key/info shows";
    text.parse().map(Some).map_err(|_| Failure::invalid(words).with_param("if-match"))
}

/// `litellm-changed-by`: for whom a program makes a change (surface 4.4).
fn changed_by(headers: &HeaderMap) -> Option<String> {
    let named = headers.get("litellm-changed-by")?.to_str().ok()?.trim();
    (!named.is_empty() && named.len() <= 256).then(|| named.to_owned())
}

/// The body, as a JSON object; the lenient reader too, as people's scripts are (decision 10).
fn object(body: &Bytes) -> Result<Map<String, Value>, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let strict = serde_json::from_slice::<Value>(body);
    let value = strict.or_else(|error| {
        let lenient = std::str::from_utf8(body).ok().and_then(tollgate_wire::json::strict_from_lenient);
        let lenient = lenient.and_then(|text| serde_json::from_str(&text).ok());
        lenient.ok_or_else(|| Failure::invalid(format!("Invalid JSON payload: {error}")))
    })?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Failure::invalid("the body must be a JSON object")),
    }
}

/// One management request being worked on.
pub(crate) struct Desk<'a> {
    gateway: &'a Arc<Gateway>,
    snapshot: &'a Snapshot,
    store: &'a Arc<Store>,
    callers: &'a Arc<callers::Callers>,
    caller: &'a Caller,
    /// The route, for refusals.
    path: &'static str,
    version: Option<i64>,
    /// Who asked for it, as whoever sends it says.
    changed_by: Option<String>,
    now: EpochMs,
}

impl Desk<'_> {
    async fn act(&self, ask: &ManageAsk) -> Result<Value, Failure> {
        let body = object(&ask.body)?;
        match ask.action {
            Action::GenerateKey => self.generate(body).await,
            Action::GenerateServiceAccount => self.generate_service_account(body).await,
            Action::UpdateKey => self.update(body).await,
            Action::UpdateKeys => self.update_many(body).await,
            Action::DeleteKeys => self.delete(&body).await,
            Action::KeyInfo => self.info(&ask.query).await,
            Action::KeysInfo => self.infos(&body).await,
            Action::ListKeys => self.list(&ask.query).await,
            Action::KeyAliases => self.aliases(&ask.query).await,
            Action::RegenerateKey => self.regenerate(ask.of_path.clone(), body).await,
            Action::BlockKey => self.block(&body, true).await,
            Action::UnblockKey => self.block(&body, false).await,
            Action::KeyHealth => Ok(self.health()),
            Action::Party(action) => self.party(action, &ask.query, body).await,
            Action::NewModel => self.new_model(body).await,
            Action::UpdateModel => self.update_model(ask.of_path.clone(), body).await,
            Action::DeleteModel => self.delete_model(&body).await,
            Action::NewCredential => self.new_credential(body).await,
            Action::ListCredentials => self.list_credentials().await,
            Action::CredentialByName => self.credential_by_name(ask.of_path.as_deref().unwrap_or_default()).await,
            Action::CredentialByModel => self.credential_by_model(ask.of_path.as_deref().unwrap_or_default()).await,
            Action::UpdateCredential => self.update_credential(ask.of_path.as_deref().unwrap_or_default(), &body).await,
            Action::DeleteCredential => self.delete_credential(ask.of_path.as_deref().unwrap_or_default()).await,
            Action::Account(action) => Box::pin(self.account(action, &ask.query, body)).await,
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { at: self.now, by: Some(self.actor()), audit: None }
    }

    /// Who does it, as rows remember it.
    fn actor(&self) -> String {
        match self.caller {
            Caller::Admin | Caller::Anyone => "default_user_id".to_owned(),
            Caller::Key(key) => key.user.clone().unwrap_or_else(|| key.origin.clone()),
        }
    }
}

/// What the store's refusal means to whoever asked; `what` is what he named.
fn failure_of(error: StoreError, what: &str) -> Failure {
    match error {
        StoreError::Unavailable(detail) => {
            let words =
                "the database does not answer; nothing was changed, or it cannot be known: look before you try again";
            let mut failure = Failure::new(FailureKind::Overloaded, words).with_detail(detail);
            failure.retry_after = Some(std::time::Duration::from_secs(1));
            failure
        }
        StoreError::Taken { what: "key_alias" } => {
            Failure::invalid(format!("Key with alias '{what}' already exists")).with_param("key_alias")
        }
        StoreError::Taken { .. } => Failure::invalid("this key exists already; choose another `key`").with_param("key"),
        StoreError::Stale => {
            let mut failure = Failure::invalid("it was changed in the meantime; read it again and repeat the change");
            failure.status = Some(412);
            failure
        }
        StoreError::Missing => not_found("Key not found in database"),
        other => Failure::bug(other.to_string()),
    }
}

/// 404 for a key that is not there.
fn not_found(words: &str) -> Failure {
    let mut failure = Failure::invalid(words).with_param("key").with_type(tollgate_wire::ErrorType::NotFound);
    failure.status = Some(404);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_as_people_write_them() {
        let read = |text: &str| object(&Bytes::copy_from_slice(text.as_bytes()));
        assert!(read("").unwrap().is_empty() && read(" \n").unwrap().is_empty());
        assert_eq!(read("{'models': ['a'], 'blocked': True,}").unwrap().len(), 2);
        for text in ["[]", "{", "\"x\"", "\u{feff}"] {
            assert_eq!(read(text).unwrap_err().http_status(), 400, "{text}");
        }
    }

    #[test]
    fn a_version_is_a_number() {
        let version = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("if-match", text.parse().unwrap());
            expected_version(&headers)
        };
        assert_eq!((version("\"3\"").unwrap(), version("*").unwrap()), (Some(3), None));
        assert_eq!(version("W/\"x\"").unwrap_err().http_status(), 400);
    }
}
