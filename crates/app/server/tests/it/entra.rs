//! Azure without a key: tokens of Microsoft Entra, from a login server in this test that knows what it is asked.

use serde_json::json;
use tollgate_kit::{Answer, Call, TempFolder};

use crate::world::{World, hi, refused};

const SECRET: &str = "entra~s3cret&=";

fn config(params: &str, settings: &str) -> String {
    format!(
        "
model_list:
  - model_name: gpt
    litellm_params: {{model: azure/my-deployment, api_base: '{{provider}}', api_version: 2024-10-21, {params}}}
router_settings: {{num_retries: 0}}
environment_variables: {{AZURE_AUTHORITY_HOST: '{{provider}}', {settings}}}
"
    )
}

/// The login server gives this token for calls of this route, and the deployment answers.
fn gives(world: &World, route: &str, token: &str) {
    let answer = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": token});
    world.provider.always(route, Answer::json(200, answer));
    let said = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    world.provider.always("POST /openai/deployments/my-deployment/chat/completions", Answer::json(200, said));
}

/// Asks twice; gives the one login, after a look at the chats.
async fn login(world: &World, token: &str) -> Call {
    for _ in 0..2 {
        let reply = world.chat(&hi("gpt")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(!format!("{:?}{}", reply.headers, reply.text()).contains(token));
    }
    let (chats, mut logins): (Vec<Call>, Vec<Call>) =
        world.provider.calls().into_iter().partition(|call| call.path.ends_with("/chat/completions"));
    assert_eq!((chats.len(), logins.len()), (2, 1), "the token is kept");
    for chat in chats {
        assert_eq!(chat.header("authorization"), Some(format!("Bearer {token}").as_str()));
        assert_eq!(chat.header("api-key"), None);
    }
    logins.remove(0)
}

/// The fields of a form, as they were encoded.
fn form(call: &Call) -> Vec<(String, String)> {
    assert_eq!(call.header("content-type"), Some("application/x-www-form-urlencoded"));
    let text = call.text();
    let fields = text.split('&').map(|field| field.split_once('=').expect("a field"));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const SCOPE: (&str, &str) = ("scope", "https%3A%2F%2Fcognitiveservices.azure.com%2F.default");

#[tokio::test]
async fn an_application_logs_in_with_its_secret() {
    let params = format!("tenant_id: my-tenant, client_id: my-app, client_secret: '{SECRET}'");
    let world = World::start(&config(&params, "")).await;
    gives(&world, "POST /my-tenant/oauth2/v2.0/token", "token-1");
    let call = login(&world, "token-1").await;
    let secret = ("client_secret", "entra~s3cret%26%3D");
    assert_eq!(form(&call), fields(&[("grant_type", "client_credentials"), ("client_id", "my-app"), secret, SCOPE]));
}

#[tokio::test]
async fn the_environment_alone_is_enough() {
    let settings = "AZURE_TENANT_ID: my-tenant, AZURE_CLIENT_ID: my-app, AZURE_CLIENT_SECRET: hush-hush";
    let world = World::start(&config("azure_scope: api://mine/.default", settings)).await;
    gives(&world, "POST /my-tenant/oauth2/v2.0/token", "token-2");
    let call = login(&world, "token-2").await;
    assert_eq!(form(&call).last(), fields(&[("scope", "api%3A%2F%2Fmine%2F.default")]).first());
}

#[tokio::test]
async fn a_user_logs_in_with_a_password() {
    let params = "tenant_id: my-tenant, client_id: my-app, azure_username: me@here.test, azure_password: 'pass word'";
    let world = World::start(&config(params, "")).await;
    gives(&world, "POST /my-tenant/oauth2/v2.0/token", "token-3");
    let call = login(&world, "token-3").await;
    let expected = [
        ("grant_type", "password"),
        ("client_id", "my-app"),
        ("username", "me%40here.test"),
        ("password", "pass%20word"),
        SCOPE,
    ];
    assert_eq!(form(&call), fields(&expected));
}

#[tokio::test]
async fn a_workload_shows_the_token_that_its_platform_signed() {
    let folder = TempFolder::new();
    let file = folder.path().join("token");
    std::fs::write(&file, "signed.by.platform\n").expect("a file");
    let settings = format!(
        "AZURE_TENANT_ID: my-tenant, AZURE_CLIENT_ID: my-app, AZURE_FEDERATED_TOKEN_FILE: '{}'",
        file.display()
    );
    let world = World::start(&config("", &settings)).await;
    gives(&world, "POST /my-tenant/oauth2/v2.0/token", "token-4");
    let call = login(&world, "token-4").await;
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "my-app"),
        ("client_assertion_type", "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"),
        ("client_assertion", "signed.by.platform"),
        SCOPE,
    ];
    assert_eq!(form(&call), fields(&expected));
}

#[tokio::test]
async fn a_machine_has_an_identity_of_its_own() {
    let settings = "AZURE_POD_IDENTITY_AUTHORITY_HOST: '{provider}', AZURE_CLIENT_ID: my-identity";
    let text = config("", settings) + "litellm_settings: {enable_azure_ad_token_refresh: true}\n";
    let world = World::start(&text).await;
    gives(&world, "GET /metadata/identity/oauth2/token", "token-5");
    let call = login(&world, "token-5").await;
    assert_eq!(call.header("metadata"), Some("true"));
    let resource = "resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!(call.query, format!("api-version=2018-02-01&{resource}&client_id=my-identity"));
}

#[tokio::test]
async fn an_app_service_has_an_endpoint_for_it() {
    let settings = "IDENTITY_ENDPOINT: '{provider}/msi/token', IDENTITY_HEADER: an-identity-header";
    let text = config("", settings) + "litellm_settings: {enable_azure_ad_token_refresh: true}\n";
    let world = World::start(&text).await;
    gives(&world, "GET /msi/token", "token-6");
    let call = login(&world, "token-6").await;
    assert_eq!(call.header("x-identity-header"), Some("an-identity-header"));
    let resource = "resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!(call.query, format!("api-version=2019-08-01&{resource}"));
}

#[tokio::test]
async fn a_refused_login_says_why_and_repeats_no_secret() {
    let params = format!("tenant_id: my-tenant, client_id: my-app, client_secret: '{SECRET}'");
    let world = World::start(&config(&params, "")).await;
    let words = format!("AADSTS7000215: Invalid client secret provided: {SECRET}");
    let refusal = json!({"error": "invalid_client", "error_description": words, "error_codes": [7_000_215]});
    world.provider.always("POST /my-tenant/oauth2/v2.0/token", Answer::json(401, refusal));
    let reply = world.chat(&hi("gpt")).await;
    assert!(!format!("{:?}{}", reply.headers, reply.text()).contains(SECRET));
    let words = refused(&reply, 401);
    assert!(words.contains("invalid_client 7000215"), "{words}");
    assert!(world.provider.calls().iter().all(|call| !call.path.ends_with("/chat/completions")));
}

#[tokio::test]
async fn a_secret_without_its_application_makes_a_deployment_unservable() {
    let world = World::start(&config("client_secret: hush-hush", "")).await;
    let words = world.chat(&hi("gpt")).await.text();
    assert!(words.contains("tenant_id") && !words.contains("hush-hush"), "{words}");
}
