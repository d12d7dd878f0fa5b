//! `kill -9` between calls: what had been answered is in the store after the next start, once.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_kit::{Answer, FakeProvider, Gateway, Place, http};

const MASTER: (&str, &str) = ("authorization", "Bearer sk-master-0f1e2d3c");

fn config(provider: &FakeProvider) -> String {
    format!(
        "model_list:\n  - model_name: gpt\n    litellm_params: {{model: openai/gpt-4o, api_base: '{}/v1', api_key: sk-fake, \
         input_cost_per_token: 0.00001, output_cost_per_token: 0.00001}}\n\
         router_settings: {{num_retries: 0}}\n\
         general_settings: {{master_key: sk-master-0f1e2d3c, key_lookup_wait: 20}}\n",
        provider.url()
    )
}

async fn spend(gateway: &Gateway, key: &str) -> f64 {
    let reply = http::get(&gateway.at(&format!("/key/info?key={key}")), &[MASTER]).await;
    reply.json().pointer("/info/spend").and_then(Value::as_f64).unwrap_or(-1.0)
}

#[tokio::test]
async fn what_was_answered_before_a_kill_is_booked_once_and_what_was_under_way_is_held() {
    let provider = FakeProvider::start().await;
    let folder = tollgate_kit::TempFolder::new();
    let data = folder.path().join("data").display().to_string();
    let start = async || {
        Gateway::with()
            .binary(env!("CARGO_BIN_EXE_tollgate"))
            .config(&config(&provider))
            .argument("--data-dir")
            .argument(&data)
            .start()
            .await
    };
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let answer = json!({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage});
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}]});

    let gateway = start().await;
    let made: Value = http::post(&gateway.at("/key/generate"), &[MASTER], &json!({})).await.json();
    let key = made.get("key").and_then(Value::as_str).expect("a key").to_owned();
    let auth = format!("Bearer {key}");
    let mut answered = 0.0;
    let mut gateway = gateway;
    for _ in 0..3 {
        provider.script((0..5).map(|_| Answer::json(200, answer.clone())));
        for _ in 0..5 {
            let reply = http::post(&gateway.at("/v1/chat/completions"), &[("authorization", &auth)], &body).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            answered += 1.0;
        }
        gateway.signal("KILL");
        gateway.wait().await;
        gateway = start().await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let spent = spend(&gateway, &key).await;
            if (spent - answered * 0.002).abs() < 1e-9 {
                break;
            }
            assert!(
                spent < answered * 0.002 && tokio::time::Instant::now() < deadline,
                "{spent} after {answered} calls"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    // One that is under way when the process dies is nobody's spend, and is not forgotten either.
    provider.script([Answer::json(200, json!({})).stall(Place::BeforeHead)]);
    let calls = provider.calls().len();
    let url = gateway.at("/v1/chat/completions");
    let mut waiting = tokio::task::JoinSet::new();
    waiting.spawn(async move {
        let auth = auth;
        http::post(&url, &[("authorization", &auth)], &body).await
    });
    provider.wait_for_calls(calls + 1).await;
    gateway.signal("KILL");
    gateway.wait().await;
    waiting.abort_all();
    let gateway = start().await;
    gateway.wait_for_line("attempts of a process that has ended are unknown").await;
    assert!((spend(&gateway, &key).await - answered * 0.002).abs() < 1e-9);
}
