//! Which deployments of a configuration can be served: whose provider is known, and whose address and key are there.

use anyhow::bail;
use tollgate_catalog::Catalog;
use tollgate_config::{Config, Finding, Location, ModelEntry, Severity};
use tollgate_gateway::entra_account;
use tollgate_providers::resolve::{CloudSettings, Surroundings, TargetSettings, Unservable, resolve};
use tollgate_wire::facts::ModelFacts;

use crate::environment::Environment;

/// Adds a finding for every deployment that cannot be served and is not known as such yet (decision 20); `places` says
/// where their models stand.
pub(super) fn find(config: &mut Config, environment: &Environment, places: &[Location], findings: &mut Vec<Finding>) {
    let catalog = Catalog::builtin();
    let reasons: Vec<Option<String>> = config
        .models
        .iter()
        .map(|entry| match &entry.unservable {
            Some(_) => None,
            None => why_not(entry, config, environment, &catalog).map(|why| why.to_string()),
        })
        .collect();
    for (index, (entry, reason)) in config.models.iter_mut().zip(reasons).enumerate() {
        let Some(reason) = reason else { continue };
        let at = places.get(index).unwrap_or(&entry.at);
        // `--model` stands in no file, so it has no path in one.
        let path = if at.line == 0 { String::new() } else { format!("model_list[{index}].litellm_params.model") };
        findings.push(Finding::new(Severity::Deployment, path, at, reason.clone()));
        entry.unservable = Some(reason);
    }
    findings.sort_by(|a, b| (&a.at.file, a.at.line).cmp(&(&b.at.file, b.at.line)));
}

/// `--model` is asked for by hand, so a provider that nobody knows stops the start.
pub(super) fn refuse_unknown_provider(
    entry: &ModelEntry,
    config: &Config,
    environment: &Environment,
) -> anyhow::Result<()> {
    match why_not(entry, config, environment, &Catalog::builtin()) {
        Some(why @ Unservable::UnknownProvider(_)) => bail!("--model: {why}"),
        _ => Ok(()),
    }
}

fn why_not(entry: &ModelEntry, config: &Config, environment: &Environment, catalog: &Catalog) -> Option<Unservable> {
    let params = &entry.params;
    // Answers by itself, or is told by each request where to go.
    let is_mock = params.mock_response.is_some();
    if is_mock || params.model.trim_matches('/') == "*" || !params.configurable_clientside_auth_params.is_empty() {
        return None;
    }
    let around = Surroundings {
        env: &|name| environment.get(name).cloned(),
        provider_of: &|model| catalog.provider_of_bare_name(model).map(str::to_owned),
        facts: &|_, _| ModelFacts::default(),
    };
    let why = resolve(settings(entry, config), &around).err()?;
    let brings_key = config.general.allow_client_side_credentials;
    if brings_key && matches!(why, Unservable::NoKey(..)) { None } else { Some(why) }
}

fn settings(entry: &ModelEntry, config: &Config) -> TargetSettings {
    let (params, litellm) = (&entry.params, &config.litellm);
    let provider = params.custom_llm_provider.as_deref().or_else(|| params.model.split('/').next());
    let of_provider = litellm.provider_keys.iter().find(|(name, _)| Some(name.as_str()) == provider);
    TargetSettings {
        model: params.model.clone(),
        custom_llm_provider: params.custom_llm_provider.clone(),
        api_base: params.api_base.clone().or_else(|| litellm.api_base.clone()),
        api_key: params
            .api_key
            .clone()
            .or_else(|| of_provider.map(|(_, key)| key.clone()))
            .or_else(|| litellm.api_key.clone()),
        token: params.azure_ad_token.clone(),
        entra: entra_account(params, litellm.enable_azure_ad_token_refresh.unwrap_or_default()),
        cloud: CloudSettings(params.cloud.clone()),
        ..TargetSettings::default()
    }
}
