//! From a deployment's settings to a [`Target`]: which provider a model string means, where it lives, with which key.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tollgate_wire::{Secret, facts::ModelFacts};

use crate::{
    auth::EntraAccount,
    dialects::{openai, prompt::PromptTemplate},
    entra,
    locate::{Located, Site},
    provider::{Auth, KeyNeed, Provider},
    table,
    target::{Credential, ParamPolicy, Series, Target},
};

/// What a deployment's configuration says about where it goes.
#[derive(Clone, Debug, Default)]
pub struct TargetSettings {
    /// `<provider>/<model>` or a bare known name.
    pub model: String,
    /// The provider, where the model string does not say it.
    pub custom_llm_provider: Option<String>,
    /// The address.
    pub api_base: Option<String>,
    /// The key.
    pub api_key: Option<Secret>,
    /// A bearer token in the key's place (Entra).
    pub token: Option<Secret>,
    /// What is configured about an account at Entra that gives such tokens.
    pub entra: Option<EntraAccount>,
    /// Settings of the clouds by their own names (`aws_region_name`, `vertex_project`, …); secrets among them, so there
    /// is no `Debug` of them.
    pub cloud: CloudSettings,
    /// The API version.
    pub api_version: Option<String>,
    /// `OpenAI-Organization`.
    pub organization: Option<String>,
    /// Headers that every request carries.
    pub headers: HeaderMap,
    /// Parameters for requests that do not set them.
    pub defaults: Map<String, Value>,
    /// Members that every request carries.
    pub extra_body: Map<String, Value>,
    /// How parameters are treated that the target does not take.
    pub params: ParamPolicy,
    /// How conversations become prompts.
    pub template: Option<Arc<PromptTemplate>>,
}

/// Settings that may hold secrets: `Debug` shows their names only.
#[derive(Clone, Default)]
pub struct CloudSettings(pub Map<String, Value>);

impl CloudSettings {
    /// A setting.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl std::fmt::Debug for CloudSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What the world outside knows: the environment as it was at the start, and the catalog.
pub struct Surroundings<'a> {
    /// The value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The provider of a bare model name.
    pub provider_of: &'a dyn Fn(&str) -> Option<String>,
    /// Facts about a provider's model.
    pub facts: &'a dyn Fn(&str, &str) -> ModelFacts,
}

/// Why a deployment cannot be served.
#[derive(Debug, PartialEq, Eq)]
pub enum Unservable {
    /// No provider could be found for the model string.
    UnknownProvider(String),
    /// The provider is known, but `api_base` must be given.
    NoAddress(&'static str, &'static [&'static str]),
    /// The provider needs a key.
    NoKey(&'static str, &'static [&'static str]),
    /// A setting is missing or wrong, in words that say what to set.
    Missing(String),
}

impl std::fmt::Display for Unservable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownProvider(model) => {
                write!(
                    f,
                    "LLM Provider NOT provided. Pass in the LLM provider you are trying to call. You passed model={model}; "
                )?;
                match model.split_once('/') {
                    Some((prefix, _)) => {
                        write!(f, "'{prefix}' is no provider of this version (docs/reference/providers.md)")
                    }
                    None => write!(f, "write it as <provider>/<model>, for example openai/{model}"),
                }
            }
            Self::NoAddress(name, env) => {
                write!(f, "provider '{name}' has no address of its own; set api_base{}", or_env(env))
            }
            Self::Missing(words) => f.write_str(words),
            Self::NoKey(name, env) => write!(f, "provider '{name}' needs a key; set api_key{}", or_env(env)),
        }
    }
}

fn or_env(names: &[&str]) -> String {
    names.first().map(|name| format!(" or the environment variable {name}")).unwrap_or_default()
}

/// Which provider a model string means, and the model's name there (surface chapter 11.1).
#[must_use]
pub fn provider_of(settings: &TargetSettings, around: &Surroundings<'_>) -> Option<(&'static Provider, String)> {
    let model = settings.model.as_str();
    if let Some(name) = &settings.custom_llm_provider {
        let provider = table::find(name)?;
        return Some((provider, model.strip_prefix(&format!("{name}/")).unwrap_or(model).to_owned()));
    }
    if let Some((prefix, rest)) = model.split_once('/')
        && let Some(provider) = table::find(prefix)
    {
        return Some((provider, rest.to_owned()));
    }
    if let Some(provider) = settings.api_base.as_deref().and_then(by_host) {
        return Some((provider, model.to_owned()));
    }
    let name = (around.provider_of)(model)?;
    table::find(&name).map(|provider| (provider, model.to_owned()))
}

/// The provider whose own host an address names. Hosts of our own network name nobody.
fn by_host(address: &str) -> Option<&'static Provider> {
    let host = host_of(address).filter(|_| address.starts_with("https://"))?;
    table::ALL.iter().copied().find(|provider| host_of(provider.base_url) == Some(host))
}

/// The host that an address names.
pub(crate) fn host_of(address: &str) -> Option<&str> {
    let rest = address.split_once("://")?.1;
    let host = rest.split(['/', '?', ':']).next()?;
    (!host.is_empty()).then_some(host)
}

/// The target of a deployment.
///
/// # Errors
/// What is missing, in words that say what to set.
pub fn resolve(settings: TargetSettings, around: &Surroundings<'_>) -> Result<Target, Unservable> {
    let Some((provider, model)) = provider_of(&settings, around) else {
        return Err(Unservable::UnknownProvider(settings.model));
    };
    let (provider, settings) = of_foundry(provider, &model, settings, around);
    let located = match provider.locate {
        Some(locate) => locate(&Site { model: &model, settings: &settings, around })?,
        None => Located { model, ..Located::default() },
    };
    let Located { model, base_url: own_base, credential: own_credential, facts: place } = located;
    let (series, model) = split_series(provider, model);
    let series = if series == Series::Unsaid { series_of_base(provider, &settings.defaults) } else { series };
    let from_env = |names: &[&str]| names.iter().find_map(|name| (around.env)(name).filter(|value| !value.is_empty()));
    let base_url = settings
        .api_base
        .filter(|base| !base.is_empty())
        .or_else(|| from_env(provider.base_env))
        .or(own_base)
        .or_else(|| own_address(provider, around));
    let Some(base_url) = base_url else { return Err(Unservable::NoAddress(provider.name, provider.base_env)) };
    let key = settings.api_key.or_else(|| from_env(provider.key_env).map(Secret::new));
    let token = settings.token.or_else(|| from_env(token_env(provider.auth)).map(Secret::new));
    let account = match (&key, &token, &own_credential) {
        (None, None, None) => entra::account(settings.entra.as_ref(), provider, around)?,
        _ => None,
    };
    let credential = match (key, token) {
        _ if own_credential.is_some() => own_credential.unwrap_or(Credential::None),
        (Some(key), _) => Credential::Key(key),
        (None, Some(token)) => Credential::Token(token),
        (None, None) if account.is_some() => account.map_or(Credential::None, Credential::Account),
        (None, None) if provider.key == KeyNeed::Required => {
            return Err(Unservable::NoKey(provider.name, provider.key_env));
        }
        (None, None) => Credential::None,
    };
    let prefix = provider.quirks.model_prefix;
    let model = if prefix.is_empty() || model.contains('/') { model } else { format!("{prefix}{model}") };
    let azure_version = || (provider.auth == Auth::Azure).then(|| from_env(&["AZURE_API_VERSION"])).flatten();
    Ok(Target {
        provider,
        facts: (around.facts)(provider.name, &model),
        model,
        series,
        base_url: with_suffix(&base_url, provider),
        api_version: settings.api_version.or_else(azure_version),
        credential,
        organization: settings
            .organization
            .or_else(|| (provider.name == "openai").then(|| from_env(&["OPENAI_ORGANIZATION"])).flatten()),
        headers: with_env_headers(settings.headers, provider, around),
        defaults: only_parameters(settings.defaults),
        extra_body: settings.extra_body,
        params: settings.params,
        place,
        template: settings.template,
    })
}

/// A model of `OpenAI`'s that is deployed in Azure's Foundry is called as Azure `OpenAI` is, unless the address is that of
/// the model inference API, which serves all models alike.
fn of_foundry(
    provider: &'static Provider,
    model: &str,
    mut settings: TargetSettings,
    around: &Surroundings<'_>,
) -> (&'static Provider, TargetSettings) {
    let foundry = &table::azure_ai::PROVIDER;
    if provider.name != foundry.name || (around.provider_of)(model).as_deref() != Some("openai") {
        return (provider, settings);
    }
    let env = |names: &[&str]| names.iter().find_map(|name| (around.env)(name).filter(|value| !value.is_empty()));
    let Some(base) = settings.api_base.clone().filter(|base| !base.is_empty()).or_else(|| env(foundry.base_env)) else {
        return (provider, settings);
    };
    let at_foundry = host_of(&base).is_some_and(|host| host.ends_with(".services.ai.azure.com"));
    if at_foundry && !base.contains("/openai/deployments") {
        return (provider, settings);
    }
    settings.api_base = Some(base);
    settings.api_key = settings.api_key.or_else(|| env(foundry.key_env).map(Secret::new));
    (&table::azure::PROVIDER, settings)
}

/// Environment variables that may hold a bearer token in the key's place.
fn token_env(auth: Auth) -> &'static [&'static str] {
    match auth {
        Auth::Azure => &["AZURE_AD_TOKEN"],
        Auth::Anthropic => &["ANTHROPIC_AUTH_TOKEN"],
        Auth::Bearer | Auth::Header(_) | Auth::Scheme(_) | Auth::AzureFoundry | Auth::Snowflake | Auth::Aws(_) => &[],
    }
}

/// The row's address, the variables in it filled in; `None` when it has none or one of them is not set.
fn own_address(provider: &Provider, around: &Surroundings<'_>) -> Option<String> {
    let mut address = String::new();
    let mut rest = provider.base_url;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        address.push_str(before);
        address.push_str(&(around.env)(name).filter(|value| !value.is_empty())?);
        rest = after;
    }
    address.push_str(rest);
    (!address.is_empty()).then_some(address)
}

/// The address without a slash at its end, and with what all of this provider's addresses end with.
fn with_suffix(address: &str, provider: &Provider) -> String {
    let address = address.trim_end_matches('/');
    let suffix = provider.base_suffix;
    let whole = address.ends_with(suffix) || address.contains(&format!("{suffix}/"));
    if whole { address.to_owned() } else { format!("{address}{suffix}") }
}

/// The configuration's headers, and those that the environment gives.
fn with_env_headers(mut headers: HeaderMap, provider: &Provider, around: &Surroundings<'_>) -> HeaderMap {
    for (variable, name) in provider.quirks.header_env {
        if let Some(value) = (around.env)(variable).and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.entry(HeaderName::from_static(name)).or_insert(value);
        }
    }
    headers
}

/// The configuration's defaults without what is about the deployment, and without what only a request can want.
fn only_parameters(mut defaults: Map<String, Value>) -> Map<String, Value> {
    for name in ["base_model", "metadata", "model_id", "sagemaker_base_url", "stream", "stream_options"] {
        defaults.shift_remove(name);
    }
    defaults
}

/// What the model behind a deployment of Azure is, where `base_model` says it.
fn series_of_base(provider: &Provider, defaults: &Map<String, Value>) -> Series {
    let base = defaults.get("base_model").and_then(Value::as_str).unwrap_or_default();
    let name = base.rsplit('/').next().unwrap_or_default();
    match provider.name {
        "azure" if openai::names_o_series(name) => Series::OSeries,
        "azure" if openai::names_gpt5(name) => Series::Gpt5,
        _ => Series::Unsaid,
    }
}

/// A second prefix that says how a model is called.
fn split_series(provider: &Provider, model: String) -> (Series, String) {
    const WORDS: [(&str, Series); 3] =
        [("o_series/", Series::OSeries), ("gpt5_series/", Series::Gpt5), ("responses/", Series::Responses)];
    if !matches!(provider.name, "openai" | "azure") {
        return (Series::Unsaid, model);
    }
    for (word, series) in WORDS {
        if let Some(rest) = model.strip_prefix(word) {
            return (series, rest.to_owned());
        }
    }
    (Series::Unsaid, model)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(model: &str, base: &str) -> &'static str {
        let around = Surroundings {
            env: &|name| (name == "AZURE_AI_API_KEY").then(|| "k".to_owned()),
            provider_of: &|name| name.starts_with("gpt").then(|| "openai".to_owned()),
            facts: &|_, _| ModelFacts::default(),
        };
        let settings =
            TargetSettings { model: model.to_owned(), api_base: Some(base.to_owned()), ..Default::default() };
        resolve(settings, &around).map(|target| target.provider.name).unwrap()
    }

    #[test]
    fn openais_models_in_the_foundry_are_called_as_azures() {
        assert_eq!(provider("azure_ai/gpt-4o", "https://mine.openai.azure.com"), "azure");
        assert_eq!(provider("azure_ai/gpt-4o", "https://mine.services.ai.azure.com"), "azure_ai");
        assert_eq!(
            provider("azure_ai/gpt-4o", "https://mine.services.ai.azure.com/openai/deployments/gpt-4o"),
            "azure"
        );
        assert_eq!(provider("azure_ai/mistral-large", "https://mistral.models.ai.azure.com"), "azure_ai");
    }
}
