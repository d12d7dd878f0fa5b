//! Accounts whose keys buy tokens: the token is bought once, and goes out with every call.

use serde_json::{Value, json};
use tollgate_kit::{Answer, Call, SseItem};

use crate::world::{World, hi, hi_streamed, refused};

fn said() -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

fn token(token: &str) -> Answer {
    Answer::json(200, json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}))
}

fn calls_of(world: &World, path: &str) -> Vec<Call> {
    world.provider.calls().into_iter().filter(|call| call.path == path).collect()
}

#[tokio::test]
async fn a_key_of_ibms_cloud_buys_one_token_for_many_calls() {
    let world = World::start(
        "
model_list:
  - model_name: gpt
    litellm_params: {model: watsonx/ibm/granite, api_base: '{provider}', api_key: an-ibm-key, project_id: mine}
router_settings: {num_retries: 0}
environment_variables: {WATSONX_IAM_URL: '{provider}/identity/token'}
",
    )
    .await;
    world.provider.always("POST /identity/token", token("iam-1"));
    world.provider.always("POST /ml/v1/text/chat", Answer::json(200, said()));
    for _ in 0..2 {
        let reply = world.chat(&hi("gpt")).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "hello", "{}", reply.text());
    }
    let [bought] = calls_of(&world, "/identity/token").try_into().expect("the token is kept");
    assert_eq!(bought.text(), "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=an-ibm-key");
    for chat in calls_of(&world, "/ml/v1/text/chat") {
        assert_eq!(chat.header("authorization"), Some("Bearer iam-1"));
        assert_eq!((&chat.json()["model_id"], &chat.json()["project_id"]), (&json!("ibm/granite"), &json!("mine")));
    }
}

#[tokio::test]
async fn a_refused_key_of_ibms_cloud_is_not_repeated() {
    let world = World::start(
        "
model_list:
  - model_name: gpt
    litellm_params: {model: watsonx/ibm/granite, api_base: '{provider}', api_key: an-ibm-key, project_id: mine}
router_settings: {num_retries: 0}
environment_variables: {WATSONX_IAM_URL: '{provider}/identity/token'}
",
    )
    .await;
    let words = json!({"errorMessage": "Provided API key an-ibm-key could not be found."});
    world.provider.always("POST /identity/token", Answer::json(400, words));
    let words = refused(&world.chat(&hi("gpt")).await, 401);
    assert!(words.contains("status 400") && !words.contains("an-ibm-key"), "{words}");
}

#[tokio::test]
async fn a_service_principal_of_databricks_proves_itself_with_a_password() {
    let world = World::start(
        "
model_list:
  - model_name: gpt
    litellm_params: {model: databricks/llama, api_base: '{provider}/serving-endpoints'}
router_settings: {num_retries: 0}
environment_variables: {DATABRICKS_CLIENT_ID: an-id, DATABRICKS_CLIENT_SECRET: a-secret}
",
    )
    .await;
    world.provider.always("POST /oidc/v1/token", token("oidc-1"));
    world.provider.always("POST /serving-endpoints/chat/completions", Answer::json(200, said()));
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    let [bought] = calls_of(&world, "/oidc/v1/token").try_into().expect("one token");
    assert_eq!(bought.header("authorization"), Some("Basic YW4taWQ6YS1zZWNyZXQ="));
    assert_eq!(bought.text(), "grant_type=client_credentials&scope=all-apis");
    let [chat] = calls_of(&world, "/serving-endpoints/chat/completions").try_into().expect("one chat");
    assert_eq!(chat.header("authorization"), Some("Bearer oidc-1"));
}

#[tokio::test]
async fn a_deployment_of_saps_is_looked_up_where_none_is_named() {
    let world = World::start(
        "
model_list:
  - model_name: gpt
    litellm_params: {model: sap/gpt-4o}
router_settings: {num_retries: 0}
environment_variables:
  AICORE_CLIENT_ID: an-id
  AICORE_CLIENT_SECRET: a-secret
  AICORE_AUTH_URL: '{provider}/login'
  AICORE_BASE_URL: '{provider}'
  AICORE_RESOURCE_GROUP: mine
",
    )
    .await;
    world.provider.always("POST /login/oauth/token", token("sap-1"));
    let address = format!("{}/v2/inference/deployments/d1", world.provider.url());
    let found =
        json!({"scenarioId": "orchestration", "status": "RUNNING", "createdAt": "2025", "deploymentUrl": address});
    world.provider.always("GET /v2/lm/deployments", Answer::json(200, json!({"count": 1, "resources": [found]})));
    let completion = "/v2/inference/deployments/d1/v2/completion";
    let chunk = |delta: Value, finish: Value| {
        SseItem::data(json!({"request_id": "r", "final_result": {"id": "c", "object": "chat.completion.chunk",
            "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}}))
    };
    let stream = Answer::sse([chunk(json!({"content": "hello"}), Value::Null), chunk(json!({}), json!("stop"))]);
    world
        .provider
        .script_for(&format!("POST {completion}"), [Answer::json(200, json!({"final_result": said()})), stream]);

    let whole = world.chat(&hi("gpt")).await;
    assert_eq!(whole.json()["choices"][0]["message"]["content"], "hello", "{}", whole.text());
    let streamed = world.chat(&hi_streamed("gpt")).await;
    assert!(streamed.text().contains("hello") && streamed.text().ends_with("data: [DONE]\n\n"), "{}", streamed.text());

    assert_eq!(calls_of(&world, "/login/oauth/token").len(), 1);
    for call in calls_of(&world, "/v2/lm/deployments").iter().chain(&calls_of(&world, completion)) {
        assert_eq!(call.header("authorization"), Some("Bearer sap-1"));
        assert_eq!(call.header("ai-resource-group"), Some("mine"));
    }
    let totals = world.settled(2).await;
    assert_eq!(totals.opened, 2);
}

#[tokio::test]
async fn a_deployment_is_not_unwell_because_its_probe_brings_no_token() {
    let world = World::start(
        "
model_list:
  - model_name: gpt
    litellm_params: {model: watsonx/ibm/granite, api_base: '{provider}', api_key: an-ibm-key, project_id: mine}
",
    )
    .await;
    world.provider.always("GET *", Answer::json(401, json!({"errors": []})));
    let health = world.get("/health").await.json();
    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&json!(1), &json!(0)), "{health}");
}

/// Nothing of it is booked, and the deployment rests as one that cannot be reached.
#[tokio::test]
async fn a_deployment_without_a_token_fails_and_rests_and_nothing_is_paid() {
    let world = World::start(
        "
model_list:
  - model_name: gpt
    litellm_params: {model: watsonx/ibm/granite, api_base: '{provider}', api_key: an-ibm-key, project_id: mine}
router_settings: {num_retries: 0, allowed_fails: 1, cooldown_time: 60}
environment_variables: {WATSONX_IAM_URL: 'http://127.0.0.1:1/identity/token'}
",
    )
    .await;
    for _ in 0..2 {
        let words = refused(&world.chat(&hi("gpt")).await, 500);
        assert!(words.contains("the token endpoint at 127.0.0.1:1 gave no token"), "{words}");
    }
    let mut hurried = hi("gpt");
    hurried["timeout"] = json!(5);
    refused(&world.chat(&hurried).await, 429);
    assert_eq!((world.gateway.totals().opened, world.provider.calls().len()), (0, 0));
}
