//! The seeds' examples of keys, limits and spend, with the requests that they show, wherever keys and spend are kept: in a SQLite file or
//! in PostgreSQL, with a Redis and without (SEED-26, SEED-133 to 145, 149 to 151).
#![expect(clippy::indexing_slicing, reason = "documents are read by name, as clients do")]
#![expect(clippy::expect_used, reason = "a test whose world cannot be built ends with a message")]

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tollgate_kit::{
    Answer, Call, FakeProvider, Gateway, Postgres, Redis,
    http::{self, Connection, Reply},
};

/// As in the seeds.
const MASTER: &str = "Bearer sk-1234";
/// What `curl -d` says of a body where nobody says what it is.
const AS_CURL: &str = "application/x-www-form-urlencoded";
const AS_JSON: &str = "application/json";

/// What the seeds ask of a key's model.
const HELLO: &str = r#"{
        "model": "bedrock-claude-v3-sonnet",
        "messages": [
            {
                "role": "user",
                "content": "Hello"
            }
        ]
}"#;

struct Seeds {
    provider: FakeProvider,
    gateway: Gateway,
    config: String,
    _redis: Option<Redis>,
}

/// The configuration of the seeds, with prices in place of those of models that change.
fn config(provider: &str, database: Option<&str>) -> String {
    let models = [
        ("gpt-4", "gpt-4o", 0.000_01),
        ("gpt-3.5-turbo", "gpt-4o-mini", 0.000_001),
        ("claude-2", "claude-of-old", 0.000_002),
        ("my-free-tier", "free", 0.0),
        ("bedrock-claude-v3-sonnet", "sonnet", 0.000_003),
        ("bedrock-claude-v3-haiku", "haiku", 0.000_002),
        ("embed", "text-embedding-3-small", 0.000_000_5),
    ];
    let mut config = "model_list:\n".to_owned();
    for (name, model, price) in models {
        config.push_str(&format!(
            "  - model_name: {name}\n    litellm_params: {{model: openai/{model}, api_base: '{provider}/v1', api_key: k, \
             input_cost_per_token: {price:.9}, output_cost_per_token: {price:.9}}}\n"
        ));
    }
    let database = database.map(|url| format!(", database_url: '{url}'")).unwrap_or_default();
    config.push_str("router_settings: {num_retries: 0}\n");
    config + &format!("general_settings: {{master_key: sk-1234, key_lookup_wait: 20{database}}}\n")
}

fn answer(call: &Call) -> Answer {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20});
    let (object, choice) = match call.path.as_str() {
        "/v1/embeddings" => {
            let usage = json!({"prompt_tokens": 20, "total_tokens": 20});
            let data = json!([{"object": "embedding", "index": 0, "embedding": [0.5]}]);
            return Answer::json(200, json!({"object": "list", "model": "m", "data": data, "usage": usage}));
        }
        "/v1/completions" => ("text_completion", json!({"index": 0, "text": "hi", "finish_reason": "stop"})),
        _ => {
            let message = json!({"role": "assistant", "content": "hi"});
            ("chat.completion", json!({"index": 0, "message": message, "finish_reason": "stop"}))
        }
    };
    let body = json!({"id": "c", "object": object, "created": 1, "model": "m", "choices": [choice], "usage": usage});
    Answer::json(200, body)
}

impl Seeds {
    async fn start(database: Option<String>, redis: Option<Redis>) -> Self {
        let provider = FakeProvider::start_on(0, None).await;
        provider.answers_by(answer);
        let config = config(&provider.url(), database.as_deref());
        let mut gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&config);
        if let Some(redis) = &redis {
            let port = redis.port().to_string();
            gateway = gateway.environment("REDIS_HOST", "127.0.0.1").environment("REDIS_PORT", &port);
        }
        Self { provider, gateway: gateway.start().await, config, _redis: redis }
    }

    /// A request as the seeds write it.
    async fn post(&self, path: &str, key: &str, kind: &str, body: &str) -> Reply {
        let (mut connection, path) = Connection::open(&self.gateway.at(path)).await;
        connection.ask("POST", &path, &[("authorization", key), ("content-type", kind)], body.as_bytes()).await;
        connection.reply().await
    }

    async fn key(&self, kind: &str, body: &str) -> (String, Value) {
        let reply = self.post("/key/generate", MASTER, kind, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let document = reply.json();
        (document["key"].as_str().expect("a key").to_owned(), document)
    }

    async fn chat(&self, key: &str, body: &str) -> Reply {
        self.post("/v1/chat/completions", &format!("Bearer {key}"), AS_JSON, body).await
    }

    async fn info(&self, key: &str) -> Value {
        http::get(&self.gateway.at(&format!("/key/info?key={key}")), &[("authorization", MASTER)]).await.json()
    }

    /// Waits until a key has spent so much.
    async fn has_spent(&self, key: &str, wanted: f64) {
        let patient = Instant::now() + Duration::from_secs(20);
        loop {
            let spend = self.info(key).await["info"]["spend"].as_f64().expect("what was spent");
            if (spend - wanted).abs() < 1e-12 {
                return;
            }
            assert!(spend < wanted && Instant::now() < patient, "{spend} instead of {wanted}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn last_model(&self) -> String {
        let calls = self.provider.calls();
        calls.last().and_then(|call| call.json()["model"].as_str().map(str::to_owned)).expect("a model was asked")
    }
}

/// SEED-133 to 137, 139: a key that lives for a while and may use some models.
async fn temporary_keys(seeds: &Seeds) {
    let body = r#"{"models": ["gpt-3.5-turbo", "gpt-4", "claude-2"], "duration": "20m"}"#;
    let (key, made) = seeds.key(AS_CURL, body).await;
    assert!(made["expires"].as_str().is_some_and(|time| time.contains('T')), "{made}");
    let info = seeds.info(&key).await;
    assert_eq!(info["key"], key.as_str());
    for member in ["token", "spend", "expires", "models", "aliases", "config"] {
        assert!(info["info"].get(member).is_some(), "no {member} in {info}");
    }
    assert_eq!(info["info"]["models"], json!(["gpt-3.5-turbo", "gpt-4", "claude-2"]));
    // Null is all models, and for ever (decision 11).
    let (all, made) = seeds.key(AS_CURL, r#"{"models": null, "duration": null}"#).await;
    assert_eq!(made["expires"], Value::Null);
    assert_eq!(seeds.chat(&all, HELLO).await.status, 200);
    for (duration, seconds) in [("30s", 30), ("30m", 1800), ("30h", 108_000), ("30d", 2_592_000), ("30min", 1800)] {
        let (_, made) = seeds.key(AS_CURL, &json!({"duration": duration}).to_string()).await;
        let text = made["expires"].as_str().expect("when it expires");
        let expires: jiff::Timestamp = text.parse().expect("a moment");
        let left = expires.as_second() - jiff::Timestamp::now().as_second();
        assert!((seconds - 15..=seconds + 1).contains(&left), "{duration}: {left} s");
    }
}

/// SEED-138: an alias leads elsewhere, and is changed.
async fn aliases(seeds: &Seeds) {
    let body = "{\n\t\"models\": [\"my-free-tier\"], \n\t\"aliases\": {\"gpt-3.5-turbo\": \"my-free-tier\"}, \n\t\"duration\": \"30min\"\n}";
    let (key, _) = seeds.key(AS_JSON, body).await;
    let ask = r#"{"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}]}"#;
    assert_eq!(seeds.chat(&key, ask).await.status, 200);
    assert_eq!(seeds.last_model(), "free");
    let up = json!({"key": key, "models": ["gpt-4"], "aliases": {"gpt-3.5-turbo": "gpt-4"}}).to_string();
    assert_eq!(seeds.post("/key/update", MASTER, AS_JSON, &up).await.status, 200);
    assert_eq!(seeds.chat(&key, ask).await.status, 200);
    assert_eq!(seeds.last_model(), "gpt-4o");
}

/// SEED-140 to 143, 149, 150: what a key spends, in all ways and for each model.
async fn spend(seeds: &Seeds) {
    let body = r#"{
        "models": [
            "bedrock-claude-v3-sonnet",
            "bedrock-claude-v3-haiku"
        ],
        "metadata": {
            "user": "<user_mail>"
        }
}"#;
    let (key, made) = seeds.key(AS_JSON, body).await;
    assert_eq!((key.len(), key.starts_with("sk-")), (25, true), "{key}");
    assert_eq!(made["metadata"]["user"], "<user_mail>");
    assert_eq!(seeds.chat(&key, HELLO).await.status, 200);
    seeds.has_spent(&key, 20.0 * 0.000_003).await;
    assert_eq!(seeds.chat(&key, &HELLO.replace("bedrock-claude-v3-sonnet", "gpt-4")).await.status, 403);
    assert_eq!(seeds.chat(&key, &HELLO.replace("sonnet", "haiku")).await.status, 200);
    seeds.has_spent(&key, 20.0 * 0.000_005).await;

    let (key, _) = seeds.key(AS_CURL, "{}").await;
    let auth = format!("Bearer {key}");
    let mut spent = 0.0;
    for (path, body, cost) in [
        ("/completions", json!({"model": "gpt-4", "prompt": "Hello"}), 20.0 * 0.000_01),
        (
            "/chat/completions",
            json!({"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}]}),
            20.0 * 0.000_01,
        ),
        ("/embeddings", json!({"model": "embed", "input": "Hello"}), 20.0 * 0.000_000_5),
    ] {
        assert_eq!(seeds.post(path, &auth, AS_JSON, &body.to_string()).await.status, 200, "{path}");
        spent += cost;
        seeds.has_spent(&key, spent).await;
    }
    let rows = http::get(&seeds.gateway.at(&format!("/spend/logs?api_key={key}")), &[("authorization", MASTER)]).await;
    let rows = rows.json();
    let rows: Vec<&Value> = rows.as_array().expect("rows").iter().collect();
    let of = |model: &str| rows.iter().filter(|row| row["model"] == model).collect::<Vec<_>>();
    assert_eq!((rows.len(), of("gpt-4o").len(), of("text-embedding-3-small").len()), (3, 2, 1), "{rows:?}");
    assert!(of("gpt-4o").iter().all(|row| row["prompt_tokens"] == 10 && row["completion_tokens"] == 10), "{rows:?}");
    for stranger in ["sk-pyHgYR8Iacc4CLHwjeKu4Q", "sk-7xEL6aSZW_HkUojYS558iA"] {
        assert_eq!(seeds.chat(stranger, HELLO).await.status, 401);
    }
}

/// SEED-144 and 145: limits, and what is said beyond them.
async fn limits(seeds: &Seeds) {
    let (key, _) = seeds.key(AS_JSON, r#"{"max_parallel_requests": 10, "tpm_limit": 200, "rpm_limit": 4}"#).await;
    for _ in 0..4 {
        assert_eq!(seeds.chat(&key, HELLO).await.status, 200);
    }
    let reply = seeds.chat(&key, HELLO).await;
    let error = reply.json()["error"].clone();
    assert_eq!((reply.status, &error["code"]), (429, &json!("429")), "{error}");
    let hash = seeds.info(&key).await["info"]["token"].as_str().expect("its hash").to_owned();
    let words = format!(
        "Max parallel request limit reached Hit limit for api_key: {hash}. tpm_limit: 200, current_tpm 80 , rpm_limit: 4 current rpm 4"
    );
    assert!(error["message"].as_str().is_some_and(|message| message.contains(&words)), "{error}");
    for member in ["message", "type", "param", "code"] {
        assert!(error.get(member).is_some(), "no {member} in {error}");
    }
}

/// SEED-151: a model moves to another address, and its clients keep their keys.
async fn another_address(seeds: &Seeds) {
    let (key, _) = seeds.key(AS_CURL, "{}").await;
    assert_eq!(seeds.chat(&key, HELLO).await.status, 200);
    let other = FakeProvider::start_on(0, None).await;
    other.answers_by(answer);
    let moved = seeds.config.replace(&seeds.provider.url(), &other.url()).replace("api_key: k", "api_key: another");
    std::fs::write(seeds.gateway.folder().join("config.yaml"), moved).expect("the configuration can be written");
    seeds.gateway.signal("HUP");
    let patient = Instant::now() + Duration::from_secs(20);
    while other.calls().is_empty() {
        assert!(Instant::now() < patient, "the new address is not asked");
        assert_eq!(seeds.chat(&key, HELLO).await.status, 200);
    }
    assert!(other.calls().iter().all(|call| call.header("authorization") == Some("Bearer another")));
}

async fn all(database: Option<String>, redis: Option<Redis>) {
    let seeds = Seeds::start(database, redis).await;
    temporary_keys(&seeds).await;
    aliases(&seeds).await;
    spend(&seeds).await;
    limits(&seeds).await;
    another_address(&seeds).await;
}

#[tokio::test]
async fn the_seeds_examples_of_keys_hold_in_sqlite() {
    all(None, None).await;
}

#[tokio::test]
async fn the_seeds_examples_of_keys_hold_in_sqlite_with_redis() {
    all(None, Some(Redis::start().await)).await;
}

#[tokio::test]
async fn the_seeds_examples_of_keys_hold_in_postgres() {
    all(Some(Postgres::shared().database()), None).await;
}

#[tokio::test]
async fn the_seeds_examples_of_keys_hold_in_postgres_with_redis() {
    all(Some(Postgres::shared().database()), Some(Redis::start().await)).await;
}
