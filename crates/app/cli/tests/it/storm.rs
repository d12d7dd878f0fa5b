//! `kill -9`, again and again, under a load of whole answers, streams, clients that leave and providers that fail: afterwards
//! what the provider has written down and what we have are the same book (HOUSE: ledger rules 5 to 8).
//!
//! `STORM_KILLS` says how many kills there are in all, over the three tests; `STORM_SEED` begins their chances.
#![expect(clippy::expect_used, reason = "a test whose world cannot be built ends with a message")]
#![expect(clippy::print_stdout, reason = "the seed and the sums are what a reader of a storm wants to know")]

mod audit;
mod bank;
mod clients;

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tollgate_kit::{Ending, FakeProvider, Gateway, Postgres, TempFolder, http};
use tollgate_store::{EpochMs, Place, Store, StoreSettings};
use tollgate_wire::Secret;

use bank::{Asked, Kind};
use clients::Crowd;

const MASTER: &str = "sk-master-0f1e2d3c";
const CLIENTS: u64 = 8;
const KILLS: u64 = 200;
/// How long things may take that have to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where our book is kept.
enum Home {
    Sqlite,
    Postgres(&'static Postgres),
    /// One that is ended and frozen meanwhile.
    Troubled(Box<Postgres>),
}

/// Chance that repeats: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

struct Storm {
    provider: FakeProvider,
    /// How many calls have arrived there.
    arrivals: watch::Receiver<u64>,
    folder: TempFolder,
    place: Place,
    config: String,
    crowd: Arc<Crowd>,
}

impl Storm {
    async fn new(url: Option<&str>) -> Self {
        let provider = FakeProvider::start_on(0, None).await;
        let (arrived, arrivals) = watch::channel(0);
        provider.answers_by(move |call| {
            arrived.send_modify(|count| *count += 1);
            bank::answer(call)
        });
        let folder = TempFolder::new();
        let place = match url {
            Some(url) => Place::Postgres(Secret::new(url)),
            None => Place::Sqlite(folder.path().join("tollgate.db")),
        };
        let config = config(&provider.url(), url);
        Self { provider, arrivals, folder, place, config, crowd: Arc::default() }
    }

    async fn start(&self) -> Gateway {
        Gateway::with()
            .binary(env!("CARGO_BIN_EXE_tollgate"))
            .config(&self.config)
            .argument("--data-dir")
            .argument(&self.folder.path().display().to_string())
            .start()
            .await
    }

    async fn store(&self) -> Store {
        let settings = StoreSettings { max_connections: 2, ..StoreSettings::at(self.place.clone()) };
        Store::open(&settings, EpochMs(0)).await.expect("the store opens")
    }

    /// Waits until so many calls more have arrived.
    async fn arrive(&mut self, more: u64) {
        let wanted = *self.arrivals.borrow() + more;
        let arrived = timeout(PATIENCE, self.arrivals.wait_for(|count| *count >= wanted)).await;
        assert!(arrived.is_ok(), "calls no longer arrive at the provider");
    }

    /// One life of the gateway under load, ended by a kill.
    async fn life(&mut self, keys: &[String], dice: &mut Dice, home: &mut Home) {
        let gateway = self.start().await;
        let over = Arc::new(AtomicBool::new(false));
        let address = gateway.url().trim_start_matches("http://").to_owned();
        let clients = self.crowd.gather(CLIENTS, &address, keys, &over);
        self.arrive(dice.below(60)).await;
        let trouble = dice.below(3);
        if let Home::Troubled(postgres) = home {
            match trouble {
                0 => postgres.freeze(true),
                1 => postgres.crash(),
                _ => {}
            }
            self.arrive(1 + dice.below(40)).await;
        }
        // No wait for something: a moment that nothing else decides.
        sleep(Duration::from_micros(dice.below(20_000))).await;
        gateway.signal("KILL");
        over.store(true, Relaxed);
        gateway.wait().await;
        clients.join_all().await;
        if let Home::Troubled(postgres) = home {
            match trouble {
                0 => postgres.freeze(false),
                1 => tokio::task::block_in_place(|| postgres.restart()),
                _ => {}
            }
        }
    }

    /// Starts once more, waits until everything is in the store, and stops in order.
    async fn settle(&self, budgeted: &str) {
        let gateway = self.start().await;
        let store = self.store().await;
        // After short lives there may be many journals: what counts is that they become fewer.
        let (mut patient, mut least) = (Instant::now() + PATIENCE, usize::MAX);
        loop {
            let behind = audit::behind(self.folder.path(), &store).await;
            if behind == 0 {
                break;
            }
            if behind < least {
                (least, patient) = (behind, Instant::now() + PATIENCE);
            }
            assert!(Instant::now() < patient, "{behind} journals are not in the store:\n{}", gateway.output());
            sleep(Duration::from_millis(200)).await;
        }
        // What was moved to those that died is back in the budget: there is less of it than they had together.
        let last = Asked { kind: Kind::Whole, number: u64::from(u32::MAX) };
        let (auth, marker) = (format!("Bearer {budgeted}"), last.marker());
        let headers = [("authorization", auth.as_str()), ("x-litellm-call-id", &marker)];
        let reply = http::post(&gateway.at("/v1/chat/completions"), &headers, &last.body()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let ended = gateway.stop().await;
        assert_eq!(ended.code, Some(0), "{}", ended.output);
    }
}

impl Storm {
    /// What `tollgate ledger verify` says of the store, the journals and the leases of the dead.
    fn verify(&self) {
        let config = self.folder.write("config.yaml", &self.config);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["ledger", "verify", "--config"]).arg(config).arg("--data-dir").arg(self.folder.path());
        let ran = command.current_dir(self.folder.path()).env_clear().output().expect("the binary runs");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(ran.status.success(), "{}{}", said(&ran.stdout), said(&ran.stderr));
    }
}

fn config(provider: &str, database: Option<&str>) -> String {
    let price = format!("input_cost_per_token: {}e-9, output_cost_per_token: {}e-9", bank::INPUT, bank::OUTPUT);
    let mut config = "model_list:\n".to_owned();
    for (group, model, base, more) in [
        ("pair", "gpt-4o", provider, ""),
        ("pair", "gpt-4o-mini", provider, ""),
        ("slow", "gpt-4o", provider, ", timeout: 0.2"),
        ("slow", "gpt-4o-mini", provider, ""),
        ("lost", "gpt-4o", "http://127.0.0.1:1", ""),
        ("lost", "gpt-4o-mini", provider, ""),
    ] {
        config.push_str(&format!(
            "  - model_name: {group}\n    litellm_params: {{model: openai/{model}, api_base: '{base}/v1', api_key: k, {price}{more}}}\n"
        ));
    }
    config.push_str("router_settings: {num_retries: 1, disable_cooldowns: true}\n");
    config.push_str(&format!("general_settings: {{master_key: {MASTER}, key_lookup_wait: 20"));
    if let Some(url) = database {
        config.push_str(&format!(", database_url: '{url}'"));
    }
    config.push_str("}\n");
    config
}

async fn storm(home: Home, share: u64) {
    let number = |name: &str, default: u64| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (kills, seed) = (number("STORM_KILLS", KILLS).div_ceil(3), number("STORM_SEED", 1) ^ (share << 32));
    println!("seed {seed:#x}, {kills} kills");
    let (mut dice, mut home) = (Dice(seed), home);
    let url = match &home {
        Home::Sqlite => None,
        Home::Postgres(postgres) => Some(postgres.database()),
        Home::Troubled(postgres) => Some(postgres.database()),
    };
    let mut storm = Storm::new(url.as_deref()).await;
    let gateway = storm.start().await;
    let auth = format!("Bearer {MASTER}");
    let mut keys = vec![MASTER.to_owned()];
    // A budget is moved in slices of a fiftieth: those of fifty dead would use it up.
    for body in [json!({"user_id": "ann"}), json!({"max_budget": 1, "budget_duration": "30d"})] {
        let made = http::post(&gateway.at("/key/generate"), &[("authorization", &auth)], &body).await.json();
        keys.push(made.get("key").and_then(Value::as_str).expect("a key").to_owned());
    }
    gateway.stop().await;
    for _ in 0..kills {
        storm.life(&keys, &mut dice, &mut home).await;
    }
    storm.settle(keys.last().expect("three keys")).await;
    let calls = storm.provider.calls();
    let is_over = |calls: &[tollgate_kit::Call]| calls.iter().all(|call| call.ending != Ending::Running);
    assert!(is_over(&calls), "a call at the provider has not ended");
    let charges: Vec<_> = calls.iter().filter_map(bank::charge).collect();
    assert_eq!(charges.len(), calls.len(), "every call says what it is");
    storm.verify();
    let sums = audit::audit(&storm.store().await, charges, &storm.crowd).await;
    println!("kill storm: kills: {kills}, asked: {}, {sums:?}", storm.crowd.calls());
    let enough = usize::try_from(kills).unwrap_or_default();
    assert!(sums.stated > enough && sums.counted > 0 && sums.unknown > enough / 2, "hardly a storm: {sums:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cent_is_lost_in_a_kill_storm_over_sqlite() {
    storm(Home::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cent_is_lost_in_a_kill_storm_over_postgres() {
    storm(Home::Postgres(Postgres::shared()), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cent_is_lost_in_a_kill_storm_while_postgres_goes_and_comes() {
    storm(Home::Troubled(Box::new(Postgres::start())), 3).await;
}
