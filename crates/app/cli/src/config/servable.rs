//! Which deployments of a configuration can be served: whose provider is known, and whose address and key are there.

use anyhow::bail;
use tollgate_catalog::Catalog;
use tollgate_config::{Config, Finding, LitellmParams, Location, ModelEntry, Severity};
use tollgate_gateway::settings_of;
use tollgate_providers::resolve::{Surroundings, TargetSettings, Unservable, provider_of, resolve};
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
    if needs_no_provider(&entry.params) {
        return None;
    }
    let around = Surroundings {
        env: &|name| environment.get(name).cloned(),
        provider_of: &|model| catalog.provider_of_bare_name(model).map(str::to_owned),
        facts: &|_, _| ModelFacts::default(),
    };
    let why = resolve(settings_of(entry, config), &around).err()?;
    let brings_key = config.general.allow_client_side_credentials;
    if brings_key && matches!(why, Unservable::NoKey(..)) { None } else { Some(why) }
}

/// Answers by itself, or is told by each request where to go.
fn needs_no_provider(params: &LitellmParams) -> bool {
    let is_mock = params.mock_response.is_some();
    is_mock || params.model.trim_matches('/') == "*" || !params.configurable_clientside_auth_params.is_empty()
}

/// Whether anyone knows the provider of these parameters; for files whose other settings cannot be used.
///
/// # Errors
/// In words, when nobody does.
pub(super) fn knows(params: &LitellmParams) -> Result<(), String> {
    if needs_no_provider(params) {
        return Ok(());
    }
    let catalog = Catalog::builtin();
    let around = Surroundings {
        env: &|_| None,
        provider_of: &|model| catalog.provider_of_bare_name(model).map(str::to_owned),
        facts: &|_, _| ModelFacts::default(),
    };
    let settings = TargetSettings {
        model: params.model.clone(),
        custom_llm_provider: params.custom_llm_provider.clone(),
        api_base: params.api_base.clone(),
        ..TargetSettings::default()
    };
    let found = provider_of(&settings, &around);
    found.map(|_| ()).ok_or_else(|| Unservable::UnknownProvider(params.model.clone()).to_string())
}
