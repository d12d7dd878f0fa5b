//! The Responses API on a socket: each `response.create` is a call of its own.

use serde_json::{Value, json};
use tollgate_kit::{Answer, Place, SseItem};
use tollgate_net::NoSocket;

use crate::{
    realtime::{Talk, open},
    world::{MASTER, WITH_MASTER, World},
};

const MODELS: &str = "
model_list:
  - model_name: native
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: mocked
    litellm_params: {model: openai/x, mock_response: one two three}
router_settings: {num_retries: 0}
";

async fn world(settings: &str) -> World {
    World::start(&format!("{MODELS}general_settings: {{master_key: '{{master}}', {settings}}}\n")).await
}

async fn talk(world: &World) -> Talk {
    open(world, "/v1/responses", &[WITH_MASTER]).await.unwrap()
}

/// An answer of the provider's own under this id.
fn made(id: &str, text: &str) -> Value {
    let said = json!({"type": "output_text", "text": text, "annotations": []});
    json!({"id": id, "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o-2024", "error": null,
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [said]}],
        "usage": {"input_tokens": 8, "output_tokens": 2, "total_tokens": 10}})
}

fn streamed(id: &str, text: &str) -> [SseItem; 3] {
    let event = |kind: &str, more: Value| {
        let mut event = json!({"type": kind});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        SseItem::event(kind, event)
    };
    let mut begun = made(id, "");
    (begun["status"], begun["output"], begun["usage"]) = ("in_progress".into(), json!([]), Value::Null);
    [
        event("response.created", json!({"response": begun})),
        event("response.output_text.delta", json!({"output_index": 0, "content_index": 0, "delta": text})),
        event("response.completed", json!({"response": made(id, text)})),
    ]
}

fn create(model: &str, more: &Value) -> String {
    let mut asked = json!({"type": "response.create", "model": model, "input": "Hi"});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked.to_string()
}

/// All events up to the last of an answer.
async fn heard(talk: &mut Talk) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let event = talk.hear().await;
        let kind = event["type"].as_str().unwrap().to_owned();
        all.push(event);
        if ["response.completed", "response.failed", "error"].contains(&kind.as_str()) {
            return all;
        }
    }
}

#[tokio::test]
async fn what_nobody_keeps_is_continued_on_its_socket() {
    let world = world("").await;
    world.provider.script([Answer::sse(streamed("resp_up1", "Hello")), Answer::sse(streamed("resp_up2", "Bye"))]);
    let mut talk = talk(&world).await;
    talk.say(&create("native", &json!({"store": false, "stream": false, "background": false}))).await;
    let events = heard(&mut talk).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["response.created", "response.output_text.delta", "response.completed"]);
    let response = &events[2]["response"];
    assert_eq!((&response["model"], &response["usage"]["total_tokens"]), (&json!("gpt-4o-2024"), &json!(10)));
    assert_eq!(world.settled(1).await.input, 8);
    let next = [json!({"type": "message", "role": "user", "content": "And now?"})];
    talk.say(&create("native", &json!({"store": false, "previous_response_id": response["id"], "input": next}))).await;
    assert_eq!(heard(&mut talk).await[1]["delta"], "Bye");
    assert_eq!(world.settled(2).await.input, 16);
    let calls = world.provider.calls();
    assert_eq!(calls[0].json(), json!({"model": "gpt-4o", "input": "Hi", "store": false, "stream": true}));
    let sent = calls[1].json();
    assert!(sent.get("previous_response_id").is_none(), "{sent}");
    let said: Vec<&Value> = sent["input"].as_array().unwrap().iter().map(|item| &item["role"]).collect();
    assert_eq!(said, ["user", "assistant", "user"], "{sent}");
}

#[tokio::test]
async fn a_model_without_the_api_answers_on_a_socket_too() {
    let world = world("").await;
    let mut talk = talk(&world).await;
    for _ in 0..2 {
        talk.say(&create("mocked", &json!({}))).await;
        let events = heard(&mut talk).await;
        assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["text"], "one two three");
    }
    // Nothing yet, to be continued.
    talk.say(&create("native", &json!({"generate": false, "store": false, "input": "Rules"}))).await;
    let prepared = heard(&mut talk).await;
    assert_eq!((prepared.len(), &prepared[1]["response"]["output"]), (2, &json!([])));
    world.provider.script([Answer::sse(streamed("resp_up1", "Hello"))]);
    let id = &prepared[1]["response"]["id"];
    talk.say(&create("native", &json!({"previous_response_id": id, "store": false}))).await;
    heard(&mut talk).await;
    let sent = world.provider.only_call().json();
    assert_eq!(sent["input"].as_array().map(Vec::len), Some(2), "{sent}");
}

#[tokio::test]
async fn what_is_wrong_is_told_and_the_socket_goes_on() {
    let world = world("").await;
    let mut talk = talk(&world).await;
    for (said, status) in [
        ("no JSON".to_owned(), 400),
        (json!({"type": "response.dance"}).to_string(), 400),
        (create("nobody", &json!({})), 400),
        (create("native", &json!({"input": null})), 400),
    ] {
        talk.say(&said).await;
        let told = talk.hear().await;
        assert_eq!((&told["type"], &told["status"]), (&json!("error"), &json!(status)), "{told}");
        assert!(told["error"]["message"].as_str().is_some_and(|words| !words.is_empty()), "{told}");
    }
    world.provider.script([Answer::json(429, json!({"error": {"message": "slow down"}}))]);
    talk.say(&create("native", &json!({}))).await;
    assert_eq!(talk.hear().await["status"], 429);
    talk.say(&create("mocked", &json!({}))).await;
    assert_eq!(heard(&mut talk).await.last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn a_client_that_leaves_while_the_provider_thinks_ends_the_call() {
    let world = world("").await;
    world.provider.script([Answer::sse(streamed("resp_up1", "Hello")).stall(Place::BeforeHead)]);
    let mut talk = talk(&world).await;
    talk.say(&create("native", &json!({}))).await;
    world.provider.wait_for_calls(1).await;
    drop(talk);
    world.settled(1).await;
    world.eventually("the provider is left", || world.provider.only_call().client_left().then_some(())).await;
}

#[tokio::test]
async fn a_socket_needs_a_key_and_has_an_end() {
    let world = world("responses_websocket_session_limit_seconds: 0.2").await;
    for headers in [vec![], vec![("authorization", "Bearer sk-wrong")]] {
        let Err(NoSocket::Refused { status, .. }) = open(&world, "/v1/responses", &headers).await else {
            panic!("a socket without a key")
        };
        assert_eq!(status.as_u16(), 401);
    }
    let browser = [("sec-websocket-protocol", format!("realtime, openai-insecure-api-key.{MASTER}"))];
    let browser: Vec<(&str, &str)> = browser.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut talk = open(&world, "/v1/responses", &browser).await.unwrap();
    let told = talk.hear().await;
    assert_eq!(told["error"]["code"], "websocket_connection_limit_reached", "{told}");
    assert_eq!(talk.closed().await.code, 1001);
    assert_eq!(world.get("/v1/responses").await.status, 400);
}
