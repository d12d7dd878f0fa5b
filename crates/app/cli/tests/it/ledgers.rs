//! `ledger verify` and `ledger show`, beside a gateway that runs and after one that was killed.
#![expect(clippy::expect_used, clippy::panic, reason = "a test whose world cannot be built ends with a message")]

use std::process::{Command, Output};

use serde_json::{Value, json};
use tollgate_kit::{Answer, FakeProvider, Gateway, Place, Postgres, TempFolder, http};

const MASTER: (&str, &str) = ("authorization", "Bearer sk-master-0f1e2d3c");

struct World {
    provider: FakeProvider,
    folder: TempFolder,
}

impl World {
    async fn new() -> Self {
        let (provider, folder) = (FakeProvider::start().await, TempFolder::new());
        folder.write("config.yaml", config(&provider));
        Self { provider, folder }
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    async fn start(&self) -> Gateway {
        let gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&config(&self.provider));
        gateway.argument("--data-dir").argument(&self.data()).start().await
    }

    /// What the command says, and how it ends.
    fn ledger(&self, arguments: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.arg("ledger").args(arguments.split_whitespace()).args(["--data-dir", &self.data()]);
        command.current_dir(self.folder.path()).env_clear();
        let Output { status, stdout, stderr } = command.output().expect("the binary runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (status.code().expect("no signal"), text(stdout), text(stderr))
    }

    fn verify(&self) -> (i32, Value) {
        let (code, out, err) = self.ledger("verify --json");
        (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
    }
}

fn config(provider: &FakeProvider) -> String {
    format!(
        "model_list:\n  - model_name: gpt\n    litellm_params: {{model: openai/gpt-4o, api_base: '{}/v1', api_key: sk-fake, \
         input_cost_per_token: 0.00001, output_cost_per_token: 0.00001}}\n\
         router_settings: {{num_retries: 0}}\n\
         general_settings: {{master_key: sk-master-0f1e2d3c, key_lookup_wait: 20}}\n",
        provider.url()
    )
}

fn answer() -> Answer {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "an answer"}, "finish_reason": "stop"});
    Answer::json(
        200,
        json!({"id": "chatcmpl-7", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}),
    )
}

fn body() -> Value {
    json!({"model": "gpt", "messages": [{"role": "user", "content": "a hidden question"}]})
}

/// A gateway with a key that has asked some questions.
struct Asked {
    world: World,
    gateway: Gateway,
    key: String,
    token: String,
    /// The last call's id.
    call: String,
}

impl Asked {
    async fn start(calls: usize) -> Self {
        let world = World::new().await;
        let gateway = world.start().await;
        let made: Value = http::post(&gateway.at("/key/generate"), &[MASTER], &json!({})).await.json();
        let text = |name: &str| made.get(name).and_then(Value::as_str).expect("a key").to_owned();
        let mut asked = Self { world, gateway, key: text("key"), token: text("token"), call: String::new() };
        for _ in 0..calls {
            asked.ask().await;
        }
        asked
    }

    async fn ask(&mut self) {
        self.world.provider.script([answer()]);
        let auth = format!("Bearer {}", self.key);
        let url = self.gateway.at("/v1/chat/completions");
        let reply = http::post(&url, &[("authorization", &auth)], &body()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        self.call = reply.header("x-litellm-call-id").expect("an id").to_owned();
    }

    /// The process dies while the provider thinks.
    async fn die(self) -> (World, String) {
        let Self { world, gateway, key, token, .. } = self;
        world.provider.script([Answer::json(200, json!({})).stall(Place::BeforeHead)]);
        let calls = world.provider.calls().len();
        let (url, auth) = (gateway.at("/v1/chat/completions"), format!("Bearer {key}"));
        let mut waiting = tokio::task::JoinSet::new();
        waiting.spawn(async move { http::post(&url, &[("authorization", &auth)], &body()).await });
        world.provider.wait_for_calls(calls + 1).await;
        waiting.abort_all();
        gateway.signal("KILL");
        gateway.wait().await;
        (world, token)
    }
}

#[tokio::test]
async fn the_ledger_is_whole_while_a_gateway_writes_it() {
    let mut asked = Asked::start(0).await;
    for _ in 0..5 {
        asked.ask().await;
        // Whatever is in the store at this moment, the rest is in the journal.
        let (code, found) = asked.world.verify();
        assert_eq!((code, &found["is_sound"], &found["difference"]), (0, &json!(true), &json!(0.0)), "{found:#}");
        assert_eq!(found["journals"][0]["is_held"], true);
    }
}

#[tokio::test]
async fn the_ledger_is_whole_after_a_kill_and_after_the_next_start() {
    let (world, token) = Asked::start(3).await.die().await;
    let (code, found) = world.verify();
    let journal = &found["journals"][0];
    assert_eq!((code, &journal["is_held"], &journal["open"]), (0, &json!(false), &json!(1)), "{found:#}");
    // What it left open is held nowhere yet: the next start does that.
    let pending: Vec<&Value> = found["pending"].as_array().expect("a list").iter().collect();
    let is_held = |one: &&Value| one["scope"] == format!("key:{token}") && one["unknown"].as_f64() > Some(0.0);
    assert!(pending.iter().any(is_held), "{found:#}");

    let gateway = world.start().await;
    gateway.wait_for_line("attempts of a process that has ended are unknown").await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let found = loop {
        let (code, found) = world.verify();
        assert_eq!((code, &found["difference"]), (0, &json!(0.0)), "{found:#}");
        if found["unknown"]["attempts"] == 1 {
            break found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found:#}");
    };
    assert_eq!(found["pending"], json!([]));
    let (code, out, _) = world.ledger("verify");
    assert!(
        code == 0 && out.ends_with("difference 0.000000000 USD\n") && out.contains("1 attempts are unknown"),
        "{out}"
    );
}

#[tokio::test]
async fn all_that_is_known_of_a_call_is_shown_in_its_order_without_secrets() {
    let Asked { world, gateway, key, token, call } = Asked::start(2).await;
    gateway.signal("TERM");
    gateway.wait().await;
    let (code, out, err) = world.ledger(&format!("show {call} --json"));
    assert_eq!(code, 0, "{err}");
    let said: Vec<Value> = serde_json::from_str(&out).expect("a list");
    let whats: Vec<&str> = said.iter().filter_map(|one| one["what"].as_str()).collect();
    assert_eq!(whats, ["open", "settled", "settled"], "{out}");
    assert!(said.iter().all(|one| one["attempt"] == said[0]["attempt"]), "{out}");
    let row = &said[2];
    assert_eq!(
        (&row["place"], &row["cost"], &row["certainty"]),
        (&json!("spend log"), &json!(0.002), &json!("stated"))
    );
    assert_eq!(said[1]["scopes"][0], format!("key:{token}"));
    let (_, plain, _) = world.ledger(&format!("show {call}"));
    for secret in ["a hidden question", "an answer", key.as_str(), "sk-fake", "sk-master-0f1e2d3c"] {
        assert!(!out.contains(secret) && !plain.contains(secret), "{secret} in {out}{plain}");
    }
    assert!(plain.contains("settled") && plain.contains("0.002000000 USD, stated [spend log]"), "{plain}");
}

#[tokio::test]
async fn what_somebody_stated_of_an_unknown_attempt_is_shown_with_it() {
    let (world, _) = Asked::start(0).await.die().await;
    let gateway = world.start().await;
    gateway.wait_for_line("attempts of a process that has ended are unknown").await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let attempt = loop {
        let unknown: Value = http::get(&gateway.at("/ledger/unknown"), &[MASTER]).await.json();
        if let Some(attempt) = unknown["unknown"][0]["attempt_id"].as_str() {
            break attempt.to_owned();
        }
        assert!(tokio::time::Instant::now() < deadline, "{unknown}");
    };
    let path = gateway.at(&format!("/ledger/unknown/{attempt}"));
    let stated = http::post(&path, &[MASTER], &json!({"cost": 0.01, "reason": "the invoice"})).await;
    assert_eq!(stated.status, 200, "{}", stated.text());
    let (code, out, _) = world.ledger(&format!("show {attempt} --json"));
    let said: Vec<Value> = serde_json::from_str(&out).expect("a list");
    let corrected: Vec<&Value> = said.iter().filter(|one| one["what"] == "corrected").collect();
    assert_eq!((code, corrected.len()), (0, 2), "{out}");
    assert!(corrected.iter().all(|one| one["cost"] == 0.01 && one["reason"] == "the invoice"), "{out}");
    assert_eq!(world.verify().0, 0);
}

#[tokio::test]
async fn nothing_is_made_where_there_is_nothing_to_read() {
    let world = World::new().await;
    let (code, out, err) = world.ledger("verify");
    assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
    assert!(err.contains("tollgate.db") && !world.folder.path().join("data").exists(), "{err}");
    let gateway = world.start().await;
    let (code, out, err) = world.ledger("show nobody");
    assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
    drop(gateway);
}

#[tokio::test]
async fn the_ledger_is_found_where_the_configuration_keeps_it() {
    let world = World::new().await;
    let text = format!(
        "{}  database_url: {}\n",
        config(&world.provider)
            .replace("{master_key: sk-master-0f1e2d3c, key_lookup_wait: 20}", "\n  master_key: sk-master-0f1e2d3c"),
        Postgres::shared().database()
    );
    world.folder.write("config.yaml", &text);
    let (code, _, err) = world.ledger("verify -c config.yaml");
    assert!(code == 2 && err.contains("the database of database_url cannot be read"), "{code} {err}");
    let gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&text);
    let gateway = gateway.argument("--data-dir").argument(&world.data()).start().await;
    world.provider.script([answer()]);
    let reply = http::post(&gateway.at("/v1/chat/completions"), &[MASTER], &body()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let (code, out, err) = world.ledger("verify -c config.yaml");
    assert!(code == 0 && out.contains("being written"), "{code} {out}{err}");
    assert!(!out.contains("postgres") && !err.contains("postgres"), "{out}{err}");
}
