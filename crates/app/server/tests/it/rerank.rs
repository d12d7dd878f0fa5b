//! Documents are put into order on every path, and a search costs what the catalog says.

use serde_json::json;
use tollgate_kit::Answer;

use crate::world::{World, refused};

const TWO_RANKERS: &str = "
model_list:
  - model_name: ranker
    litellm_params: {model: cohere/rerank-v3.5, api_base: '{provider}', api_key: sk-fake-provider-key}
  - model_name: by-token
    litellm_params: {model: jina_ai/jina-reranker-v2-base-multilingual, api_base: '{provider}', api_key: sk-fake-provider-key}
  - model_name: negotiated
    litellm_params: {model: cohere/rerank-v3.5, api_base: '{provider}', api_key: sk-fake-provider-key, input_cost_per_query: 0.5}
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
router_settings: {num_retries: 0}
";

fn ordered(units: u64) -> Answer {
    Answer::json(
        200,
        json!({"id": "r-1", "results": [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.5}],
            "meta": {"billed_units": {"search_units": units}}}),
    )
}

#[tokio::test]
async fn documents_are_put_into_order_on_every_path() {
    let world = World::start(TWO_RANKERS).await;
    world.provider.script((0..5).map(|_| ordered(1)));
    let body = json!({"query": "q", "documents": ["a", "b"], "top_n": 2, "model": "ranker"});
    for path in ["/rerank", "/v1/rerank", "/v2/rerank", "/engines/ranker/rerank", "/openai/deployments/ranker/rerank"] {
        let reply = world.post(path, &body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let answer = reply.json();
        assert_eq!((&answer["id"], &answer["results"][0]["index"]), (&json!("r-1"), &json!(1)), "{path}");
        assert_eq!(answer["meta"]["billed_units"]["search_units"], 1, "{path}");
    }
    for call in world.provider.calls() {
        assert_eq!(call.path, "/v2/rerank");
        assert_eq!(call.header("authorization"), Some("Bearer sk-fake-provider-key"));
        assert_eq!(call.json(), json!({"model": "rerank-v3.5", "query": "q", "documents": ["a", "b"], "top_n": 2}));
    }
}

#[tokio::test]
async fn a_search_costs_what_the_catalog_or_the_configuration_says() {
    let world = World::start(TWO_RANKERS).await;
    let by_token = json!({"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 1000}});
    world.provider.script([ordered(2), Answer::json(200, by_token), ordered(2)]);
    for (model, cost) in [("ranker", "0.004"), ("by-token", "0.00005"), ("negotiated", "1")] {
        let reply = world.post("/v1/rerank", &json!({"model": model, "query": "q", "documents": ["a"]})).await;
        assert_eq!(reply.header("x-litellm-response-cost"), Some(cost), "{model}: {}", reply.text());
    }
    let totals = world.settled(3).await;
    assert_eq!((totals.unpriced, totals.unstated, totals.input), (0, 0, 1000));
}

#[tokio::test]
async fn what_cannot_be_put_into_order_is_refused() {
    let world = World::start(TWO_RANKERS).await;
    for body in [
        json!({"model": "ranker", "documents": ["a"]}),
        json!({"model": "ranker", "query": "q", "documents": []}),
        json!({"model": "ranker", "query": "q", "documents": [1]}),
        json!({"model": "gpt", "query": "q", "documents": ["a"]}),
    ] {
        refused(&world.post("/rerank", &body).await, 400);
    }
    assert!(world.provider.calls().is_empty());
    world.provider.script([Answer::json(429, json!({"message": "trial key limit"}))]);
    let words =
        refused(&world.post("/rerank", &json!({"model": "ranker", "query": "q", "documents": ["a"]})).await, 429);
    assert!(words.contains("CohereException") && words.contains("trial key limit"), "{words}");
}
