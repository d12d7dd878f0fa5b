//! How long a provider may take.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tollgate_kit::{Answer, Place};

use crate::world::{ONE_MODEL, World, hi, refused};

async fn too_late(world: &World, headers: &[(&str, &str)], body: &Value) {
    let asked = Instant::now();
    let reply = timeout(Duration::from_secs(5), world.chat_with(headers, body)).await.unwrap();
    let words = refused(&reply, 408);
    assert!(words.starts_with("litellm.Timeout: "), "{words}");
    assert!(asked.elapsed() >= Duration::from_millis(150), "{:?}", asked.elapsed());
    assert_eq!(reply.json()["error"]["type"], "timeout_error");
}

fn silent() -> Answer {
    Answer::json(200, json!({"never": "sent"})).stall(Place::BeforeHead)
}

fn half() -> Answer {
    Answer::json(200, json!({"never": "sent whole"})).stall(Place::AfterBytes(5))
}

#[tokio::test]
async fn a_request_may_say_how_long_it_waits() {
    let world = World::plain().await;
    world.provider.always("*", silent());
    for name in ["timeout", "request_timeout"] {
        let mut body = hi("gpt");
        body[name] = json!(0.15);
        too_late(&world, &[], &body).await;
    }
    too_late(&world, &[("x-litellm-timeout", "0.15")], &hi("gpt")).await;
    let mut stream = hi("gpt");
    stream["stream"] = json!(true);
    too_late(&world, &[("x-litellm-stream-timeout", "0.15")], &stream).await;
    stream["stream_timeout"] = json!(0.15);
    too_late(&world, &[], &stream).await;
    let totals = world.settled(5).await;
    assert_eq!(totals.unstated, 5);
}

#[tokio::test]
async fn the_configuration_says_how_long_all_requests_wait() {
    for config in [
        format!("{ONE_MODEL}litellm_settings: {{request_timeout: 0.15}}\n"),
        ONE_MODEL.replace("num_retries: 0", "num_retries: 0, timeout: 0.15"),
        ONE_MODEL.replace("api_key:", "timeout: 0.15, api_key:"),
        ONE_MODEL.replace("api_key:", "request_timeout: 0.15, api_key:"),
    ] {
        let world = World::start(&config).await;
        world.provider.script([silent(), half()]);
        too_late(&world, &[], &hi("gpt")).await;
        too_late(&world, &[], &hi("gpt")).await;
        world.provider.wait_until("we have left", tollgate_kit::Call::client_left).await;
    }
}

#[tokio::test]
async fn a_read_timeout_falls_to_the_other_deployment() {
    let config = "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/slow, api_base: '{provider}/v1', api_key: sk-fake-provider-key, timeout: 0.15}}
  - {model_name: gpt, litellm_params: {model: openai/quick, api_base: '{provider}/v1', api_key: sk-fake-provider-key}}
";
    let world = World::start(config).await;
    world.provider.script_when(|call| call.json()["model"] == "slow", (0..50).map(|_| silent()));
    // Chance picks the first: that it never picks the slow one in 24 calls happens once in 17 million runs.
    for _ in 0..24 {
        assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    }
    assert!(world.provider.calls().iter().any(|call| call.json()["model"] == "slow"));
}

#[tokio::test]
async fn the_effective_timeout_is_told() {
    let world = World::plain().await;
    let told = |reply: tollgate_kit::http::Reply| reply.header("x-litellm-timeout").unwrap().parse::<f64>().unwrap();
    assert_eq!(told(world.chat_with(&[("x-litellm-timeout", "12.5")], &hi("gpt")).await), 12.5);
    assert_eq!(told(world.chat(&hi("gpt")).await), 600.0);
}

/// A stream whose pauses have a bound of their own, and which may take so long in all.
#[tokio::test]
async fn the_pauses_of_a_stream_and_all_of_it_have_bounds_of_their_own() {
    let slow = || {
        let words = (0..50).map(|_| json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "w"}}]}));
        Answer::sse(words.map(tollgate_kit::SseItem::data)).wait_between_chunks(Duration::from_millis(100))
    };
    for (setting, answer) in [
        ("stream_idle_timeout: 0.2", slow().stall(Place::AfterBytes(300))),
        ("stream_idle_timeout: 5, max_stream_duration: 0.5", slow()),
    ] {
        let world = World::start(&ONE_MODEL.replace("num_retries: 0", &format!("num_retries: 0, {setting}"))).await;
        world.provider.always("*", answer);
        let mut body = hi("gpt");
        body["stream"] = json!(true);
        let asked = Instant::now();
        let text = timeout(Duration::from_secs(5), world.chat(&body)).await.unwrap().text();
        assert!(
            text.contains("\"w\"") && text.contains("litellm.Timeout") && !text.contains("[DONE]"),
            "{setting}: {text}"
        );
        assert!(asked.elapsed() < Duration::from_secs(3), "{setting}");
        world.settled(1).await;
    }
}

#[tokio::test]
async fn a_timeout_and_a_delay_can_be_mocked() {
    let mocking = "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/gpt-4o, api_key: k, mock_response: words}}
router_settings: {num_retries: 0}
";
    let world = World::start(mocking).await;
    let mut body = hi("gpt");
    body["mock_delay"] = json!(0.15);
    let asked = Instant::now();
    assert_eq!(world.chat(&body).await.status, 200);
    assert!(asked.elapsed() >= Duration::from_millis(150));
    body["mock_delay"] = json!(0);
    body["mock_timeout"] = json!(true);
    body["timeout"] = json!(0.15);
    too_late(&world, &[], &body).await;
}
