//! Models of the store: `/model/new`, `/model/update`, `/model/{id}/update`, `/model/delete` (surface chapter 4.5). Whatever cannot be
//! served is refused here; what is written is routable when the answer goes out, on other instances within a second.

use serde_json::{Map, Value, json};
use tollgate_config::StoredModel;
use tollgate_store::{Json, Model, StoreError};
use tollgate_wire::{Failure, FailureKind};

use super::{Desk, failure_of, rows::document};
use crate::{
    store_models::{opened, place_of_model},
    vault::Vault,
};

/// Longest id and name, bytes.
const LONGEST: usize = 512;

impl Desk<'_> {
    /// `POST /model/new`.
    pub(super) async fn new_model(&self, body: Map<String, Value>) -> Result<Value, Failure> {
        let vault = self.model_vault()?;
        let mut model = StoredModel {
            id: String::new(),
            model_name: required(&body, "model_name")?,
            params: without_nulls(section(&body, "litellm_params")?),
            info: without_nulls(section(&body, "model_info")?),
        };
        if model.params.is_empty() {
            return Err(Failure::invalid("`litellm_params` is required").with_param("litellm_params"));
        }
        let id = model.info.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        model.id = id.map_or_else(|| self.gateway.uuid_v4().to_string(), str::to_owned);
        self.may_be_served(&model)?;
        let row = self.sealed(
            Model { created_at: self.now, created_by: Some(self.actor()), ..Model::default() },
            &model,
            vault,
        );
        match self.store.insert_model(&row, &self.stamp()).await {
            Err(StoreError::Taken { .. }) => {
                let words = format!("a model with the id '{}' exists already; change it with /model/update", model.id);
                return Err(Failure::invalid(words).with_param("model_info.id"));
            }
            done => done.map_err(|error| failure_of(error, &model.id))?,
        }
        self.put_models_in_place().await?;
        // The store writes a new row as its first version.
        Ok(shown(&Model { version: 1, ..row }, &model))
    }

    /// `POST /model/update` and `PATCH /model/{id}/update`: what is given replaces what was, member by member.
    pub(super) async fn update_model(
        &self,
        of_path: Option<String>,
        body: Map<String, Value>,
    ) -> Result<Value, Failure> {
        let vault = self.model_vault()?;
        let info = section(&body, "model_info")?;
        let id = of_path.or_else(|| info.get("id")?.as_str().map(str::to_owned));
        let id =
            id.ok_or_else(|| Failure::invalid("`model_info.id` must name the model").with_param("model_info.id"))?;
        let (row, mut model) = self.stored_model(&id, vault).await?;
        if let Some(name) = body.get("model_name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
            name.clone_into(&mut model.model_name);
        }
        // Forms send what they do not fill in as null.
        model.params.extend(without_nulls(section(&body, "litellm_params")?));
        model.info.extend(without_nulls(info));
        self.may_be_served(&model)?;
        let expected = self.version.unwrap_or(row.version);
        let mut row = self.sealed(row, &model, vault);
        row.version =
            self.store.update_model(&row, expected, &self.stamp()).await.map_err(|error| missing_or(error, &id))?;
        self.put_models_in_place().await?;
        Ok(shown(&row, &model))
    }

    /// `POST /model/delete`.
    pub(super) async fn delete_model(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        self.model_vault()?;
        let id = required(body, "id")?;
        let row = self.store.model(&id).await.map_err(|error| failure_of(error, &id))?;
        let row = row.ok_or_else(|| self.unknown_model(&id))?;
        if self.version.is_some_and(|version| version != row.version) {
            return Err(failure_of(StoreError::Stale, &id));
        }
        let deleted = self.store.delete_models(std::slice::from_ref(&id), &self.stamp()).await;
        if deleted.map_err(|error| failure_of(error, &id))?.is_empty() {
            return Err(self.unknown_model(&id));
        }
        self.put_models_in_place().await?;
        Ok(json!({"message": format!("Model: {id} deleted successfully")}))
    }

    /// A model of the store, opened.
    pub(super) async fn stored_model(&self, id: &str, vault: &Vault) -> Result<(Model, StoredModel), Failure> {
        let row = self.store.model(id).await.map_err(|error| failure_of(error, id))?;
        let row = row.ok_or_else(|| self.unknown_model(id))?;
        let params = opened(vault, &place_of_model(id), &row.params)
            .map_err(|error| Failure::invalid(format!("the model '{id}' cannot be read: {error}")))?;
        let info = document(row.model_info.as_ref());
        let model = StoredModel { id: row.model_id.clone(), model_name: row.model_name.clone(), params, info };
        Ok((row, model))
    }

    /// What seals, where models may be kept.
    fn model_vault(&self) -> Result<&Vault, Failure> {
        if !self.snapshot.keeps_models {
            let words = "Set `'STORE_MODEL_IN_DB='True'` in your env, or general_settings.store_model_in_db, to enable this feature.";
            return Err(Failure::invalid(words));
        }
        self.vault()
    }

    /// What seals in the store.
    pub(super) fn vault(&self) -> Result<&Vault, Failure> {
        let words = "secrets cannot be kept without a key that seals them: set LITELLM_SALT_KEY, or general_settings.master_key";
        self.snapshot.vault.as_ref().ok_or_else(|| Failure::invalid(words))
    }

    /// 400 with the reason if the model could not be served.
    fn may_be_served(&self, model: &StoredModel) -> Result<(), Failure> {
        let refused =
            |why: String| Failure::invalid(format!("the model cannot be served: {why}")).with_param("litellm_params");
        if model.id.len() > LONGEST || model.model_name.len() > LONGEST {
            return Err(refused(format!("its name and its id have at most {LONGEST} bytes")));
        }
        let origin = &self.snapshot.origin;
        if origin.config.models.iter().any(|entry| entry.id == model.id) {
            let words = format!("the id '{}' is that of a model of the configuration file", model.id);
            return Err(Failure::invalid(words).with_param("model_info.id"));
        }
        let credentials = origin.credentials(&self.gateway.stored_models());
        let entry = origin.entry(model, &credentials).map_err(refused)?;
        origin.unservable(&entry).map_or(Ok(()), |why| Err(refused(why)))
    }

    fn unknown_model(&self, id: &str) -> Failure {
        let is_of_file = self.snapshot.origin.config.models.iter().any(|entry| entry.id == id);
        let words = if is_of_file {
            format!("the model '{id}' stands in the configuration file: change it there")
        } else {
            format!("Model id = {id} not found in db")
        };
        let mut failure = Failure::invalid(words).with_param("model_info.id");
        failure.status = (!is_of_file).then_some(404);
        failure
    }

    /// The row with what is sealed of the model.
    fn sealed(&self, row: Model, model: &StoredModel, vault: &Vault) -> Model {
        let params = Value::Object(model.params.clone()).to_string();
        let mut info = model.info.clone();
        info.remove("id");
        Model {
            model_id: model.id.clone(),
            model_name: model.model_name.clone(),
            team_id: info.get("team_id").and_then(Value::as_str).map(str::to_owned),
            params: vault.seal(&place_of_model(&model.id), params.as_bytes(), &*self.gateway.random),
            model_info: Some(Json(Value::Object(info).to_string())),
            ..row
        }
    }

    /// What was written is routable from here on.
    pub(super) async fn put_models_in_place(&self) -> Result<(), Failure> {
        let loaded = self.gateway.load_models().await;
        loaded.map_err(|error| {
            // It is written, and is read again when the store answers.
            self.callers.models_changed.notify_one();
            failure_of(error, "")
        })
    }
}

fn missing_or(error: StoreError, id: &str) -> Failure {
    match error {
        StoreError::Missing => {
            let mut failure = Failure::invalid(format!("Model id = {id} not found in db")).with_param("model_info.id");
            failure.status = Some(404);
            failure
        }
        error => failure_of(error, id),
    }
}

/// A member that must be a text.
pub(super) fn required(body: &Map<String, Value>, name: &str) -> Result<String, Failure> {
    let text = body.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| {
        Failure::new(FailureKind::InvalidRequest, format!("`{name}` is required and must be a text")).with_param(name)
    })
}

/// A member that is an object, or is not there.
pub(super) fn section(body: &Map<String, Value>, name: &'static str) -> Result<Map<String, Value>, Failure> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members.clone()),
        Some(_) => Err(Failure::invalid(format!("`{name}` must be an object")).with_param(name)),
    }
}

/// The members that say something.
pub(super) fn without_nulls(mut members: Map<String, Value>) -> Map<String, Value> {
    members.retain(|_, value| !value.is_null());
    members
}

/// The row as it is told: no secret in it.
fn shown(row: &Model, model: &StoredModel) -> Value {
    let mut params = super::credentials::hidden(&model.params);
    // What is hidden is not there, as at /model/info.
    params.retain(|name, _| !tollgate_wire::secret::sounds_secret(name));
    let mut info = crate::models::without_secrets(model.info.clone());
    info.insert("id".to_owned(), model.id.as_str().into());
    info.insert("db_model".to_owned(), true.into());
    json!({
        "model_id": model.id,
        "model_name": model.model_name,
        "litellm_params": params,
        "model_info": info,
        "created_at": super::fields::iso(row.created_at),
        "created_by": row.created_by,
        "updated_by": row.updated_by.as_ref().or(row.created_by.as_ref()),
        "version": row.version,
    })
}
