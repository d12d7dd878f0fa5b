//! `prices update`, and what a gateway makes of the map that it left.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tollgate_catalog::Catalog;
use tollgate_kit::{Answer, FakeProvider, Gateway, http};

use crate::world::World;

/// The binary's own map with these models in it.
fn map(more: &Value) -> String {
    let mut all: Map<String, Value> =
        Catalog::builtin().all().map(|(name, facts)| (name.to_owned(), facts.into())).collect();
    all.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(all).to_string()
}

#[test]
fn a_newer_map_is_taken_and_what_changes_is_told() {
    let newer = map(&json!({"my-model": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6},
        "gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1.0, "output_cost_per_token": 2.0}}));
    let world = World::new().file("newer.json", &newer);
    let ran = world.run("prices update --from newer.json --data-dir data");
    let out = &ran.went_well().out;
    assert!(out.contains("new: 1\n    my-model\n") && out.contains("gone: 0"), "{out}");
    assert!(out.contains("gpt-4o: ") && out.contains("input_cost_per_token 2.5e-6 → 1.0"), "{out}");
    assert!(out.contains("4242 models are in data/model_prices.json"), "{out}");
    let again = world.run("prices update --from newer.json --data-dir data");
    assert!(again.went_well().out.contains("new: 0\ngone: 0\nother prices: 0\n"), "{}", again.out);
}

#[test]
fn a_broken_map_changes_nothing() {
    let world = World::new().file("few.json", r#"{"gpt-4o": {"mode": "chat"}}"#).file("page.html", "<html>");
    world.run("prices update --from few.json").refused_with(&["few.json is not taken", "1 models", "2121"]);
    world.run("prices update --from page.html").refused_with(&["no JSON object"]);
    world.run("prices update --from gone.json").refused_with(&["gone.json cannot be read"]);
    world.run("prices update --from few.json --data-dir none").refused_with(&["few.json"]);
}

const CONFIG: &str = "model_list:
  - {model_name: mine, litellm_params: {model: openai/my-model, api_key: sk-fake-provider-key, api_base: '{provider}/v1'}}
general_settings: {config_poll_interval: 0.05}
";

fn with(config: &str) -> tollgate_kit::Start {
    Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(config)
}

async fn cost(gateway: &Gateway) -> Option<String> {
    let body = json!({"model": "mine", "messages": [{"role": "user", "content": "hi"}]});
    let reply = http::post(&gateway.at("/v1/chat/completions"), &[], &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-litellm-response-cost").map(str::to_owned)
}

fn priced() -> Answer {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10});
    Answer::json(200, json!({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_takes_the_map_at_its_next_look_and_a_new_one_at_its_start() {
    let provider = FakeProvider::start().await;
    provider.script(std::iter::repeat_with(priced).take(500));
    let newer =
        map(&json!({"my-model": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.001}}));
    let world = World::new().file("newer.json", &newer);
    let data = world.path("data");
    let config = CONFIG.replace("{provider}", &provider.url());
    let start = || with(&config).argument("--data-dir").argument(&data).start();
    let gateway = start().await;
    assert_eq!(cost(&gateway).await, None, "nobody knows its price");
    world.run(&format!("prices update --from newer.json --data-dir {data}")).went_well();
    for _ in 0..400 {
        if cost(&gateway).await.as_deref() == Some("0.01") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(cost(&gateway).await.as_deref(), Some("0.01"));
    drop(gateway);
    assert_eq!(cost(&start().await).await.as_deref(), Some("0.01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_comes_from_a_url_where_one_is_named() {
    let provider = FakeProvider::start().await;
    let newer =
        map(&json!({"my-model": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.002}}));
    let answer = || Answer::raw(200, "application/json", newer.clone());
    provider.script_for("GET /prices.json", [answer(), answer()]);
    provider.script_for("POST *", [priced(), priced()]);
    let world = World::new();
    let ran = world.run(&format!("prices update --from {}/prices.json --data-dir data", provider.url()));
    assert!(ran.went_well().out.contains("my-model"), "{}", ran.out);
    world
        .run(&format!("prices update --from {}/gone.json --data-dir data", provider.url()))
        .refused_with(&["answered"]);
    let config = CONFIG.replace("{provider}", &provider.url());
    let start = |url: String| with(&config).environment("LITELLM_MODEL_COST_MAP_URL", &url).start();
    assert_eq!(cost(&start(format!("{}/prices.json", provider.url())).await).await.as_deref(), Some("0.02"));
    // What cannot be had is no reason not to start.
    assert_eq!(cost(&start(format!("{}/gone.json", provider.url())).await).await, None);
}
