//! What the configuration, and a request, say to the router: rules, fallbacks, deployments as routing sees them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use tollgate_catalog::{
    Catalog, cost,
    tokens::{guess, skim},
};
use tollgate_config::{Budget, Config, HedgingSettings, ModelEntry, Strategy as Configured};
use tollgate_providers::provider::Provider;
use tollgate_router::{
    Deployment, Fallback, FallbackList, Fallbacks, Fleet, FleetBuilder, Hedging, Nanos, Payer, Policy, Purse, Purses,
    RestRules, Rules, Strategy, Wants,
};
use tollgate_wire::{Failure, RawBody, Usage};

use crate::{
    deployment::{GoesTo, Place, Served},
    snapshot::defaults,
};

/// All deployments of a configuration, ready to be picked from.
pub(crate) fn fleet(config: &Config, served: &[Arc<Served>], catalog: &Catalog, answers_everything: bool) -> Fleet {
    let mut builder = FleetBuilder::default();
    let mut purses = Purses::default();
    for (tag, budget) in &config.litellm.tag_budget_config {
        purses.add(purse(Payer::Tag(tag.clone()), *budget));
    }
    for (entry, served) in config.models.iter().zip(served) {
        let purses = purses_of(config, entry, served.provider_name(catalog), &mut purses);
        builder.add(Deployment { purses, ..deployment(config, entry, served) });
    }
    for alias in &config.router.model_group_alias {
        builder.alias(alias.alias.clone(), alias.model.clone(), alias.hidden);
    }
    builder.default_group(config.general.default_model.clone());
    builder.answers_everything(answers_everything);
    builder.rules(Rules { purses, ..rules(config) });
    builder.build()
}

/// What the calls of a deployment are paid from: its provider's budget, and its own.
fn purses_of(config: &Config, entry: &ModelEntry, provider: &str, purses: &mut Purses) -> Vec<Arc<Purse>> {
    let of_provider = config.router.provider_budget_config.iter().find(|(name, _)| name == provider);
    let of_provider = of_provider.map(|(name, budget)| purse(Payer::Provider(name.clone()), *budget));
    let own = entry.params.budget.map(|budget| {
        let (id, group, model) = (entry.id.clone(), entry.model_name.clone(), entry.params.model.clone());
        purse(Payer::Deployment { id, group, model }, budget)
    });
    of_provider.into_iter().chain(own).map(|purse| purses.add(purse)).collect()
}

fn purse(payer: Payer, budget: Budget) -> Purse {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a purse can hold")]
    let nanos = (budget.usd * 1e9).round().clamp(0.0, 1e18) as u64;
    Purse::new(payer, Nanos(nanos), budget.window)
}

fn deployment(config: &Config, entry: &ModelEntry, served: &Served) -> Deployment {
    let place = match &served.goes_to {
        GoesTo::Fixed(place) => Some(place),
        GoesTo::Pattern | GoesTo::Nowhere(_) => None,
    };
    let facts = place.map(|place| &place.target.facts);
    // As LiteLLM has it: a sixth of what a thousand tokens a minute each come to.
    let from_tpm = || entry.tpm.map(|tpm| (tpm / 6_000).max(1));
    let parallel = entry.params.max_parallel_requests.or(entry.rpm).or_else(from_tpm);
    Deployment {
        id: entry.id.clone(),
        group: entry.model_name.clone(),
        weight: entry.params.weight,
        rpm: entry.rpm,
        tpm: entry.tpm,
        order: entry.params.order,
        retries: entry.params.num_retries.or(entry.params.max_retries),
        parallel: parallel.or(config.router.default_max_parallel_requests),
        tags: entry.params.tags.clone(),
        max_input_tokens: entry.info.max_input_tokens.or_else(|| facts?.max_input_tokens),
        region: region_of(entry, facts_of(place)),
        refuses_schema: facts.is_some_and(|facts| facts.known && !facts.response_schema)
            && !place.is_some_and(|place| place.target.params.drop_params),
        price: place.filter(|place| place.price.is_stated()).map(|place| {
            let one = Usage { input: 1, output: 1, ..Usage::default() };
            cost(&one, &place.price).usd_f64()
        }),
        rest_time: entry.params.cooldown_time.or(entry.info.cooldown_time),
        allowed_fails: entry.info.allowed_fails,
        allowed_fails_policy: policy(&entry.info.allowed_fails_policy, "AllowedFails"),
        purses: Vec::new(),
        makes_jobs: makes_jobs(entry, place.map(|place| place.target.provider)),
        vitals: Arc::default(),
        unservable: entry.unservable.clone().filter(|_| served.mock.is_none()).or_else(|| served.unservable()),
    }
}

/// What the provider's row has found out about the place.
fn facts_of(place: Option<&Arc<Place>>) -> impl Fn(&str) -> Option<String> {
    move |name| place?.target.fact(name).map(str::to_owned)
}

/// Where a deployment is: as it says itself, else as its cloud's settings or its model do (`eu.anthropic.claude…`).
fn region_of(entry: &ModelEntry, fact: impl Fn(&str) -> Option<String>) -> Option<String> {
    let params = &entry.params;
    let settings = ["aws_region_name", "vertex_location", "watsonx_region_name"];
    let set = || settings.into_iter().find_map(|name| params.cloud.get(name)?.as_str().map(str::to_owned));
    let found = || ["region", "location"].into_iter().find_map(&fact);
    let profile = || {
        let model = params.model.rsplit('/').next().unwrap_or_default();
        model.split_once('.').map(|(first, _)| first.to_owned()).filter(|first| matches!(first.as_str(), "eu" | "us"))
    };
    params.region_name.clone().or_else(profile).or_else(set).or_else(found).as_deref().map(region)
}

/// Whether it makes answers that go on being made when nobody waits for them any more.
fn makes_jobs(entry: &ModelEntry, provider: Option<&'static Provider>) -> bool {
    let by_prefix = || tollgate_providers::table::find(entry.params.model.split_once('/')?.0);
    provider.or_else(by_prefix).is_some_and(|provider| provider.quirks.makes_jobs)
}

/// A cloud's region as requests name one: `eu` or `us`.
fn region(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let is_in = |names: &[&str]| names.iter().any(|name| lower.contains(name));
    if is_in(&["eu-", "europe", "france", "germany", "sweden", "switzerland", "norway", "italy", "poland", "spain"]) {
        "eu".to_owned()
    } else if is_in(&["us-", "eastus", "westus", "centralus"]) {
        "us".to_owned()
    } else {
        lower
    }
}

fn rules(config: &Config) -> Rules {
    let (router, litellm) = (&config.router, &config.litellm);
    let (ours, theirs) = (&router.failover, &litellm.failover);
    Rules {
        strategy: match router.routing_strategy {
            Configured::SimpleShuffle | Configured::ProviderBudget => Strategy::Shuffle,
            Configured::LeastBusy => Strategy::LeastBusy,
            Configured::UsageBased => Strategy::LeastUsed,
            Configured::LatencyBased => Strategy::Fastest,
            Configured::CostBased => Strategy::Cheapest,
            Configured::TwoChoices => Strategy::TwoChoices,
            Configured::CacheAffinity => Strategy::CacheAffinity,
        },
        latency_buffer: router.lowest_latency_buffer,
        retries: router.num_retries.or(litellm.num_retries).unwrap_or(defaults::NUM_RETRIES),
        retry_after: router.retry_after.unwrap_or_default(),
        retry_policy: policy(&router.retry_policy, "Retries"),
        group_retry_policy: router
            .model_group_retry_policy
            .iter()
            .filter_map(|(group, numbers)| Some((group.clone(), policy(numbers, "Retries")?)))
            .collect(),
        fallbacks: Fallbacks {
            general: list(ours.fallbacks.as_ref().or(theirs.fallbacks.as_ref())).unwrap_or_default(),
            default: [&ours.default_fallbacks, &theirs.default_fallbacks]
                .into_iter()
                .find(|names| !names.is_empty())
                .map(|names| names.iter().map(Fallback::to).collect())
                .unwrap_or_default(),
            context_window: own_list(&ours.context_window_fallbacks, &theirs.context_window_fallbacks),
            content_policy: own_list(&ours.content_policy_fallbacks, &theirs.content_policy_fallbacks),
            most: ours.max_fallbacks.or(theirs.max_fallbacks),
        },
        rest: RestRules {
            disabled: router.disable_cooldowns,
            time: ours.cooldown_time.or(theirs.cooldown_time).unwrap_or(RestRules::default().time),
            allowed_fails: ours.allowed_fails.or(theirs.allowed_fails),
            allowed_fails_policy: policy(&router.allowed_fails_policy, "AllowedFails"),
            most_resting: router.max_resting_share.unwrap_or(RestRules::default().most_resting),
        },
        tag_filtering: router.enable_tag_filtering,
        any_tag: router.tag_filtering_match_any,
        pre_call_checks: router.enable_pre_call_checks,
        health_routing: config.general.health.background && config.general.health.routes,
        affinity: router
            .optional_pre_call_checks
            .iter()
            .any(|check| matches!(check.as_str(), "prompt_caching" | "session_affinity" | "deployment_affinity")),
        purses: Purses::default(),
        hedging: hedging(&router.hedging),
    }
}

fn hedging(settings: &HedgingSettings) -> Option<Hedging> {
    let usual = Hedging::default();
    settings.enabled.then(|| Hedging {
        after: settings.after,
        min_delay: settings.min_delay.unwrap_or(usual.min_delay),
        max_share: settings.max_share.unwrap_or(usual.max_share),
        groups: settings.model_groups.clone(),
    })
}

/// `{RateLimitErrorRetries: 3}` by its classes; `suffix` is what follows a class.
fn policy(numbers: &[(String, u64)], suffix: &str) -> Option<Policy> {
    let mut policy = Policy::default();
    for (name, number) in numbers {
        if let Some(class) = name.strip_suffix(suffix) {
            policy.set(class, *number);
        }
    }
    (!numbers.is_empty()).then_some(policy)
}

/// `[{group: [groups]}]`. What is no such thing is passed over: the check has told of it.
fn list(value: Option<&Value>) -> Option<FallbackList> {
    let items = value?.as_array()?;
    let entries = items.iter().filter_map(Value::as_object).flatten();
    Some(FallbackList(entries.map(|(group, to)| (group.clone(), targets(to))).collect()))
}

/// The list of one kind of failure, the first that holds anything: an empty one is none (`LiteLLM` chooses by `or`).
fn own_list(ours: &Option<Value>, theirs: &Option<Value>) -> Option<FallbackList> {
    [ours, theirs].into_iter().filter_map(|value| list(value.as_ref())).find(|list| !list.is_empty())
}

fn targets(to: &Value) -> Vec<Fallback> {
    to.as_array().into_iter().flatten().filter_map(target).collect()
}

/// A group's name, or `{model, …}`.
fn target(value: &Value) -> Option<Fallback> {
    match value {
        Value::String(model) => Some(Fallback::to(model)),
        Value::Object(members) => {
            let model = members.get("model")?.as_str()?;
            let rest: Map<String, Value> = members
                .iter()
                .filter(|(name, _)| *name != "model")
                .map(|(name, it)| (name.clone(), it.clone()))
                .collect();
            Some(Fallback { model: model.to_owned(), instead: (!rest.is_empty()).then(|| Arc::new(rest)) })
        }
        _ => None,
    }
}

/// What a request says of fallbacks.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnFallbacks {
    general: Option<Value>,
    context_window: Option<Value>,
    content_policy: Option<Value>,
    most: Option<u64>,
    /// `disable_fallbacks`.
    pub(crate) none: bool,
}

/// The most models that a list of one request may name.
const MOST_NAMED: usize = 64;
/// The deepest that one request may have fallbacks of fallbacks.
const MOST_DEEP: u64 = 16;

/// How many models an entry of a list names.
fn named(item: &Value) -> usize {
    let lists = item.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_array);
    lists.map(Vec::len).sum::<usize>().max(1)
}

impl OwnFallbacks {
    /// Nobody else is asked.
    pub(crate) fn none() -> Self {
        Self { none: true, ..Self::default() }
    }

    /// Reads `fallbacks`, `context_window_fallbacks`, `content_policy_fallbacks`, `max_fallbacks`, `disable_fallbacks`.
    ///
    /// # Errors
    /// 400 for a list of another form.
    pub(crate) fn read(body: &RawBody) -> Result<Self, Failure> {
        let given = |name: &str| -> Result<Option<Value>, Failure> {
            let Some(value) = body.typed::<Value>(name).filter(|value| !value.is_null()) else { return Ok(None) };
            let wrong = |what: &str| Failure::invalid(format!("`{name}` {what}")).with_param(name);
            let Some(items) = value.as_array() else { return Err(wrong("must be a list")) };
            if items.iter().map(named).sum::<usize>() > MOST_NAMED {
                return Err(wrong("names more than 64 models"));
            }
            if items.iter().any(|item| !is_entry(item)) {
                return Err(wrong("must hold names of models, `{\"model\": …}` or `{\"<group>\": [\"<model>\", …]}`"));
            }
            Ok(Some(value))
        };
        Ok(Self {
            general: given("fallbacks")?,
            context_window: given("context_window_fallbacks")?,
            content_policy: given("content_policy_fallbacks")?,
            most: body.typed::<u64>("max_fallbacks").map(|most| most.min(MOST_DEEP)),
            none: body.typed("disable_fallbacks").unwrap_or_default(),
        })
    }

    /// With the fallbacks of its key (`router_settings`), where the request says nothing of them.
    pub(crate) fn or_of_key(mut self, routing: &Map<String, Value>) -> Self {
        let says_nothing = self.general.is_none() && self.context_window.is_none() && self.content_policy.is_none();
        if !says_nothing {
            return self;
        }
        let given = |name: &str| {
            let items = routing.get(name)?.as_array()?;
            let fits = items.iter().all(is_entry) && items.iter().map(named).sum::<usize>() <= MOST_NAMED;
            fits.then(|| Value::Array(items.clone()))
        };
        self.general = given("fallbacks");
        self.context_window = given("context_window_fallbacks");
        self.content_policy = given("content_policy_fallbacks");
        self.most = self.most.or_else(|| Some(routing.get("max_fallbacks")?.as_u64()?.min(MOST_DEEP)));
        self
    }

    /// The models that the request names, which its key must be allowed to use.
    pub(crate) fn models(&self) -> impl Iterator<Item = String> {
        let lists = [&self.general, &self.context_window, &self.content_policy].into_iter().flatten();
        let items = lists.filter_map(Value::as_array).flatten();
        items.flat_map(|item| {
            let mapped = || item.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_array).flatten();
            let targets = target(item).map_or_else(|| mapped().filter_map(target).collect(), |one| vec![one]);
            targets.into_iter().map(|one| one.model)
        })
    }

    /// Some have words of their own.
    pub(crate) fn have_words(&self) -> bool {
        let is_one = |value: &Value| target(value).is_some_and(|one| one.instead.is_some());
        let has_one = |item: &Value| {
            let lists = item.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_array);
            is_one(item) || lists.flatten().any(is_one)
        };
        let given = [&self.general, &self.context_window, &self.content_policy];
        given.into_iter().flatten().filter_map(Value::as_array).flatten().any(has_one)
    }

    /// The fallbacks of a call of `group`: the configured ones, but for those lists that it brings itself.
    pub(crate) fn over(&self, configured: &Fallbacks, group: &str) -> Option<Fallbacks> {
        if self.general.is_none()
            && self.context_window.is_none()
            && self.content_policy.is_none()
            && self.most.is_none()
        {
            return None;
        }
        let mut fallbacks = configured.clone();
        if let Some(own) = &self.general {
            fallbacks.general = for_group(own, group);
            fallbacks.default.clear();
        }
        if let Some(own) = &self.context_window {
            fallbacks.context_window = Some(for_group(own, group)).filter(|list| !list.is_empty());
        }
        if let Some(own) = &self.content_policy {
            fallbacks.content_policy = Some(for_group(own, group)).filter(|list| !list.is_empty());
        }
        fallbacks.most = self.most.or(fallbacks.most);
        Some(fallbacks)
    }
}

fn is_entry(item: &Value) -> bool {
    let is_target = |value: &Value| target(value).is_some();
    let is_mapping = |members: &Map<String, Value>| {
        members.values().all(|to| to.as_array().is_some_and(|to| to.iter().all(is_target)))
    };
    is_target(item) || item.as_object().is_some_and(is_mapping)
}

/// A request's list: mappings from groups, or names and `{model, …}` for the group it asks.
fn for_group(own: &Value, group: &str) -> FallbackList {
    let mut entries = list(Some(own)).unwrap_or_default().0;
    let bare: Vec<Fallback> = own.as_array().into_iter().flatten().filter_map(target).collect();
    if bare.is_empty() {
        return FallbackList(entries);
    }
    // A mapping whose key is "model" was read as a target, not as the group "model".
    entries.retain(|(name, to)| name != "model" && !to.is_empty());
    entries.push((group.to_owned(), bare));
    FallbackList(entries)
}

/// A prompt of so many bytes is guessed at by them.
const SHORT: usize = 16 << 10;

/// How many tokens a request's words are, roughly.
pub(crate) fn prompt_tokens(body: &RawBody) -> u64 {
    let prompt = ["messages", "input", "prompt", "contents"].into_iter().find_map(|name| body.get(name));
    // Pictures are no words: a long prompt is looked through for them.
    let length = |prompt: &Bytes| match prompt.len() {
        short @ ..=SHORT => short,
        _ => usize::try_from(skim(prompt, 0).bytes).unwrap_or(usize::MAX),
    };
    prompt.map_or(0, |prompt| guess(length(prompt)))
}

/// What routing looks at in a request.
pub(crate) fn wants(body: &RawBody, tags: Vec<String>, affinity: Option<u64>, pinned: Option<usize>) -> Wants {
    let format = body.typed::<Value>("response_format");
    let is_schema = |format: &Value| format.get("type").is_some_and(|kind| kind != "text");
    Wants {
        tokens: prompt_tokens(body),
        tags,
        has_schema: format.as_ref().is_some_and(is_schema),
        pinned,
        affinity,
        ..Wants::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_names_fallbacks_in_any_of_three_forms() {
        let read = |value: Value| for_group(&value, "g").shown();
        assert_eq!(read(json!([{"g": ["a", "b"]}])), "[{'g': ['a', 'b']}]");
        assert_eq!(read(json!(["a", "b"])), "[{'g': ['a', 'b']}]");
        assert_eq!(read(json!([{"model": "a", "messages": []}])), "[{'g': [{'model': 'a'}]}]");
    }

    #[test]
    fn where_a_deployment_is_stands_in_one_of_many_places() {
        let of = |params: &str| {
            let text = format!("model_list: [{{model_name: m, litellm_params: {{{params}}}}}]\n");
            let file = tollgate_config::parse("config.yaml", &text).unwrap();
            let checked = tollgate_config::check(tollgate_config::resolve(file, &|_| None), &|_| Ok(()));
            region_of(&checked.config.unwrap().models[0], |_| None)
        };
        let check = |params: &str, region: Option<&str>| assert_eq!(of(params).as_deref(), region, "{params}");
        check("model: openai/gpt-4o", None);
        check("model: openai/gpt-4o, region_name: eu", Some("eu"));
        check("model: azure/gpt, region_name: swedencentral", Some("eu"));
        check("model: bedrock/anthropic.claude-v2, aws_region_name: us-west-2", Some("us"));
        check("model: vertex_ai/gemini-1.5-pro, vertex_location: europe-west4", Some("eu"));
        check("model: bedrock/eu.anthropic.claude-3-haiku-20240307-v1:0", Some("eu"));
        check("model: bedrock/anthropic.claude-v2, aws_region_name: ap-south-1", Some("ap-south-1"));
    }

    #[test]
    fn what_is_no_list_of_fallbacks_is_refused() {
        let body = |value: Value| RawBody::parse(&json!({ "fallbacks": value }).to_string().into()).unwrap();
        for wrong in [json!("a"), json!([1]), json!([{"g": "a"}]), json!([{"g": [1]}]), json!(vec!["a"; 65])] {
            assert!(OwnFallbacks::read(&body(wrong.clone())).is_err(), "{wrong}");
        }
        for right in [json!(null), json!([]), json!(["a"]), json!([{"g": ["a"]}]), json!([{"model": "a"}])] {
            assert!(OwnFallbacks::read(&body(right.clone())).is_ok(), "{right}");
        }
    }
}
