//! The data directory: where it cannot be written, where it is lost, where two processes share it, and where the store is another
//! than the journals remember (decision 28; HOUSE: ledger rules 7 and 8).
#![expect(clippy::expect_used, reason = "a test whose world cannot be built ends with a message")]

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tollgate_kit::{Answer, FakeProvider, Gateway, Postgres, TempFolder, http};
use tollgate_store::{EpochMs, LogListing, Page, Place, SpendRow, Store, StoreSettings};
use tollgate_wire::Secret;

use crate::world::World as Folder;

const MASTER: (&str, &str) = ("authorization", "Bearer sk-master-0f1e2d3c");
/// What a call costs, in nano-dollars.
const COST: i64 = 2_000_000;

fn config(provider: &FakeProvider, database: Option<&str>) -> String {
    let database = database.map(|url| format!(", database_url: '{url}'")).unwrap_or_default();
    format!(
        "model_list:\n  - model_name: gpt\n    litellm_params: {{model: openai/gpt-4o, api_base: '{}/v1', api_key: k, \
         input_cost_per_token: 0.00001, output_cost_per_token: 0.00001}}\n\
         router_settings: {{num_retries: 0}}\n\
         general_settings: {{master_key: sk-master-0f1e2d3c, key_lookup_wait: 20{database}}}\n",
        provider.url()
    )
}

async fn provider() -> FakeProvider {
    let provider = FakeProvider::start_on(0, None).await;
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let answer = json!({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage});
    provider.answers_by(move |call| {
        let wait = if call.text().contains("slowly") { Duration::from_millis(1500) } else { Duration::ZERO };
        Answer::json(200, answer.clone()).wait_before_head(wait)
    });
    provider
}

async fn start(config: &str, data: &Path) -> Gateway {
    let gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(config);
    gateway.argument("--data-dir").argument(&data.display().to_string()).start().await
}

async fn chat(url: &str, words: &str) -> u16 {
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": words}]});
    http::post(&format!("{url}/v1/chat/completions"), &[MASTER], &body).await.status
}

async fn open(place: Place) -> Store {
    let settings = StoreSettings { max_connections: 2, ..StoreSettings::at(place) };
    Store::open(&settings, EpochMs(0)).await.expect("the store opens")
}

/// The rows, once there are so many; and how many attempts are unknown.
async fn booked(store: &Store, rows: usize) -> (Vec<SpendRow>, usize) {
    let patient = Instant::now() + Duration::from_secs(20);
    loop {
        let listing = LogListing { limit: 1000, ..LogListing::default() };
        let found = store.spend_logs(&listing).await.expect("rows").rows;
        if found.len() >= rows || Instant::now() > patient {
            assert_eq!(found.len(), rows);
            assert_eq!(store.verify_totals().await.expect("the store answers"), []);
            let held = store.unknown_attempts(EpochMs(i64::MAX), Page { offset: 0, limit: 100 }).await;
            return (found, held.expect("what is held").len());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_data_directory_that_cannot_be_made_ends_the_start_where_everything_is_kept_in_it() {
    let world = Folder::new().file("file", "").file("config.yaml", "general_settings: {master_key: sk-0f1e2d3c}\n");
    let ran = world.run("--config config.yaml --port 0 --data-dir file/data");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("file/data") && ran.err.contains("--data-dir"), "{}", ran.err);
}

#[tokio::test]
async fn with_postgres_it_starts_without_a_data_directory_and_says_what_that_means() {
    let (provider, folder, url) = (provider().await, TempFolder::new(), Postgres::shared().database());
    folder.write("file", "");
    let gateway = start(&config(&provider, Some(&url)), &folder.path().join("file/data")).await;
    gateway.wait_for_line("NO CRASH PROMISE").await;
    assert_eq!(chat(gateway.url(), "hi").await, 200);
    assert_eq!(gateway.stop().await.code, Some(0));
    let (rows, unknown) = booked(&open(Place::Postgres(Secret::new(url))).await, 1).await;
    assert_eq!((rows.iter().map(|row| row.spend.0).sum::<i64>(), unknown), (COST, 0));
}

#[tokio::test]
async fn house_13_8_two_processes_on_one_data_directory_both_work_and_the_living_keeps_its_own() {
    let (provider, folder) = (provider().await, TempFolder::new());
    let config = config(&provider, None);
    let one = start(&config, folder.path()).await;
    let two = start(&config, folder.path()).await;
    for gateway in [&one, &two, &one] {
        assert_eq!(chat(gateway.url(), "hi").await, 200);
    }
    // One of them dies in the midst of a call, the other one is in the midst of one.
    let mut waiting = JoinSet::new();
    for url in [one.url().to_owned(), two.url().to_owned()] {
        waiting.spawn(async move {
            let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "slowly"}]}).to_string();
            let (mut connection, _) = http::Connection::open(&url).await;
            connection
                .ask("POST", "/v1/chat/completions", &[MASTER, ("content-type", "application/json")], body.as_bytes())
                .await;
            connection.head().await.map(|head| head.status)
        });
    }
    provider.wait_for_calls(5).await;
    one.signal("KILL");
    one.wait().await;
    let three = start(&config, folder.path()).await;
    three.wait_for_line("attempts of a process that has ended are unknown").await;
    let mut answers: Vec<_> = waiting.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [None, Some(200)], "the living one answers");
    let store = open(Place::Sqlite(folder.path().join("tollgate.db"))).await;
    let (rows, unknown) = booked(&store, 4).await;
    assert_eq!((rows.iter().map(|row| row.spend.0).sum::<i64>(), unknown), (4 * COST, 1));
    assert_eq!(chat(three.url(), "hi").await, 200);
    for gateway in [two, three] {
        assert_eq!(gateway.stop().await.code, Some(0));
    }
    assert_eq!(booked(&store, 5).await.1, 1);
}

#[tokio::test]
async fn house_13_7_a_sqlite_file_that_is_copied_back_is_caught_up_from_the_journals() {
    let (provider, folder) = (provider().await, TempFolder::new());
    let config = config(&provider, None);
    let (file, backup) = (folder.path().join("tollgate.db"), folder.path().join("backup.db"));
    let calls = async |count: usize| {
        let gateway = start(&config, folder.path()).await;
        for _ in 0..count {
            assert_eq!(chat(gateway.url(), "hi").await, 200);
        }
        assert_eq!(gateway.stop().await.code, Some(0));
    };
    calls(2).await;
    std::fs::copy(&file, &backup).expect("a backup");
    calls(3).await;
    calls(4).await;
    for left in ["tollgate.db-wal", "tollgate.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(left));
    }
    std::fs::copy(&backup, &file).expect("the backup is put back");
    let gateway = start(&config, folder.path()).await;
    let store = open(Place::Sqlite(file)).await;
    let (rows, unknown) = booked(&store, 9).await;
    assert_eq!((rows.iter().map(|row| row.spend.0).sum::<i64>(), unknown), (9 * COST, 0));
    assert_eq!(gateway.stop().await.code, Some(0));
}

#[tokio::test]
async fn house_13_7_an_older_state_of_postgres_is_caught_up_from_the_journals() {
    let (provider, folder, postgres) = (provider().await, TempFolder::new(), Postgres::shared());
    let url = postgres.database();
    let calls = async |count: usize, url: &str| {
        let gateway = start(&config(&provider, Some(url)), folder.path()).await;
        for _ in 0..count {
            assert_eq!(chat(gateway.url(), "hi").await, 200);
        }
        assert_eq!(gateway.stop().await.code, Some(0));
    };
    calls(2, &url).await;
    let (_, name) = url.rsplit_once('/').expect("the name of the database");
    let backup = postgres.copy_of(name);
    calls(3, &url).await;
    // As if the backup had been put in the place of the other one.
    let gateway = start(&config(&provider, Some(&backup)), folder.path()).await;
    let store = open(Place::Postgres(Secret::new(backup))).await;
    let (rows, unknown) = booked(&store, 5).await;
    assert_eq!((rows.iter().map(|row| row.spend.0).sum::<i64>(), unknown), (5 * COST, 0));
    assert_eq!(gateway.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_lost_data_directory_is_no_reason_not_to_start() {
    let (provider, folder, url) = (provider().await, TempFolder::new(), Postgres::shared().database());
    let (config, data) = (config(&provider, Some(&url)), folder.path().join("data"));
    let gateway = start(&config, &data).await;
    assert_eq!(chat(gateway.url(), "hi").await, 200);
    let store = open(Place::Postgres(Secret::new(url))).await;
    booked(&store, 1).await;
    gateway.signal("KILL");
    gateway.wait().await;
    std::fs::remove_dir_all(&data).expect("the disk is lost");
    let gateway = start(&config, &data).await;
    assert_eq!(chat(gateway.url(), "hi").await, 200);
    assert_eq!(gateway.stop().await.code, Some(0));
    let (rows, _) = booked(&store, 2).await;
    let ids: Vec<Value> = rows.iter().map(|row| row.attempt_id.as_str().into()).collect();
    assert_ne!(ids.first(), ids.last());
}
