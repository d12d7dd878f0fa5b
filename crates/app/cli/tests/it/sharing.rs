//! Two gateways and a real Redis: what they share, and what holds when Redis is gone.
#![expect(clippy::indexing_slicing, reason = "there are two of everything, and documents are read by name")]

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use tollgate_kit::{Answer, FakeProvider, Gateway, Redis, http};

/// Some tellings: the other process has heard of it by then, and says nothing that could be waited for.
const HEARD: Duration = Duration::from_millis(500);
const AWAY: &str = "redis is away";
const BACK: &str = "redis is back";
const RESTS: &str = "another instance lets a deployment rest";

/// Two instances of one configuration, in which `{one}` and `{two}` stand for the providers.
struct World {
    redis: Redis,
    providers: [FakeProvider; 2],
    gateways: [Gateway; 2],
}

impl World {
    async fn start(config: &str) -> Self {
        let redis = Redis::start().await;
        let providers = [FakeProvider::start_on(0, None).await, FakeProvider::start_on(0, None).await];
        let config = config.replace("{one}", &providers[0].url()).replace("{two}", &providers[1].url());
        let start = || {
            let port = redis.port().to_string();
            let gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&config);
            gateway.environment("REDIS_HOST", "127.0.0.1").environment("REDIS_PORT", &port).start()
        };
        let gateways = [start().await, start().await];
        let world = Self { redis, providers, gateways };
        for at in 0..2 {
            world.eventually(at, &json!({"state": "connected", "instances": 2})).await;
        }
        // Whoever came first has held everything until it heard of the other.
        sleep(HEARD).await;
        world
    }

    /// Waits until an instance's readiness says so of Redis.
    async fn eventually(&self, at: usize, wanted: &serde_json::Value) {
        let patient = Instant::now() + Duration::from_secs(20);
        loop {
            let ready = http::get(&self.gateways[at].at("/health/readiness"), &[]).await;
            assert_eq!(ready.status, 200, "Redis never makes an instance unready");
            if &ready.json()["redis"] == wanted {
                return;
            }
            assert!(Instant::now() < patient, "{} is not {wanted}", ready.text());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks an instance, and gives the status.
    async fn ask(&self, at: usize) -> u16 {
        let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}]});
        http::post(&self.gateways[at].at("/v1/chat/completions"), &[], &body).await.status
    }

    /// How many of so many calls are answered; the others are refused for want of room.
    async fn answered(&self, at: usize, calls: usize) -> usize {
        let mut answered = 0;
        for _ in 0..calls {
            match self.ask(at).await {
                200 => answered += 1,
                status => assert_eq!(status, 429),
            }
        }
        answered
    }

    /// The median of so many calls' times, all of which are answered.
    async fn median(&self, calls: usize) -> Duration {
        let mut times = Vec::new();
        for call in 0..calls {
            let asked = Instant::now();
            assert_eq!(self.ask(call % 2).await, 200);
            times.push(asked.elapsed());
        }
        times.sort();
        times[calls / 2]
    }

    fn calls(&self) -> [usize; 2] {
        [self.providers[0].calls().len(), self.providers[1].calls().len()]
    }
}

fn limited(rpm: u64) -> String {
    format!(
        "model_list:\n  - model_name: gpt\n    litellm_params: {{model: openai/gpt-4o, api_base: '{{one}}/v1', api_key: k, rpm: {rpm}}}\n\
         router_settings: {{num_retries: 0, timeout: 5}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_that_begins_at_one_instance_holds_at_the_other() {
    let world = World::start(
        "model_list:\n  - model_name: gpt\n    litellm_params: {model: openai/a, api_base: '{one}/v1', api_key: k, order: 1}\n  \
         - model_name: gpt\n    litellm_params: {model: openai/b, api_base: '{two}/v1', api_key: k, order: 2}\n\
         router_settings: {num_retries: 1}\n",
    )
    .await;
    world.providers[0]
        .always("*", Answer::json(429, json!({"error": {"message": "slow"}})).header("retry-after", "30"));
    assert_eq!(world.ask(0).await, 200);
    let rested = Instant::now();
    world.gateways[1].wait_for_line(RESTS).await;
    // A tenth of a second each to tell and to hear; more only where the machine has no time for tests.
    assert!(rested.elapsed() < Duration::from_secs(1), "{:?}", rested.elapsed());
    for at in [1, 0, 1] {
        assert_eq!(world.ask(at).await, 200);
    }
    assert_eq!(world.calls(), [1, 4], "the deployment was asked once, by one of two");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_a_minute_are_those_of_both_together() {
    let world = World::start(&limited(20)).await;
    let (one, two) = tokio::join!(world.answered(0, 30), world.answered(1, 30));
    assert_eq!(one + two, 20, "{one} and {two}");
    assert!(one >= 5 && two >= 5, "{one} and {two}");
    assert_eq!(world.calls()[0], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_does_not_use_the_other_may() {
    let world = World::start(&limited(20)).await;
    assert_eq!(world.answered(0, 20).await, 20);
    assert_eq!(world.ask(1).await, 429);
    assert_eq!(world.calls()[0], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_ends_leaves_its_share_and_what_it_used() {
    let mut world = World::start(&limited(20)).await;
    assert_eq!(world.answered(0, 5).await, 5);
    let [first, second] = world.gateways;
    let ended = first.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let other = Gateway::start("general_settings: {}\n");
    world.gateways = [second, other.await];
    world.eventually(0, &json!({"state": "connected", "instances": 1})).await;
    assert_eq!(world.answered(0, 20).await, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_busy_is_the_one_with_the_fewest_calls_of_both() {
    let world = World::start(
        "model_list:\n  - model_name: gpt\n    litellm_params: {model: openai/a, api_base: '{one}/v1', api_key: k}\n  \
         - model_name: gpt\n    litellm_params: {model: openai/b, api_base: '{two}/v1', api_key: k}\n\
         router_settings: {routing_strategy: least-busy, num_retries: 0}\n",
    )
    .await;
    for provider in &world.providers {
        let slow = Answer::json(200, json!({"choices": []})).wait_before_head(Duration::from_secs(20));
        provider.script_when(|call| call.text().contains("slowly"), [slow]);
    }
    let (mut held, _) = http::Connection::open(world.gateways[0].url()).await;
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "slowly"}]});
    held.ask_json("/v1/chat/completions", &[], &body).await;
    sleep(HEARD).await;
    let busy = world.calls();
    assert_eq!(busy[0] + busy[1], 1);
    for _ in 0..6 {
        assert_eq!(world.ask(1).await, 200);
    }
    let both = world.calls();
    assert_eq!([both[0].abs_diff(busy[0]), both[1].abs_diff(busy[1])].iter().max(), Some(&6), "{busy:?} {both:?}");
    assert!(both.contains(&1), "nobody else was sent where one waits: {both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_spends_of_a_budget_the_other_has_not() {
    let one_model = limited(1_000);
    let budget = "router_settings: {provider_budget_config: {openai: {budget_limit: 0.00000001, time_period: 1h}}, ";
    let mut world = World::start(&one_model.replace("router_settings: {", budget)).await;
    assert_eq!(world.ask(0).await, 200);
    sleep(HEARD).await;
    assert_eq!((world.ask(0).await, world.ask(1).await), (429, 429));
    assert_eq!(world.calls()[0], 1);
    // What is spent stays spent while Redis is away.
    world.redis.kill();
    world.gateways[1].wait_for_line(AWAY).await;
    assert_eq!(world.ask(1).await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_is_killed_calls_go_on_within_equal_shares_and_nothing_doubles_on_its_return() {
    let mut world = World::start(&limited(40)).await;
    assert_eq!((world.answered(0, 2).await, world.answered(1, 2).await), (2, 2));
    world.redis.kill();
    for gateway in &world.gateways {
        gateway.wait_for_line(AWAY).await;
    }
    let ready = http::get(&world.gateways[0].at("/health/readiness"), &[]).await.json();
    assert_eq!((&ready["redis"]["state"], &ready["redis"]["instances_last_seen"]), (&json!("away"), &json!(2)));
    assert_eq!((world.answered(0, 3).await, world.answered(1, 25).await), (3, 18), "half of 40 each, not a call more");
    world.redis.restart().await;
    for gateway in &world.gateways {
        gateway.wait_for_line(BACK).await;
    }
    // 25 of 40 are used: 5 by one, 20 by the other. Twice as many would leave nothing, none would leave 40.
    let (one, two) = tokio::join!(world.answered(0, 30), world.answered(1, 30));
    assert_eq!(one + two, 15, "{one} and {two}");
    assert_eq!(world.calls()[0], 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_waits_for_redis_when_it_hangs_or_dies() {
    let mut world = World::start(&limited(100_000)).await;
    let before = world.median(60).await;
    let bound = before + Duration::from_millis(5);
    world.redis.freeze(true);
    let hanging = world.median(200).await;
    assert!(hanging < bound, "{hanging:?} while Redis hangs, {before:?} before");
    world.redis.kill();
    let killed = world.median(60).await;
    assert!(killed < bound, "{killed:?} without Redis, {before:?} before");
}
