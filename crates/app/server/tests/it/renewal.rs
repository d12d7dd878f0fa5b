//! What a reload changes about deployments that rest: a rest does not outlive its cause (SEED-151).

use std::time::Duration;

use serde_json::json;
use tollgate_gateway::Environment;
use tollgate_kit::{Answer, http};
use tokio::task::JoinSet;

use crate::world::{World, hi, refused, snapshot};

const CONFIG: &str = "
model_list:
  - model_name: gpt
    model_info: {id: one}
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-old-key-0123, timeout: 30}
router_settings: {num_retries: 0, allowed_fails: 0, cooldown_time: 600}
";

/// A world that gives this answer first and then answers everybody, whatever their key, and its configuration.
async fn started(config: &str, first: Answer) -> (World, String) {
    let world = World::start(config).await;
    let said = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}});
    world.provider.script([first]);
    world.provider.always("*", Answer::json(200, json!({"object": "chat.completion", "choices": [said]})));
    let text = config.replace("{provider}", &world.provider.url());
    (world, text)
}

/// A world whose only deployment rests, and its configuration.
async fn resting(answer: Answer) -> (World, String) {
    let (world, text) = started(CONFIG, answer).await;
    assert!(world.chat(&hi("gpt")).await.status >= 400);
    refused(&world.chat(&hi("gpt")).await, 429);
    (world, text)
}

fn refusing() -> Answer {
    Answer::json(401, json!({"error": {"message": "no such key"}}))
}

fn reload(world: &World, text: &str) {
    world.gateway.swap(snapshot(text, Environment::new()));
}

#[tokio::test]
async fn a_rest_ends_when_its_key_or_its_address_is_another() {
    for (old, new) in [("sk-old-key-0123", "sk-new-key-4567"), ("/v1'", "/moved/v1'")] {
        let (world, text) = resting(refusing()).await;
        reload(&world, &text);
        refused(&world.chat(&hi("gpt")).await, 429);
        reload(&world, &text.replace(old, new));
        let reply = world.chat(&hi("gpt")).await;
        assert_eq!(reply.status, 200, "{new}: {}", reply.text());
    }
}

#[tokio::test]
async fn without_rests_nobody_rests_any_longer() {
    let (world, text) = resting(Answer::json(503, json!({"error": {"message": "down"}}))).await;
    reload(&world, &text.replace("num_retries: 0,", "num_retries: 0, disable_cooldowns: true,"));
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
}

/// The old key is refused after the new one is in place.
#[tokio::test]
async fn a_call_with_the_old_key_lets_nobody_rest() {
    let (world, text) = started(CONFIG, refusing().wait_before_head(Duration::from_millis(200))).await;
    let url = world.at("/v1/chat/completions");
    let mut late = JoinSet::new();
    late.spawn(async move { http::post(&url, &[], &hi("gpt")).await });
    world.provider.wait_for_calls(1).await;
    reload(&world, &text.replace("sk-old-key-0123", "sk-new-key-4567"));
    refused(&late.join_next().await.unwrap().unwrap(), 401);
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
}

/// Somebody who waits for the end of the rest is told.
#[tokio::test]
async fn who_waits_for_a_rest_goes_on_when_the_reload_ends_it() {
    let config = CONFIG.replace("cooldown_time: 600", "cooldown_time: 20");
    let (world, text) = started(&config, refusing()).await;
    refused(&world.chat(&hi("gpt")).await, 401);
    let url = world.at("/v1/chat/completions");
    let mut waits = JoinSet::new();
    waits.spawn(async move { http::post(&url, &[], &hi("gpt")).await });
    world.eventually("it waits", || (world.gateway.waiting() == 1).then_some(())).await;
    reload(&world, &text.replace("cooldown_time: 20", "disable_cooldowns: true"));
    let reply = tokio::time::timeout(Duration::from_secs(10), waits.join_next()).await.expect("it is told");
    assert_eq!(reply.unwrap().unwrap().status, 200);
}
