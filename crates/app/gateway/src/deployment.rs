//! One deployment, ready to be called: target, price, bounds.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};
use tollgate_catalog::{Catalog, Model, Price};
use tollgate_config::{ClientDisconnect, ClientsideParam, Config, LitellmParams, ModelEntry, ModelHealth};
use tollgate_providers::{
    Target,
    auth::EntraAccount,
    dialects::prompt::{OwnTemplate, PromptTemplate},
    passage::ENDPOINT,
    resolve::{CloudSettings, Surroundings, TargetSettings, Unservable, provider_of, resolve},
    target::{Credential, ParamPolicy},
};
use tollgate_router::Captured;
use tollgate_wire::{Failure, Secret, facts::ModelFacts, http::is_credential, secret::masked};

use crate::{
    google_files,
    snapshot::{Environment, defaults},
};

/// Settings that hold for every deployment.
#[derive(Clone, Default)]
pub(crate) struct Globals {
    api_base: Option<String>,
    api_key: Option<Secret>,
    api_version: Option<String>,
    organization: Option<String>,
    headers: Vec<(String, String)>,
    provider_keys: Vec<(String, Secret)>,
    drop_params: bool,
    modify_params: bool,
    add_function_to_prompt: bool,
    /// Azure deployments without a key may use the machine's own identity.
    machine_identity: bool,
    timeout: Option<Duration>,
    stream_timeout: Option<Duration>,
}

impl Globals {
    pub(crate) fn of(config: &Config) -> Self {
        let litellm = &config.litellm;
        Self {
            api_base: litellm.api_base.clone(),
            api_key: litellm.api_key.clone(),
            api_version: litellm.api_version.clone(),
            organization: litellm.organization.clone(),
            headers: litellm.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            provider_keys: litellm.provider_keys.clone(),
            drop_params: litellm.drop_params.unwrap_or_default(),
            modify_params: litellm.modify_params.unwrap_or_default(),
            add_function_to_prompt: litellm.add_function_to_prompt.unwrap_or_default(),
            machine_identity: litellm.enable_azure_ad_token_refresh.unwrap_or_default(),
            timeout: litellm.request_timeout.or(config.router.timeout),
            stream_timeout: config.router.stream_timeout,
        }
    }
}

/// One deployment.
pub(crate) struct Served {
    pub(crate) id: Arc<str>,
    pub(crate) group: String,
    /// The model string as configured.
    pub(crate) model: String,
    pub(crate) goes_to: GoesTo,
    pub(crate) timeout: Duration,
    pub(crate) stream_timeout: Duration,
    pub(crate) mock: Option<Value>,
    pub(crate) disconnect: Option<ClientDisconnect>,
    /// What it does (`chat`, `embedding`, …), if the configuration or the catalog says so.
    pub(crate) mode: Option<String>,
    /// How it is looked at.
    pub(crate) health: ModelHealth,
    /// `model_info` as configured, for `/model/info`.
    pub(crate) info: Map<String, Value>,
    /// `litellm_params` that are no secret, for `/model/info`.
    pub(crate) params: Map<String, Value>,
    base_model: Option<String>,
    facts_overrides: Map<String, Value>,
    price_overrides: Map<String, Value>,
    clientside: Vec<ClientsideParam>,
    settings: TargetSettings,
}

impl Served {
    /// Groups by which keys may use it (`model_info.access_groups`).
    pub(crate) fn access_groups(&self) -> impl Iterator<Item = String> {
        let groups = self.info.get("access_groups").and_then(Value::as_array);
        groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned)
    }
}

/// Where a deployment's calls go.
pub(crate) enum GoesTo {
    /// Always there.
    Fixed(Arc<Place>),
    /// To the model that the `*` of the group's name stood for.
    Pattern,
    /// Nowhere.
    Nowhere(Unservable),
}

/// A target and its price.
pub(crate) struct Place {
    pub(crate) target: Arc<Target>,
    pub(crate) price: Price,
    /// What the client may know of the address: no query.
    pub(crate) address: String,
    pub(crate) model: Arc<str>,
}

impl Place {
    /// Where a mock is: nowhere.
    pub(crate) fn nowhere(served: &Served) -> Arc<Self> {
        let target = Target {
            provider: &tollgate_providers::table::openai::PROVIDER,
            model: served.model.clone(),
            series: tollgate_providers::target::Series::Unsaid,
            base_url: String::new(),
            api_version: None,
            credential: tollgate_providers::target::Credential::None,
            organization: None,
            headers: HeaderMap::new(),
            defaults: Map::new(),
            extra_body: Map::new(),
            params: ParamPolicy::default(),
            facts: ModelFacts::default(),
            place: std::collections::BTreeMap::default(),
            template: None,
        };
        let model = served.model.as_str().into();
        Arc::new(Self { target: Arc::new(target), price: Price::default(), address: String::new(), model })
    }
}

impl Place {
    /// Some providers repeat the key that they refuse: it is ours, and the client is not to see it.
    pub(crate) fn hide_secrets(&self, failure: &mut Failure) {
        for secret in self.secrets() {
            for text in std::iter::once(&mut failure.message).chain(&mut failure.detail) {
                if text.contains(secret) {
                    *text = text.replace(secret, &masked(secret, 4));
                }
            }
            failure.provider_fields.take_if(|fields| fields.to_string().contains(secret));
        }
    }

    /// Requests go to the same address as those of another, as the same account and for the same model.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        let same_account = match (&self.target.credential, &other.target.credential) {
            (Credential::None, Credential::None) => true,
            (Credential::Key(one), Credential::Key(other)) | (Credential::Token(one), Credential::Token(other)) => {
                one.expose() == other.expose()
            }
            (Credential::Account(one), Credential::Account(other)) => {
                one.identity().expose() == other.identity().expose()
            }
            _ => false,
        };
        let (mine, its) = (&self.target, &other.target);
        same_account
            && mine.provider.name == its.provider.name
            && (&mine.base_url, &mine.model, &mine.api_version) == (&its.base_url, &its.model, &its.api_version)
            && (&mine.organization, &mine.headers) == (&its.organization, &its.headers)
            && (&mine.place, &mine.extra_body) == (&its.place, &its.extra_body)
    }

    /// What of the target is not for the client's eyes. Of an endpoint of the user's own that is every header and every
    /// value of the query: nobody can tell which of them is a key.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let is_own = self.target.provider.name == ENDPOINT.name;
        let is_plain = |name: &HeaderName| matches!(*name, header::ACCEPT | header::CONTENT_TYPE | header::USER_AGENT);
        let may_be = move |name: &HeaderName| is_credential(name) || (is_own && !is_plain(name));
        let headers = self.target.headers.iter().filter(move |(name, _)| may_be(name));
        let of_headers = headers.filter_map(|(_, value)| value.to_str().ok());
        let key = match &self.target.credential {
            // What an account is turned into never stands in a provider's words: signatures and tokens of an hour.
            Credential::None | Credential::Account(_) => None,
            Credential::Key(secret) | Credential::Token(secret) => Some(secret.expose()),
        };
        let (address, query) = self.target.base_url.split_once('?').unwrap_or((&self.target.base_url, ""));
        let authority = address.split_once("://").and_then(|(_, rest)| rest.split('/').next());
        let login = authority.and_then(|authority| Some(authority.rsplit_once('@')?.0));
        let queries = [query, self.target.fact(OWN_QUERY).unwrap_or_default()];
        let values =
            queries.into_iter().flat_map(|query| query.split('&')).filter_map(|pair| Some(pair.split_once('=')?.1));
        // What is that short is no secret, and may be part of any word.
        of_headers.chain(key).chain(login).chain(values).filter(|secret| secret.len() >= 6)
    }
}

/// Where a target's facts hold the query that an endpoint of the user's own proposes.
pub(crate) const OWN_QUERY: &str = "query";

/// An address without user, password and query.
pub(crate) fn shown_address(base_url: &str) -> String {
    let address = base_url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

impl Served {
    pub(crate) fn build(entry: &ModelEntry, globals: &Globals, catalog: &Catalog, environment: &Environment) -> Self {
        let params = &entry.params;
        let timeout =
            params.timeout.or(params.request_timeout).or(globals.timeout).unwrap_or(defaults::REQUEST_TIMEOUT);
        let mut served = Self {
            id: entry.id.as_str().into(),
            group: entry.model_name.clone(),
            model: params.model.clone(),
            goes_to: GoesTo::Pattern,
            timeout,
            stream_timeout: params.stream_timeout.or(globals.stream_timeout).unwrap_or(timeout),
            mock: params.mock_response.clone(),
            disconnect: params.client_disconnect,
            mode: entry.info.mode.clone(),
            health: entry.info.health.clone(),
            info: entry.info.given.clone(),
            params: params.given.clone(),
            base_model: entry.info.base_model.clone(),
            facts_overrides: entry.info.given.clone(),
            price_overrides: params
                .prices
                .iter()
                .chain(&entry.info.prices)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            clientside: params.configurable_clientside_auth_params.clone(),
            settings: target_settings(entry, globals),
        };
        google_files::read_into(&mut served.settings, &|name| environment.get(name).cloned());
        if !served.model.contains('*') {
            served.goes_to = match served.place(served.settings.clone(), catalog, environment) {
                Ok(place) => GoesTo::Fixed(Arc::new(place)),
                Err(why) => GoesTo::Nowhere(why),
            };
        }
        if let (GoesTo::Fixed(place), None) = (&served.goes_to, &served.mode) {
            let listed = catalog.find(place.target.provider.name, &place.target.model);
            served.mode = listed.and_then(|model| Some(model.raw_facts().get("mode")?.as_str()?.to_owned()));
        }
        served
    }

    /// What a check calls in the place of the `*`.
    pub(crate) fn checked_as(&self) -> Option<String> {
        let (before, after) = self.model.split_once('*')?;
        let model = self.health.model.as_deref()?;
        let inner = model.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap_or(model);
        Some(inner.to_owned())
    }

    /// Why no call can go here. A deployment that only answers with a mock needs no provider.
    pub(crate) fn unservable(&self) -> Option<String> {
        match (&self.goes_to, &self.mock) {
            (GoesTo::Nowhere(why), None) => Some(why.to_string()),
            _ => None,
        }
    }

    /// The place for a call: the fixed one, or what a pattern, or the client's own credentials, make of it.
    pub(crate) fn place_for(
        &self,
        captured: Option<&Captured>,
        client: &crate::options::ClientSide,
        catalog: &Catalog,
        environment: &Environment,
    ) -> Result<Arc<Place>, Unservable> {
        if let (GoesTo::Fixed(place), true) = (&self.goes_to, client.names.is_empty()) {
            return Ok(Arc::clone(place));
        }
        let mut settings = self.settings.clone();
        if let Some(captured) = captured {
            settings.model = captured.fill(&settings.model);
        }
        if let Some(base) = &client.api_base {
            // Nothing that we know must go to an address that the client chose: no key, no configured header or member.
            settings.api_key.clone_from(&client.api_key);
            settings.token = None;
            settings.entra = None;
            settings.cloud = CloudSettings::default();
            settings.organization = None;
            settings.headers.clear();
            settings.extra_body.clear();
            settings.template = None;
            settings.api_base = Some(base.trim_end_matches('/').to_owned());
        }
        settings.api_key = client.api_key.clone().or(settings.api_key);
        settings.api_version = client.api_version.clone().or(settings.api_version);
        let environment_for_client = Environment::default();
        let environment = if client.api_base.is_some() { &environment_for_client } else { environment };
        let mut place = self.place(settings, catalog, environment)?;
        if client.api_base.is_some() && matches!(place.target.credential, Credential::Account(_)) {
            // Nor must an account that needs no setting sign for it: that of the machine we run on.
            Arc::make_mut(&mut place.target).credential = Credential::None;
        }
        Ok(Arc::new(place))
    }

    /// Whether a request may set this member itself.
    pub(crate) fn allows_client_side(&self, name: &str, value: Option<&str>) -> bool {
        self.clientside.iter().any(|param| match param {
            ClientsideParam::Any(allowed) => allowed == name,
            // Only a literal prefix is honoured: a request must not choose hosts by a clever pattern.
            ClientsideParam::Matching { param, pattern } => {
                param == name && value.is_some_and(|value| is_below(value, pattern.trim_start_matches('^')))
            }
        })
    }

    fn place(
        &self,
        settings: TargetSettings,
        catalog: &Catalog,
        environment: &Environment,
    ) -> Result<Place, Unservable> {
        let named = |provider: &str, model: &str| {
            let base = self.base_model.as_deref();
            let found = base.and_then(|base| catalog.find(provider, base)).or_else(|| catalog.find(provider, model));
            found.unwrap_or_else(|| Model::unlisted(provider, model))
        };
        let model_of = |provider: &str, model: &str| self.overridden(named(provider, model));
        let facts = |provider: &str, model: &str| -> ModelFacts {
            let listed = self.base_model.as_deref().is_some_and(|base| catalog.find(provider, base).is_some())
                || catalog.find(provider, model).is_some();
            ModelFacts { known: listed, ..model_of(provider, model).facts() }
        };
        let around = Surroundings {
            env: &|name| environment.get(name).cloned(),
            provider_of: &|model| catalog.provider_of_bare_name(model).map(str::to_owned),
            facts: &facts,
        };
        let target = resolve(settings, &around)?;
        let provider = target.provider.name;
        let price = model_of(provider, &target.model).price().adjusted(catalog.adjustment(provider));
        let address = shown_address(&target.base_url);
        Ok(Place { model: target.model.as_str().into(), target: Arc::new(target), price, address })
    }

    /// The model with the facts and prices that the deployment states.
    fn overridden(&self, model: Model) -> Model {
        model.with_overrides(&self.facts_overrides).with_price_overrides(&self.price_overrides)
    }

    /// What is known of its model, where it is always the same.
    pub(crate) fn facts(&self, catalog: &Catalog) -> Map<String, Value> {
        let GoesTo::Fixed(place) = &self.goes_to else { return Map::new() };
        let (provider, model) = (place.target.provider.name, &place.target.model);
        let base = self.base_model.as_deref().and_then(|base| catalog.find(provider, base));
        let found = base.or_else(|| catalog.find(provider, model));
        self.overridden(found.unwrap_or_else(|| Model::unlisted(provider, model))).raw_facts().clone()
    }

    /// The provider's name, where it can be told.
    pub(crate) fn provider_name(&self, catalog: &Catalog) -> &'static str {
        let around = Surroundings {
            env: &|_| None,
            provider_of: &|model| catalog.provider_of_bare_name(model).map(str::to_owned),
            facts: &|_, _| ModelFacts::default(),
        };
        provider_of(&self.settings, &around).map_or("", |(provider, _)| provider.name)
    }
}

/// Whether `value` is `prefix` or continues it at a boundary: `https://good.com` must not allow `https://good.com.evil`.
fn is_below(value: &str, prefix: &str) -> bool {
    let rest = value.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with(['/', '?']))
}

/// The clouds' settings, and `region_name`, which `LiteLLM` takes for any of them.
fn cloud(params: &LitellmParams) -> Map<String, Value> {
    let mut cloud = params.cloud.clone();
    if let Some(region) = &params.region_name {
        cloud.entry("region_name").or_insert_with(|| region.clone().into());
    }
    cloud
}

/// What a deployment says about an account at Entra; `machine`: its own identity may be used.
fn entra_account(params: &LitellmParams, machine: bool) -> Option<EntraAccount> {
    let names_one = params.client_secret.is_some() || params.azure_password.is_some() || params.client_id.is_some();
    (names_one || machine || params.azure_scope.is_some()).then(|| EntraAccount {
        tenant_id: params.tenant_id.clone(),
        client_id: params.client_id.clone(),
        client_secret: params.client_secret.clone(),
        username: params.azure_username.clone(),
        password: params.azure_password.clone(),
        scope: params.azure_scope.clone().unwrap_or_default(),
        machine,
        ..EntraAccount::default()
    })
}

/// Where a deployment's calls go, as the configuration says it: what [`tollgate_providers::resolve`] makes a target of.
#[must_use]
pub fn settings_of(
    entry: &ModelEntry,
    config: &Config,
    environment: &dyn Fn(&str) -> Option<String>,
) -> TargetSettings {
    let mut settings = target_settings(entry, &Globals::of(config));
    google_files::read_into(&mut settings, environment);
    settings
}

/// How the model's prompts are made.
fn template(params: &LitellmParams) -> PromptTemplate {
    let text = |setting: &Option<String>| setting.clone().unwrap_or_default();
    let own = OwnTemplate {
        initial: text(&params.initial_prompt_value),
        last: text(&params.final_prompt_value),
        bos: text(&params.bos_token),
        eos: text(&params.eos_token),
        roles: params.roles.clone(),
    };
    PromptTemplate::of(&params.model, params.hf_model_name.as_deref(), own)
}

fn target_settings(entry: &ModelEntry, globals: &Globals) -> TargetSettings {
    let params = &entry.params;
    let prefix = params.model.split('/').next().unwrap_or_default();
    let provider_key =
        globals.provider_keys.iter().find(|(provider, _)| provider == prefix).map(|(_, key)| key.clone());
    let mut headers = HeaderMap::new();
    let configured = globals.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in configured.chain(params.headers.iter()).chain(params.extra_headers.iter()) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    TargetSettings {
        model: params.model.clone(),
        custom_llm_provider: params.custom_llm_provider.clone(),
        api_base: params.api_base.clone().or_else(|| globals.api_base.clone()),
        api_key: params.api_key.clone().or(provider_key).or_else(|| globals.api_key.clone()),
        token: params.azure_ad_token.clone(),
        entra: entra_account(params, globals.machine_identity),
        cloud: CloudSettings(cloud(params)),
        api_version: params.api_version.clone().or_else(|| globals.api_version.clone()),
        organization: params.organization.clone().or_else(|| globals.organization.clone()),
        headers,
        defaults: params.rest.clone(),
        extra_body: params.extra_body.clone(),
        params: ParamPolicy {
            drop_params: params.drop_params.unwrap_or(globals.drop_params),
            additional_drop_params: params.additional_drop_params.clone(),
            allowed_openai_params: params.allowed_openai_params.clone(),
            modify_params: globals.modify_params,
            add_function_to_prompt: globals.add_function_to_prompt,
            merge_reasoning: params.merge_reasoning_content_in_choices,
        },
        template: Some(Arc::new(template(params))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_below_a_prefix_only_at_a_boundary() {
        let check = |value: &str, prefix: &str, expected: bool| {
            assert_eq!(is_below(value, prefix), expected, "{value} below {prefix}");
        };
        check("https://good.com", "https://good.com", true);
        check("https://good.com/v1", "https://good.com", true);
        check("https://good.com?a=b", "https://good.com", true);
        check("https://good.com/v1/x", "https://good.com/v1/", true);
        check("https://good.com.evil", "https://good.com", false);
        check("https://good.com@evil", "https://good.com", false);
        check("https://good.com:81", "https://good.com", false);
        check("https://other.com", "https://good.com", false);
    }

    #[test]
    fn a_shown_address_holds_neither_login_nor_query() {
        assert_eq!(shown_address("https://user:pass@host.test/v1?key=secret"), "https://host.test/v1");
        assert_eq!(shown_address("https://host.test"), "https://host.test");
    }
}
