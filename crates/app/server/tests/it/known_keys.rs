//! Keys that nobody knows, keys that are taken back, and keys that are given another token.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;
use tollgate_gateway::KeyBounds;
use tollgate_kit::{Postgres, TempFolder, http};
use tollgate_policy::KeyDigest;
use tollgate_store::{EpochMs, Key, Place, Stamp, Store, StoreSettings};
use tollgate_wire::Secret;

use crate::world::{MASTER, ONE_MODEL, WITH_MASTER, World, hi, refused};

const BOUNDS: KeyBounds = KeyBounds {
    most: 100_000,
    ttl: Duration::from_secs(60),
    stale_ttl: Duration::from_secs(60),
    outlive_store: false,
    patience: Duration::from_secs(20),
};

async fn open(place: Place) -> Arc<Store> {
    Arc::new(Store::open(&StoreSettings::at(place), EpochMs::default()).await.unwrap())
}

fn config(settings: &str) -> String {
    format!("{ONE_MODEL}general_settings: {{master_key: '{MASTER}'}}\n{settings}")
}

async fn instance(store: &Arc<Store>) -> World {
    World::of(&config("")).store(Arc::clone(store), BOUNDS).start().await
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

async fn status(world: &World, key: &str) -> u16 {
    http::get(&world.at("/v1/models"), &[("authorization", &bearer(key))]).await.status
}

async fn made(world: &World, fields: &serde_json::Value) -> String {
    let reply = http::post(&world.at("/key/generate"), &[WITH_MASTER], fields).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["key"].as_str().unwrap().to_owned()
}

/// Keys as another instance has made them.
async fn kept(store: &Store, keys: &[String]) {
    for key in keys {
        let token = KeyDigest::of(key).to_hex();
        let row = Key { origin: token.clone(), token, ..Key::default() };
        store.insert_key(&row, &Stamp::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_keys_cost_the_store_ten_look_ups_a_second_and_keep_nobody_out() {
    const FLOODING: usize = 8;
    const EACH: usize = 500;
    let store = open(Place::Memory).await;
    let good: Vec<String> = (0..40).map(|number| format!("sk-good-key-number-{number:04}")).collect();
    kept(&store, &good).await;
    let world = instance(&store).await;
    world.eventually("all keys are known by name", || world.gateway.knows_keys().then_some(())).await;
    let before = world.gateway.key_look_ups().unwrap();
    let begun = Instant::now();
    let flood = async |flooder: usize| {
        let mut connection = world.connect().await;
        for number in 0..EACH {
            let key = bearer(&format!("sk-guess-{flooder}-{number}"));
            connection.ask("GET", "/v1/models", &[("authorization", &key)], b"").await;
            let reply = connection.reply().await;
            assert!(matches!(reply.status, 401 | 503), "{}", reply.text());
        }
    };
    let floods = futures_util::future::join_all((0..FLOODING).map(flood));
    // Keys that this instance has never seen, each for the first time in the midst of it.
    let others = async {
        let mut slowest = Duration::ZERO;
        for key in &good {
            let asked = Instant::now();
            assert_eq!(status(&world, key).await, 200, "a good key is not kept out");
            slowest = slowest.max(asked.elapsed());
        }
        slowest
    };
    let (_, slowest) = tokio::join!(floods, others);
    let looked = world.gateway.key_look_ups().unwrap() - before - 40;
    let seconds = begun.elapsed().as_secs() + 1;
    assert!(looked <= 10 * seconds, "{looked} look-ups for random keys in {seconds} s");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

#[tokio::test]
async fn whoever_is_certainly_nobody_is_told_so_without_the_store() {
    let store = open(Place::Memory).await;
    let world = instance(&store).await;
    world.eventually("all keys are known by name", || world.gateway.knows_keys().then_some(())).await;
    // Five are looked up, as they could be new; there are no more places for this address.
    for number in 0..5 {
        assert_eq!(status(&world, &format!("sk-guess-number-{number}")).await, 401);
    }
    let reply = http::get(&world.at("/v1/models"), &[("authorization", "Bearer sk-guess-number-5")]).await;
    assert_eq!(reply.header("retry-after"), Some("1"), "{}", reply.text());
    refused(&reply, 503);
    let looked = world.gateway.key_look_ups();
    // Had it been made before it came first, that would have been heard by now.
    let begun = Instant::now();
    while status(&world, "sk-guess-number-5").await == 503 {
        assert!(begun.elapsed() < Duration::from_secs(10), "still nobody knows");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(&world, "sk-guess-number-5").await, 401);
    assert!(world.gateway.key_look_ups() <= looked.map(|looked| looked + 1));
    // One that is made after all is known at once here, and elsewhere when it is heard of.
    let key = made(&world, &json!({"key": "sk-guess-number-5"})).await;
    assert_eq!(status(&world, &key).await, 200);
    kept(&store, &["sk-made-elsewhere-1".to_owned()]).await;
    let begun = Instant::now();
    while status(&world, "sk-made-elsewhere-1").await != 200 {
        assert!(begun.elapsed() < Duration::from_secs(5), "never heard of");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How long a key that one instance has taken back is taken by another; the best of three, as tests run beside one another.
async fn heard_of(place: impl Fn() -> Place) {
    let (one, other) = (instance(&open(place()).await).await, instance(&open(place()).await).await);
    let manage = async |path: &str, body: serde_json::Value| {
        let reply = http::post(&one.at(path), &[WITH_MASTER], &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    let mut times = Vec::new();
    for path in ["/key/block", "/key/delete", "/key/block"] {
        let key = made(&one, &json!({})).await;
        let usable = Instant::now();
        while other.chat_with(&[("authorization", &bearer(&key))], &hi("gpt")).await.status != 200 {
            assert!(usable.elapsed() < Duration::from_secs(5), "a new key is not heard of");
        }
        let body = if path == "/key/block" { json!({ "key": key }) } else { json!({"keys": [key]}) };
        manage(path, body).await;
        let taken_back = Instant::now();
        while other.chat_with(&[("authorization", &bearer(&key))], &hi("gpt")).await.status == 200 {
            assert!(taken_back.elapsed() < Duration::from_secs(10), "{path}: still let in");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        times.push(taken_back.elapsed());
    }
    assert!(times.iter().min() < Some(&Duration::from_secs(1)), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_back_is_refused_by_another_instance_within_a_second_over_sqlite() {
    let folder = TempFolder::new();
    heard_of(|| Place::Sqlite(folder.path().join("keys.db"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_back_is_refused_by_another_instance_within_a_second_over_postgres() {
    let database = Postgres::shared().database();
    heard_of(|| Place::Postgres(Secret::new(database.clone()))).await;
}

/// The time has come.
async fn is_due(store: &Store, key: &str) {
    let row = store.key(&KeyDigest::of(key).to_hex()).await.unwrap().unwrap();
    let row = Key { key_rotation_at: Some(EpochMs(1)), ..row };
    store.update_key(&row, row.version, &Stamp::default()).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_due_gets_another_token_once_and_the_old_one_works_on_for_its_grace() {
    let store = open(Place::Memory).await;
    let on = "environment_variables: {LITELLM_KEY_ROTATION_ENABLED: 'true', LITELLM_KEY_ROTATION_GRACE_PERIOD: 1h}\n";
    let start = async || World::of(&config(on)).store(Arc::clone(&store), BOUNDS).start().await;
    let (one, other) = (start().await, start().await);
    let due =
        made(&one, &json!({"key_alias": "due", "auto_rotate": true, "rotation_interval": "30d", "rpm_limit": 7})).await;
    let later = made(&one, &json!({"auto_rotate": true, "rotation_interval": "30d"})).await;
    let row = async |key: &str| store.key(&KeyDigest::of(key).to_hex()).await.unwrap();
    assert_eq!(row(&due).await.unwrap().rotation_count, 0);
    is_due(&store, &due).await;
    tokio::join!(one.gateway.do_chores(), other.gateway.do_chores());
    assert_eq!((row(&due).await, row(&later).await.unwrap().rotation_count), (None, 0));
    let now = store.keys_by_alias(&["due".to_owned()]).await.unwrap().remove(0);
    assert_eq!((now.rotation_count, now.rpm_limit), (1, Some(7)));
    assert!(now.key_rotation_at > now.last_rotation_at && now.origin == KeyDigest::of(&due).to_hex());
    // Whoever has the old one uses it until it ends, and gets a new one.
    assert_eq!((status(&one, &due).await, status(&one, &later).await), (200, 200));
    let again = http::post(&one.at("/key/regenerate"), &[WITH_MASTER], &json!({"key": now.token})).await.json();
    assert_eq!(status(&one, again["key"].as_str().unwrap()).await, 200);
}

#[tokio::test]
async fn without_the_environments_word_no_key_is_given_another_token() {
    let store = open(Place::Memory).await;
    let world = instance(&store).await;
    let key = made(&world, &json!({"auto_rotate": true, "rotation_interval": "30d"})).await;
    is_due(&store, &key).await;
    world.gateway.do_chores().await;
    assert_eq!(status(&world, &key).await, 200);
    assert!(store.key(&KeyDigest::of(&key).to_hex()).await.unwrap().is_some());
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_let_go() {
    let store = open(Place::Memory).await;
    let world = instance(&store).await;
    // A day and more ago.
    let past = EpochMs(1_000);
    let stamp = Stamp { at: past, ..Stamp::default() };
    let token = |text: &str| KeyDigest::of(text).to_hex();
    let row = Key { origin: token("sk-a"), token: token("sk-a"), ..Key::default() };
    store.insert_key(&row, &stamp).await.unwrap();
    let row = Key { token: token("sk-b"), ..row };
    store.regenerate_key(&token("sk-a"), &row, 1, Some(EpochMs(2_000)), &stamp).await.unwrap();
    let once = tollgate_store::Once { caller: "c", name: "n", request: "r" };
    store.begin_once(once, past, EpochMs(2_000), past).await.unwrap();
    let changes = store.changes_since(0).await.unwrap();
    assert_eq!((changes.changes.len(), store.old_tokens_after("", 10).await.unwrap().len()), (3, 1));
    world.gateway.do_chores().await;
    assert!(store.changes_since(0).await.unwrap().gap, "what is not told is said to be missing");
    assert_eq!(store.changes_since(changes.last).await.unwrap().changes, []);
    assert!(store.old_tokens_after("", 10).await.unwrap().is_empty());
    let other = tollgate_store::Once { request: "other", ..once };
    let known = store.begin_once(other, EpochMs(1_500), EpochMs(9_000), EpochMs(0)).await.unwrap();
    assert_eq!(known, tollgate_store::Known::New, "its answer is forgotten");
}
