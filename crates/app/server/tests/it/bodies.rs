//! Bodies that are nearly JSON, and which model answers.

use serde_json::{Value, json};

use crate::world::{ONE_MODEL, WITH_MASTER, World, hi, refused};

const CHAT: &str = r#"{"model": "gpt", "messages": [{"role": "user", "content": "hi"}]"#;

async fn answered(world: &World, headers: &[(&str, &str)], body: &str) -> Value {
    let reply = world.chat_bytes(headers, body.as_bytes()).await;
    assert_eq!(reply.status, 200, "{body}: {}", reply.text());
    if reply.header("content-type") == Some("application/json") { reply.json() } else { Value::Null }
}

#[tokio::test]
async fn a_body_that_is_nearly_json_is_read() {
    let world = World::plain().await;
    for body in [
        format!(" {CHAT}}}"),
        format!("\n\t{CHAT}}}\n"),
        format!("{CHAT},\n }}"),
        format!("{CHAT}, \"temperature\": None, \"stream\": False}}"),
        "{'model': 'gpt', 'messages': [{'role': 'user', 'content': 'it\\'s \"hi\"',},],}".to_owned(),
    ] {
        answered(&world, &[("content-type", "application/json")], &body).await;
    }
    let streamed = world.chat_bytes(&[], format!("{CHAT}, \"stream\": True}}").as_bytes()).await;
    assert!(streamed.text().ends_with("data: [DONE]\n\n"), "{}", streamed.text());
    let last = world.provider.calls();
    assert_eq!(last[4].json()["messages"][0]["content"], "it's \"hi\"");
}

#[tokio::test]
async fn a_body_is_json_whatever_its_content_type_says() {
    let world = World::plain().await;
    let body = format!("{CHAT}}}");
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", ""] {
        answered(&world, &[("content-type", content_type)], &body).await;
    }
    answered(&world, &[], &body).await;
}

#[tokio::test]
async fn what_is_not_even_nearly_json_is_refused() {
    let world = World::plain().await;
    for body in
        ["", "   ", "model=gpt", "[]", "null", "\"text\"", "{\"model\": }", "{,}", "{\"a\" 1}", "{'a': tru}", "{}}"]
    {
        refused(&world.chat_bytes(&[("content-type", "application/json")], body.as_bytes()).await, 400);
    }
    // Over a megabyte nothing is read leniently.
    let long = format!("{CHAT}, \"note\": \"{}\",}}", "x".repeat(1 << 20));
    refused(&world.chat_bytes(&[], long.as_bytes()).await, 400);
}

#[tokio::test]
async fn a_missing_model_goes_to_the_first_entry() {
    let two = ONE_MODEL.replace(
        "router_settings",
        "  - {model_name: other, litellm_params: {model: openai/o, api_key: k}}\nrouter_settings",
    );
    for config in [two.clone(), format!("{two}general_settings: {{master_key: '{{master}}'}}\n")] {
        let world = World::start(&config).await;
        for body in [json!({"messages": [{"role": "user", "content": "hi"}]}), {
            let mut body = hi("");
            body["model"] = Value::Null;
            body
        }] {
            let reply = world.chat_with(&[WITH_MASTER], &body).await;
            assert_eq!(reply.status, 200, "{body}: {}", reply.text());
            assert_eq!(reply.header("x-litellm-model-group"), Some("gpt"));
        }
    }
}

#[tokio::test]
async fn an_unknown_model_goes_to_the_first_entry_where_no_master_key_is_set() {
    let world = World::plain().await;
    let reply = world.chat(&hi("fake-model-name")).await;
    assert_eq!((reply.status, reply.header("x-litellm-model-group")), (200, Some("gpt")), "{}", reply.text());
    assert_eq!(world.provider.only_call().json()["model"], "gpt-4o");
}

#[tokio::test]
async fn an_unknown_model_is_refused_with_the_nearest_names_where_a_master_key_is_set() {
    let world = World::locked().await;
    let reply = world.chat_with(&[WITH_MASTER], &hi("gpr")).await;
    let words = refused(&reply, 400);
    assert!(words.contains("model=gpr") && words.contains("Did you mean gpt?"), "{words}");
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    let far = refused(&world.chat_with(&[WITH_MASTER], &hi("something else entirely")).await, 400);
    assert!(!far.contains("Did you mean"), "{far}");
}

#[tokio::test]
async fn a_default_model_answers_unknown_names() {
    let config = format!(
        "{}general_settings: {{master_key: '{{master}}', default_model: second}}\n",
        ONE_MODEL.replace(
            "router_settings",
            "  - {model_name: second, litellm_params: {model: openai/gpt-4o-mini, api_base: '{provider}/v1', api_key: \
             sk-fake-provider-key}}\nrouter_settings"
        )
    );
    let world = World::start(&config).await;
    let reply = world.chat_with(&[WITH_MASTER], &hi("whatever")).await;
    assert_eq!((reply.status, reply.header("x-litellm-model-group")), (200, Some("second")), "{}", reply.text());
}

#[tokio::test]
async fn a_model_forced_by_the_configuration_goes_before_all() {
    let config = format!("{ONE_MODEL}general_settings: {{completion_model: gpt, master_key: '{{master}}'}}\n");
    let world = World::start(&config).await;
    let reply = world.chat_with(&[WITH_MASTER], &hi("nothing-like-it")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let path = world.at("/engines/another/chat/completions");
    assert_eq!(tollgate_kit::http::post(&path, &[WITH_MASTER], &hi("x")).await.status, 200);
}

#[tokio::test]
async fn defaults_and_headers_of_a_model_reach_the_provider() {
    let config = "
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_base: os.environ/BASE
      api_key:
      temperature: 0.25
      max_tokens: 7
      headers: {x-team: blue}
environment_variables: {OPENAI_API_KEY: sk-fake-provider-key}
";
    let provider = tollgate_kit::FakeProvider::start().await;
    let base = format!("{}/v1", provider.url());
    let world = World::of(config).environment("BASE", &base).start_before(provider).await;
    let reply = world.chat(&hi("gpt")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let call = world.provider.only_call();
    assert_eq!((&call.json()["temperature"], &call.json()["max_tokens"]), (&json!(0.25), &json!(7)));
    assert_eq!(
        (call.header("x-team"), call.header("authorization")),
        (Some("blue"), Some("Bearer sk-fake-provider-key"))
    );
}

#[tokio::test]
async fn a_base_for_all_models_may_be_set_once() {
    let config = "
model_list:
  - {model_name: gpt-4, litellm_params: {model: openai/some-local-model, api_key: sk-fake-provider-key}}
litellm_settings: {api_base: '{provider}/v1'}
";
    let world = World::start(config).await;
    let reply = world.chat(&hi("gpt-4")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(world.provider.only_call().json()["model"], "some-local-model");
}

#[tokio::test]
async fn an_azure_deployment_gets_its_address_version_and_key_or_token() {
    let config = "
model_list:
  - model_name: by-key
    litellm_params: {model: azure/my-deployment, api_base: '{provider}/', api_version: '2024-10-21', api_key: sk-fake-provider-key}
  - model_name: by-token
    litellm_params: {model: azure/my-deployment, api_base: '{provider}', api_version: '2024-10-21', azure_ad_token: sk-fake-provider-key}
";
    let world = World::start(config).await;
    for model in ["by-key", "by-token"] {
        let reply = world.chat(&hi(model)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let calls = world.provider.calls();
    for call in &calls {
        assert_eq!(call.path, "/openai/deployments/my-deployment/chat/completions");
        assert_eq!(call.query, "api-version=2024-10-21");
    }
    assert_eq!((calls[0].header("api-key"), calls[0].header("authorization")), (Some("sk-fake-provider-key"), None));
    assert_eq!(
        (calls[1].header("api-key"), calls[1].header("authorization")),
        (None, Some("Bearer sk-fake-provider-key"))
    );
}

#[tokio::test]
async fn an_openai_name_may_stand_for_another_providers_model() {
    let config = "
model_list:
  - {model_name: gpt-4, litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: '{provider}', api_key: sk-fake-provider-key}}
";
    let world = World::start(config).await;
    let answer = world.chat(&hi("gpt-4")).await.json();
    assert_eq!(answer["object"], "chat.completion", "{answer}");
    assert!(answer["choices"][0]["message"]["content"].as_str().is_some_and(|text| text.ends_with("hi")), "{answer}");
    let call = world.provider.only_call();
    assert_eq!((call.path.as_str(), &call.json()["model"]), ("/v1/messages", &json!("claude-sonnet-4-5")));
}

#[tokio::test]
async fn embeddings_may_come_from_any_server_that_speaks_openais_words() {
    let config = "
model_list:
  - {model_name: mine, litellm_params: {model: openai/custom_embedding, api_base: '{provider}/', api_key: sk-fake-provider-key}}
";
    let world = World::start(config).await;
    let reply = world.post("/embeddings", &json!({"model": "mine", "input": "a text"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let call = world.provider.only_call();
    assert_eq!((call.path.as_str(), &call.json()["model"]), ("/embeddings", &json!("custom_embedding")));
}

#[tokio::test]
async fn a_key_or_an_address_changes_without_the_clients() {
    let world = World::plain().await;
    let other = tollgate_kit::FakeProvider::start_on(0, Some("sk-the-new-key")).await;
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    let moved = ONE_MODEL.replace("{provider}", &other.url()).replace("sk-fake-provider-key", "sk-the-new-key");
    world.gateway.swap(crate::world::snapshot(&moved, tollgate_gateway::Environment::new()));
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    assert_eq!((world.provider.calls().len(), other.calls().len()), (1, 1));
}

#[tokio::test]
async fn the_id_of_a_deployment_survives_a_new_key() {
    let world = World::plain().await;
    let id = |reply: tollgate_kit::http::Reply| reply.header("x-litellm-model-id").unwrap().to_owned();
    let before = id(world.chat(&hi("gpt")).await);
    let renewed = ONE_MODEL.replace("{provider}", &world.provider.url()).replace("sk-fake-provider-key", "sk-another");
    world.gateway.swap(crate::world::snapshot(&renewed, tollgate_gateway::Environment::new()));
    world.provider.script([tollgate_kit::Answer::json(200, json!({"object": "chat.completion", "choices": []}))]);
    assert_eq!(id(world.chat(&hi("gpt")).await), before);
}
