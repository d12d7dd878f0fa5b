//! Google's clients at the gateway's door.

use serde_json::{Value, json};
use tollgate_kit::{Answer, Place, SseItem, http};

use crate::world::{MASTER, ONE_MODEL, WITH_MASTER, World, hi_streamed};

fn content() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
}

/// A gateway with a model of Google's, whose answers the fake provider is told.
const GEMINI: &str = "
model_list:
  - model_name: gemini
    litellm_params: {model: gemini/gemini-2.5-flash, api_base: '{provider}/v1beta', api_key: key-at-google}
general_settings: {master_key: '{master}'}
router_settings: {num_retries: 0}
";

fn answer() -> Value {
    let candidate = json!({"content": {"parts": [{"text": "Hello"}], "role": "model"}, "finishReason": "STOP"});
    json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1}, "new": 7})
}

#[tokio::test]
async fn a_key_may_stand_where_googles_clients_put_it() {
    let world = World::start(GEMINI).await;
    let path = "/v1beta/models/gemini:generateContent";
    let by_query = format!("{path}?key={MASTER}");
    for (path, headers) in [(path, vec![("x-goog-api-key", MASTER)]), (path, vec![WITH_MASTER]), (&by_query, vec![])] {
        world.provider.script([Answer::json(200, answer())]);
        let reply = http::post(&world.at(path), &headers, &content()).await;
        assert_eq!((reply.status, reply.json()), (200, answer()), "{path}");
    }
    for call in world.provider.calls() {
        assert_eq!(call.path, "/v1beta/models/gemini-2.5-flash:generateContent");
        assert_eq!(call.header("x-goog-api-key"), Some("key-at-google"));
        assert_eq!(call.header("authorization"), None);
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_googles_envelope() {
    let world = World::start(GEMINI).await;
    let refused = async |path: &str, key: &str, body: &Value| {
        let reply = http::post(&world.at(path), &[("x-goog-api-key", key)], body).await;
        let error = reply.json()["error"].clone();
        assert_eq!(error["code"], reply.status, "{error}");
        assert!(error["message"].as_str().is_some_and(|words| !words.is_empty()), "{error}");
        error["status"].as_str().unwrap_or_default().to_owned()
    };
    let path = "/v1beta/models/gemini:generateContent";
    assert_eq!(refused(path, "sk-wrong", &content()).await, "UNAUTHENTICATED");
    assert_eq!(refused(path, MASTER, &json!({})).await, "INVALID_ARGUMENT");
    assert_eq!(refused("/models/nobody:generateContent", MASTER, &content()).await, "INVALID_ARGUMENT");
    let error = json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}});
    world.provider.script([Answer::json(503, error)]);
    let streamed = "/v1/models/gemini:streamGenerateContent?alt=sse";
    assert_eq!(refused(streamed, MASTER, &content()).await, "UNAVAILABLE");
}

#[tokio::test]
async fn a_stream_without_events_is_a_list() {
    let world = World::plain().await;
    let reply = world.post("/v1beta/models/gpt:streamGenerateContent", &content()).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let list = reply.json();
    let elements = list.as_array().expect("a list");
    let said: String = elements.iter().filter_map(said).collect();
    assert!(said.ends_with("hi"), "{list}");
    let last = elements.last().unwrap();
    assert_eq!((&last["candidates"][0]["finishReason"], &last["modelVersion"]), (&json!("STOP"), &json!("gpt")));
    assert!(last["usageMetadata"]["totalTokenCount"].as_u64().is_some_and(|tokens| tokens > 0), "{list}");
}

fn said(element: &Value) -> Option<&str> {
    element["candidates"][0]["content"]["parts"][0]["text"].as_str()
}

fn piece(text: &str) -> SseItem {
    SseItem::data(json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}], "new": 7}))
}

#[tokio::test]
async fn the_elements_of_a_list_come_when_they_are_there() {
    let world = World::start(GEMINI).await;
    world.provider.script([Answer::sse([piece("one"), piece("two")]).stall(Place::AfterEvents(1))]);
    let mut connection = world.connect().await;
    let path = "/v1beta/models/gemini:streamGenerateContent";
    connection.ask_json(path, &[WITH_MASTER], &content()).await;
    let (head, mut body) = connection.answer().await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
    let first = String::from_utf8(body.piece().await.expect("a piece").to_vec()).unwrap();
    let element: Value = serde_json::from_str(first.strip_prefix('[').expect("a list begins")).unwrap();
    assert_eq!((said(&element), &element["new"]), (Some("one"), &json!(7)));
    assert_eq!(world.provider.only_call().query, "alt=sse");
}

#[tokio::test]
async fn a_list_that_breaks_off_ends_with_an_error_and_is_one() {
    let world = World::start(GEMINI).await;
    world.provider.script([Answer::sse([piece("one"), piece("two")]).cut(Place::AfterEvents(1))]);
    let path = "/v1beta/models/gemini:streamGenerateContent";
    let reply = http::post(&world.at(path), &[WITH_MASTER], &content()).await;
    let list = reply.json();
    assert_eq!((reply.status, list.as_array().map(Vec::len)), (200, Some(2)), "{list}");
    assert_eq!((said(&list[0]), &list[1]["error"]["status"]), (Some("one"), &json!("INTERNAL")), "{list}");
}

#[tokio::test]
async fn a_stream_of_events_ends_without_a_done() {
    let world = World::plain().await;
    let reply = world.post("/v1beta/models/gpt:streamGenerateContent?alt=sse", &content()).await;
    assert_eq!((reply.status, reply.complete), (200, true));
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = reply.events();
    let last = events.last().expect("there are events").json();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert!(last["usageMetadata"]["totalTokenCount"].as_u64().is_some_and(|tokens| tokens > 0), "{last}");
    assert_eq!(world.provider.only_call().path, "/v1/chat/completions");
}

#[tokio::test]
async fn counting_costs_nothing_and_asks_nobody_who_cannot_count() {
    let world = World::plain().await;
    let reply = world.post("/v1beta/models/gpt:countTokens", &content()).await;
    assert!(reply.json()["totalTokens"].as_u64().is_some_and(|tokens| tokens > 0), "{}", reply.text());
    assert!(world.provider.calls().is_empty());

    let world = World::start(GEMINI).await;
    world.provider.script([Answer::json(200, json!({"totalTokens": 5}))]);
    let key = [("x-goog-api-key", MASTER)];
    let reply = http::post(&world.at("/models/gemini:countTokens"), &key, &content()).await;
    assert_eq!(reply.json(), json!({"totalTokens": 5}));
    let totals = world.settled(1).await;
    assert_eq!(totals.input, 0);
}

#[tokio::test]
async fn what_is_no_method_of_a_model_is_not_found() {
    let world = World::start(ONE_MODEL).await;
    let reply = world.post("/v1beta/models/gpt:predictLongRunning", &content()).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn the_machines_account_does_not_follow_a_clients_address() {
    let config = "
model_list:
  - model_name: gpt
    litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p, configurable_clientside_auth_params: [api_base]}
";
    let world = World::start(config).await;
    let base = format!("{}/v1/projects/p/locations/l", world.provider.url());
    let body = json!({"model": "gpt", "api_base": base, "messages": [{"role": "user", "content": "hi"}]});
    let reply = world.chat(&body).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    let calls = world.provider.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls.iter().all(|call| call.header("authorization").is_none()), "{calls:?}");
}

#[tokio::test]
async fn a_token_is_fetched_once_and_used_for_every_call() {
    let config = "
model_list:
  - model_name: vertex
    litellm_params:
      model: vertex_ai/gemini-2.5-pro
      api_base: '{provider}'
      vertex_project: p-1
      vertex_location: europe-west4
      vertex_credentials:
        {type: authorized_user, client_id: c, client_secret: s, refresh_token: r, token_uri: '{provider}/token'}
router_settings: {num_retries: 0}
";
    let world = World::start(config).await;
    world.provider.script_for("/token", [Answer::json(200, json!({"access_token": "ya29.x", "expires_in": 3599}))]);
    let path = "/v1/projects/p-1/locations/europe-west4/publishers/google/models/gemini-2.5-pro:generateContent";
    world.provider.always(path, Answer::json(200, answer()));
    for _ in 0..2 {
        let body = json!({"model": "vertex", "messages": [{"role": "user", "content": "hi"}]});
        let reply = world.chat(&body).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello", "{}", reply.text());
    }
    let calls = world.provider.calls();
    let asked: Vec<&str> = calls.iter().map(|call| call.path.as_str()).collect();
    assert_eq!(asked, ["/token", path, path]);
    assert!(calls[1..].iter().all(|call| call.header("authorization") == Some("Bearer ya29.x")));
}

#[tokio::test]
async fn no_token_is_told_as_the_deployments_fault_without_a_secret() {
    let config = "
model_list:
  - model_name: vertex
    litellm_params:
      model: vertex_ai/gemini-2.5-pro
      vertex_project: p-1
      vertex_credentials:
        {type: authorized_user, client_id: c, client_secret: hidden, refresh_token: r, token_uri: '{provider}/token'}
router_settings: {num_retries: 0}
";
    let world = World::start(config).await;
    world
        .provider
        .always("/token", Answer::json(400, json!({"error": "invalid_grant", "error_description": "hidden"})));
    let reply = world.chat(&json!({"model": "vertex", "messages": [{"role": "user", "content": "hi"}]})).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert!(reply.text().contains("invalid_grant") && !reply.text().contains("hidden"), "{}", reply.text());
}

#[tokio::test]
async fn a_candidate_that_does_not_say_why_it_ended_was_cut() {
    let world = World::start(GEMINI).await;
    let said = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "half a"}]}, "index": 0}]});
    world.provider.script([Answer::sse([SseItem::data(said)]).until_close()]);
    let reply = world.chat_with(&[WITH_MASTER], &hi_streamed("gemini")).await;
    let events = reply.events();
    let told = events.last().unwrap().json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(told.starts_with("litellm."), "{}", reply.text());
    assert!(reply.text().contains("half a") && !reply.text().contains("[DONE]"), "{}", reply.text());
}
