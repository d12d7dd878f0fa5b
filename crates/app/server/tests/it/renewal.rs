//! What a reload changes about deployments that rest: a rest does not outlive its cause (SEED-151).

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tollgate_gateway::Environment;
use tollgate_kit::{Answer, http};

use crate::world::{MASTER, WITH_MASTER, World, hi, refused, snapshot};

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

const OWNED: &str = "
model_list:
  - model_name: gpt
    model_info: {id: one}
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-provider-key-0123}
general_settings: {master_key: '{master}'}
";

/// A world with a master key, its configuration, and the id of an answer made there.
async fn with_an_answer() -> (World, String, String) {
    let world = World::start(OWNED).await;
    let made = json!({"id": "resp_up1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}});
    world.provider.always("*", Answer::json(200, made));
    let url = world.at("/v1/responses");
    let reply = http::post(&url, &[WITH_MASTER], &json!({"model": "gpt", "input": "Hi"})).await;
    let id = reply.json()["id"].as_str().unwrap_or_default().to_owned();
    assert!(id.starts_with("resp_"), "{}", reply.text());
    let text = OWNED.replace("{provider}", &world.provider.url());
    (world, text, id)
}

const OTHER: (&str, &str) = ("authorization", "Bearer sk-another-master");

#[tokio::test]
async fn ids_outlive_another_master_key() {
    let (world, text, id) = with_an_answer().await;
    reload(&world, &text.replace("{master}", "sk-another-master"));
    let shown = http::get(&world.at(&format!("/v1/responses/{id}")), &[OTHER]).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    reload(&world, &text.replace("{master}", "sk-another-master"));
    assert_eq!(http::get(&world.at(&format!("/v1/responses/{id}")), &[OTHER]).await.status, 200);
}

#[tokio::test]
async fn a_restart_with_another_master_key_opens_ids_where_the_former_one_is_named() {
    let (first, _, id) = with_an_answer().await;
    for (former, status) in [("", 404), ("x, sk-master-0f1e2d3c", 200)] {
        assert!(former.is_empty() || former.contains(MASTER));
        let plan =
            World::of(&OWNED.replace("{master}", "sk-another-master").replace("{provider}", &first.provider.url()));
        let second = plan.environment("TOLLGATE_FORMER_SALT_KEYS", former).start().await;
        let shown = http::get(&second.at(&format!("/v1/responses/{id}")), &[OTHER]).await;
        assert_eq!(shown.status, status, "{}", shown.text());
    }
}
