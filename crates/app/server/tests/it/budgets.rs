//! What routing takes out because it costs too much, or is elsewhere.

use serde_json::{Value, json};
use tollgate_kit::http::Reply;

use crate::world::{World, hi, refused};

/// Two deployments of two providers, the first to be used first, with more settings.
fn config(first: &str, settings: &str) -> String {
    format!(
        "
model_list:
  - {{model_name: gpt, model_info: {{id: a}}, litellm_params: {{model: openai/gpt-4o, api_base: '{{provider}}/a/v1', api_key: sk-fake-provider-key, order: 1, {first}}}}}
  - {{model_name: gpt, model_info: {{id: b}}, litellm_params: {{model: groq/llama-3.3-70b-versatile, api_base: '{{provider}}/b/v1', api_key: sk-fake-provider-key, order: 2}}}}
{settings}
"
    )
}

/// Who has answered the calls so far.
fn asked(world: &World) -> Vec<String> {
    let calls = world.provider.calls();
    calls.iter().map(|call| call.path.split('/').nth(1).unwrap_or_default().to_owned()).collect()
}

async fn tagged(world: &World, tags: &[&str]) -> Reply {
    let mut body = hi("gpt");
    body["metadata"] = json!({ "tags": tags });
    world.chat(&body).await
}

async fn candidates(world: &World) -> Vec<Value> {
    world.post("/router/explain", &hi("gpt")).await.json()["candidates"].as_array().cloned().unwrap()
}

#[tokio::test]
async fn a_provider_that_has_cost_its_budget_gets_no_calls() {
    let spare = config(
        "",
        "router_settings: {num_retries: 0, provider_budget_config: {openai: {budget_limit: 0.00000001, time_period: 1d}}}",
    );
    let world = World::start(&spare).await;
    for _ in 0..3 {
        assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    }
    assert_eq!(asked(&world), ["a", "b", "b"], "the first call has cost more than there is");
    let seen = candidates(&world).await;
    assert_eq!((&seen[0]["filter"], &seen[1]["takes_it"]), (&json!("budget"), &json!(true)), "{seen:?}");
    assert!(seen[0]["reason"].as_str().is_some_and(|why| why.starts_with("Exceeded budget for provider openai: 0.0")));
    // Another configuration does not make the money come back.
    world.reload(&spare);
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    assert_eq!(asked(&world).last().map(String::as_str), Some("b"));
}

#[tokio::test]
async fn with_all_budgets_spent_a_client_is_told_in_litellms_words() {
    let world = World::start(&config("", "router_settings: {num_retries: 0, provider_budget_config: {openai: {max_budget: 0}, groq: {max_budget: 0, budget_duration: 30d}}}")).await;
    let told = refused(&world.chat(&hi("gpt")).await, 429);
    assert!(told.starts_with("No deployments available - crossed budget: Exceeded budget for provider "), "{told}");
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn a_deployment_with_a_budget_of_its_own_is_left_when_it_is_spent() {
    let world =
        World::start(&config("max_budget: 0.00000001, budget_duration: 1d", "router_settings: {num_retries: 0}")).await;
    for _ in 0..2 {
        assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    }
    assert_eq!(asked(&world), ["a", "b"]);
    let why = candidates(&world).await[0]["reason"].clone();
    let words = "Exceeded budget for deployment model_name: gpt, litellm_params.model: openai/gpt-4o, model_id: a: ";
    assert!(why.as_str().is_some_and(|why| why.starts_with(words)), "{why}");
}

#[tokio::test]
async fn calls_with_a_tag_whose_budget_is_spent_are_refused_and_others_are_not() {
    let world = World::start(&config(
        "",
        "litellm_settings: {tag_budget_config: {team-a: {max_budget: 0.00000001, budget_duration: 1d}}}",
    ))
    .await;
    assert_eq!(tagged(&world, &["x", "team-a"]).await.status, 200);
    let told = refused(&tagged(&world, &["team-a"]).await, 429);
    assert!(told.contains("Exceeded budget for tag='team-a', tag_spend=0.0"), "{told}");
    assert_eq!(tagged(&world, &["team-b"]).await.status, 200);
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
}

#[tokio::test]
async fn a_call_that_must_stay_in_a_region_goes_only_where_that_is_known() {
    let europe = config("region_name: eu-west-1", "router_settings: {num_retries: 0}");
    let world = World::start(&europe).await;
    let within = async |region: Value| {
        let mut body = hi("gpt");
        body["allowed_model_region"] = region;
        world.chat(&body).await
    };
    for _ in 0..3 {
        assert_eq!(within(json!("eu")).await.status, 200);
    }
    assert_eq!(asked(&world), ["a", "a", "a"]);
    assert!(!world.provider.calls()[0].text().contains("allowed_model_region"), "it is ours");
    let told = refused(&within(json!("us")).await, 429);
    assert!(told.contains("region"), "{told}");
    // What is not understood must not be passed over.
    for wrong in [json!("EU-ish"), json!(["eu"])] {
        refused(&within(wrong).await, 400);
    }
    assert_eq!(within(Value::Null).await.status, 200);
    assert_eq!(world.provider.calls().len(), 4);
}
