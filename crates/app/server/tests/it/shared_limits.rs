//! Limits that two instances hold together through a real Redis, and what holds when it is gone.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};
use tollgate_gateway::{KeyBounds, LimitSharing, LimitSharingState};
use tollgate_kit::{Answer, FakeProvider, Place as Cut, Redis, SseItem, http};
use tollgate_store::{EpochMs, Place, Store, StoreSettings};

use crate::world::{MASTER, ONE_MODEL, WITH_MASTER, World, hi, hi_streamed, refused};

/// Redis has time: tests run beside one another.
const PATIENT: LimitSharing = LimitSharing { patience: Duration::from_secs(10), lease: Duration::from_secs(15) };

struct Two {
    redis: Redis,
    instances: [World; 2],
}

async fn store() -> Arc<Store> {
    Arc::new(Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap())
}

async fn instance(settings: &str, redis: u16, store: &Arc<Store>, sharing: LimitSharing) -> World {
    let config = format!("{ONE_MODEL}general_settings: {{master_key: '{MASTER}'{settings}}}\n");
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    World::of(&config).store(Arc::clone(store), bounds).limits(redis, sharing).start().await
}

impl Two {
    async fn start(settings: &str, sharing: LimitSharing) -> Self {
        let (redis, store) = (Redis::start().await, store().await);
        let first = instance(settings, redis.port(), &store, sharing).await;
        let second = instance(settings, redis.port(), &store, sharing).await;
        Self { redis, instances: [first, second] }
    }

    async fn key(&self, fields: &Value) -> String {
        key(&self.instances[0], fields).await
    }

    fn sharing(&self, at: usize) -> LimitSharingState {
        self.instances[at].gateway.limit_sharing().unwrap()
    }

    async fn answered(&self, at: usize, key: &str, calls: usize) -> usize {
        let mut answered = 0;
        for _ in 0..calls {
            match self.chat(at, key).await.status {
                200 => answered += 1,
                status => assert_eq!(status, 429),
            }
        }
        answered
    }

    async fn chat(&self, at: usize, key: &str) -> http::Reply {
        self.instances[at].chat_with(&[("authorization", &bearer(key))], &hi("gpt")).await
    }

    /// Waits until a call is answered.
    async fn answers_again(&self, at: usize, key: &str) -> Duration {
        let begun = Instant::now();
        while self.chat(at, key).await.status != 200 {
            assert!(begun.elapsed() < Duration::from_secs(20), "never answered again");
            sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }
}

async fn key(world: &World, fields: &Value) -> String {
    let reply = http::post(&world.at("/key/generate"), &[WITH_MASTER], fields).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["key"].as_str().unwrap().to_owned()
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn used(tokens: u64) -> Answer {
    Answer::json(
        200,
        json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "usage": {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens},
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_a_minute_are_those_of_all_instances() {
    let two = Two::start("", PATIENT).await;
    let key = two.key(&json!({"rpm_limit": 20})).await;
    let (one, other) = tokio::join!(two.answered(0, &key, 30), two.answered(1, &key, 30));
    assert_eq!(one + other, 20, "{one} and {other}");
    let refusal = two.chat(1, &key).await;
    assert!(refused(&refusal, 429).contains("rpm_limit: 20 current rpm 20"), "{}", refusal.text());
    let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_reserved_and_corrected_for_all_instances() {
    let two = Two::start("", PATIENT).await;
    let key = two.key(&json!({"tpm_limit": 1000})).await;
    two.instances[0].provider.always("*", used(900));
    let first = two.chat(0, &key).await;
    let expected: u64 = 1000 - first.header("x-ratelimit-remaining-tokens").unwrap().parse::<u64>().unwrap();
    assert!(expected < 100, "what was expected: {expected}");
    // What was used beyond that is told in the background.
    let told = Instant::now();
    let left = loop {
        let reply = two.chat(1, &key).await;
        let left: u64 = reply.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
        if left < 100 || told.elapsed() > Duration::from_secs(10) {
            break left;
        }
    };
    assert!(left < 100, "{left} left, though 900 are used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_free_for_all_when_its_call_ends_and_when_its_client_leaves() {
    let two = Two::start("", PATIENT).await;
    let key = two.key(&json!({"max_parallel_requests": 1})).await;
    let provider = &two.instances[0].provider;
    provider.script([used(1).wait_before_head(Duration::from_millis(600))]);
    let slow = two.chat(0, &key);
    let other = async {
        provider.wait_for_calls(1).await;
        let reply = two.chat(1, &key).await;
        assert!(refused(&reply, 429).contains("max_parallel_requests: 1 current 1"), "{}", reply.text());
    };
    assert_eq!(tokio::join!(slow, other).0.status, 200);
    two.answers_again(1, &key).await;
    // A stream whose client leaves.
    let word =
        json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "a"}}]});
    provider.script([Answer::sse([SseItem::data(word)]).stall(Cut::AfterEvents(1))]);
    {
        let mut connection = two.instances[0].connect().await;
        let auth = bearer(&key);
        connection.ask_json("/v1/chat/completions", &[("authorization", &auth)], &hi_streamed("gpt")).await;
        let (_, mut body) = connection.answer().await;
        body.event().await.expect("a word");
        refused(&two.chat(1, &key).await, 429);
    }
    assert!(two.answers_again(1, &key).await < PATIENT.lease, "not only when the lease is over");
}

#[test]
fn places_of_a_killed_instance_come_back_and_those_of_a_living_one_are_kept() {
    const LEASE: Duration = Duration::from_secs(2);
    let sharing = LimitSharing { lease: LEASE, ..PATIENT };
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (dying, living) = (runtime(), runtime());
    let (redis, store, survivor, provider) = living.block_on(async {
        let (redis, store) = (Redis::start().await, store().await);
        let survivor = instance("", redis.port(), &store, sharing).await;
        (redis, store, survivor, FakeProvider::start().await)
    });
    provider.always("*", used(1).wait_before_head(Duration::from_secs(60)));
    let key = living.block_on(key(&survivor, &json!({"max_parallel_requests": 1})));
    let config =
        format!("{}general_settings: {{master_key: '{MASTER}'}}\n", ONE_MODEL.replace("{provider}", &provider.url()));
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    let plan = World::of(&config).store(store, bounds).limits(redis.port(), sharing);
    let victim = dying.block_on(plan.start());
    let (url, auth) = (victim.at("/v1/chat/completions"), bearer(&key));
    let asking = dying.spawn(async move { http::post(&url, &[("authorization", &auth)], &hi("gpt")).await });
    let ask = async || survivor.chat_with(&[("authorization", &bearer(&key))], &hi("gpt")).await.status;
    living.block_on(async {
        provider.wait_for_calls(1).await;
        // Longer than the lease: it is renewed as long as the call runs.
        let until = Instant::now() + LEASE + LEASE / 2;
        while Instant::now() < until {
            assert_eq!(ask().await, 429);
            sleep(Duration::from_millis(100)).await;
        }
    });
    // Nobody is left who could say that it ended.
    dying.shutdown_background();
    drop((asking, victim));
    living.block_on(async {
        let killed = Instant::now();
        while ask().await != 200 {
            assert!(killed.elapsed() < LEASE * 5, "its place does not come back");
            sleep(Duration::from_millis(50)).await;
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_instance_holds_the_limits_by_itself() {
    let late = LimitSharing { patience: Duration::from_millis(200), ..PATIENT };
    let mut two = Two::start("", late).await;
    let key = two.key(&json!({"rpm_limit": 5})).await;
    assert_eq!(two.answered(0, &key, 2).await, 2);
    two.redis.freeze(true);
    let asked = Instant::now();
    assert_eq!(two.chat(0, &key).await.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    two.redis.freeze(false);
    two.redis.kill();
    assert_eq!((two.answered(0, &key, 9).await, two.answered(1, &key, 9).await), (2, 5), "five each");
    assert!(two.sharing(0).alone >= 3, "{:?}", two.sharing(0));
    // It is back, and empty.
    two.redis.restart().await;
    let other = two.key(&json!({"rpm_limit": 6})).await;
    let back = Instant::now();
    let state = loop {
        let before = two.sharing(1);
        assert_eq!(two.chat(1, &two.key(&json!({"rpm_limit": 1})).await).await.status, 200);
        if two.sharing(1).alone == before.alone {
            break two.sharing(1);
        }
        assert!(back.elapsed() < Duration::from_secs(20), "{before:?}");
    };
    assert!(state.asked > 0);
    let (one, other) = tokio::join!(two.answered(0, &other, 6), two.answered(1, &other, 6));
    assert!((6..=12).contains(&(one + other)), "{one} and {other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_must_be_those_of_all_refuse_without_redis() {
    let late = LimitSharing { patience: Duration::from_millis(200), ..PATIENT };
    let mut two = Two::start(", fail_closed_rate_limit_enforcement: true", late).await;
    let (key, free) = (two.key(&json!({"rpm_limit": 5})).await, two.key(&json!({})).await);
    assert_eq!(two.chat(0, &key).await.status, 200);
    two.redis.kill();
    for _ in 0..8 {
        let reply = two.chat(0, &key).await;
        assert_eq!(reply.header("retry-after"), Some("1"), "{}", reply.text());
        assert!(refused(&reply, 503).contains("fail_closed_rate_limit_enforcement"));
    }
    assert_eq!(two.chat(0, &free).await.status, 200, "nothing limits it");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_asked_once_for_all_limits_of_a_call_and_not_for_the_refused() {
    let two = Two::start("", PATIENT).await;
    let before = two.sharing(0).asked;
    let free = two.key(&json!({})).await;
    assert_eq!(two.answered(0, &free, 3).await, 3);
    assert_eq!(two.sharing(0).asked, before, "a call without a limit");
    let fields =
        json!({"rpm_limit": 2, "max_parallel_requests": 5, "tpm_limit": 100_000, "model_rpm_limit": {"gpt": 9}});
    let key = two.key(&fields).await;
    assert_eq!(two.answered(0, &key, 50).await, 2);
    assert_eq!(two.sharing(0).asked, before + 2, "whoever is refused here costs Redis nothing");
    // At the other instance only Redis knows; its word is remembered.
    let asked = two.sharing(1).asked;
    let begun = Instant::now();
    assert_eq!(two.answered(1, &key, 50).await, 0);
    let most = asked + 1 + u64::try_from(begun.elapsed().as_millis() / 500).unwrap();
    assert!(two.sharing(1).asked <= most, "{:?}, at most {most}", two.sharing(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_hears_no_names() {
    let two = Two::start("", PATIENT).await;
    let key = two.key(&json!({"rpm_limit": 9, "max_parallel_requests": 3, "user_id": "someone@example"})).await;
    two.instances[0].provider.script([used(1).wait_before_head(Duration::from_millis(400))]);
    let held = async {
        two.instances[0].provider.wait_for_calls(1).await;
        let mut redis = TcpStream::connect(("127.0.0.1", two.redis.port())).await.unwrap();
        redis.write_all(b"KEYS *\r\nQUIT\r\n").await.unwrap();
        let mut told = String::new();
        redis.read_to_string(&mut told).await.unwrap();
        told
    };
    let (reply, told) = tokio::join!(two.chat(0, &key), held);
    assert_eq!(reply.status, 200);
    let hash = tollgate_policy::KeyDigest::of(&key).to_hex();
    assert!(told.contains("{tollgate}:limit:") && told.contains(":runs"), "{told}");
    assert!(!told.contains(&key[3..]) && !told.contains(&hash) && !told.contains("someone"), "{told}");
}
