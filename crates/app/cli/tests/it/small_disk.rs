//! The real binary on a disk that is really full: a small tmpfs in a mount namespace of its own, with the journal and the SQLite file on
//! it. What was answered is booked, the rest is told 503, and it heals when somebody makes room (HOUSE: ledger rule 9).
#![expect(clippy::expect_used, reason = "a test whose world cannot be built ends with a message")]

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tollgate_kit::{Answer, FakeProvider, Gateway, TempFolder, http};
use tollgate_store::{EpochMs, LogListing, Place, Store, StoreSettings};

const MASTER: (&str, &str) = ("authorization", "Bearer sk-master-0f1e2d3c");
const CLIENTS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// How a process may have mounts of its own here; none where it truly may not.
fn namespace() -> Option<&'static str> {
    let works =
        |flags: &str| Command::new("unshare").args([flags, "true"]).output().is_ok_and(|ran| ran.status.success());
    ["-m", "-rm"].into_iter().find(|flags| works(flags))
}

/// A program that mounts 64 MiB at `data`, fills 40 of them, and becomes the gateway.
fn wrapper(folder: &TempFolder, data: &Path, flags: &str) -> PathBuf {
    let (data, binary) = (data.display(), env!("CARGO_BIN_EXE_tollgate"));
    let script = format!(
        "#!/bin/sh\nexec unshare {flags} /bin/sh -c 'mount -t tmpfs -o size=64m tollgate-test {data} && \
         head -c 41943040 /dev/zero > {data}/ballast && exec {binary} \"$@\"' sh \"$@\"\n"
    );
    let path = folder.path().join("gateway.sh");
    std::fs::write(&path, script).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
    path
}

fn config(provider: &FakeProvider) -> String {
    format!(
        "model_list:\n  - model_name: gpt\n    litellm_params: {{model: openai/gpt-4o, api_base: '{}/v1', api_key: k, \
         input_cost_per_token: 0.00001, output_cost_per_token: 0.00001}}\n\
         router_settings: {{num_retries: 0}}\ngeneral_settings: {{master_key: sk-master-0f1e2d3c}}\n",
        provider.url()
    )
}

/// Calls until one is refused; gives how many were answered.
async fn calls_until_full(gateway: &Gateway) -> usize {
    let (answered, is_full) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    // Long records fill sooner.
    let tags: Vec<String> = (0..24).map(|number| format!("{number:0100}")).collect();
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "metadata": {"tags": tags}});
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (url, body) = (gateway.at("/v1/chat/completions"), body.clone());
        let (answered, is_full) = (Arc::clone(&answered), Arc::clone(&is_full));
        clients.spawn(async move {
            while !is_full.load(Relaxed) {
                let reply = http::post(&url, &[MASTER], &body).await;
                match reply.status {
                    200 => {
                        answered.fetch_add(1, Relaxed);
                    }
                    503 => {
                        assert!(reply.text().contains("cannot be written down"), "{}", reply.text());
                        assert!(reply.header("retry-after").is_some());
                        is_full.store(true, Relaxed);
                    }
                    _ => panic!("{}", reply.text()),
                }
            }
        });
    }
    clients.join_all().await;
    answered.load(Relaxed)
}

async fn readiness(gateway: &Gateway) -> (u16, Value) {
    let reply = http::get(&gateway.at("/health/readiness"), &[MASTER]).await;
    (reply.status, reply.json())
}

/// Rows in a copy of the SQLite file: opened where it is, SQLite would look for it outside of the namespace.
async fn rows_in_copy(inside: &Path, copy: &Path) -> usize {
    std::fs::create_dir(copy).expect("a folder");
    for name in ["tollgate.db", "tollgate.db-wal"] {
        let _ = std::fs::copy(inside.join(name), copy.join(name));
    }
    let settings = StoreSettings { max_connections: 2, ..StoreSettings::at(Place::Sqlite(copy.join("tollgate.db"))) };
    let store = Store::open(&settings, EpochMs(0)).await.expect("the store opens");
    let listing = LogListing { limit: 100_000, ..LogListing::default() };
    let rows = store.spend_logs(&listing).await.expect("rows").rows.len();
    assert_eq!(store.verify_totals().await.expect("the store answers"), []);
    store.close().await;
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn house_13_9_a_really_full_disk_loses_nothing_and_heals() {
    let Some(flags) = namespace() else {
        eprintln!("SKIPPED: no process may mount a file system here, not even in a namespace of its own");
        return;
    };
    let (provider, folder) = (FakeProvider::start_on(0, None).await, TempFolder::new());
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let answer = json!({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage});
    provider.always("*", Answer::json(200, answer));
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let gateway = Gateway::with().binary(wrapper(&folder, &data, flags)).config(&config(&provider));
    let gateway = gateway.argument("--data-dir").argument(&data.display().to_string()).start().await;
    let answered = calls_until_full(&gateway).await;
    assert!(answered > 500, "only {answered}");
    let (status, document) = readiness(&gateway).await;
    assert_eq!((status, document.pointer("/journal/unwritten")), (503, Some(&json!(0))), "{document}");

    // Its mounts are seen through its process alone.
    let inside = PathBuf::from(format!("/proc/{}/root{}", gateway.process(), data.display()));
    std::fs::remove_file(inside.join("ballast")).expect("somebody makes room");
    let patient = Instant::now() + PATIENCE;
    while readiness(&gateway).await.0 != 200 {
        assert!(Instant::now() < patient, "it does not heal:\n{}", gateway.output());
        sleep(Duration::from_millis(20)).await;
    }
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(http::post(&gateway.at("/v1/chat/completions"), &[MASTER], &body).await.status, 200);
    let patient = Instant::now() + PATIENCE;
    loop {
        let reply = http::get(&gateway.at("/spend/logs/v2?page_size=1"), &[MASTER]).await;
        let rows = reply.json().get("total").and_then(Value::as_u64).unwrap_or_default();
        let rows = usize::try_from(rows).expect("a number of rows");
        if rows == answered + 1 {
            break;
        }
        assert!(rows <= answered, "{rows} rows of {} calls", answered + 1);
        assert!(Instant::now() < patient, "{rows} rows of {}:\n{}", answered + 1, gateway.output());
        sleep(Duration::from_millis(50)).await;
    }
    // Nothing writes any more.
    assert_eq!(rows_in_copy(&inside, &folder.path().join("copy")).await, answered + 1);
    assert_eq!(gateway.stop().await.code, Some(0));
}
