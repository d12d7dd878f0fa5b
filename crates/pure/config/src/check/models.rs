//! `model_list`: every entry becomes a [`ModelEntry`], servable or not.

use std::collections::HashMap;

use super::KnowsProvider;
use crate::{
    Finding, Severity,
    deployment_id::{deployment_id, identity},
    fields::Fields,
    keys::{MODEL, MODEL_INFO, PARAMS},
    resolve::Missing,
    typed::{LitellmParams, ModelEntry, ModelInfo},
    yaml::{Entry, Node, Value},
};

/// What every deployment takes over where it says nothing itself.
struct Inherited<'a> {
    defaults: &'a [Entry],
    credentials: HashMap<String, Credential<'a>>,
}

/// The values of a credential, and its path in the file.
struct Credential<'a> {
    values: &'a [Entry],
    path: String,
}

pub(super) fn read(
    root: &Node,
    missing: &[Missing],
    knows: KnowsProvider<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<ModelEntry> {
    let inherited = Inherited::of(root);
    let mut models = Vec::new();
    for (index, item) in root.get("model_list").and_then(Node::items).unwrap_or_default().iter().enumerate() {
        let path = format!("model_list[{index}]");
        let Some(mut entry) = model(item, &path, &inherited, missing, findings) else { continue };
        if !entry.params.model.is_empty()
            && let Err(reason) = knows(&entry.params)
        {
            let node = item.get("litellm_params").and_then(|params| params.get("model")).unwrap_or(item);
            let path = format!("{path}.litellm_params.model");
            findings.push(Finding::new(Severity::Deployment, path, &node.at, reason.clone()));
            entry.unservable.get_or_insert(reason);
        }
        models.push(entry);
    }
    name(&mut models, findings);
    models
}

impl<'a> Inherited<'a> {
    fn of(root: &'a Node) -> Self {
        let defaults = root.get("router_settings").and_then(|router| router.get("default_litellm_params"));
        let list = root.get("credential_list").and_then(Node::items).unwrap_or_default();
        let credentials = list.iter().enumerate().filter_map(|(index, item)| {
            let name = item.get("credential_name")?.as_text()?.to_owned();
            let values = item.get("credential_values").and_then(Node::entries).unwrap_or_default();
            Some((name, Credential { values, path: format!("credential_list[{index}].") }))
        });
        Self { defaults: defaults.and_then(Node::entries).unwrap_or_default(), credentials: credentials.collect() }
    }
}

fn model(
    item: &Node,
    path: &str,
    inherited: &Inherited<'_>,
    missing: &[Missing],
    findings: &mut Vec<Finding>,
) -> Option<ModelEntry> {
    item.entries()?;
    let fields = Fields::of(Some(item), &MODEL);
    let mut unservable = lacks(path, missing, findings);
    let model_name = fields.text("model_name").or_else(|| absent(item, path, "model_name", findings))?;
    let params = fields.node("litellm_params").or_else(|| absent(item, path, "litellm_params", findings))?;
    if params.get("model").is_none() && unservable.is_none() {
        let path = format!("{path}.litellm_params");
        return absent(params, &path, "model", findings);
    }
    let mut params = params.clone();
    if let Err(reason) = use_credential(&mut params, inherited, missing) {
        let path = format!("{path}.litellm_params.litellm_credential_name");
        findings.push(Finding::new(Severity::Deployment, path, &params.at, reason.clone()));
        unservable.get_or_insert(reason);
    }
    take_over(&mut params, inherited.defaults);
    let params = LitellmParams::read(&Fields::of(Some(&params), &PARAMS));
    let info = ModelInfo::read(&Fields::of(fields.node("model_info"), &MODEL_INFO));
    let rpm = params.rpm.or_else(|| fields.whole("rpm"));
    let tpm = params.tpm.or_else(|| fields.whole("tpm"));
    Some(ModelEntry { model_name, params, info, rpm, tpm, id: String::new(), unservable, at: item.at.clone() })
}

/// Takes over the values of the credential that `params` names, if it names one.
fn use_credential(params: &mut Node, inherited: &Inherited<'_>, missing: &[Missing]) -> Result<(), String> {
    let Some(name) = params.get("litellm_credential_name").and_then(Node::as_text) else { return Ok(()) };
    let Some(credential) = inherited.credentials.get(name) else {
        return Err(format!("no entry of credential_list is called {name}"));
    };
    let lack = missing.iter().find(|lack| lack.path.starts_with(&credential.path));
    let reason =
        lack.map(|lack| format!("{} is not set in the environment, and the credential {name} needs it", lack.name));
    take_over(params, credential.values);
    reason.map_or(Ok(()), Err)
}

/// Says so for every variable that the entry names and that is not set; the first is the reason.
fn lacks(path: &str, missing: &[Missing], findings: &mut Vec<Finding>) -> Option<String> {
    let mut reason = None;
    let inside = format!("{path}.");
    for lack in missing.iter().filter(|lack| lack.path.starts_with(&inside)) {
        let message = format!("{} is not set in the environment", lack.name);
        findings.push(Finding::new(Severity::Deployment, lack.path.clone(), &lack.at, message.clone()));
        reason.get_or_insert(message);
    }
    reason
}

fn absent<T>(node: &Node, path: &str, key: &str, findings: &mut Vec<Finding>) -> Option<T> {
    findings.push(Finding::fatal(path, &node.at, format!("{key} is missing")));
    None
}

/// Adds what `params` does not set itself.
fn take_over(params: &mut Node, values: &[Entry]) {
    let Value::Map(entries) = &mut params.value else { return };
    for value in values.iter().filter(|value| !value.value.is_null()) {
        match entries.iter_mut().find(|entry| entry.key == value.key) {
            Some(entry) if entry.value.is_null() => entry.value = value.value.clone(),
            Some(_) => {}
            None => entries.push(value.clone()),
        }
    }
}

/// Gives every entry its id; entries equal but for secrets are told apart by their order.
fn name(models: &mut [ModelEntry], findings: &mut Vec<Finding>) {
    let mut equal: HashMap<String, usize> = HashMap::new();
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (index, entry) in models.iter_mut().enumerate() {
        let ordinal = equal.entry(identity(entry)).or_default();
        entry.id = deployment_id(entry, *ordinal);
        *ordinal += 1;
        if let Some(first) = taken.insert(entry.id.clone(), index) {
            let reason = format!("model_list[{first}] has the same model_info.id");
            let path = format!("model_list[{index}].model_info.id");
            findings.push(Finding::new(Severity::Deployment, path, &entry.at, reason.clone()));
            entry.unservable.get_or_insert(reason);
        }
    }
}
