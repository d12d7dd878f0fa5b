//! Models and credentials of the store beside those of the configuration file. What the store has is read and opened here, and every
//! snapshot is built of both; a row that cannot be served is left out and named in the log, so it never breaks a reload.

use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value};
use tollgate_catalog::Catalog;
use tollgate_config::{Config, Credential, ModelEntry, StoredModel, stored_model};
use tollgate_store::{EpochMs, Stamp, Store, StoreError};
use tollgate_wire::clock::{Clock, Random};

use crate::{
    admin::rows::document,
    deployment::{Globals, Served},
    gateway::Gateway,
    snapshot::{Environment, Snapshot, SnapshotSettings},
    vault::{Vault, VaultError},
};

/// What a snapshot is built from beside the store.
pub(crate) struct Origin {
    pub(crate) config: Config,
    pub(crate) environment: Arc<Environment>,
    pub(crate) settings: SnapshotSettings,
    pub(crate) catalog: Catalog,
}

/// What the store had when it was read last, opened.
#[derive(Default)]
pub(crate) struct Stored {
    models: Vec<StoredModel>,
    credentials: Vec<Credential>,
}

/// Rows that are read at once.
const PAGE: i64 = 1000;

/// The place of a seal: the table, and the row in it.
pub(crate) fn place_of_model(id: &str) -> String {
    format!("models/{id}")
}

/// The same of a credential.
pub(crate) fn place_of_credential(name: &str) -> String {
    format!("credentials/{name}")
}

/// The members of what was sealed.
pub(crate) fn opened(vault: &Vault, place: &str, sealed: &[u8]) -> Result<Map<String, Value>, VaultError> {
    serde_json::from_slice(&vault.open(place, sealed)?).map_err(|_| VaultError::Broken)
}

impl Origin {
    /// The deployments of the store that can be served with this configuration.
    pub(crate) fn entries(&self, stored: &Stored) -> Vec<ModelEntry> {
        let credentials = self.credentials(stored);
        let mut entries: Vec<ModelEntry> = Vec::with_capacity(stored.models.len());
        for model in &stored.models {
            let id = model.id.as_str();
            let is_taken = self.config.models.iter().any(|entry| entry.id == id);
            match self.entry(model, &credentials) {
                Ok(_) if is_taken => {
                    tracing::warn!(target: "tollgate::config", id, "a model of the store is left out: the configuration has its id");
                }
                Ok(entry) => entries.push(entry),
                Err(why) => {
                    tracing::warn!(target: "tollgate::config", id, why, "a model of the store is left out");
                }
            }
        }
        entries
    }

    /// The credentials that models of the store may name; the configuration's come first.
    pub(crate) fn credentials(&self, stored: &Stored) -> Vec<Credential> {
        self.config.credentials.iter().chain(&stored.credentials).cloned().collect()
    }

    /// The entry that one of them is.
    pub(crate) fn entry(&self, model: &StoredModel, credentials: &[Credential]) -> Result<ModelEntry, String> {
        stored_model(model, credentials, &|name| self.environment.get(name).cloned())
    }

    /// Why an entry cannot be served, if it cannot.
    pub(crate) fn unservable(&self, entry: &ModelEntry) -> Option<String> {
        let served = Served::build(entry, &Globals::of(&self.config), &self.catalog, &self.environment);
        served.unservable()
    }
}

impl Stored {
    /// There are no models.
    pub(crate) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The models that name this credential.
    pub(crate) fn users_of(&self, credential: &str) -> Vec<String> {
        let names = |model: &&StoredModel| {
            model.params.get("litellm_credential_name").and_then(Value::as_str) == Some(credential)
        };
        self.models.iter().filter(names).map(|model| model.id.clone()).collect()
    }

    /// Everything that the store has and the vault opens. What it does not open is named in the log.
    async fn read(store: &Store, vault: &Vault, with_models: bool) -> Result<Self, StoreError> {
        let mut stored = Self::default();
        let mut shut: Vec<String> = Vec::new();
        for row in all_credentials(store).await? {
            let place = place_of_credential(&row.credential_name);
            match opened(vault, &place, &row.sealed) {
                Ok(credential_values) => stored.credentials.push(Credential {
                    credential_name: row.credential_name,
                    credential_values,
                    credential_info: document(row.credential_info.as_ref()),
                }),
                Err(error) => shut.push(format!("{place}: {error}")),
            }
        }
        let models = if with_models { all_models(store).await? } else { Vec::new() };
        for row in models.into_iter().filter(|row| !row.blocked) {
            let place = place_of_model(&row.model_id);
            match opened(vault, &place, &row.params) {
                Ok(params) => {
                    let mut info: Map<String, Value> = document(row.model_info.as_ref());
                    info.insert("db_model".to_owned(), true.into());
                    info.insert("version".to_owned(), row.version.into());
                    stored.models.push(StoredModel { id: row.model_id, model_name: row.model_name, params, info });
                }
                Err(error) => shut.push(format!("{place}: {error}")),
            }
        }
        for row in shut {
            tracing::warn!(target: "tollgate::store", row, "a row of the store does not open and is left out");
        }
        Ok(stored)
    }
}

/// Every model of the store.
///
/// # Errors
/// If the database is not available.
pub(crate) async fn all_models(store: &Store) -> Result<Vec<tollgate_store::Model>, StoreError> {
    let mut all = Vec::new();
    loop {
        let offset = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let page = store.list_models(tollgate_store::Page { offset, limit: PAGE }).await?.rows;
        let count = page.len();
        all.extend(page.into_iter().map(|(row, _)| row));
        if i64::try_from(count).unwrap_or(i64::MAX) < PAGE {
            return Ok(all);
        }
    }
}

/// Every credential of the store.
///
/// # Errors
/// If the database is not available.
pub(crate) async fn all_credentials(store: &Store) -> Result<Vec<tollgate_store::Credential>, StoreError> {
    let mut all = Vec::new();
    loop {
        let offset = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let page = store.list_credentials(tollgate_store::Page { offset, limit: PAGE }).await?.rows;
        let count = page.len();
        all.extend(page.into_iter().map(|(row, _)| row));
        if i64::try_from(count).unwrap_or(i64::MAX) < PAGE {
            return Ok(all);
        }
    }
}

/// What sealing anew came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that were written under the new key.
    pub done: usize,
    /// Rows that were under it already.
    pub current: usize,
    /// Rows that do not open, and why.
    pub shut: Vec<String>,
}

/// Seals every model and credential of a store under the vault's key. Each row is a change of its own, told to all instances; what is
/// done stays done.
///
/// # Errors
/// If the database is not available: another run goes on.
pub async fn reseal(
    store: &Store,
    vault: &Vault,
    random: &dyn Random,
    clock: &dyn Clock,
) -> Result<Resealed, StoreError> {
    let at = EpochMs(i64::try_from(clock.unix().as_millis()).unwrap_or(i64::MAX));
    let stamp = Stamp { at, by: Some("reseal".to_owned()), audit: None };
    let mut resealed = Resealed::default();
    for mut row in all_credentials(store).await? {
        let place = place_of_credential(&row.credential_name);
        let Some(sealed) = resealed.take(vault, &place, &row.sealed, random) else { continue };
        row.sealed = sealed;
        let expected = row.version;
        resealed.written(store.update_credential(&row, expected, &stamp).await, &place)?;
    }
    for mut row in all_models(store).await? {
        let place = place_of_model(&row.model_id);
        let Some(sealed) = resealed.take(vault, &place, &row.params, random) else { continue };
        row.params = sealed;
        let expected = row.version;
        resealed.written(store.update_model(&row, expected, &stamp).await, &place)?;
    }
    Ok(resealed)
}

impl Resealed {
    /// The new seal of a row that needs one.
    fn take(&mut self, vault: &Vault, place: &str, sealed: &[u8], random: &dyn Random) -> Option<Vec<u8>> {
        match vault.open(place, sealed) {
            Ok(_) if vault.is_current(sealed) => {
                self.current += 1;
                None
            }
            Ok(text) => Some(vault.seal(place, &text, random)),
            Err(error) => {
                self.shut.push(format!("{place}: {error}"));
                None
            }
        }
    }

    fn written(&mut self, written: Result<i64, StoreError>, place: &str) -> Result<(), StoreError> {
        match written {
            Ok(_) => self.done += 1,
            // Somebody writes it at this moment.
            Err(StoreError::Stale | StoreError::Missing) => {
                self.shut.push(format!("{place}: it was changed meanwhile; run it again"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Gateway {
    /// Reads the models and credentials of the store and puts them in place beside those of the configuration.
    ///
    /// # Errors
    /// If the database is not available; then everything is as before.
    pub async fn load_models(&self) -> Result<(), StoreError> {
        let Some(callers) = &self.callers else { return Ok(()) };
        let _turn = self.reloading.lock().await;
        let snapshot = self.snapshot();
        let Some(vault) = &snapshot.vault else { return Ok(()) };
        let stored = Stored::read(callers.store(), vault, snapshot.keeps_models).await?;
        let is_new = {
            let mut known = self.stored_models.lock().unwrap_or_else(PoisonError::into_inner);
            let had = !known.models.is_empty();
            *known = Arc::new(stored);
            had || !known.models.is_empty()
        };
        if is_new {
            self.put_in_place(self.with_stored(&snapshot.origin));
        }
        Ok(())
    }

    /// What the store had when it was read last.
    pub(crate) fn stored_models(&self) -> Arc<Stored> {
        Arc::clone(&self.stored_models.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The snapshot of a configuration and of what the store has.
    pub(crate) fn with_stored(&self, origin: &Arc<Origin>) -> Snapshot {
        let entries = origin.entries(&self.stored_models());
        Snapshot::assemble(origin, entries)
    }

    /// Reads them again whenever they have changed, until the gateway goes down.
    pub(crate) async fn follow_models(self: Arc<Self>) {
        let Some(callers) = self.callers.clone() else { return };
        loop {
            tokio::select! {
                () = self.draining() => return,
                () = callers.models_changed.notified() => {}
            }
            if let Err(error) = self.load_models().await {
                tracing::warn!(target: "tollgate::store", %error, "models of the store cannot be read; those in memory go on");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                callers.models_changed.notify_one();
            }
        }
    }
}
