//! Credentials of the store: `/credentials` and its like (surface chapter 4.5). Values are told masked, and only to the admin.

use serde_json::{Map, Value, json};
use tollgate_store::{Credential, Json, StoreError};
use tollgate_wire::{Failure, secret::masked};

use super::{
    Desk, failure_of,
    models::{required, section, without_nulls},
    rows::document,
};
use crate::store_models::{all_credentials, opened, place_of_credential};

/// Members that say where and not who: shown as they are.
const PLAIN: [&str; 11] = [
    "api_base",
    "base_url",
    "api_version",
    "region_name",
    "aws_region_name",
    "vertex_project",
    "vertex_location",
    "custom_llm_provider",
    "organization",
    "tenant_id",
    "watsonx_region_name",
];
/// Characters of a secret that are shown at most.
const SHOWN: usize = 4;

impl Desk<'_> {
    /// `POST /credentials`.
    pub(super) async fn new_credential(&self, body: Map<String, Value>) -> Result<Value, Failure> {
        let vault = self.vault()?;
        let name = required(&body, "credential_name")?;
        let mut values = without_nulls(section(&body, "credential_values")?);
        if let Some(id) = body.get("model_id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            let (_, model) = self.stored_model(id, vault).await?;
            values = model.params.into_iter().filter(|(name, _)| is_of_credential(name)).collect();
        }
        if values.is_empty() {
            return Err(Failure::invalid("`credential_values` is required").with_param("credential_values"));
        }
        if self.is_of_file(&name) {
            return Err(of_file(&name));
        }
        let row = Credential {
            sealed: self.seal_credential(&name, &values)?,
            credential_name: name.clone(),
            credential_info: Some(Json(Value::Object(section(&body, "credential_info")?).to_string())),
            created_at: self.now,
            created_by: Some(self.actor()),
            ..Credential::default()
        };
        match self.store.insert_credential(&row, &self.stamp()).await {
            Err(StoreError::Taken { .. }) => {
                let words = format!("a credential with the name '{name}' exists already; change it with PATCH");
                return Err(Failure::invalid(words).with_param("credential_name"));
            }
            done => done.map_err(|error| failure_of(error, &name))?,
        }
        self.put_models_in_place().await?;
        Ok(json!({"success": true, "message": "Credential created successfully"}))
    }

    /// `GET /credentials`: the store's and the configuration's.
    pub(super) async fn list_credentials(&self) -> Result<Value, Failure> {
        let of_file = self.snapshot.origin.config.credentials.iter();
        let mut all: Vec<Value> = of_file
            .map(|one| shown(&one.credential_name, &one.credential_values, &one.credential_info, None))
            .collect();
        for row in all_credentials(self.store).await.map_err(|error| failure_of(error, ""))? {
            all.push(self.shown_row(&row));
        }
        Ok(json!({"success": true, "credentials": all}))
    }

    /// `GET /credentials/by_name/{name}`.
    pub(super) async fn credential_by_name(&self, name: &str) -> Result<Value, Failure> {
        let of_file = self.snapshot.origin.config.credentials.iter().find(|one| one.credential_name == name);
        if let Some(one) = of_file {
            return Ok(shown(name, &one.credential_values, &one.credential_info, None));
        }
        Ok(self.shown_row(&self.credential_row(name).await?))
    }

    /// `GET /credentials/by_model/{id}`: what a model calls its provider with.
    pub(super) async fn credential_by_model(&self, id: &str) -> Result<Value, Failure> {
        let (_, model) = self.stored_model(id, self.vault()?).await?;
        if let Some(name) = model.params.get("litellm_credential_name").and_then(Value::as_str) {
            return self.credential_by_name(name).await;
        }
        let values = model.params.into_iter().filter(|(name, _)| is_of_credential(name)).collect();
        Ok(shown(&format!("{}-credential-{id}", model.model_name), &values, &Map::new(), None))
    }

    /// `PATCH /credentials/{name}`: what is given replaces what was, member by member.
    pub(super) async fn update_credential(&self, name: &str, body: &Map<String, Value>) -> Result<Value, Failure> {
        let mut row = self.credential_row(name).await?;
        let mut values = self.opened_credential(&row)?;
        values.extend(without_nulls(section(body, "credential_values")?));
        let mut info: Map<String, Value> = document(row.credential_info.as_ref());
        info.extend(without_nulls(section(body, "credential_info")?));
        row.sealed = self.seal_credential(name, &values)?;
        row.credential_info = Some(Json(Value::Object(info).to_string()));
        let expected = self.version.unwrap_or(row.version);
        let done = self.store.update_credential(&row, expected, &self.stamp()).await;
        done.map_err(|error| if error == StoreError::Missing { unknown(name) } else { failure_of(error, name) })?;
        self.put_models_in_place().await?;
        Ok(json!({"success": true, "message": "Credential updated successfully"}))
    }

    /// `DELETE /credentials/{name}`: refused while a model of the store names it.
    pub(super) async fn delete_credential(&self, name: &str) -> Result<Value, Failure> {
        let row = self.credential_row(name).await?;
        if self.version.is_some_and(|version| version != row.version) {
            return Err(failure_of(StoreError::Stale, name));
        }
        let users = self.gateway.stored_models().users_of(name);
        if !users.is_empty() {
            let words = format!(
                "the credential '{name}' is used by the models {}; change or delete them first",
                users.join(", ")
            );
            return Err(Failure::invalid(words).with_param("credential_name"));
        }
        let deleted = self.store.delete_credentials(&[name.to_owned()], &self.stamp()).await;
        if deleted.map_err(|error| failure_of(error, name))?.is_empty() {
            return Err(unknown(name));
        }
        self.put_models_in_place().await?;
        Ok(json!({"success": true, "message": "Credential deleted successfully"}))
    }

    fn is_of_file(&self, name: &str) -> bool {
        self.snapshot.origin.config.credentials.iter().any(|one| one.credential_name == name)
    }

    async fn credential_row(&self, name: &str) -> Result<Credential, Failure> {
        if self.is_of_file(name) {
            return Err(of_file(name));
        }
        let row = self.store.credential(name).await.map_err(|error| failure_of(error, name))?;
        row.ok_or_else(|| unknown(name))
    }

    fn opened_credential(&self, row: &Credential) -> Result<Map<String, Value>, Failure> {
        let name = &row.credential_name;
        opened(self.vault()?, &place_of_credential(name), &row.sealed)
            .map_err(|error| Failure::invalid(format!("the credential '{name}' cannot be read: {error}")))
    }

    fn seal_credential(&self, name: &str, values: &Map<String, Value>) -> Result<Vec<u8>, Failure> {
        let text = Value::Object(values.clone()).to_string();
        Ok(self.vault()?.seal(&place_of_credential(name), text.as_bytes(), &*self.gateway.random))
    }

    /// What does not open is listed by its name.
    fn shown_row(&self, row: &Credential) -> Value {
        let values = self.opened_credential(row).unwrap_or_default();
        shown(&row.credential_name, &values, &document(row.credential_info.as_ref()), Some(row.version))
    }
}

fn shown(name: &str, values: &Map<String, Value>, info: &Map<String, Value>, version: Option<i64>) -> Value {
    let mut told = json!({"credential_name": name, "credential_values": hidden(values), "credential_info": info});
    if let (Some(version), Some(members)) = (version, told.as_object_mut()) {
        members.insert("version".to_owned(), version.into());
    }
    told
}

/// Values with everything masked that may be a secret.
pub(super) fn hidden(values: &Map<String, Value>) -> Map<String, Value> {
    let hide = |(name, value): (&String, &Value)| {
        let is_plain = PLAIN.contains(&name.as_str()) || (!is_of_credential(name) && !value.is_object());
        let shown = match value {
            _ if is_plain => value.clone(),
            Value::String(text) => masked(text, SHOWN).into(),
            Value::Number(_) | Value::Bool(_) => value.clone(),
            _ => "****".into(),
        };
        (name.clone(), shown)
    };
    values.iter().map(hide).collect()
}

/// A member that belongs to a credential: an address, an account, a key.
fn is_of_credential(name: &str) -> bool {
    const BEGINNINGS: [&str; 7] = ["aws_", "azure_", "vertex_", "watsonx_", "gcs_", "oci_", "sap_"];
    const NAMES: [&str; 11] = [
        "api_base",
        "base_url",
        "api_version",
        "organization",
        "region_name",
        "tenant_id",
        "client_id",
        "username",
        "headers",
        "extra_headers",
        "custom_llm_provider",
    ];
    tollgate_wire::secret::sounds_secret(name)
        || NAMES.contains(&name)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

fn of_file(name: &str) -> Failure {
    Failure::invalid(format!("the credential '{name}' stands in the configuration file: change it there"))
        .with_param("credential_name")
}

fn unknown(name: &str) -> Failure {
    let mut failure = Failure::invalid(format!("Credential '{name}' not found")).with_param("credential_name");
    failure.status = Some(404);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_and_places_are_not() {
        let Value::Object(values) = json!({"api_key": "sk-1234567890", "api_base": "https://x.test", "aws_access_key_id": "AKIA12345678",
            "vertex_credentials": {"private_key": "pem"}, "headers": {"x": "y"}, "aws_session_name": "somebody"})
        else {
            panic!("not an object")
        };
        let hidden = Value::Object(hidden(&values));
        let text = hidden.to_string();
        for secret in ["1234567890", "AKIA1234", "pem", "\"y\"", "somebody"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(hidden["api_base"], "https://x.test");
        assert!(hidden["api_key"].as_str().unwrap().contains('*'));
    }
}
