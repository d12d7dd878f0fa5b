//! Every path answers, and answers what its clients read.

use serde_json::json;
use tollgate_kit::{Answer, http};

use crate::world::{MASTER, WITH_MASTER, World, error_of, hi, hi_streamed, refused};

const TWO_MODELS: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1/', api_key: sk-fake-provider-key}
  - model_name: azure/team a
    litellm_params: {model: openai/gpt-4o-mini, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: vectors
    litellm_params: {model: openai/text-embedding-3-small, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
general_settings: {master_key: '{master}'}
router_settings: {num_retries: 0}
";

#[tokio::test]
async fn a_chat_is_answered_on_every_path() {
    let world = World::start(TWO_MODELS).await;
    for path in [
        "/chat/completions",
        "/v1/chat/completions",
        "/engines/gpt/chat/completions",
        "/v1/engines/gpt/chat/completions",
        "/openai/deployments/gpt/chat/completions?api-version=2024-02-01",
        "/openai/deployments/azure/team%20a/chat/completions",
        "/openai/deployments/azure%2Fteam%20a/chat/completions",
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "//engines/gpt/chat/completions/?a=b",
    ] {
        let reply = http::post(&world.at(path), &[WITH_MASTER], &hi("gpt")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let answer = reply.json();
        assert_eq!(answer["object"], "chat.completion", "{path}");
        assert!(answer["choices"][0]["message"]["content"].as_str().is_some_and(|text| text.ends_with("hi")), "{path}");
    }
    // A base with a slash at its end makes no double slash.
    assert!(world.provider.calls().iter().all(|call| call.path == "/v1/chat/completions"));
}

#[tokio::test]
async fn the_model_in_the_path_goes_before_the_bodys() {
    let world = World::start(TWO_MODELS).await;
    let path = "/openai/deployments/azure/team%20a/chat/completions";
    let reply = http::post(&world.at(path), &[WITH_MASTER], &hi("gpt")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(world.provider.only_call().json()["model"], "gpt-4o-mini");
    assert_eq!(reply.header("x-litellm-model-group"), Some("azure/team a"));
}

#[tokio::test]
async fn a_text_completion_is_answered_on_every_path() {
    let world = World::start(TWO_MODELS).await;
    let body = json!({"model": "gpt", "prompt": "once"});
    for path in ["/completions", "/v1/completions", "/engines/gpt/completions", "/openai/deployments/gpt/completions"] {
        let reply = http::post(&world.at(path), &[WITH_MASTER], &body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let answer = reply.json();
        assert_eq!(answer["object"], "text_completion", "{path}");
        assert!(answer["choices"][0]["text"].as_str().is_some_and(|text| text.ends_with("once")), "{answer}");
    }
}

#[tokio::test]
async fn embeddings_are_answered_on_every_path() {
    let world = World::start(TWO_MODELS).await;
    let body = json!({"model": "vectors", "input": ["a", "b"]});
    for path in
        ["/embeddings", "/v1/embeddings", "/engines/vectors/embeddings", "/openai/deployments/vectors/embeddings"]
    {
        let reply = http::post(&world.at(path), &[WITH_MASTER], &body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let answer = reply.json();
        assert_eq!((answer["object"].as_str(), answer["data"].as_array().map(Vec::len)), (Some("list"), Some(2)));
    }
    assert!(world.provider.calls().iter().all(|call| call.path == "/v1/embeddings"));
}

#[tokio::test]
async fn the_models_are_listed_and_one_can_be_looked_up() {
    let world = World::start(TWO_MODELS).await;
    for path in [
        "/models",
        "/v1/models",
        "//v1/models/",
        "/engines/gpt/models",
        "/v1/engines/azure/team%20a/models",
        "/openai/deployments/gpt/models?api-version=2024-02-01",
    ] {
        let list = http::get(&world.at(path), &[WITH_MASTER]).await.json();
        assert_eq!(list["object"], "list");
        let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["gpt", "azure/team a", "vectors"]);
    }
    for path in ["/models/gpt", "/v1/models/gpt"] {
        let model = http::get(&world.at(path), &[WITH_MASTER]).await.json();
        assert_eq!((model["id"].as_str(), model["object"].as_str()), (Some("gpt"), Some("model")));
    }
    let model = http::get(&world.at("/v1/models/azure/team%20a"), &[WITH_MASTER]).await.json();
    assert_eq!(model["id"], "azure/team a");
    refused(&http::get(&world.at("/v1/models/nothing"), &[WITH_MASTER]).await, 404);
}

#[tokio::test]
async fn what_the_models_are_is_told_without_a_secret() {
    let config = "
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_base: 'http://user:pass-secret@127.0.0.1:9/v1'
      api_key: sk-secret-one
      azure_ad_token: secret-two
      aws_secret_access_key: secret-three
      extra_headers: {x-team: blue, authorization: Bearer secret-four, x-api-key: secret-five}
      headers: {api-key: secret-six}
      extra_body: {api_key: secret-seven}
    model_info:
        id: the-id
        base_model: gpt-4o
        note: mine
        max_tokens: 7
        team_api_key: secret-nine
        owner: {webhook-token: secret-ten, tokenizer: cl100k}
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o-mini, api_key: sk-secret-eight}
general_settings: {master_key: '{master}'}
";
    let world = World::start(config).await;
    for path in ["/model/info", "/v1/model/info", "/model/info?litellm_model_id=the-id", "/model_group/info"] {
        let reply = http::get(&world.at(path), &[WITH_MASTER]).await;
        assert_eq!(reply.status, 200, "{path}");
        let text = reply.text();
        assert!(
            !text.contains("secret") || text.replace("aws_secret_access_key", "").find("secret-").is_none(),
            "{text}"
        );
        assert!(!text.contains(MASTER), "{text}");
    }
    let infos = http::get(&world.at("/model/info?litellm_model_id=the-id"), &[WITH_MASTER]).await.json();
    let info = &infos["data"][0];
    assert_eq!(infos["data"].as_array().unwrap().len(), 1);
    assert_eq!((info["model_name"].as_str(), info["model_info"]["note"].as_str()), (Some("gpt"), Some("mine")));
    assert!(info["model_info"]["max_input_tokens"].as_u64().is_some_and(|most| most > 100_000), "{info}");
    assert_eq!(
        (&info["model_info"]["max_tokens"], &info["model_info"]["owner"]),
        (&json!(7), &json!({"tokenizer": "cl100k"}))
    );
    let groups = http::get(&world.at("/model_group/info"), &[WITH_MASTER]).await.json();
    assert_eq!(groups["data"].as_array().unwrap().len(), 1, "{groups}");
    assert_eq!(
        (&groups["data"][0]["model_group"], &groups["data"][0]["providers"]),
        (&json!("gpt"), &json!(["openai"]))
    );
}

#[tokio::test]
async fn the_root_shows_the_api_and_the_document_lists_every_path() {
    let world = World::of(TWO_MODELS).with_keys().await.start().await;
    let page = world.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("openapi.json") && !page.text().contains("{{"), "{}", page.text());
    // What is kept at a provider is not there of itself.
    world.provider.always("*", Answer::json(200, json!({})));
    let document = world.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        let path =
            path.replace("{model}", "gpt").replace("{id}", "gpt").replace("{attempt}", "a").replace("{key}", "k");
        for method in operations.as_object().unwrap().keys() {
            let mut connection = world.connect().await;
            connection.ask(&method.to_uppercase(), &path, &[WITH_MASTER], b"{}").await;
            let reply = connection.reply().await;
            // A path may well be there while what it names is not.
            let is_missing = reply.status == 404 && reply.text().contains("Invalid URL");
            assert!(!is_missing && !matches!(reply.status, 405 | 501), "{method} {path}: {}", reply.status);
        }
    }
}

#[tokio::test]
async fn the_health_routes_answer_in_the_shape_of_the_seeds() {
    let config = format!("{TWO_MODELS}\n").replace(
        "model_list:",
        "model_list:\n  - {model_name: broken, litellm_params: {model: nosuch/thing}}\n  - {model_name: gone, litellm_params: \
         {model: openai/x, api_base: 'http://127.0.0.1:1/v1', api_key: k}}",
    );
    let world = World::start(&config).await;
    for path in ["/health/liveliness", "/health/liveness"] {
        let reply = world.get(path).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "\"I'm alive!\""));
    }
    let ready = world.get("/health/readiness").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("healthy")));
    refused(&world.get("/health").await, 401);
    let health = http::get(&world.at("/health"), &[WITH_MASTER]).await.json();
    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&json!(3), &json!(2)), "{health}");
    let entry = &health["healthy_endpoints"][0];
    assert_eq!(entry["model"], "openai/gpt-4o");
    assert_eq!(entry["api_base"], format!("{}/v1", world.provider.url()));
    for broken in health["unhealthy_endpoints"].as_array().unwrap() {
        assert!(broken["error"].as_str().is_some_and(|why| !why.is_empty()), "{broken}");
    }
    // Looking costs nothing: no provider was asked to generate.
    assert!(world.provider.calls().iter().all(|call| call.method == "GET"));
    let one = http::get(&world.at("/health?model=gone"), &[WITH_MASTER]).await;
    assert_eq!((one.status, &one.json()["unhealthy_count"]), (503, &json!(1)));
}

#[tokio::test]
async fn a_prefix_of_every_path_may_be_set() {
    let world =
        World::of(crate::world::ONE_MODEL).settings(|settings| settings.root_path = "/gate".to_owned()).start().await;
    for path in ["/gate/v1/chat/completions", "/v1/chat/completions", "/gate/engines/gpt/chat/completions"] {
        let reply = world.post(path, &hi("gpt")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    assert_eq!(world.get("/gate/").await.status, 200);
    let reply = world.post("/gate/v1/chat/completions", &hi_streamed("gpt")).await;
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    let unknown = world.get("/gate/nothing").await;
    error_of(&unknown.json(), 404);
}

#[tokio::test]
async fn what_cannot_be_read_in_an_address_is_refused_in_the_shape_of_all_refusals() {
    let world = World::plain().await;
    for path in ["/models/%ff", "/v1/models/a%ff", "/health?model=a&model=b", "/model/info?model_group=a&model_group=b"]
    {
        refused(&world.get(path).await, 400);
    }
    refused(&world.post("/engines/gpt/models", &json!({})).await, 405);
    refused(&world.get("//v1/chat/completions/").await, 405);
    refused(&world.get("//nothing/").await, 404);
}

#[tokio::test]
async fn health_asks_all_deployments_at_the_same_time() {
    let mut config = "model_list:\n".to_owned();
    for number in 0..12 {
        config.push_str(&format!(
            "  - {{model_name: m{number}, litellm_params: {{model: openai/x, api_base: '{{provider}}/v1', api_key: k{number}}}}}\n"
        ));
    }
    let world = World::start(&config).await;
    let slow = || tollgate_kit::Answer::text(404, "no list").wait_before_head(std::time::Duration::from_secs(1));
    world.provider.always("/v1/models", slow());
    let asked = tokio::time::Instant::now();
    let health = world.get("/health").await.json();
    // A 404 is a sign of life.
    assert_eq!(health["healthy_count"], 12, "{health}");
    assert!(asked.elapsed() < std::time::Duration::from_secs(6), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn the_models_of_anthropic_are_asked_for_where_they_are() {
    let world = World::start(
        "model_list: [{model_name: c, litellm_params: {model: anthropic/claude-3-5-sonnet-20240620, api_base: '{provider}', api_key: k}}]",
    )
    .await;
    world.get("/health").await;
    assert_eq!(world.provider.only_call().path, "/v1/models");
}
