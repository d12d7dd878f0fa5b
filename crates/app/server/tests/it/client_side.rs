//! What a client may not choose, and what it may where it is allowed.

use serde_json::json;
use tollgate_kit::FakeProvider;

use crate::world::{ONE_MODEL, WITH_MASTER, World, hi, refused};

#[tokio::test]
async fn a_client_cannot_choose_where_its_call_goes() {
    let world = World::plain().await;
    for (name, value) in [
        ("api_base", json!("http://127.0.0.1:1")),
        ("base_url", json!("http://127.0.0.1:1")),
        ("api_key", json!("sk-mine")),
        ("api_version", json!("2020")),
        ("user_config", json!({"model_list": []})),
        ("callbacks", json!(["langfuse"])),
        ("success_callback", json!(["langfuse"])),
        ("failure_callback", json!(["langfuse"])),
    ] {
        let mut body = hi("gpt");
        body[name] = value;
        let reply = world.chat(&body).await;
        let words = refused(&reply, 400);
        assert!(words.contains(name) && !words.contains("sk-mine"), "{words}");
        assert_eq!(reply.json()["error"]["param"], name);
    }
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn our_key_never_goes_to_an_address_that_a_client_chose() {
    let config = "
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_base: '{provider}/v1'
      api_key: sk-fake-provider-key
      configurable_clientside_auth_params: [api_base, api_key]
environment_variables: {OPENAI_API_KEY: sk-ours-from-the-environment}
litellm_settings: {num_retries: 0}
";
    let (world, theirs) = (World::start(config).await, FakeProvider::start_on(0, None).await);
    let mut body = hi("gpt");
    body["api_base"] = json!(format!("{}/v1", theirs.url()));
    body["api_key"] = json!("sk-the-clients");
    let reply = world.chat(&body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let call = theirs.only_call();
    assert_eq!(call.header("authorization"), Some("Bearer sk-the-clients"));
    assert!(call.json().get("api_base").is_none() && call.json().get("api_key").is_none());

    body["api_key"] = json!("{\"url\": \"http://elsewhere.test\"}");
    assert!(refused(&world.chat(&body).await, 400).contains("plain key"));

    body.as_object_mut().unwrap().remove("api_key");
    let _ = world.chat(&body).await;
    for call in theirs.calls() {
        let headers = format!("{:?}", call.headers);
        assert!(!headers.contains("sk-fake-provider-key") && !headers.contains("sk-ours"), "{headers}");
    }

    let mut own_key = hi("gpt");
    own_key["api_key"] = json!("sk-the-clients");
    world.chat(&own_key).await;
    assert_eq!(world.provider.only_call().header("authorization"), Some("Bearer sk-the-clients"));
}

#[tokio::test]
async fn headers_of_the_model_with_a_credential_do_not_follow_a_clients_address() {
    let config = "
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_base: '{provider}/v1'
      api_key: sk-fake-provider-key
      extra_headers: {x-api-key: our-second-secret, authorization: Bearer our-third-secret}
      configurable_clientside_auth_params: [api_base]
";
    let (world, theirs) = (World::start(config).await, FakeProvider::start_on(0, None).await);
    let mut body = hi("gpt");
    body["api_base"] = json!(format!("{}/v1", theirs.url()));
    body["num_retries"] = json!(0);
    let _ = world.chat(&body).await;
    for call in theirs.calls() {
        assert!(!format!("{:?}", call.headers).contains("our-"), "{:?}", call.headers);
    }
}

#[tokio::test]
async fn no_account_of_ours_signs_for_an_address_that_a_client_chose() {
    let config = "
model_list:
  - model_name: gpt
    litellm_params:
      model: bedrock/anthropic.claude-3-haiku-20240307-v1:0
      api_base: '{provider}'
      aws_access_key_id: AKIAOURS
      aws_secret_access_key: our-secret
      aws_region_name: us-east-1
      configurable_clientside_auth_params: [api_base]
";
    let (world, theirs) = (World::start(config).await, FakeProvider::start_on(0, None).await);
    let mut body = hi("gpt");
    body["num_retries"] = json!(0);
    let _ = world.chat(&body).await;
    let ours = world.provider.calls();
    let signed = ours.first().and_then(|call| call.header("authorization")).unwrap_or_default();
    assert!(signed.contains("Credential=AKIAOURS/"), "{signed}");

    body["api_base"] = json!(theirs.url());
    let _ = world.chat(&body).await;
    let calls = theirs.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls.iter().all(|call| call.header("authorization").is_none()), "{:?}", calls.first().map(|c| &c.headers));
}

#[tokio::test]
async fn a_mock_may_be_asked_for_by_the_admin_or_where_no_master_key_is_set() {
    let open = World::plain().await;
    let mut body = hi("gpt");
    body["mock_response"] = json!("nothing but a mock");
    let reply = open.chat(&body).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "nothing but a mock");
    let locked = World::locked().await;
    assert_eq!(locked.chat_with(&[WITH_MASTER], &body).await.status, 200);
    for (mock, status) in [
        ("litellm.RateLimitError", 429),
        ("litellm.InternalServerError", 500),
        ("litellm.ContextWindowExceededError", 400),
    ] {
        body["mock_response"] = json!(mock);
        refused(&open.chat(&body).await, status);
    }
    assert!(open.provider.calls().is_empty() && locked.provider.calls().is_empty());
}

#[tokio::test]
async fn extra_headers_of_a_request_cannot_override_credentials() {
    let world = World::plain().await;
    let mut body = hi("gpt");
    for name in [
        "Authorization",
        "api-key",
        "X-Api-Key",
        "cookie",
        "host",
        "connection",
        "transfer-encoding",
        "proxy-authorization",
    ] {
        body["extra_headers"] = json!({name: "mine"});
        refused(&world.chat(&body).await, 400);
    }
    assert!(world.provider.calls().is_empty());
    body["extra_headers"] = json!({"x-mine": "yes", "x-number": 3, "x-null": null});
    assert_eq!(world.chat(&body).await.status, 200);
    let call = world.provider.only_call();
    assert_eq!((call.header("x-mine"), call.header("x-number"), call.header("x-null")), (Some("yes"), Some("3"), None));
    assert!(call.json().get("extra_headers").is_none());
}

#[tokio::test]
async fn a_client_may_be_allowed_everything() {
    let world = World::start(&format!("{ONE_MODEL}general_settings: {{allow_client_side_credentials: true}}\n")).await;
    let mut body = hi("gpt");
    body["api_key"] = json!("sk-the-clients");
    world.chat(&body).await;
    assert_eq!(world.provider.only_call().header("authorization"), Some("Bearer sk-the-clients"));
}
