//! `/router/explain`: where a call would go, and where one went.

use serde_json::{Value, json};
use tollgate_kit::{Answer, http};

use crate::world::{MASTER, WITH_MASTER, World, refused};

const CONFIG: &str = "
model_list:
  - model_name: gpt
    model_info: {id: large}
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1?secret=query-secret', api_key: sk-fake-provider-key, weight: 3}
  - model_name: gpt
    model_info: {id: small, max_input_tokens: 20}
    litellm_params: {model: openai/gpt-4o-mini, api_base: '{provider}/v1', api_key: sk-fake-provider-key, weight: 1}
  - model_name: other
    model_info: {id: spare}
    litellm_params: {model: openai/gpt-4.1, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
router_settings:
  num_retries: 1
  enable_pre_call_checks: true
  fallbacks: [{gpt: [other]}]
general_settings: {master_key: '{master}'}
";

fn hi(words: &str) -> Value {
    json!({"model": "gpt", "messages": [{"role": "user", "content": words}], "max_tokens": 1000})
}

/// The world without the query of the address, which the provider would be asked with.
fn callable() -> String {
    CONFIG.replace("?secret=query-secret", "")
}

async fn explained(world: &World, body: &Value) -> Value {
    let reply = http::post(&world.at("/router/explain"), &[WITH_MASTER], body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for secret in ["sk-fake-provider-key", "query-secret", MASTER] {
        assert!(!reply.text().contains(secret), "{}", reply.text());
    }
    reply.json()
}

fn candidate<'d>(document: &'d Value, id: &str) -> &'d Value {
    let all = document["candidates"].as_array().expect("a list");
    all.iter().find(|one| one["deployment"] == id).unwrap_or_else(|| panic!("no {id} in {document}"))
}

#[tokio::test]
async fn shares_attempts_fallbacks_and_the_highest_price_are_told_and_nobody_is_asked() {
    let world = World::start(CONFIG).await;
    let told = explained(&world, &hi("hi")).await;
    assert_eq!((&told["group"], &told["strategy"]), (&json!("gpt"), &json!("simple-shuffle")));
    let (large, small) = (candidate(&told, "large"), candidate(&told, "small"));
    assert_eq!((&large["share"], &small["share"]), (&json!(0.75), &json!(0.25)), "{told}");
    assert_eq!(
        (&large["takes_it"], &large["reason"], &large["provider"]),
        (&json!(true), &json!(null), &json!("openai"))
    );
    let plan = told["plan"].as_array().expect("a list");
    let asked: Vec<&str> = plan.iter().filter_map(|step| step["deployment"].as_str()).collect();
    assert!(
        asked == ["large", "small", "spare", "spare"] || asked == ["small", "large", "spare", "spare"],
        "{asked:?}"
    );
    assert_eq!(plan[1]["wait_seconds"], 0.0, "another one is asked at once");
    assert!(plan[3]["wait_seconds"].as_f64() >= Some(0.5), "the same one later: {told}");
    assert_eq!((&plan[2]["fallbacks"], &told["end"]["status"]), (&json!(1), &json!(503)));
    // gpt-4o: $10 for a million tokens of output.
    let usd = told["price_ceiling"]["usd"].as_f64().expect("a price");
    assert!((0.01..0.0101).contains(&usd), "{told}");
    assert_eq!(told["price_ceiling"]["deployment"], "large");
    assert!(world.provider.calls().is_empty() && world.gateway.totals().opened == 0);
}

#[tokio::test]
async fn a_filter_is_named_with_its_reason() {
    let world = World::start(CONFIG).await;
    let told = explained(&world, &hi(&"word ".repeat(100))).await;
    let small = candidate(&told, "small");
    assert_eq!((&small["takes_it"], &small["filter"]), (&json!(false), &json!("context_window")));
    assert_eq!(small["reason"], "takes at most 20 tokens of input");
    assert!(told["plan"].as_array().expect("a list").iter().all(|step| step["deployment"] != "small"), "{told}");
}

#[tokio::test]
async fn an_explanation_needs_a_key_and_a_request() {
    let world = World::start(CONFIG).await;
    refused(&world.post("/router/explain", &hi("hi")).await, 401);
    refused(&http::post(&world.at("/router/explain"), &[WITH_MASTER], &json!({"model": "gpt"})).await, 400);
    let unknown = json!({"model": "nobody", "messages": [{"role": "user", "content": "hi"}]});
    refused(&http::post(&world.at("/router/explain"), &[WITH_MASTER], &unknown).await, 400);
}

#[tokio::test]
async fn the_way_of_a_call_can_be_asked_for_afterwards() {
    let world = World::start(&callable()).await;
    world.provider.always("/v1/chat/completions", Answer::json(503, json!({"error": {"message": "down"}})));
    let headers = [WITH_MASTER, ("x-litellm-call-id", "call-one")];
    refused(&world.chat_with(&headers, &hi(&"word ".repeat(100))).await, 503);
    let of = |id: &str| world.at(&format!("/router/explain/{id}"));
    let told = http::get(&of("call-one"), &[WITH_MASTER]).await.json();
    let deployments: Vec<&str> =
        told["attempts"].as_array().expect("a list").iter().filter_map(|one| one["deployment"].as_str()).collect();
    assert_eq!(deployments, ["large", "large", "spare", "spare"], "{told}");
    assert_eq!(told["passed_over"], json!([{"group": "gpt", "deployment": "small", "filter": "context_window"}]));
    assert_eq!((&told["group"], &told["attempts"][2]["group"]), (&json!("gpt"), &json!("other")));
    assert_eq!((&told["end"], &told["failure"]), (&json!("failed"), &json!("ServiceUnavailable")));
    refused(&http::get(&of("call-one"), &[]).await, 401);
    refused(&http::get(&of("call-two"), &[WITH_MASTER]).await, 404);
}

#[tokio::test]
async fn the_oldest_decisions_go_first_and_none_is_kept_where_none_is_wanted() {
    for (most, known) in [(2, [404, 200, 200]), (0, [404, 404, 404])] {
        let config = callable().replace("num_retries: 1", &format!("num_retries: 1\n  kept_decisions: {most}"));
        let world = World::start(&config).await;
        for id in ["a", "b", "c"] {
            let headers = [WITH_MASTER, ("x-litellm-call-id", id)];
            assert_eq!(world.chat_with(&headers, &hi("hi")).await.status, 200);
        }
        for (id, status) in ["a", "b", "c"].into_iter().zip(known) {
            let reply = http::get(&world.at(&format!("/router/explain/{id}")), &[WITH_MASTER]).await;
            assert_eq!(reply.status, status, "{id} of {most}");
        }
    }
}
