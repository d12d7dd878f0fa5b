//! Disks that are full, cannot be written or cannot force (HOUSE: ledger rule 9): what runs settles, what is new is told 503, and it
//! heals without a hand.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_journal::{Fault, FaultyDisk, Settings};
use tollgate_kit::{
    Answer,
    http::{self, Reply},
};
use tollgate_store::{EpochMs, LogListing, Place, Store, StoreSettings};

use crate::world::{WITH_MASTER, World, hi, refused};

const PRICED: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: k, input_cost_per_token: 1e-5, output_cost_per_token: 2e-5}
router_settings: {num_retries: 0}
general_settings: {master_key: '{master}'{more}}
";

struct Failing {
    world: World,
    disk: FaultyDisk,
    store: Arc<Store>,
}

impl Failing {
    async fn start(more: &str, settings: Settings) -> Self {
        let disk = FaultyDisk::new();
        let store = Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap();
        let store = Arc::new(store);
        let plan = World::of(&PRICED.replace("{more}", more)).store(Arc::clone(&store), KeyBounds::default());
        let world = plan.with_journal_on(&disk, settings, 7).start().await;
        Self { world, disk, store }
    }

    async fn chat(&self) -> Reply {
        self.world.chat_with(&[WITH_MASTER], &hi("gpt")).await
    }

    async fn readiness(&self) -> (u16, Value) {
        let reply = http::get(&self.world.at("/health/readiness"), &[WITH_MASTER]).await;
        (reply.status, reply.json())
    }

    /// Waits until the gateway says that it takes calls, or that it does not.
    async fn is_ready(&self, wanted: u16) -> Value {
        let patient = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let (status, document) = self.readiness().await;
            if status == wanted {
                return document;
            }
            assert!(tokio::time::Instant::now() < patient, "{document}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What each attempt has cost, in nano-dollars.
    async fn booked(&self) -> Vec<i64> {
        self.world.gateway.finish_books().await;
        let listing = LogListing { limit: 10_000, ..LogListing::default() };
        let rows = self.store.spend_logs(&listing).await.unwrap().rows;
        assert_eq!(self.store.verify_totals().await.unwrap(), []);
        rows.into_iter().map(|row| row.spend.0).collect()
    }
}

fn completion(output: u64) -> Answer {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": output, "total_tokens": 10 + output});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    Answer::json(
        200,
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}),
    )
}

/// The refusal of a paid call.
fn is_told(reply: &Reply) {
    let words = refused(reply, 503);
    assert!(words.contains("cannot be written down") && words.contains("data directory"), "{words}");
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn house_13_9_on_a_disk_that_turns_read_only_what_runs_settles_and_what_is_new_is_refused() {
    let failing = Failing::start("", Settings::default()).await;
    let world = &failing.world;
    world.provider.script([completion(1).wait_before_head(Duration::from_millis(300)), completion(2)]);
    let (running, ()) = tokio::join!(failing.chat(), async {
        world.provider.wait_for_calls(1).await;
        failing.disk.set_read_only(true);
    });
    assert_eq!(running.status, 200, "it had begun");
    for _ in 0..3 {
        is_told(&failing.chat().await);
    }
    // Nor does it go another way; what is free is not refused.
    let bytes = http::post(&world.at("/openai/v1/chat/completions"), &[WITH_MASTER], &hi("gpt-4o")).await;
    is_told(&bytes);
    assert_eq!(http::get(&world.at("/v1/models"), &[WITH_MASTER]).await.status, 200);
    let document = failing.is_ready(503).await;
    assert_eq!(document["status"], "calls cannot be written down");
    assert_eq!(document["journal"], json!({"state": "full", "unwritten": 0, "waiting": 1}));
    assert_eq!(world.provider.calls().len(), 1, "nobody was asked");

    failing.disk.set_read_only(false);
    let document = failing.is_ready(200).await;
    assert_eq!(document["journal"], json!({"state": "open", "unwritten": 0, "waiting": 0}));
    assert_eq!(failing.chat().await.status, 200);
    assert_eq!(failing.booked().await, [120_000, 140_000], "both ends are written down");
}

#[tokio::test]
async fn house_13_9_a_full_disk_books_all_that_it_took_and_refuses_the_rest_until_there_is_room() {
    let settings = Settings { segment_bytes: 512 << 10, ..Settings::default() };
    let failing = Failing::start("", settings).await;
    failing.world.provider.always("*", completion(1));
    assert_eq!(failing.chat().await.status, 200);
    failing.disk.set_capacity(Some(failing.disk.used()));
    let mut taken = 1;
    let refusal = loop {
        let reply = failing.chat().await;
        if reply.status != 200 {
            break reply;
        }
        taken += 1;
        assert!(taken < 5000, "it never fills");
    };
    is_told(&refusal);
    assert!(taken > 100, "only {taken}");
    assert_eq!(failing.is_ready(503).await["journal"], json!({"state": "full", "unwritten": 0, "waiting": 0}));
    failing.disk.set_capacity(None);
    failing.is_ready(200).await;
    assert_eq!(failing.chat().await.status, 200);
    assert_eq!(failing.booked().await.len(), taken + 1);
}

#[tokio::test]
async fn house_13_9_calls_may_be_worth_more_than_their_books() {
    let failing = Failing::start(", admit_unjournaled: true", Settings::default()).await;
    failing.world.provider.always("*", completion(1));
    failing.disk.set_read_only(true);
    for _ in 0..3 {
        assert_eq!(failing.chat().await.status, 200);
    }
    let (status, document) = failing.readiness().await;
    assert_eq!((status, &document["status"]), (200, &json!("healthy")));
    assert_eq!(document["journal"], json!({"state": "full", "unwritten": 3, "waiting": 3}), "{document}");
    failing.disk.set_read_only(false);
    let patient = tokio::time::Instant::now() + Duration::from_secs(20);
    while failing.readiness().await.1["journal"]["state"] != "open" {
        assert!(tokio::time::Instant::now() < patient);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(failing.booked().await, [120_000; 3], "their ends could be written down after all");
}

#[tokio::test]
async fn house_13_9_a_disk_that_cannot_force_keeps_calls_going_and_books_them_when_it_can() {
    let failing = Failing::start("", Settings::default()).await;
    failing.world.provider.always("*", completion(1));
    failing.disk.plan(&(0..10_000).map(|sync| Fault::SyncFails { sync }).collect::<Vec<_>>());
    for _ in 0..20 {
        assert_eq!(failing.chat().await.status, 200, "a kill loses nothing of it");
    }
    failing.world.gateway.finish_books().await;
    assert_eq!(failing.store.spend_logs(&LogListing { limit: 1, ..LogListing::default() }).await.unwrap().rows, []);
    failing.disk.plan(&[]);
    assert_eq!(failing.booked().await.len(), 20);
}

#[tokio::test]
async fn house_13_9_short_writes_lose_nothing() {
    let failing = Failing::start("", Settings::default()).await;
    failing.world.provider.always("*", completion(1));
    failing.disk.plan(&(0..200).step_by(3).map(|write| Fault::Short { write, bytes: write }).collect::<Vec<_>>());
    for _ in 0..40 {
        assert_eq!(failing.chat().await.status, 200);
    }
    assert_eq!(failing.booked().await, [120_000; 40]);
}
