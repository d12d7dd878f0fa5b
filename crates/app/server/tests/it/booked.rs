//! What calls cost, from the provider's word through the journal into the store, and back out at `/key/info`.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_kit::{Answer, http};
use tollgate_store::{EpochMs, LogListing, Place, Store, StoreSettings};

use crate::world::{WITH_MASTER, World, hi, hi_streamed};

const CONFIG: &str = "
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_base: '{provider}/v1'
      api_key: sk-fake-provider-key
      input_cost_per_token: 0.00001
      output_cost_per_token: 0.00002
  - model_name: embed
    litellm_params:
      model: openai/text-embedding-3-small
      api_base: '{provider}/v1'
      api_key: sk-fake-provider-key
      input_cost_per_token: 0.000001
router_settings: {num_retries: 1, retry_after: 0}
general_settings: {master_key: '{master}'}
";

struct Booked {
    world: World,
    store: Arc<Store>,
    key: String,
}

impl Booked {
    async fn start() -> Self {
        let store = Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap();
        let store = Arc::new(store);
        let bounds = KeyBounds { patience: std::time::Duration::from_secs(20), ..KeyBounds::default() };
        let world = World::of(CONFIG).store(Arc::clone(&store), bounds).with_journal().start().await;
        let made = http::post(&world.at("/key/generate"), &[WITH_MASTER], &json!({"user_id": "ann"})).await;
        let key = made.json()["key"].as_str().unwrap().to_owned();
        Self { world, store, key }
    }

    async fn ask(&self, path: &str, body: &Value) -> u16 {
        let auth = format!("Bearer {}", self.key);
        http::post(&self.world.at(path), &[("authorization", &auth)], body).await.status
    }

    async fn spend(&self) -> f64 {
        let path = format!("/key/info?key={}", self.key);
        http::get(&self.world.at(&path), &[WITH_MASTER]).await.json()["info"]["spend"].as_f64().unwrap()
    }

    /// Waits until so much is spent.
    async fn spent(&self, expected: f64) {
        self.world.gateway.finish_books().await;
        let spend = self.spend().await;
        assert!((spend - expected).abs() < 1e-9, "{spend} instead of {expected}");
        assert_eq!(self.store.verify_totals().await.unwrap(), []);
    }
}

fn completion(input: u64, output: u64) -> Answer {
    let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    let message = json!({"role": "assistant", "content": "hi"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice], "usage": usage,
    });
    Answer::json(200, body)
}

#[tokio::test]
async fn spend_grows_with_each_kind_of_call() {
    let booked = Booked::start().await;
    booked.spent(0.0).await;
    booked.world.provider.script([completion(10, 5)]);
    assert_eq!(booked.ask("/v1/chat/completions", &hi("gpt")).await, 200);
    booked.spent(0.0002).await;
    // Streamed, with what the provider states at its end.
    assert_eq!(booked.ask("/v1/chat/completions", &hi_streamed("gpt")).await, 200);
    assert_eq!(booked.ask("/completions", &json!({"model": "gpt", "prompt": "hi"})).await, 200);
    assert_eq!(booked.ask("/embeddings", &json!({"model": "embed", "input": "hi"})).await, 200);
    booked.world.gateway.finish_books().await;
    let rows = booked.store.spend_logs(&LogListing { limit: 100, ..LogListing::default() }).await.unwrap().rows;
    let types: Vec<&str> = rows.iter().rev().map(|row| row.call_type.as_str()).collect();
    assert_eq!(types.len(), 4, "{types:?}");
    for (kind, count) in [("acompletion", 2), ("atext_completion", 1), ("aembedding", 1)] {
        assert_eq!(types.iter().filter(|one| **one == kind).count(), count, "{types:?}");
    }
    let sum: i64 = rows.iter().map(|row| row.spend.0).sum();
    #[expect(clippy::cast_precision_loss, reason = "far below what a float holds exactly")]
    booked.spent(sum as f64 / 1e9).await;
    assert!(rows.iter().all(|row| row.spend.0 > 0 && row.user_id.as_deref() == Some("ann")), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row.certainty == "stated").count(), 4);
}

#[tokio::test]
async fn readiness_tells_of_the_store_and_the_journal() {
    let booked = Booked::start().await;
    let short = booked.world.get("/health/readiness").await.json();
    assert_eq!(short, json!({"status": "healthy", "db": "connected"}));
    let told = http::get(&booked.world.at("/health/readiness"), &[WITH_MASTER]).await.json();
    assert_eq!(told["journal"], json!({"state": "open", "unwritten": 0, "waiting": 0}));
}

#[tokio::test]
async fn each_attempt_is_a_row_and_a_refused_one_costs_nothing() {
    let booked = Booked::start().await;
    let overloaded = || Answer::json(500, json!({"error": {"message": "no"}}));
    booked.world.provider.script([overloaded(), completion(100, 100)]);
    assert_eq!(booked.ask("/v1/chat/completions", &hi("gpt")).await, 200);
    booked.spent(0.003).await;
    let rows = booked.store.spend_logs(&LogListing { limit: 10, ..LogListing::default() }).await.unwrap().rows;
    let mut seen: Vec<(&str, i64)> = rows.iter().map(|row| (row.status.as_str(), row.spend.0)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("failure", 0), ("success", 3_000_000)]);
    assert_eq!(rows[0].call_id, rows[1].call_id, "both are the same call");
}

#[tokio::test]
async fn what_the_admin_and_unknown_keys_do_is_booked_to_no_key() {
    let booked = Booked::start().await;
    assert_eq!(http::post(&booked.world.at("/v1/chat/completions"), &[WITH_MASTER], &hi("gpt")).await.status, 200);
    let stranger = [("authorization", "Bearer sk-0123456789abcdef")];
    assert_eq!(http::post(&booked.world.at("/v1/chat/completions"), &stranger, &hi("gpt")).await.status, 401);
    booked.spent(0.0).await;
    let rows = booked.store.spend_logs(&LogListing { limit: 10, ..LogListing::default() }).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.api_key.as_str()).collect::<Vec<_>>(), ["litellm_proxy_master_key"]);
}

#[tokio::test]
async fn a_budget_that_is_spent_refuses_the_next_call_at_once_and_after_a_look_up() {
    let booked = Booked::start().await;
    let update = |budget: f64| json!({"key": booked.key, "max_budget": budget});
    http::post(&booked.world.at("/key/update"), &[WITH_MASTER], &update(0.004)).await;
    booked.world.provider.script([completion(100, 100), completion(100, 100)]);
    for status in [200, 200, 400] {
        assert_eq!(booked.ask("/v1/chat/completions", &hi("gpt")).await, status);
    }
    // The key is looked up anew, before and after its spend is in the store.
    http::post(&booked.world.at("/key/update"), &[WITH_MASTER], &update(0.005)).await;
    assert_eq!(booked.ask("/v1/chat/completions", &hi("gpt")).await, 400);
    booked.spent(0.006).await;
    http::post(&booked.world.at("/key/update"), &[WITH_MASTER], &update(0.006)).await;
    assert_eq!(booked.ask("/v1/chat/completions", &hi("gpt")).await, 400);
    http::post(&booked.world.at("/key/update"), &[WITH_MASTER], &update(0.01)).await;
    booked.world.provider.script([completion(100, 149)]);
    assert_eq!(booked.ask("/v1/chat/completions", &hi("gpt")).await, 200);
    assert_eq!(booked.ask("/v1/embeddings", &json!({"model": "embed", "input": "x"})).await, 400);
    // Looking is free.
    let auth = format!("Bearer {}", booked.key);
    assert_eq!(http::get(&booked.world.at("/v1/models"), &[("authorization", &auth)]).await.status, 200);
}
