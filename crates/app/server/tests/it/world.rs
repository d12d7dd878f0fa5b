//! One helper builds the world: a gateway with its server on a free port, and a fake provider.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tollgate_config::{check, parse, resolve};
use tollgate_gateway::{
    Environment, Gateway, KeyBounds, LimitSharing, Parts, Sharing, Snapshot, SnapshotSettings, Totals, Workers,
};
use tollgate_journal::{FaultyDisk, Journal, Settings};
use tollgate_kit::{
    FakeProvider,
    http::{self, Connection, Reply},
};
use tollgate_kv::{Address, Kv};
use tollgate_net::{
    Client, ClientSettings,
    clock::{SystemClock, SystemRandom},
};
use tollgate_server::{BoundServer, ServerBounds, ServerSettings, bind};
use tollgate_store::{EpochMs, Store, StoreSettings};
use tollgate_wire::clock::Random;

/// How long a test waits for something that should happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The master key of worlds that have one.
pub(crate) const MASTER: &str = "sk-master-0f1e2d3c";
/// What a client with the master key sends.
pub(crate) const WITH_MASTER: (&str, &str) = ("authorization", "Bearer sk-master-0f1e2d3c");

/// One model `gpt` at the fake provider; failures are told at once.
pub(crate) const ONE_MODEL: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
router_settings: {num_retries: 0}
";

/// A running gateway, its provider, and the way to both.
pub(crate) struct World {
    pub(crate) provider: FakeProvider,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) url: String,
    /// Counts the signals to stop.
    pub(crate) stop: watch::Sender<u8>,
    pub(crate) serving: JoinSet<()>,
}

/// A world to be described further.
pub(crate) struct Plan {
    config: String,
    settings: ServerSettings,
    environment: Environment,
    random: Arc<dyn Random>,
    store: Option<(Arc<Store>, KeyBounds)>,
    journal: Option<Journal>,
    limits: Option<(u16, LimitSharing)>,
}

impl World {
    /// A world of this configuration, in which `{provider}` stands for the fake provider's address, `{own}` for the
    /// gateway's own port and `{master}` for the master key.
    pub(crate) fn of(config: &str) -> Plan {
        Plan {
            config: config.to_owned(),
            settings: settings(),
            environment: Environment::new(),
            random: Arc::new(SystemRandom),
            store: None,
            journal: None,
            limits: None,
        }
    }

    pub(crate) async fn start(config: &str) -> Self {
        Self::of(config).start().await
    }

    /// [`ONE_MODEL`].
    pub(crate) async fn plain() -> Self {
        Self::start(ONE_MODEL).await
    }

    /// [`ONE_MODEL`] and a master key.
    pub(crate) async fn locked() -> Self {
        Self::start(&format!("{ONE_MODEL}general_settings: {{master_key: '{{master}}'}}\n")).await
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        http::get(&self.at(path), &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        http::post(&self.at(path), &[], body).await
    }

    pub(crate) async fn chat(&self, body: &Value) -> Reply {
        self.post("/v1/chat/completions", body).await
    }

    /// Asks for a chat with these headers.
    pub(crate) async fn chat_with(&self, headers: &[(&str, &str)], body: &Value) -> Reply {
        http::post(&self.at("/v1/chat/completions"), headers, body).await
    }

    /// Sends these bytes as the body of a chat.
    pub(crate) async fn chat_bytes(&self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut connection = self.connect().await;
        connection.ask("POST", "/v1/chat/completions", headers, body).await;
        connection.reply().await
    }

    /// Puts another configuration in place.
    pub(crate) fn reload(&self, config: &str) {
        let config = config.replace("{provider}", &self.provider.url());
        self.gateway.swap(snapshot(&config, Environment::new()));
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(&self.url).await.0
    }

    /// Waits until every attempt that was opened is settled and so many were, and gives the totals.
    pub(crate) async fn settled(&self, attempts: u64) -> Totals {
        self.eventually("the ledger balances", || {
            let totals = self.gateway.totals();
            (totals.opened == attempts && totals.settled == attempts).then_some(totals)
        })
        .await
    }

    /// Waits until there is something.
    pub(crate) async fn eventually<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(found) = look() {
                return found;
            }
            sleep(Duration::from_millis(2)).await;
        }
        panic!("waited in vain until {what}; totals {:?}", self.gateway.totals());
    }
}

impl Plan {
    pub(crate) fn bounds(mut self, change: impl FnOnce(&mut ServerBounds)) -> Self {
        change(&mut self.settings.bounds);
        self
    }

    pub(crate) fn settings(mut self, change: impl FnOnce(&mut ServerSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// With a store of its own, in memory, and a look-up that may take its time: tests run beside one another.
    pub(crate) async fn with_keys(self) -> Self {
        let store = Store::open(&StoreSettings::at(tollgate_store::Place::Memory), EpochMs::default()).await;
        self.store(
            Arc::new(store.expect("a store in memory")),
            KeyBounds { patience: PATIENCE, ..KeyBounds::default() },
        )
    }

    /// With a journal, on a disk that is none.
    pub(crate) fn with_journal(self) -> Self {
        self.with_journal_of(7)
    }

    /// The same, of one of several instances.
    pub(crate) fn with_journal_of(self, instance: u128) -> Self {
        self.with_journal_on(&FaultyDisk::new(), Settings::default(), instance)
    }

    /// With a journal on this disk.
    pub(crate) fn with_journal_on(mut self, disk: &FaultyDisk, settings: Settings, instance: u128) -> Self {
        let disk = Arc::new(disk.clone());
        let (journal, _) = Journal::open(disk, settings, uuid::Uuid::from_u128(instance)).expect("a journal");
        self.journal = Some(journal);
        self
    }

    /// Holding limits with others through the Redis at this port.
    pub(crate) fn limits(mut self, redis: u16, sharing: LimitSharing) -> Self {
        self.limits = Some((redis, sharing));
        self
    }

    /// With this store.
    pub(crate) fn store(mut self, store: Arc<Store>, bounds: KeyBounds) -> Self {
        self.store = Some((store, bounds));
        self
    }

    pub(crate) async fn start(self) -> World {
        let provider = FakeProvider::start().await;
        self.start_before(provider).await
    }

    /// Starts before this provider.
    pub(crate) async fn start_before(self, provider: FakeProvider) -> World {
        let server = bind(self.settings).await.expect("a free port");
        let port = server.address().expect("an address").port();
        let text = self.config.replace("{provider}", &provider.url()).replace("{master}", MASTER);
        let gateway = gateway(
            snapshot(&text.replace("{own}", &port.to_string()), self.environment),
            self.random,
            self.store,
            self.journal,
            self.limits,
        );
        gateway.start_limits().await;
        gateway.start_hearing();
        gateway.start_books(Vec::new());
        let (stop, stopped) = watch::channel(0);
        let mut serving = JoinSet::new();
        serving.spawn(serve(server, Arc::clone(&gateway), stopped));
        World { provider, gateway, url: format!("http://127.0.0.1:{port}"), stop, serving }
    }
}

async fn serve(server: BoundServer, gateway: Arc<Gateway>, stopped: watch::Receiver<u8>) {
    server.serve(gateway, stopped).await;
}

/// A server of this machine on a free port.
pub(crate) fn settings() -> ServerSettings {
    ServerSettings {
        host: "127.0.0.1".to_owned(),
        port: 0,
        tls: None,
        cors_origins: vec!["*".to_owned()],
        cors_credentials: false,
        root_path: String::new(),
        bounds: ServerBounds::default(),
    }
}

/// What calls see of this configuration.
pub(crate) fn snapshot(text: &str, mut environment: Environment) -> Snapshot {
    let file = parse("config.yaml", text).expect("YAML");
    let checked = check(resolve(file, &|name| environment.get(name).cloned()), &|_| Ok(()));
    let config = checked.config.unwrap_or_else(|| panic!("a wrong configuration: {:#?}", checked.findings));
    environment.extend(config.environment.iter().cloned());
    Snapshot::build(&config, Arc::new(environment), SnapshotSettings::default())
}

fn gateway(
    snapshot: Snapshot,
    random: Arc<dyn Random>,
    store: Option<(Arc<Store>, KeyBounds)>,
    journal: Option<Journal>,
    limits: Option<(u16, LimitSharing)>,
) -> Arc<Gateway> {
    let clock = Arc::new(SystemClock::new());
    let sharing = limits.map(|(redis, limits)| {
        let address = Address { host: "127.0.0.1".to_owned(), port: Some(redis), ..Address::default() };
        let kv = || Kv::new(&address, Arc::<SystemClock>::clone(&clock)).expect("an address");
        let sharing = Sharing::new(kv(), Duration::from_secs(1), "tollgate".to_owned());
        sharing.with_limits(kv(), limits, Arc::<SystemClock>::clone(&clock))
    });
    let client = Client::new(ClientSettings::default(), Arc::<SystemClock>::clone(&clock)).expect("a client");
    Gateway::new(Parts {
        client,
        clock,
        random,
        snapshot,
        workers: Workers::new(Handle::current()),
        sharing,
        store,
        journal,
    })
}

/// A chat of one word.
pub(crate) fn hi(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

/// The same, streamed.
pub(crate) fn hi_streamed(model: &str) -> Value {
    json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "hi"}]})
}

/// Fails unless this is a refusal with this status in `OpenAI`'s shape; gives its words.
#[track_caller]
pub(crate) fn refused(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    error_of(&reply.json(), status)
}

/// Fails unless this is an error document in `OpenAI`'s shape.
#[track_caller]
pub(crate) fn error_of(document: &Value, status: u16) -> String {
    let error = document["error"].as_object().unwrap_or_else(|| panic!("no error in {document}"));
    for member in ["message", "type", "param", "code"] {
        assert!(error.contains_key(member), "no {member} in {document}");
    }
    assert_eq!(error["code"], status.to_string(), "{document}");
    assert!(error["type"].as_str().is_some_and(|text| !text.is_empty()), "{document}");
    error["message"].as_str().expect("a message").to_owned()
}
