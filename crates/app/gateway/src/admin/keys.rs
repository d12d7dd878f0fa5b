//! What is done with virtual keys (surface chapter 4.4).

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use tollgate_policy::{Caller, KeyDigest, Lifetime};
use tollgate_store::{EpochMs, Key, NanoDollars, StoreError};
use tollgate_wire::{Failure, FailureKind, clock::Random, secret::masked};

use super::{Desk, failure_of, fields, not_found, rows::document};

/// Random bytes of a key: 22 characters.
const KEY_BYTES: usize = 16;
/// Shortest key that somebody may choose (`MINIMUM_CUSTOM_KEY_LENGTH`).
const SHORTEST_KEY: usize = 16;
/// Longest key that is looked at.
const LONGEST_KEY: usize = 512;
/// Keys that one request may name.
pub(super) const MOST_NAMED: usize = 1000;
/// How often a change is tried again that another one overtook.
const TRIES: usize = 5;
/// What only the admin may set, as it decides what a key may spend or reach: a user who is given a key does not widen it.
const GIVEN: [&str; 20] = [
    "max_budget",
    "soft_budget",
    "budget_duration",
    "budget_limits",
    "budget_id",
    "temp_budget_increase",
    "temp_budget_expiry",
    "model_max_budget",
    "model_rpm_limit",
    "model_tpm_limit",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "models",
    "aliases",
    "allowed_routes",
    "key_type",
    "duration",
    "spend",
];

/// A key or its hash, as management routes take either.
pub(super) fn token_of(named: &str) -> String {
    let named = named.trim();
    match KeyDigest::from_hex(named) {
        Some(digest) if !named.starts_with("sk-") => digest.to_hex(),
        _ => KeyDigest::of(named).to_hex(),
    }
}

impl Desk<'_> {
    pub(super) async fn generate(&self, body: Map<String, Value>) -> Result<Value, Failure> {
        self.generate_for(body, false).await
    }

    pub(super) async fn generate_service_account(&self, body: Map<String, Value>) -> Result<Value, Failure> {
        if body.get("team_id").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Failure::invalid("`team_id` is required for a service account's key").with_param("team_id"));
        }
        if body.get("user_id").is_some_and(|user| !user.is_null()) {
            let words = "`user_id` cannot be set: a service account's key is nobody's own";
            return Err(Failure::invalid(words).with_param("user_id"));
        }
        self.generate_for(body, true).await
    }

    async fn generate_for(&self, mut body: Map<String, Value>, service: bool) -> Result<Value, Failure> {
        if !self.makes_for_team(&body).await? {
            self.may_make(&mut body, service)?;
        }
        self.snapshot.key_rules.complete(&mut body)?;
        let text = match body.get("key").filter(|key| !key.is_null()) {
            Some(chosen) => self.chosen(chosen, "key")?,
            None => self.random(),
        };
        let token = KeyDigest::of(&text).to_hex();
        super::resets::spend_of(&body)?;
        let mut key = Key {
            origin: token.clone(),
            key_name: Some(shown(&text)),
            token,
            created_at: self.now,
            created_by: Some(self.actor()),
            updated_at: self.now,
            ..Key::default()
        };
        fields::write(&mut key, &body, self.now)?;
        self.has_its_budget(key.budget_id.as_deref(), None).await?;
        if service {
            mark_as_service(&mut key);
        }
        schedule(&mut key, self.now)?;
        let alias = key.key_alias.clone().unwrap_or_default();
        let stamp = self.noted_key("created", None, Some(&key));
        self.store.insert_key(&key, &stamp).await.map_err(|error| failure_of(error, &alias))?;
        self.forget(&key.token);
        let spend = super::resets::spend_of(&body)?.filter(|spend| spend.0 > 0);
        if let Some(spend) = spend {
            self.set_spend(&key, spend, self.path).await?;
        }
        Ok(told(&key, &text, spend.unwrap_or_default()))
    }

    /// Who may make keys: the admin for anybody, a user for himself.
    fn may_make(&self, body: &mut Map<String, Value>, service: bool) -> Result<(), Failure> {
        let Caller::Key(key) = self.caller else { return Ok(()) };
        if self.caller.is_admin() {
            return Ok(());
        }
        let named = body.get("user_id").and_then(Value::as_str);
        let for_himself = key.user.as_deref().filter(|user| named.is_none_or(|named| named == *user));
        let in_team = body.get("team_id").is_some_and(|team| !team.is_null());
        match for_himself {
            Some(user) if !service && !in_team && key.role == tollgate_policy::Role::User => {
                if body.get("spend").is_some_and(|spend| !spend.is_null()) {
                    return Err(self.denied());
                }
                body.insert("user_id".to_owned(), user.into());
                Ok(())
            }
            _ => Err(self.denied()),
        }
    }

    fn denied(&self) -> Failure {
        let (role, user) = match self.caller.key() {
            Some(key) => (key.role.as_str(), key.user.as_deref().unwrap_or("None")),
            None => ("None", "None"),
        };
        let words = format!(
            "Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. \
             Route={}. Your role={role}. Your user_id={user}",
            self.path
        );
        Failure::new(FailureKind::RouteDenied, words)
    }

    /// A key that somebody has chosen.
    fn chosen(&self, chosen: &Value, field: &str) -> Result<String, Failure> {
        let text = chosen.as_str().unwrap_or_default();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !text.starts_with("sk-") || !(SHORTEST_KEY..=LONGEST_KEY).contains(&text.len()) || !is_plain {
            let words = format!(
                "`{field}` must begin with sk- and have {SHORTEST_KEY} to {LONGEST_KEY} visible ASCII characters; leave it out \
                 for a random one"
            );
            return Err(Failure::invalid(words).with_param(field));
        }
        let is_master = self.snapshot.master.as_ref().is_some_and(|master| KeyDigest::of(text).matches(master));
        if is_master {
            return Err(Failure::invalid(format!("`{field}` is the master key; choose another")).with_param(field));
        }
        Ok(text.to_owned())
    }

    fn random(&self) -> String {
        random(self.gateway.random.as_ref())
    }

    /// The row of a key that the caller may see, and change if `changes`.
    pub(super) async fn row(&self, named: &str) -> Result<Key, Failure> {
        let token = token_of(named);
        let row = self.store.key(&token).await.map_err(|error| failure_of(error, ""))?;
        let row = row.ok_or_else(|| not_found("Key not found in database"))?;
        match self.sees(&row) || self.leads_key(&row).await? {
            true => Ok(row),
            false => {
                let words = "You are not allowed to access this key's info. Your role does not own it";
                Err(Failure::new(FailureKind::RouteDenied, words).with_param("key"))
            }
        }
    }

    /// Whether the row is the caller's own, or he is the admin.
    pub(super) fn sees(&self, row: &Key) -> bool {
        match self.caller {
            Caller::Admin => true,
            Caller::Anyone => false,
            Caller::Key(key) => {
                self.caller.is_admin()
                    || key.role == tollgate_policy::Role::AdminViewer
                    || key.origin == row.origin
                    || (key.user.is_some() && key.user == row.user_id)
            }
        }
    }

    /// Whether the caller may make these changes to a row that he sees.
    fn may_change(&self, row: &Key, body: &Map<String, Value>) -> Result<(), Failure> {
        if self.caller.is_admin() {
            return Ok(());
        }
        let Some(key) = self.caller.key() else { return Err(self.denied()) };
        let owns = key.user.is_some() && key.user == row.user_id && key.role == tollgate_policy::Role::User;
        let made = owns && row.created_by.is_some() && row.created_by == key.user;
        let moves = ["user_id", "team_id", "organization_id", "project_id"].iter().any(|name| body.contains_key(*name));
        let widens = GIVEN.iter().any(|name| body.contains_key(*name));
        if !owns || moves || (widens && !made) || body.contains_key("spend") {
            return Err(self.denied());
        }
        Ok(())
    }

    pub(super) async fn update(&self, mut body: Map<String, Value>) -> Result<Value, Failure> {
        let named = named(&body)?;
        let shown = body.remove("key").unwrap_or_default();
        let spend = super::resets::spend_of(&body)?;
        let row = self.change(&named, &body, "updated").await?;
        let mut answer = fields::read(&row);
        if let Some(spend) = spend {
            let set = self.set_spend(&row, spend, self.path).await?;
            answer.insert("spend".to_owned(), fields::usd(spend.0));
            answer.insert("spend_is_booked".to_owned(), set.is_booked.into());
        }
        answer.insert("key".to_owned(), shown);
        answer.insert("token".to_owned(), row.token.clone().into());
        answer.insert("version".to_owned(), row.version.into());
        Ok(answer.into())
    }

    /// Changes a row, again if somebody else did at the same moment.
    async fn change(&self, named: &str, body: &Map<String, Value>, action: &str) -> Result<Key, Failure> {
        self.snapshot.key_rules.check(body)?;
        let mut tries = 0;
        loop {
            let mut row = self.row(named).await?;
            if !self.leads_change(&row, body).await? {
                self.may_change(&row, body)?;
            }
            let read = self.version.unwrap_or(row.version);
            let before = row.clone();
            fields::write(&mut row, body, self.now)?;
            self.has_its_budget(row.budget_id.as_deref(), before.budget_id.as_deref()).await?;
            if row.budget_duration != before.budget_duration || row.auto_rotate == Some(true) {
                schedule(&mut row, self.now)?;
            }
            row.settings_updated_at = Some(self.now);
            let alias = row.key_alias.clone().unwrap_or_default();
            tries += 1;
            let stamp = self.noted_key(action, Some(&before), Some(&row));
            match self.store.update_key(&row, read, &stamp).await {
                Ok(version) => {
                    row.version = version;
                    self.forget(&row.token);
                    return Ok(row);
                }
                Err(StoreError::Stale) if self.version.is_none() && tries < TRIES => {}
                Err(error) => return Err(failure_of(error, &alias)),
            }
        }
    }

    pub(super) async fn update_many(&self, body: Map<String, Value>) -> Result<Value, Failure> {
        let Some(Value::Array(items)) = body.get("keys") else {
            return Err(Failure::invalid("`keys` must be a list of `{\"key\": …}`").with_param("keys"));
        };
        if items.len() > MOST_NAMED {
            return Err(Failure::invalid("`keys` names more than 1,000 keys").with_param("keys"));
        }
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for item in items {
            let fields = item.as_object().cloned().unwrap_or_default();
            let key = fields.get("key").cloned().unwrap_or_default();
            match self.update(fields).await {
                Ok(row) => done.push(json!({"key": key, "key_info": row})),
                Err(failure) => failed.push(json!({"key": key, "failed_reason": failure.client_message()})),
            }
        }
        Ok(json!({"total_requested": items.len(), "successful_updates": done, "failed_updates": failed}))
    }

    pub(super) async fn delete(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let texts = |name: &str| -> Result<Option<Vec<String>>, Failure> {
            let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
            let items = value.as_array().filter(|items| items.len() <= MOST_NAMED);
            let items = items.and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
            let refused =
                || Failure::invalid(format!("`{name}` must be a list of at most 1,000 texts")).with_param(name);
            items.map(Some).ok_or_else(refused)
        };
        let failed = |error| failure_of(error, "");
        let (named, found): (Vec<String>, Vec<Key>) = match (texts("keys")?, texts("key_aliases")?) {
            (Some(keys), _) => {
                let tokens: Vec<String> = keys.iter().map(|key| token_of(key)).collect();
                let rows = self.store.find_keys(&tokens).await.map_err(failed)?;
                let named =
                    keys.into_iter().zip(&tokens).filter(|(_, token)| rows.iter().any(|row| row.token == **token));
                (named.map(|(key, _)| key).collect(), rows)
            }
            (None, Some(aliases)) => {
                let rows = self.store.keys_by_alias(&aliases).await.map_err(failed)?;
                let known = |alias: &String| rows.iter().any(|row| row.key_alias.as_ref() == Some(alias));
                (aliases.into_iter().filter(known).collect(), rows)
            }
            (None, None) => {
                return Err(Failure::invalid("name what to delete as `keys` or `key_aliases`").with_param("keys"));
            }
        };
        if found.is_empty() {
            return Err(not_found("No keys found"));
        }
        for row in &found {
            let owns = self.caller.key().is_some_and(|key| key.user.is_some() && key.user == row.user_id);
            if !(self.caller.is_admin() || owns || self.leads_key(row).await?) {
                return Err(self.denied());
            }
        }
        // An entry of the audit log is of one key, and is made with what it tells of.
        let at_once = if self.snapshot.audits { 1 } else { MOST_NAMED };
        for some in found.chunks(at_once) {
            let tokens: Vec<String> = some.iter().map(|row| row.token.clone()).collect();
            let stamp = self.noted_key("deleted", some.first(), None);
            self.store.delete_keys(&tokens, &stamp).await.map_err(failed)?;
            tokens.iter().for_each(|token| self.forget(token));
        }
        Ok(json!({"deleted_keys": named}))
    }

    pub(super) async fn info(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let own = || self.caller.key().map(|key| key.digest.to_hex());
        let named = query.get("key").cloned().filter(|key| !key.is_empty()).or_else(own);
        let named = named.ok_or_else(|| not_found("name the key to look at: /key/info?key=sk-…"))?;
        let row = self.row(&named).await?;
        Ok(json!({"key": named, "info": self.info_of(&row).await?}))
    }

    /// A row as it is shown, with what was spent.
    async fn info_of(&self, row: &Key) -> Result<Map<String, Value>, Failure> {
        let view = self.store.find_key(&row.token, self.now).await.map_err(|error| failure_of(error, ""))?;
        let spent = view.map(|view| view.spent).unwrap_or_default();
        let mut shown = [(row, fields::info(row, spent, self.now))];
        self.tell_windows(&mut shown).await?;
        let [(_, mut info)] = shown;
        info.insert("version".to_owned(), row.version.into());
        Ok(info)
    }

    pub(super) async fn infos(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let items = body.get("keys").and_then(Value::as_array).filter(|items| items.len() <= MOST_NAMED);
        let Some(items) = items else {
            return Err(Failure::invalid("`keys` must be a list of at most 1,000 keys").with_param("keys"));
        };
        let tokens: Vec<String> = items.iter().filter_map(Value::as_str).map(token_of).collect();
        let rows = self.store.find_keys(&tokens).await.map_err(|error| failure_of(error, ""))?;
        let mut infos = Vec::new();
        for row in rows.iter().filter(|row| self.sees(row)) {
            infos.push(Value::Object(self.info_of(row).await?));
        }
        Ok(json!({"key": items, "info": infos}))
    }

    pub(super) async fn regenerate(
        &self,
        of_path: Option<String>,
        mut body: Map<String, Value>,
    ) -> Result<Value, Failure> {
        if body.get("new_master_key").is_some_and(|key| !key.is_null()) {
            let words = "the master key is the configuration's: set general_settings.master_key or LITELLM_MASTER_KEY";
            return Err(Failure::invalid(words).with_param("new_master_key"));
        }
        let named = match of_path {
            Some(key) => key,
            None => named(&body)?,
        };
        let text = match body.get("new_key").filter(|key| !key.is_null()) {
            Some(chosen) => self.chosen(chosen, "new_key")?,
            None => self.random(),
        };
        let grace = match body.get("grace_period").filter(|grace| !grace.is_null()) {
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(Lifetime::parse(text, "grace_period")?),
            Some(_) => {
                return Err(Failure::invalid("`grace_period` must be text such as \"24h\"").with_param("grace_period"));
            }
            None => None,
        };
        for name in ["key", "new_key", "grace_period"] {
            body.remove(name);
        }
        let mut row = self.row(&named).await?;
        let owns = self.caller.key().is_some_and(|key| key.user.is_some() && key.user == row.user_id);
        if !self.leads_change(&row, &body).await? {
            if !(self.caller.is_admin() || owns) {
                return Err(self.denied());
            }
            self.may_change(&row, &body)?;
        }
        self.snapshot.key_rules.check(&body)?;
        let before = row.clone();
        fields::write(&mut row, &body, self.now)?;
        self.has_its_budget(row.budget_id.as_deref(), before.budget_id.as_deref()).await?;
        let old = std::mem::replace(&mut row.token, KeyDigest::of(&text).to_hex());
        row.key_name = Some(shown(&text));
        row.rotation_count += 1;
        row.last_rotation_at = Some(self.now);
        schedule(&mut row, self.now)?;
        let until = grace.map(|grace| EpochMs(grace.ends(self.now.0)));
        let read = self.version.unwrap_or(row.version);
        let alias = row.key_alias.clone().unwrap_or_default();
        let stamp = self.noted_key("rotated", Some(&before), Some(&row));
        let written = self.store.regenerate_key(&old, &row, read, until, &stamp).await;
        row.version = written.map_err(|error| failure_of(error, &alias))?;
        self.forget(&old);
        self.forget(&row.token);
        let spend = self
            .store
            .find_key(&row.token, self.now)
            .await
            .ok()
            .flatten()
            .map_or(NanoDollars(0), |view| view.spent.settled);
        Ok(told(&row, &text, spend))
    }

    pub(super) async fn block(&self, body: &Map<String, Value>, blocked: bool) -> Result<Value, Failure> {
        let named = named(body)?;
        if !self.caller.is_admin() && !self.leads_key(&self.row(&named).await?).await? {
            return Err(self.denied());
        }
        let change = Map::from_iter([("blocked".to_owned(), Value::Bool(blocked))]);
        let row = self.change(&named, &change, if blocked { "blocked" } else { "unblocked" }).await?;
        Ok(Value::Object(self.info_of(&row).await?))
    }

    /// A key that came so far is in order; sinks of its own are not looked at.
    pub(super) fn health(&self) -> Value {
        json!({"key": "healthy", "logging_callbacks": Value::Null})
    }

    fn forget(&self, token: &str) {
        if let Some(digest) = KeyDigest::from_hex(token) {
            self.callers.forget(&digest);
        }
    }
}

/// The key that a body names.
fn named(body: &Map<String, Value>) -> Result<String, Failure> {
    let key = body.get("key").and_then(Value::as_str).filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY);
    key.map(str::to_owned).ok_or_else(|| Failure::invalid("`key` must be the key or its hash").with_param("key"))
}

/// A new key.
pub(super) fn random(random: &dyn Random) -> String {
    let mut bytes = [0; KEY_BYTES];
    random.fill(&mut bytes);
    format!("sk-{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// How a key is shown: `sk-...abcd`.
pub(super) fn shown(key: &str) -> String {
    let tail = key.len().saturating_sub(4);
    match key.get(tail..) {
        Some(tail) => format!("sk-...{tail}"),
        None => masked(key, 0),
    }
}

fn mark_as_service(key: &mut Key) {
    let mut metadata: Map<String, Value> = document(key.metadata.as_ref());
    let id = key.key_alias.clone().unwrap_or_else(|| key.token.clone());
    metadata.entry("service_account_id").or_insert_with(|| id.into());
    key.metadata = Some(tollgate_store::Json(Value::Object(metadata).to_string()));
}

/// When it is regenerated by itself, where it is.
pub(super) fn schedule(key: &mut Key, now: EpochMs) -> Result<(), Failure> {
    key.key_rotation_at = match (&key.rotation_interval, key.auto_rotate) {
        (Some(interval), Some(true)) => Some(EpochMs(Lifetime::parse(interval, "rotation_interval")?.ends(now.0))),
        _ => None,
    };
    Ok(())
}

/// A key as it is told once: with itself.
fn told(key: &Key, text: &str, spend: NanoDollars) -> Value {
    let mut answer = fields::read(key);
    let more = json!({
        "key": text,
        "token": key.token,
        "token_id": key.token,
        "spend": fields::usd(spend.0),
        "litellm_budget_table": Value::Null,
    });
    if let Value::Object(more) = more {
        answer.extend(more);
    }
    answer.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_hash_name_the_same() {
        let hash = KeyDigest::of("sk-1234567890abcdef").to_hex();
        assert_eq!((token_of("sk-1234567890abcdef"), token_of(&hash)), (hash.clone(), hash.clone()));
        assert_eq!(token_of(&hash.to_uppercase()), hash);
    }

    #[test]
    fn a_key_is_shown_by_its_end() {
        assert_eq!(shown("sk-1234567890abcdef"), "sk-...cdef");
    }

    #[test]
    fn a_rotation_is_scheduled_while_it_is_wanted() {
        let mut key = Key { rotation_interval: Some("30d".to_owned()), auto_rotate: Some(true), ..Key::default() };
        schedule(&mut key, EpochMs(0)).unwrap();
        assert_eq!(key.key_rotation_at, Some(EpochMs(2_592_000_000)));
        key.auto_rotate = Some(false);
        schedule(&mut key, EpochMs(0)).unwrap();
        assert_eq!(key.key_rotation_at, None);
    }
}
