//! A store that is away, or answers after half a minute: no call waits for it, known keys go on, others are told 503 and never 401,
//! and all of it is booked when it is back.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;
use tollgate_gateway::KeyBounds;
use tollgate_kit::{
    Flow, Postgres, Proxy,
    http::{self, Reply},
};
use tollgate_store::{EpochMs, LogListing, Place, Store, StoreSettings};
use tollgate_wire::Secret;

use crate::world::{WITH_MASTER, World, hi, hi_streamed, refused};

const PRICED: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key, input_cost_per_token: 1e-5, output_cost_per_token: 2e-5}
router_settings: {num_retries: 0}
general_settings: {master_key: '{master}'}
";

/// What `general_settings.key_lookup_wait` is where nobody says.
const PATIENCE: Duration = Duration::from_millis(50);

struct Away {
    world: World,
    proxy: Proxy,
    /// Past the proxy.
    store: Store,
    keys: Vec<String>,
}

impl Away {
    /// Two keys, of which the first was seen lately.
    async fn start() -> Self {
        let postgres = Postgres::shared();
        let url = postgres.database();
        let proxy = Proxy::before(postgres.port()).await;
        let past = url.replace(&format!(":{}/", postgres.port()), &format!(":{}/", proxy.port()));
        let settings = |url: &str| StoreSettings::at(Place::Postgres(Secret::new(url)));
        let store = Store::open(&settings(&url), EpochMs::default()).await.unwrap();
        // Made by another gateway before: what is new is looked up once more when the news of it comes.
        let maker = World::of(PRICED).store(Arc::new(store.clone()), KeyBounds::default()).start().await;
        let mut keys = Vec::new();
        for _ in 0..2 {
            let made = http::post(&maker.at("/key/generate"), &[WITH_MASTER], &json!({"user_id": "ann"})).await;
            keys.push(made.json()["key"].as_str().unwrap().to_owned());
        }
        let behind = Store::open(&settings(&past), EpochMs::default()).await.unwrap();
        // Each call asks for its key anew, and waits as long as calls may.
        let bounds = KeyBounds { ttl: Duration::ZERO, stale_ttl: Duration::from_secs(600), ..KeyBounds::default() };
        assert_eq!(bounds.patience, PATIENCE);
        let world = World::of(PRICED).store(Arc::new(behind), bounds).with_journal().start().await;
        let away = Self { world, proxy, store, keys };
        away.is_let_in(0).await;
        away
    }

    async fn chat(&self, key: &str, streamed: bool) -> Reply {
        let auth = format!("Bearer {key}");
        let body = if streamed { hi_streamed("gpt") } else { hi("gpt") };
        self.world.chat_with(&[("authorization", &auth)], &body).await
    }

    /// Asks until the store has told of the key: it may have been left alone for a second.
    async fn is_let_in(&self, key: usize) {
        let patient = Instant::now() + Duration::from_secs(30);
        loop {
            let reply = self.chat(&self.keys[key], false).await;
            if reply.status == 200 {
                return;
            }
            refused(&reply, 503);
            assert!(Instant::now() < patient, "{}", reply.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is served while the store is not.
    async fn goes_on(&self) -> usize {
        let mut fastest = Duration::MAX;
        for number in 0..10 {
            let begun = Instant::now();
            let reply = self.chat(&self.keys[0], number % 2 == 1).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            fastest = fastest.min(begun.elapsed());
        }
        // The time of a call is that of the machine as well; the best of ten shows what is waited for.
        assert!(fastest < PATIENCE * 4, "the fastest took {fastest:?}");
        for key in [self.keys[1].as_str(), "sk-0123456789abcdefghijkl"] {
            let reply = self.chat(key, false).await;
            let words = refused(&reply, 503);
            assert!(words.contains("database does not answer") && reply.header("retry-after").is_some(), "{words}");
        }
        10
    }

    async fn attempts(&self) -> usize {
        let listing = LogListing { limit: 1000, ..LogListing::default() };
        self.store.spend_logs(&listing).await.unwrap().rows.len()
    }

    /// Waits until so many attempts are in the store, and looks whether its sums are right.
    async fn has(&self, wanted: usize) {
        let patient = Instant::now() + Duration::from_secs(60);
        while self.attempts().await < wanted {
            assert!(Instant::now() < patient, "{} of {wanted} are booked", self.attempts().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.attempts().await, wanted);
        assert_eq!(self.store.verify_totals().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_known_keys_go_on_and_others_are_told_503() {
    let away = Away::start().await;
    away.has(1).await;
    away.proxy.set(Flow::Broken);
    let served = away.goes_on().await;
    assert_eq!(away.attempts().await, 1, "nothing got through");
    let told = http::get(&away.world.at("/health/readiness"), &[]).await;
    assert_eq!((told.status, told.json()), (200, json!({"status": "healthy", "db": "disconnected"})));
    away.proxy.set(Flow::Open);
    away.is_let_in(1).await;
    away.has(1 + served + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_waits_for_a_store_that_does_not_answer() {
    let away = Away::start().await;
    away.has(1).await;
    away.proxy.set(Flow::Stalled);
    let served = away.goes_on().await;
    away.proxy.set(Flow::Open);
    away.is_let_in(1).await;
    away.has(1 + served + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_waits_for_a_store_that_answers_after_half_a_minute() {
    let away = Away::start().await;
    away.has(1).await;
    away.proxy.set(Flow::Slow(Duration::from_secs(30)));
    let served = away.goes_on().await;
    away.proxy.set(Flow::Open);
    away.is_let_in(1).await;
    away.has(1 + served + 1).await;
}
