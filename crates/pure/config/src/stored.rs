//! Deployments that are kept in a store: read as an entry of `model_list` is, one by one, so that a bad one spoils no other.

use serde_json::{Map, Value as Json, json};

use crate::{Credential, ModelEntry, Severity, check, parse, resolve};

/// A deployment as it is kept.
#[derive(Clone)]
pub struct StoredModel {
    /// Its id, whatever `info` says.
    pub id: String,
    /// `model_name`.
    pub model_name: String,
    /// `litellm_params`, secrets and all.
    pub params: Map<String, Json>,
    /// `model_info`.
    pub info: Map<String, Json>,
}

impl std::fmt::Debug for StoredModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredModel").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The entry that a stored deployment is. `credentials` are those it may name, `lookup` gives variables for `os.environ/X`.
///
/// # Errors
/// Why it cannot be served, in words for whoever wrote it.
pub fn stored_model(
    model: &StoredModel,
    credentials: &[Credential],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<ModelEntry, String> {
    let mut info = model.info.clone();
    info.insert("id".to_owned(), model.id.as_str().into());
    let named = model.params.get("litellm_credential_name").and_then(Json::as_str);
    let credentials: Vec<Json> = credentials
        .iter()
        .filter(|one| Some(one.credential_name.as_str()) == named)
        .map(|one| json!({"credential_name": one.credential_name, "credential_values": one.credential_values}))
        .collect();
    let entry = json!({"model_name": model.model_name, "litellm_params": model.params, "model_info": info});
    // JSON is YAML.
    let text = json!({"model_list": [entry], "credential_list": credentials}).to_string();
    let file = parse("store", &text).map_err(|finding| finding.message)?;
    let checked = check(resolve(file, lookup), &|_| Ok(()));
    let grave = checked.findings.iter().find(|finding| finding.severity <= Severity::Deployment);
    let said = |path: &str, message: &str| format!("{}: {message}", path.trim_start_matches("model_list[0]."));
    if let Some(finding) = grave {
        return Err(said(&finding.path, &finding.message));
    }
    let entry = checked.config.and_then(|config| config.models.into_iter().next());
    entry.ok_or_else(|| "it is no entry of a model_list".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &Json) -> Map<String, Json> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn model(params: &Json) -> StoredModel {
        StoredModel {
            id: "id-1".to_owned(),
            model_name: "näme: \"x\"".to_owned(),
            params: map(params),
            info: map(&json!({"id": "other", "mode": "chat", "note": "it's #1"})),
        }
    }

    #[test]
    fn a_stored_deployment_is_an_entry_like_any_other() {
        let read =
            |params: Json| stored_model(&model(&params), &[], &|name| (name == "SET").then(|| "sk-of-env".to_owned()));
        let entry = read(
            json!({"model": "openai/gpt-4o", "api_key": "os.environ/SET", "rpm": 7, "input_cost_per_token": 1e-6}),
        )
        .unwrap();
        assert_eq!((entry.id.as_str(), entry.model_name.as_str()), ("id-1", "näme: \"x\""));
        assert_eq!(entry.params.api_key.unwrap().expose(), "sk-of-env");
        assert_eq!((entry.rpm, entry.info.mode.as_deref()), (Some(7), Some("chat")));
        assert_eq!(entry.params.prices.get("input_cost_per_token"), Some(&json!(1e-6)));
        assert!(read(json!({})).unwrap_err().contains("model"));
        let lacking = read(json!({"model": "openai/gpt-4o", "api_key": "os.environ/NOT_SET"})).unwrap_err();
        assert!(lacking.contains("NOT_SET is not set"), "{lacking}");
    }

    #[test]
    fn a_credential_is_taken_over_by_its_name() {
        let credential = Credential {
            credential_name: "mine".to_owned(),
            credential_values: map(&json!({"api_key": "sk-of-credential", "api_base": "https://x.test"})),
            credential_info: Map::new(),
        };
        let read = |params: Json| stored_model(&model(&params), std::slice::from_ref(&credential), &|_| None);
        let entry =
            read(json!({"model": "openai/a", "litellm_credential_name": "mine", "api_base": "https://own.test"}));
        let params = entry.unwrap().params;
        assert_eq!(
            (params.api_key.unwrap().expose(), params.api_base.as_deref()),
            ("sk-of-credential", Some("https://own.test"))
        );
        let gone = read(json!({"model": "openai/a", "litellm_credential_name": "gone"})).unwrap_err();
        assert!(gone.contains("gone"), "{gone}");
    }
}
