//! Where calls that are passed on go: the endpoints of the configuration, and which deployment's address and credential
//! a provider's or a kept thing's path uses.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use tollgate_catalog::{Cost, Price};
use tollgate_config::{Config, PassThroughEndpoint};
use tollgate_policy::KeyDigest;
use tollgate_providers::{
    Provider, Target, passage,
    provider::KeyNeed,
    resolve::{Surroundings, TargetSettings, resolve},
    target::{Credential, ParamPolicy, Series},
};
use tollgate_router::Captured;
use tollgate_wire::{Failure, FailureKind, Secret, facts::ModelFacts};

use crate::{
    deployment::{GoesTo, OWN_QUERY, Place, Served, shown_address},
    options::ClientSide,
    sealed::Thing,
    snapshot::{Environment, Snapshot},
};

/// A path of the configuration's own, ready to be passed on.
#[derive(Debug)]
pub(crate) struct Endpoint {
    path: String,
    include_subpath: bool,
    pub(crate) methods: Vec<Method>,
    pub(crate) auth: bool,
    pub(crate) forward_headers: bool,
    pub(crate) query: String,
    pub(crate) cost: Option<Cost>,
    pub(crate) timeout: Duration,
    pub(crate) place: Arc<Place>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("address", &self.address).finish_non_exhaustive()
    }
}

/// How long a call that is passed on may be silent, where nobody says.
const PATIENCE: Duration = Duration::from_secs(600);

impl Endpoint {
    /// All of a configuration.
    pub(crate) fn all(config: &Config, environment: &Environment) -> Vec<Arc<Self>> {
        let general = &config.general;
        let patience = general.pass_through_request_timeout.unwrap_or(PATIENCE);
        let read = |endpoint| Arc::new(Self::of(endpoint, patience, environment));
        general.pass_through_endpoints.iter().map(read).collect()
    }

    fn of(endpoint: &PassThroughEndpoint, patience: Duration, environment: &Environment) -> Self {
        let text = |value: &str| filled(value, environment);
        let mut headers = HeaderMap::new();
        let (mut public, mut secret) = (None, None);
        for (name, value) in &endpoint.headers {
            match name.as_str() {
                "LANGFUSE_PUBLIC_KEY" => public = Some(text(value)),
                "LANGFUSE_SECRET_KEY" => secret = Some(text(value)),
                _ => {
                    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text(value))) {
                        headers.insert(name, value);
                    }
                }
            }
        }
        if let Some(value) = public.zip(secret).and_then(|(public, secret)| basic(&public, &secret)) {
            headers.insert(header::AUTHORIZATION, value);
        }
        let query: Vec<String> = endpoint.query.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        let query = query.join("&");
        let mut target = bare(&passage::ENDPOINT, text(&endpoint.target), Credential::None, headers);
        target.place.insert(OWN_QUERY, query.clone());
        Self {
            path: format!("/{}", endpoint.path.trim_matches('/')),
            include_subpath: endpoint.include_subpath,
            methods: endpoint.methods.iter().filter_map(|name| name.to_ascii_uppercase().parse().ok()).collect(),
            auth: endpoint.auth,
            forward_headers: endpoint.forward_headers,
            query,
            cost: endpoint.cost_per_request.filter(|cost| *cost > 0.0).map(dollars),
            timeout: endpoint.timeout.unwrap_or(patience),
            place: Arc::new(Place {
                address: shown_address(&target.base_url),
                target: Arc::new(target),
                price: Price::default(),
                model: Arc::from(""),
            }),
        }
    }

    /// Its methods, as the header `allow` names them.
    pub(crate) fn allowed(&self) -> String {
        self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(",")
    }

    /// What follows the endpoint's path, if this path is its.
    pub(crate) fn takes<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.path.as_str())?;
        let is_its = rest.is_empty() || (self.include_subpath && rest.starts_with('/'));
        is_its.then_some(rest)
    }
}

fn dollars(cost: f64) -> Cost {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what an amount can be")]
    Cost::from_pico((cost.clamp(0.0, 1e9) * 1e12).round() as i128)
}

/// A value in which `os.environ/NAME` stands for a variable, as the whole or as its last word (`bearer os.environ/KEY`).
fn filled(value: &str, environment: &Environment) -> String {
    let Some((before, name)) = value.split_once("os.environ/") else { return value.to_owned() };
    let end = name.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    let (name, after) = name.split_at(end.unwrap_or(name.len()));
    format!("{before}{}{after}", environment.get(name).map(String::as_str).unwrap_or_default())
}

fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A target that is only an address and a credential.
fn bare(provider: &'static Provider, base_url: String, credential: Credential, headers: HeaderMap) -> Target {
    Target {
        template: None,
        provider,
        model: String::new(),
        series: Series::Unsaid,
        base_url,
        api_version: None,
        credential,
        organization: None,
        headers,
        defaults: serde_json::Map::new(),
        extra_body: serde_json::Map::new(),
        params: ParamPolicy::default(),
        facts: ModelFacts::default(),
        place: BTreeMap::new(),
    }
}

/// Where a call goes, and what its model is called there.
pub(crate) struct Chosen {
    pub(crate) place: Arc<Place>,
    /// Whose place it is; empty where it is the environment's.
    pub(crate) deployment: Arc<str>,
    /// The deployment's name for the model, where the client has another.
    pub(crate) renames: Option<String>,
}

/// The place of these providers for this model: the deployment that serves it under either name, else the first, else
/// what the environment says.
///
/// # Errors
/// `Misconfigured` when there is none, with what to set.
pub(crate) fn choose(snapshot: &Snapshot, providers: &[&str], model: Option<&str>) -> Result<Chosen, Failure> {
    let mut first = None;
    for served in &snapshot.served {
        let Some(place) = place_of(served, providers, model, snapshot) else { continue };
        let by_group = model == Some(served.group.as_str());
        let deployment = Arc::clone(&served.id);
        if by_group || model == Some(place.target.model.as_str()) {
            let own = Some(&place.target.model).filter(|own| by_group && model != Some(own.as_str()));
            return Ok(Chosen { renames: own.cloned(), deployment, place });
        }
        first = first.or(Some((place, deployment)));
    }
    let (place, deployment) = match first {
        Some(first) => first,
        None => (of_environment(snapshot, providers, model)?, Arc::from("")),
    };
    Ok(Chosen { place: priced_for(snapshot, place, model), deployment, renames: None })
}

/// The place of a thing that is kept at a provider: its deployment; if that is no more, one with the same account, or at
/// the same address, or the provider's first.
///
/// # Errors
/// As [`choose`].
pub(crate) fn choose_for(snapshot: &Snapshot, thing: &Thing, model: Option<&str>) -> Result<Chosen, Failure> {
    let own = deployment_place(snapshot, &thing.deployment);
    let Some((place, deployment)) = own.or_else(|| akin(snapshot, &thing.account)) else {
        return choose(snapshot, &[&thing.provider], model);
    };
    let provider = place.target.provider.name;
    let of_group = |served: &&Arc<Served>| Some(served.group.as_str()) == model;
    let named = snapshot.served.iter().filter(of_group).find_map(|served| match &served.goes_to {
        GoesTo::Fixed(own) if own.target.provider.name == provider => Some(own.target.model.clone()),
        _ => None,
    });
    Ok(Chosen { place, deployment, renames: named.filter(|own| Some(own.as_str()) != model) })
}

/// The deployment that is most like the one with this account was: its key may be another.
fn akin(snapshot: &Snapshot, account: &Account) -> Option<(Arc<Place>, Arc<str>)> {
    let places = || snapshot.served.iter().filter_map(|served| deployment_place(snapshot, &served.id));
    let same = places().find(|(place, _)| Account::of(place) == *account);
    same.or_else(|| places().find(|(place, _)| Account::of(place).shelf == account.shelf))
}

/// The place of a deployment, for calls in which the model plays no part.
pub(crate) fn deployment_place(snapshot: &Snapshot, id: &str) -> Option<(Arc<Place>, Arc<str>)> {
    let served = snapshot.served.iter().find(|served| *served.id == *id)?;
    let place =
        served.place_for(Some(&Captured::of("any")), &ClientSide::default(), &snapshot.catalog, &snapshot.environment);
    Some((place.ok()?, Arc::clone(&served.id)))
}

/// Whose things are where: what is kept with one account is there with every deployment that has the same. Hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// The provider, and its address for such things.
    shelf: String,
    /// The key, and the organisation it speaks for.
    key: String,
}

impl Account {
    pub(crate) fn of(place: &Place) -> Self {
        let target = &place.target;
        let address = passage::resource_url(target, "/files", "").map(|url| shown_address(&url)).unwrap_or_default();
        let secret = match &target.credential {
            Credential::None => String::new(),
            Credential::Key(secret) | Credential::Token(secret) => secret.expose().to_owned(),
            Credential::Account(account) => account.identity().expose().to_owned(),
        };
        let hash =
            |one: &str, other: &str| KeyDigest::of(&format!("{one}\n{other}")).to_hex().chars().take(16).collect();
        Self {
            shelf: hash(target.provider.name, &address),
            key: hash(&secret, target.organization.as_deref().unwrap_or_default()),
        }
    }
}

fn place_of(served: &Served, providers: &[&str], model: Option<&str>, snapshot: &Snapshot) -> Option<Arc<Place>> {
    match &served.goes_to {
        GoesTo::Fixed(place) => providers.contains(&place.target.provider.name).then(|| Arc::clone(place)),
        GoesTo::Pattern if providers.contains(&served.provider_name(&snapshot.catalog)) => {
            let model = model.unwrap_or("any");
            served
                .place_for(Some(&Captured::of(model)), &ClientSide::default(), &snapshot.catalog, &snapshot.environment)
                .ok()
        }
        _ => None,
    }
}

/// The same place, with the price of the model that is asked for.
pub(crate) fn priced_for(snapshot: &Snapshot, place: Arc<Place>, model: Option<&str>) -> Arc<Place> {
    let Some(model) = model.filter(|model| **model != *place.model) else { return place };
    let found = snapshot.catalog.find(place.target.provider.name, model);
    Arc::new(Place {
        target: Arc::clone(&place.target),
        price: found.map(|model| model.price()).unwrap_or_default(),
        address: place.address.clone(),
        model: model.into(),
    })
}

fn of_environment(snapshot: &Snapshot, providers: &[&str], model: Option<&str>) -> Result<Arc<Place>, Failure> {
    let unset = |words: String| Failure::new(FailureKind::Misconfigured, words);
    let Some((name, provider)) = providers.iter().find_map(|name| Some((name, passage::provider(name)?))) else {
        let words = format!("the provider '{}' is not in this version", providers.first().unwrap_or(&""));
        return Err(Failure::new(FailureKind::NotBuilt, words));
    };
    let environment = &snapshot.environment;
    let target = if tollgate_providers::table::find(name).is_some() {
        let settings = TargetSettings { model: format!("{name}/{}", model.unwrap_or("any")), ..Default::default() };
        let around = Surroundings {
            env: &|name| environment.get(name).cloned(),
            provider_of: &|_| None,
            facts: &|_, _| ModelFacts::default(),
        };
        resolve(settings, &around).map_err(|why| unset(why.to_string()))?
    } else {
        foreign(provider, environment)?
    };
    let address = shown_address(&target.base_url);
    Ok(Arc::new(Place { target: Arc::new(target), price: Price::default(), address, model: Arc::from("") }))
}

/// A provider without models of its own here.
fn foreign(provider: &'static Provider, environment: &Environment) -> Result<Target, Failure> {
    let set = |names: &[&str]| names.iter().find_map(|name| environment.get(*name).filter(|value| !value.is_empty()));
    let missing = |name: &str| {
        let words = format!("provider '{}' needs a key; set the environment variable {name}", provider.name);
        Failure::new(FailureKind::Misconfigured, words)
    };
    let base = set(provider.base_env).map_or(provider.base_url, String::as_str).trim_end_matches('/').to_owned();
    let mut headers = HeaderMap::new();
    if provider.name == "langfuse" {
        let public = set(&["LANGFUSE_PUBLIC_KEY"]).ok_or_else(|| missing("LANGFUSE_PUBLIC_KEY"))?;
        let secret = set(&["LANGFUSE_SECRET_KEY"]).ok_or_else(|| missing("LANGFUSE_SECRET_KEY"))?;
        headers.extend(basic(public, secret).map(|value| (header::AUTHORIZATION, value)));
    }
    let credential = match set(provider.key_env) {
        Some(key) => Credential::Key(Secret::new(key.as_str())),
        None if provider.key == KeyNeed::Required => {
            return Err(missing(provider.key_env.first().copied().unwrap_or_default()));
        }
        None => Credential::None,
    };
    Ok(bare(provider, base, credential, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_may_be_a_word_of_a_value() {
        let environment = Environment::from([("KEY".to_owned(), "k-1".to_owned())]);
        for (value, expected) in [
            ("plain", "plain"),
            ("os.environ/KEY", "k-1"),
            ("bearer os.environ/KEY", "bearer k-1"),
            ("a os.environ/KEY, b", "a k-1, b"),
            ("x os.environ/NONE", "x "),
        ] {
            assert_eq!(filled(value, &environment), expected);
        }
    }
}
