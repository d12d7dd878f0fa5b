//! The configuration as calls see it: immutable, built once, swapped whole. A call keeps the one it began with.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use http::HeaderName;
use tollgate_catalog::{Adjustments, Catalog};
use tollgate_config::{ClientDisconnect, Config, EphemeralKeys, ModelEntry};
use tollgate_ledger::windows::Zone;
use tollgate_policy::{Budget, BudgetOf, KeyDigest};
use tollgate_router::{Captured, Fleet};

use crate::{
    admin::rules::KeyRules,
    batches::BatchBounds,
    checks::CheckRules,
    continuation::ContinuationRules,
    deployment::{Globals, Served},
    kept::KeptBounds,
    limits::{LimitRules, TokensCounted},
    media::MediaRules,
    options::ClientSide,
    passing::Endpoint,
    projection::Projecting,
    retention::Retention,
    routing,
    sealed::SealKey,
    store_models::Origin,
    vault::Vault,
    whom::WhomRules,
};

/// Environment variables as they were at the start, with those of `.env` and of the configuration.
pub type Environment = HashMap<String, String>;

/// What the command line adds to a configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotSettings {
    /// The first model answers every name (`--model`).
    pub answers_everything: bool,
    /// Print every call to a provider (`--debug`).
    pub debug: bool,
}

/// What a bound is where nobody set one.
pub(crate) mod defaults {
    use std::time::Duration;
    /// The seeds' `--request_timeout`, and what `OpenAI`'s SDKs wait.
    pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
    /// Headers of a stream wait this long for its first content.
    pub(crate) const STREAM_HEADER_WAIT: Duration = Duration::from_secs(15);
    /// Largest answer of a provider that is read whole, bytes. Room for base64 pictures.
    pub(crate) const MAX_RESPONSE_BYTES: usize = 256 << 20;
    /// Largest event of a stream, bytes. Providers send pictures in events.
    pub(crate) const MAX_EVENT_BYTES: usize = 32 << 20;
    /// `LiteLLM`'s router retries this often.
    pub(crate) const NUM_RETRIES: u64 = 2;
    /// Whole calls whose client has left, read to their end at once.
    pub(crate) const MAX_DRAINING_CALLS: usize = 1000;
    /// Answers of the Responses API that are kept in memory.
    pub(crate) const KEPT_RESPONSES: usize = 10_000;
    /// Bytes of them, with what they answered.
    pub(crate) const KEPT_RESPONSES_BYTES: usize = 128 << 20;
    /// How long they are kept.
    pub(crate) const KEPT_RESPONSES_TTL: Duration = Duration::from_secs(3600);
    /// Largest message on a socket, bytes: `OpenAI` takes 15 MiB of sound in one.
    pub(crate) const MAX_SOCKET_MESSAGE: usize = 16 << 20;
    /// Between two looks at a batch; `LiteLLM`'s.
    pub(crate) const BATCH_INTERVAL: Duration = Duration::from_secs(3600);
    /// Nobody is to be asked without a pause.
    pub(crate) const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
    /// Batches that are followed at one time.
    pub(crate) const FOLLOWED_BATCHES: usize = 1000;
    /// Looks in a row that may fail: with the pauses between them, some four hours.
    pub(crate) const BATCH_FAILURES: u32 = 12;
    /// Calls whose way through the deployments can be asked for.
    pub(crate) const KEPT_DECISIONS: usize = 10_000;
    /// How often one answer goes on elsewhere, and how much of it is kept for that.
    pub(crate) const CONTINUATIONS: u64 = 1;
    pub(crate) const CONTINUATION_BYTES: usize = 256 << 10;
    /// Retries inside a group that a request gets at most.
    pub(crate) const MAX_CLIENT_RETRIES: u64 = 10;
    /// Calls of one group that wait for a deployment.
    pub(crate) const MAX_WAITING_CALLS: usize = 1_000;
    /// A socket on which nobody speaks.
    pub(crate) const SOCKET_IDLE: Duration = Duration::from_secs(900);
    pub(crate) const RESPONSES_SOCKET: Duration = Duration::from_secs(3600);
}

/// One state of the configuration.
pub struct Snapshot {
    pub(crate) fleet: Fleet,
    pub(crate) served: Vec<Arc<Served>>,
    pub(crate) master: Option<KeyDigest>,
    /// What ids are sealed with, where the configuration has a secret: the salt key, or the master key.
    pub(crate) seal: Option<SealKey>,
    pub(crate) key_header: Option<HeaderName>,
    pub(crate) catalog: Catalog,
    pub(crate) environment: Arc<Environment>,
    pub(crate) bounds: SnapshotBounds,
    pub(crate) debug: bool,
    pub(crate) completion_model: Option<String>,
    pub(crate) embedding_model: Option<String>,
    pub(crate) allow_client_side: bool,
    pub(crate) always_stream_usage: bool,
    pub(crate) forward_client_headers: bool,
    pub(crate) disconnect: Option<ClientDisconnect>,
    pub(crate) ephemeral_keys: EphemeralKeys,
    pub(crate) media: MediaRules,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) checks: CheckRules,
    pub(crate) key_rules: KeyRules,
    pub(crate) retention: Retention,
    pub(crate) limits: LimitRules,
    pub(crate) whom: WhomRules,
    /// What all calls together may cost.
    pub(crate) budget: Option<Budget>,
    /// By whose clock days begin.
    pub(crate) zone: Zone,
    /// Of a refusal for a spent budget.
    pub(crate) budget_status: u16,
    /// How the journal goes into the store.
    pub(crate) projecting: Projecting,
    /// Calls go on while what they cost cannot be written down.
    pub(crate) admit_unjournaled: bool,
    /// How long attempts stay unknown; none: until somebody states them.
    pub(crate) unknown_ttl: Option<Duration>,
    /// Every management write leaves an entry in the audit log.
    pub(crate) audits: bool,
    /// Models without a price are not called.
    pub(crate) refuses_unpriced: bool,
    has_default_model: bool,
    /// What it was built from, beside the store.
    pub(crate) origin: Arc<Origin>,
    /// Opens what is sealed in the store, where the configuration has a secret.
    pub(crate) vault: Option<Vault>,
    /// Models are kept in the store, too.
    pub(crate) keeps_models: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotBounds {
    pub(crate) stream_header_wait: Duration,
    /// Between two chunks of a stream; none: as long as until its first byte.
    pub(crate) stream_idle: Option<Duration>,
    /// From a stream's request to its last byte.
    pub(crate) max_stream: Option<Duration>,
    pub(crate) max_response_bytes: usize,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_draining: usize,
    pub(crate) kept: KeptBounds,
    pub(crate) max_socket_message: usize,
    pub(crate) socket_idle: Duration,
    pub(crate) responses_socket: Duration,
    pub(crate) batches: BatchBounds,
    pub(crate) kept_decisions: usize,
    /// Streams that break are continued.
    pub(crate) continuation: Option<ContinuationRules>,
    /// Retries that a request may ask for.
    pub(crate) max_client_retries: u64,
    /// Calls that wait for a deployment of one group.
    pub(crate) max_waiting: usize,
}

impl Snapshot {
    /// Builds the state, with the catalog of the binary. What cannot be served stays in the fleet, with the reason.
    #[must_use]
    pub fn build(config: &Config, environment: Arc<Environment>, settings: SnapshotSettings) -> Self {
        Self::build_with(config, environment, settings, Catalog::builtin())
    }

    /// The same, with prices and facts of this catalog.
    #[must_use]
    pub fn build_with(
        config: &Config,
        environment: Arc<Environment>,
        settings: SnapshotSettings,
        catalog: Catalog,
    ) -> Self {
        let litellm = &config.litellm;
        let adjustments = Adjustments::read(&litellm.cost_discount_config, &litellm.cost_margin_config);
        let catalog = catalog.adjusted(adjustments);
        Self::assemble(&Arc::new(Origin { config: config.clone(), environment, settings, catalog }), Vec::new())
    }

    /// The state of a configuration and of models that are kept elsewhere.
    pub(crate) fn assemble(origin: &Arc<Origin>, more: Vec<ModelEntry>) -> Self {
        let Origin { config, environment, settings, catalog } = &**origin;
        let (environment, catalog) = (Arc::clone(environment), catalog.clone());
        let mut config = Cow::Borrowed(config);
        if !more.is_empty() {
            config.to_mut().models.extend(more);
        }
        let config = &*config;
        let bounds = bounds(config, &environment);
        let globals = Globals::of(config);
        let served: Vec<Arc<Served>> = config
            .models
            .iter()
            .map(|entry| Arc::new(Served::build(entry, &globals, &catalog, &environment)))
            .collect();
        let general = &config.general;
        let master = master_key(config, &environment);
        let salt = environment.get("LITELLM_SALT_KEY").filter(|salt| !salt.is_empty()).or(master.as_ref());
        let on = |text: &String| text.eq_ignore_ascii_case("true") || text == "1";
        let keeps_models = general.store_model_in_db.or_else(|| environment.get("STORE_MODEL_IN_DB").map(on));
        Self {
            vault: salt.map(|salt| vault(&environment, Vault::of(salt.as_bytes()))),
            keeps_models: keeps_models.unwrap_or_default(),
            seal: salt.map(|salt| former_salts(&environment, SealKey::of(salt.as_bytes()))),
            fleet: routing::fleet(config, &served, &catalog, settings.answers_everything),
            served,
            master: master.map(|key| KeyDigest::of(&key)),
            key_header: general.litellm_key_header_name.as_ref().and_then(|name| name.parse().ok()),
            catalog,
            endpoints: Endpoint::all(config, &environment),
            environment,
            bounds,
            debug: settings.debug,
            completion_model: general.completion_model.clone(),
            embedding_model: general.embedding_model.clone(),
            allow_client_side: general.allow_client_side_credentials,
            always_stream_usage: general.always_include_stream_usage,
            forward_client_headers: general.forward_client_headers_to_llm_api,
            disconnect: general.client_disconnect,
            ephemeral_keys: general.ephemeral_keys,
            media: media(config),
            checks: CheckRules::of(config),
            admit_unjournaled: config.general.admit_unjournaled,
            key_rules: KeyRules::of(config),
            retention: Retention::of(config),
            whom: WhomRules::of(config),
            limits: limits(config),
            budget: budget(config),
            zone: zone(config),
            budget_status: budget_status(config),
            projecting: projecting(config),
            unknown_ttl: crate::corrections::unknown_ttl(config),
            audits: config.litellm.store_audit_logs,
            refuses_unpriced: config.litellm.block_requests_for_models_without_pricing,
            has_default_model: general.default_model.is_some(),
            origin: Arc::clone(origin),
        }
    }

    /// A deployment goes where one of the configuration before went: to the same address, with the same credential.
    pub(crate) fn goes_where(&self, new: usize, before: &Self, old: usize) -> bool {
        let place = |snapshot: &Self, index: usize| {
            // Of a pattern any model will do: the address does not depend on it.
            let client = ClientSide::default();
            let served = snapshot.served.get(index)?;
            served.place_for(Some(&Captured::of("any")), &client, &snapshot.catalog, &snapshot.environment).ok()
        };
        match (place(self, new), place(before, old)) {
            (Some(new), Some(old)) => new.is_at(&old),
            (new, old) => new.is_none() && old.is_none(),
        }
    }

    /// How many deployments it has.
    #[must_use]
    pub fn deployments(&self) -> usize {
        self.served.len()
    }

    /// A master key is set.
    #[must_use]
    pub fn has_master_key(&self) -> bool {
        self.master.is_some()
    }

    /// Why deployments cannot be served: group, id and reason.
    pub fn unservable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fleet.deployments().iter().filter_map(|one| Some((one.group.as_str(), one.unservable.as_deref()?)))
    }

    /// Unknown names go to the default group: without a master key (the seed's case), or where one is named.
    pub(crate) fn forgives_unknown_names(&self) -> bool {
        self.master.is_none() || self.has_default_model
    }
}

/// The key also opens what those of `TOLLGATE_FORMER_SALT_KEYS` sealed, which are set apart by commas: former salts, or master keys
/// where there was no salt.
fn former_salts(environment: &Environment, key: SealKey) -> SealKey {
    let listed = environment.get("TOLLGATE_FORMER_SALT_KEYS").map(String::as_str).unwrap_or_default();
    let former = listed.split(',').map(str::trim).filter(|salt| !salt.is_empty());
    former.fold(key, |key, salt| key.after(&SealKey::of(salt.as_bytes())))
}

/// The master key, if there is one.
fn master_key(config: &Config, environment: &Environment) -> Option<String> {
    let own = config.general.master_key.as_ref().map(|key| key.expose().to_owned());
    own.or_else(|| environment.get("LITELLM_MASTER_KEY").cloned()).filter(|key| !key.is_empty())
}

fn limits(config: &Config) -> LimitRules {
    let general = &config.general;
    LimitRules {
        fail_closed: general.fail_closed_rate_limit_enforcement,
        parallel: general.global_max_parallel_requests,
        counts: TokensCounted::of(general.token_rate_limit_type.as_deref()),
    }
}

fn projecting(config: &Config) -> Projecting {
    let zone = zone(config).time_zone().clone();
    Projecting { instance: None, keep_rows: !config.general.disable_spend_logs, zone }
}

/// The budget of the whole gateway.
fn budget(config: &Config) -> Option<Budget> {
    let most = crate::admin::nanos(config.litellm.max_budget?).unwrap_or(i64::MAX);
    let duration = config.litellm.budget_duration.as_deref().map(Arc::from);
    Some(Budget { of: BudgetOf::Proxy, most, duration, began: 0 })
}

/// A name that is no time zone is told by the configuration's check, and is UTC.
fn zone(config: &Config) -> Zone {
    config.litellm.timezone.as_deref().and_then(|name| Zone::named(name).ok()).unwrap_or_default()
}

fn budget_status(config: &Config) -> u16 {
    let set = config.litellm.budget_exceeded_status_code.and_then(|status| u16::try_from(status).ok());
    set.filter(|status| (400..500).contains(status)).unwrap_or(400)
}

/// The same for what is sealed in the store.
fn vault(environment: &Environment, vault: Vault) -> Vault {
    let listed = environment.get("TOLLGATE_FORMER_SALT_KEYS").map(String::as_str).unwrap_or_default();
    let former = listed.split(',').map(str::trim).filter(|salt| !salt.is_empty());
    former.fold(vault, |vault, salt| vault.opens_former(salt.as_bytes()))
}

fn bounds(config: &Config, environment: &Environment) -> SnapshotBounds {
    let longest = || environment.get("LITELLM_MAX_STREAMING_DURATION_SECONDS")?.trim().parse::<f64>().ok();
    let longest = || Duration::try_from_secs_f64(longest()?).ok();
    let general = &config.general;
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a size can be")]
    let from_mb = general.max_response_size_mb.map(|mb| (mb.clamp(0.001, 1e6) * 1_048_576.0) as usize);
    SnapshotBounds {
        stream_header_wait: general.stream_header_wait.unwrap_or(defaults::STREAM_HEADER_WAIT),
        stream_idle: config.router.stream_idle_timeout,
        max_stream: config.router.max_stream_duration.or_else(longest),
        max_response_bytes: general.max_response_bytes.map(bytes).or(from_mb).unwrap_or(defaults::MAX_RESPONSE_BYTES),
        max_event_bytes: general.stream_buffer_bytes.map_or(defaults::MAX_EVENT_BYTES, bytes),
        max_draining: general.max_draining_calls.map_or(defaults::MAX_DRAINING_CALLS, bytes),
        kept: KeptBounds {
            most: general.kept_responses.map_or(defaults::KEPT_RESPONSES, bytes),
            bytes: general.kept_responses_bytes.map_or(defaults::KEPT_RESPONSES_BYTES, bytes),
            ttl: general.kept_responses_ttl.unwrap_or(defaults::KEPT_RESPONSES_TTL),
        },
        max_socket_message: general.max_socket_message_bytes.map_or(defaults::MAX_SOCKET_MESSAGE, bytes),
        responses_socket: general.responses_websocket_session_limit.unwrap_or(defaults::RESPONSES_SOCKET),
        batches: BatchBounds {
            interval: general
                .proxy_batch_polling_interval
                .unwrap_or(defaults::BATCH_INTERVAL)
                .max(defaults::SHORTEST_INTERVAL),
            most: general.max_followed_batches.map_or(defaults::FOLLOWED_BATCHES, bytes),
            failures: general
                .max_batch_poll_failures
                .map_or(defaults::BATCH_FAILURES, |most| u32::try_from(most).unwrap_or(u32::MAX)),
        },
        continuation: config.router.continuation.enabled.then(|| ContinuationRules {
            most: config.router.continuation.max_continuations.unwrap_or(defaults::CONTINUATIONS),
            max_kept: config.router.continuation.max_kept_bytes.map_or(defaults::CONTINUATION_BYTES, bytes),
        }),
        kept_decisions: config.router.kept_decisions.map_or(defaults::KEPT_DECISIONS, bytes),
        max_client_retries: config.router.max_client_retries.unwrap_or(defaults::MAX_CLIENT_RETRIES),
        max_waiting: config.router.max_waiting_calls.map_or(defaults::MAX_WAITING_CALLS, bytes),
        socket_idle: general.socket_idle_timeout.unwrap_or(defaults::SOCKET_IDLE).max(Duration::from_millis(1)),
    }
}

fn media(config: &Config) -> MediaRules {
    let (general, default) = (&config.general, MediaRules::DEFAULT);
    let bound = |set: Option<u64>, default| set.map_or(default, |set| usize::try_from(set).unwrap_or(usize::MAX));
    MediaRules {
        trusted: [&config.litellm.user_url_allowed_hosts, &general.user_url_allowed_hosts]
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        most: bound(general.max_media_pieces, default.most),
        max_bytes: bound(general.max_media_bytes, default.max_bytes),
        max_together: bound(general.max_media_bytes_together, default.max_together),
        patience: general.media_timeout.unwrap_or(default.patience),
    }
}
