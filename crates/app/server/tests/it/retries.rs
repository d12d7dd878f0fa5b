//! What is tried again, where, and how often.

use std::collections::BTreeSet;

use serde_json::json;
use tollgate_kit::{Answer, Place};

use crate::world::{ONE_MODEL, World, hi, refused};

const TWO_DEPLOYMENTS: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/one, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: gpt
    litellm_params: {model: openai/two, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
";

fn failing(status: u16) -> Answer {
    Answer::json(status, json!({"error": {"message": "the words of the provider", "type": "x", "code": null}}))
}

fn models_asked(world: &World) -> Vec<String> {
    world.provider.calls().iter().map(|call| call.json()["model"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_failure_of_one_deployment_goes_to_the_other_at_once() {
    for answer in
        [failing(500), failing(503), failing(429), failing(401), failing(408), Answer::sse([]).cut(Place::BeforeHead)]
    {
        let world = World::start(TWO_DEPLOYMENTS).await;
        world.provider.script([answer]);
        let reply = world.chat(&hi("gpt")).await;
        assert_eq!((reply.status, reply.header("x-litellm-attempted-retries")), (200, Some("1")), "{}", reply.text());
        let models = models_asked(&world);
        assert!(models.len() == 2 && models[0] != models[1], "{models:?}");
        world.settled(2).await;
    }
}

#[tokio::test]
async fn what_the_client_did_wrong_is_never_tried_again() {
    for status in [400, 404, 413, 422] {
        let world = World::start(TWO_DEPLOYMENTS).await;
        world.provider.script([failing(status)]);
        let reply = world.chat(&hi("gpt")).await;
        assert!((400..500).contains(&reply.status), "{status}: {}", reply.text());
        let words = refused(&reply, reply.status);
        assert!(words.starts_with("litellm.") && words.contains("the words of the provider"), "{words}");
        assert_eq!(world.provider.calls().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_refused_key_is_tried_only_elsewhere() {
    let one = World::plain().await;
    one.provider.always("*", failing(401));
    refused(&one.chat(&hi("gpt")).await, 401);
    assert_eq!(one.provider.calls().len(), 1);

    let two = World::start(&format!("{TWO_DEPLOYMENTS}router_settings: {{num_retries: 5}}\n")).await;
    two.provider.always("*", failing(401));
    refused(&two.chat(&hi("gpt")).await, 401);
    assert_eq!(models_asked(&two).len(), 2, "each deployment has refused once");
}

#[tokio::test]
async fn the_number_of_retries_is_the_requests_else_the_configurations() {
    let world = World::start(&format!("{TWO_DEPLOYMENTS}router_settings: {{num_retries: 1}}\n")).await;
    world.provider.always("*", failing(500));
    let asked = |before: usize| world.provider.calls().len() - before;
    refused(&world.chat(&hi("gpt")).await, 500);
    assert_eq!(asked(0), 2);
    let mut none = hi("gpt");
    none["num_retries"] = json!(0);
    refused(&world.chat(&none).await, 500);
    assert_eq!(asked(2), 1);
    refused(&world.chat_with(&[("x-litellm-num-retries", "0")], &hi("gpt")).await, 500);
    assert_eq!(asked(3), 1);
    let config = ONE_MODEL.replace("router_settings: {num_retries: 0}", "litellm_settings: {num_retries: 0}");
    let world = World::start(&config).await;
    world.provider.always("*", failing(500));
    refused(&world.chat(&hi("gpt")).await, 500);
    assert_eq!(world.provider.calls().len(), 1);
}

#[tokio::test]
async fn the_gateways_own_members_do_not_go_upstream() {
    let world = World::plain().await;
    let mut body = hi("gpt");
    for (name, value) in [
        ("num_retries", json!(1)),
        ("request_timeout", json!(5)),
        ("timeout", json!(5)),
        ("fallbacks", json!([{"gpt": ["other"]}])),
        ("context_window_fallbacks", json!([])),
        ("metadata", json!({"a": "b"})),
        ("drop_params", json!(true)),
        ("caching", json!(false)),
    ] {
        body[name] = value;
    }
    body["an_unknown_member"] = json!({"stays": 1.50});
    let reply = world.chat(&body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent = world.provider.only_call().json();
    let names: BTreeSet<&str> = sent.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["model", "messages", "an_unknown_member"]));
}

#[tokio::test]
async fn the_deployments_of_a_group_take_turns_and_show_who_answered() {
    let world = World::start(TWO_DEPLOYMENTS).await;
    let mut ids = BTreeSet::new();
    for _ in 0..40 {
        let reply = world.chat(&hi("gpt")).await;
        let id = reply.header("x-litellm-model-id").unwrap().to_owned();
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        ids.insert(id);
    }
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn a_deployment_with_more_rpm_is_asked_more() {
    let config =
        TWO_DEPLOYMENTS.replace("openai/one,", "openai/one, rpm: 900,").replace("openai/two,", "openai/two, rpm: 100,");
    let world = World::start(&config).await;
    for _ in 0..100 {
        assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    }
    let ones = models_asked(&world).iter().filter(|model| *model == "one").count();
    assert!(ones > 70, "{ones}");
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let world = World::plain().await;
    world.provider.script([failing(429).header("retry-after", "3").header("x-ratelimit-remaining-requests", "0")]);
    let reply = world.chat(&hi("gpt")).await;
    let words = refused(&reply, 429);
    assert!(words.starts_with("litellm.RateLimitError: "), "{words}");
    assert_eq!(reply.header("retry-after"), Some("3"));
}

#[tokio::test]
async fn what_the_provider_says_becomes_the_right_status() {
    let world = World::plain().await;
    for (given, told) in [
        (400, 400),
        (401, 401),
        (403, 403),
        (404, 404),
        (408, 408),
        (422, 422),
        (429, 429),
        (500, 500),
        (502, 502),
        (503, 503),
    ] {
        world.provider.script([failing(given)]);
        let words = refused(&world.chat(&hi("gpt")).await, told);
        assert!(words.starts_with("litellm.") && words.contains("Exception - "), "{words}");
    }
    for answer in [
        Answer::text(200, "not json"),
        Answer::raw(200, "application/json", "{\"cut"),
        Answer::json(200, json!({})).claim_length(5000),
        Answer::garbage("no http at all"),
        Answer::json(200, json!({"a": 1})).gzip(),
        Answer::text(302, "elsewhere").header("location", "http://127.0.0.1:1/"),
    ] {
        world.provider.script([answer]);
        let reply = world.chat(&hi("gpt")).await;
        assert!(reply.status >= 500, "{}", reply.text());
        refused(&reply, reply.status);
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_named_without_its_path() {
    let config = ONE_MODEL.replace("{provider}/v1", "http://127.0.0.1:1/secret-path");
    let world = World::start(&config).await;
    let words = refused(&world.chat(&hi("gpt")).await, 500);
    assert!(words.contains("127.0.0.1:1") && !words.contains("secret-path"), "{words}");
}

#[tokio::test]
async fn a_request_gets_no_more_retries_than_the_configuration_allows() {
    let group = |more: &str| {
        let row = "  - {model_name: gpt, litellm_params: {model: openai/NUMBER, api_base: '{provider}/v1', api_key: sk-fake-provider-key}}\n";
        let rows: String = (0..14).map(|number| row.replace("NUMBER", &format!("m{number}"))).collect();
        format!("model_list:\n{rows}router_settings: {{num_retries: 0{more}}}\n")
    };
    for (more, attempts) in [("", 11), (", max_client_retries: 3", 4), (", max_client_retries: 0", 1)] {
        let world = World::start(&group(more)).await;
        world.provider.always("*", failing(500));
        let mut greedy = hi("gpt");
        greedy["num_retries"] = json!(1_000_000);
        let reply = world.chat(&greedy).await;
        refused(&reply, 500);
        assert_eq!(world.provider.calls().len(), attempts, "{more}");
    }
    let world = World::start(&group(", max_client_retries: 2")).await;
    world.provider.always("*", failing(500));
    refused(&world.chat_with(&[("x-litellm-num-retries", "50")], &hi("gpt")).await, 500);
    assert_eq!(world.provider.calls().len(), 3);
}
