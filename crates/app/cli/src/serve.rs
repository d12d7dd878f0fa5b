//! The composition root: builds client, gateway and server once, says where it listens, and runs until told to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    runtime::{Builder, Handle},
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tollgate_config::Config;
use tollgate_gateway::{Gateway, Parts, Snapshot, SnapshotSettings, Workers};
use tollgate_net::{
    Client, ClientSettings, ProxySettings,
    clock::{SystemClock, SystemRandom},
};
use tollgate_observe::logs::{self, LogSettings, Verbosity};
use tollgate_server::{BoundServer, ServerBounds, ServerSettings, TlsFiles, bind};
use tollgate_wire::clock::Clock;

use crate::{
    args::Options,
    config::Loaded,
    environment::{Environment, get},
    out, prices, reload, sharing, store,
};

/// How often idle connections to providers are looked through.
const SWEEP: Duration = Duration::from_secs(10);
/// How long the last log lines may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Starts the gateway and returns when it has been stopped.
pub(crate) fn run(options: &Options, loaded: Loaded) -> anyhow::Result<()> {
    logs::start(log_settings(options, &loaded));
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().worker_threads(threads(options)).thread_name("gate");
    let runtime = builder.build().context("the runtime cannot start")?;
    let served = runtime.block_on(serve(options, loaded));
    runtime.shutdown_timeout(Duration::from_millis(100));
    logs::flush(LAST_LINES);
    served
}

/// Threads of the one process (decision 27): as many as asked for, else the cores that the cgroup grants.
fn threads(options: &Options) -> usize {
    let asked = options.listen.num_workers.map(|number| usize::from(number.get()));
    asked.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(2)
}

async fn serve(options: &Options, loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { config, environment, answers_everything, files, .. } = loaded;
    let environment = Arc::new(environment);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let client = Client::new(client_settings(&config, &environment)?, Arc::clone(&clock))?;
    let has_master_key = master_key(&config, &environment).is_some();
    let server = bind(server_settings(options, &config, &environment, has_master_key)).await?;
    let address = server.address().context("the system does not tell our address")?;
    let settings = SnapshotSettings { answers_everything, debug: options.start.debug || options.start.detailed_debug };
    let (catalog, fetched) = prices::at_start(options, &environment, &client).await;
    let snapshot = Snapshot::build_with(&config, Arc::clone(&environment), settings, catalog);
    let workers = Workers::new(Handle::current());
    let random = Arc::new(SystemRandom);
    let sweeping = client.clone();
    workers.spawn_loop(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            sweeping.sweep();
        }
    });
    let store = Some(store::open(options, &config, &environment, clock.as_ref()).await?);
    let (journal, found) = store::journal(options, &config, &environment, random.as_ref(), clock.as_ref())?;
    let sharing = sharing::of(&config, &environment, &clock)?;
    let gateway =
        Gateway::new(Parts { client, clock, random, snapshot, workers, sharing, store, journal: Some(journal) });
    gateway.load_models().await.context("the models of the store cannot be read")?;
    gateway.start_sharing().await;
    gateway.start_limits().await;
    gateway.start_checks();
    gateway.start_hearing();
    gateway.start_books(found);
    gateway.start_tidying();
    gateway.start_expiry();
    gateway.start_chores();
    let stop = stop_signals(&gateway)?;
    let files = reload::Read { files, prices: fetched };
    reload::start(&gateway, options, settings.debug, files, config.general.config_poll_interval)?;
    greet(options, &config, &environment, &server, address);
    server.serve(Arc::clone(&gateway), stop).await;
    gateway.stop_sharing().await;
    gateway.finish_books().await;
    gateway.close_books();
    Ok(())
}

/// SIGTERM or Ctrl-C drains; a second one ends at once.
fn stop_signals(gateway: &Arc<Gateway>) -> anyhow::Result<watch::Receiver<u8>> {
    let (sender, receiver) = watch::channel(0u8);
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    gateway.workers().spawn_loop(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sender.send_modify(|count| *count = count.saturating_add(1));
        }
    });
    Ok(receiver)
}

fn log_settings(options: &Options, loaded: &Loaded) -> LogSettings {
    let on = |name: &str| {
        get(&loaded.environment, name).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    };
    let level = get(&loaded.environment, "LITELLM_LOG").map(str::to_ascii_uppercase);
    let verbosity = match level.as_deref() {
        _ if options.start.detailed_debug => Verbosity::Detailed,
        Some("DEBUG") => Verbosity::Detailed,
        Some("ERROR" | "CRITICAL") => Verbosity::Errors,
        _ => Verbosity::Calls,
    };
    LogSettings { json: loaded.config.litellm.json_logs.unwrap_or_else(|| on("JSON_LOGS")), verbosity }
}

fn client_settings(config: &Config, environment: &Environment) -> anyhow::Result<ClientSettings> {
    let pairs: Vec<(String, String)> = environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut settings = ClientSettings { proxy: ProxySettings::from_pairs(&pairs)?, ..ClientSettings::default() };
    settings.connect_timeout = config.router.connect_timeout.unwrap_or(settings.connect_timeout);
    let of_environment = get(environment, "SSL_VERIFY");
    let off = |text: &str| text.eq_ignore_ascii_case("false") || text == "0";
    settings.verify = config.litellm.ssl_verify.unwrap_or_else(|| !of_environment.is_some_and(off));
    let bundle = config.litellm.ssl_ca_bundle.as_deref().or_else(|| {
        of_environment.filter(|text| text.contains('/')).or_else(|| get(environment, "REQUESTS_CA_BUNDLE"))
    });
    if let Some(path) = bundle {
        let pem = std::fs::read(path).with_context(|| format!("the CA bundle {path} cannot be read"))?;
        settings.ca_bundle_pem = Some(pem);
    }
    let general = &config.general;
    if let Some(most) = general.pool_max_idle_per_host {
        settings.pool_max_idle_per_host = size(most);
    }
    if let Some(age) = general.pool_max_age {
        settings.pool_max_age = age;
    }
    Ok(settings)
}

fn server_settings(
    options: &Options,
    config: &Config,
    environment: &Environment,
    has_master_key: bool,
) -> ServerSettings {
    let listen = &options.listen;
    // Without a master key anyone who reaches us may call: then only this machine does (decision 3).
    let default_host = if has_master_key { "0.0.0.0" } else { "127.0.0.1" };
    let tls = listen.ssl_certfile_path.clone().zip(listen.ssl_keyfile_path.clone());
    let origins = get(environment, "LITELLM_CORS_ORIGINS").unwrap_or("*");
    let root = get(environment, "SERVER_ROOT_PATH").unwrap_or_default().trim_matches('/');
    ServerSettings {
        host: listen.host.clone().unwrap_or_else(|| default_host.to_owned()),
        port: listen.port,
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        cors_origins: origins
            .split(',')
            .map(|origin| origin.trim().to_owned())
            .filter(|origin| !origin.is_empty())
            .collect(),
        cors_credentials: get(environment, "LITELLM_CORS_ALLOW_CREDENTIALS")
            .is_some_and(|text| text.eq_ignore_ascii_case("true")),
        root_path: if root.is_empty() { String::new() } else { format!("/{root}") },
        bounds: server_bounds(options, config),
    }
}

fn server_bounds(options: &Options, config: &Config) -> ServerBounds {
    let general = &config.general;
    let default = ServerBounds::default();
    let keepalive = options.listen.keepalive_timeout.map(Duration::from_secs);
    ServerBounds {
        max_body_bytes: general.max_request_size_mb.map_or(default.max_body_bytes, megabytes),
        max_form_bytes: general.max_form_size_mb.map_or(default.max_form_bytes, megabytes),
        max_file_bytes: general.max_file_size_mb.map_or(default.max_file_bytes, megabytes),
        max_header_bytes: general.max_header_bytes.map_or(default.max_header_bytes, size),
        max_connections: general.max_connections.map_or(default.max_connections, size).clamp(1, 1 << 20),
        header_read_timeout: general.header_read_timeout.unwrap_or(default.header_read_timeout),
        body_read_timeout: general.body_read_timeout.unwrap_or(default.body_read_timeout),
        keepalive_timeout: keepalive.or(general.keepalive_timeout).unwrap_or(default.keepalive_timeout),
        http2_max_streams: general
            .http2_max_streams
            .map_or(default.http2_max_streams, |most| u32::try_from(most).unwrap_or(u32::MAX)),
        http2_max_resets: default.http2_max_resets,
        shutdown_grace: general.shutdown_grace.unwrap_or(default.shutdown_grace),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a size can be")]
fn megabytes(number: f64) -> usize {
    (number.clamp(0.001, 1e6) * 1_048_576.0) as usize
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn master_key<'k>(config: &'k Config, environment: &'k Environment) -> Option<&'k str> {
    let of_file = config.general.master_key.as_ref().map(tollgate_wire::Secret::expose);
    of_file.filter(|key| !key.is_empty()).or_else(|| get(environment, "LITELLM_MASTER_KEY"))
}

/// Says what runs and where. Scripts wait for `Proxy running on http://` (SEED-03).
fn greet(options: &Options, config: &Config, environment: &Environment, server: &BoundServer, address: SocketAddr) {
    let key = master_key(config, environment);
    if key == Some("sk-1234") {
        out::aside(
            "warning: the master key is sk-1234, which everyone knows; choose another before anyone can reach this",
        );
    }
    if key.is_none() && !address.ip().is_loopback() {
        out::aside(
            "warning: no master key is set and this listens beyond this machine: ANYONE who reaches it can call your \
             models. Set general_settings.master_key or LITELLM_MASTER_KEY",
        );
    }
    // Without models the check of the configuration has said how to add some.
    if !config.models.is_empty() {
        out::line("LiteLLM: Proxy initialized with Config, Set models:");
        let mut names: Vec<&str> = config.models.iter().map(|model| model.model_name.as_str()).collect();
        names.dedup();
        names.iter().for_each(|name| out::line(&format!("    {name}")));
    }
    let scheme = if server.is_tls() { "https" } else { "http" };
    let host = options.listen.host.as_deref().map_or_else(|| address.ip().to_string(), str::to_owned);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let reach = if address.ip().is_loopback() { " (only this machine; `--host 0.0.0.0` opens it)" } else { "" };
    out::line(&format!("#INFO: Proxy running on {scheme}://{host}:{}{reach}", address.port()));
}
