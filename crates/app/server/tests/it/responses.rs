//! The Responses API: passed on, told in other words, and what can be done with answers afterwards.

use serde_json::{Value, json};
use tollgate_kit::{
    Answer, SseItem,
    http::{Event, Reply, get, post},
};

use crate::world::{Plan, WITH_MASTER, World, refused};

const SALT: (&str, &str) = ("LITELLM_SALT_KEY", "a-salt-for-tests");

/// A model whose provider has the API, one whose provider has not, and a mock.
const MODELS: &str = "
model_list:
  - model_name: native
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
    model_info: {id: native-1}
  - model_name: bridged
    litellm_params: {model: anthropic/claude-sonnet-4-5-20250929, api_base: '{provider}', api_key: sk-fake-provider-key}
  - model_name: mocked
    litellm_params: {model: openai/x, mock_response: one two three}
router_settings: {num_retries: 0}
";

fn plan(more: &str) -> Plan {
    World::of(&format!("{MODELS}{more}"))
}

/// A provider's own answer under this id.
fn made(id: &str) -> Value {
    let said = json!({"type": "output_text", "text": "Hi!", "annotations": []});
    json!({"id": id, "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o-2024", "error": null,
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [said]}],
        "previous_response_id": null, "of_tomorrow": [1],
        "usage": {"input_tokens": 8, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 10}})
}

async fn ask(world: &World, body: &Value) -> Reply {
    world.post("/v1/responses", body).await
}

async fn with(world: &World, method: &str, path: &str) -> Reply {
    let mut connection = world.connect().await;
    connection.ask(method, path, &[], b"").await;
    connection.reply().await
}

fn id_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

fn kinds(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.json()["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_answer_of_the_providers_own_is_found_again_by_a_sealed_id() {
    let world = plan("").start().await;
    world.provider.script_for("POST /v1/responses", [Answer::json(200, made("resp_up1"))]);
    let reply = ask(&world, &json!({"model": "native", "input": "Hi", "metadata": {"a": "b"}, "own": 1})).await;
    let id = id_of(&reply);
    assert_eq!((&reply.json()["of_tomorrow"], &reply.json()["model"]), (&json!([1]), &json!("native")));
    assert!(id.starts_with("resp_") && !id.contains("up1"), "{id}");
    assert!(reply.header("x-litellm-response-cost").is_some());
    let sent = world.provider.only_call().json();
    assert_eq!(sent, json!({"model": "gpt-4o", "input": "Hi", "metadata": {"a": "b"}, "own": 1}));

    let mut kept = made("resp_up1");
    kept["previous_response_id"] = "resp_up0".into();
    world.provider.script_for("GET /v1/responses/resp_up1", [Answer::json(200, kept)]);
    let shown = get(&world.at(&format!("/openai/v1/responses/{id}?include[]=x&api-version=1")), &[]).await;
    assert_eq!((id_of(&shown), &shown.json()["model"]), (id.clone(), &json!("native")));
    assert!(!shown.text().contains("resp_up"), "{}", shown.text());

    let list = json!({"object": "list", "data": []});
    world.provider.script_for("GET /v1/responses/resp_up1/input_items", [Answer::json(200, list.clone())]);
    assert_eq!(get(&world.at(&format!("/responses/{id}/input_items?limit=2&x=y")), &[]).await.json(), list);
    world.provider.script_for("POST /v1/responses/resp_up1/cancel", [Answer::json(200, made("resp_up1"))]);
    assert_eq!(id_of(&with(&world, "POST", &format!("/v1/responses/{id}/cancel")).await), id);
    let deleted = json!({"id": "resp_up1", "object": "response", "deleted": true});
    world.provider.script_for("DELETE /v1/responses/resp_up1", [Answer::json(200, deleted)]);
    assert_eq!(id_of(&with(&world, "DELETE", &format!("/v1/responses/{id}")).await), id);

    let calls = world.provider.calls();
    let queries: Vec<&str> = calls.iter().map(|call| call.query.as_str()).collect();
    assert_eq!(queries, ["", "include[]=x", "limit=2", "", ""]);
    assert!(calls.iter().all(|call| call.header("authorization") == Some("Bearer sk-fake-provider-key")));
    assert_eq!(world.settled(1).await.opened, 1);
}

#[tokio::test]
async fn what_the_provider_refuses_afterwards_is_told_in_its_words() {
    let world = plan("").start().await;
    world.provider.script_for("POST /v1/responses", [Answer::json(200, made("resp_up1"))]);
    let id = id_of(&ask(&world, &json!({"model": "native", "input": "Hi"})).await);
    let gone = json!({"error": {"message": "no resp_up1 here, sk-fake-provider-key", "type": "invalid_request_error"}});
    world.provider.script_for("GET /v1/responses/*", [Answer::json(404, gone)]);
    let words = refused(&get(&world.at(&format!("/v1/responses/{id}")), &[]).await, 404);
    assert!(words.contains("no resp_up1 here") && !words.contains("sk-fake-provider-key"), "{words}");
    refused(&get(&world.at(&format!("/v1/responses/{id}?stream=true")), &[]).await, 400);
}

#[tokio::test]
async fn any_instance_with_the_salt_reads_an_id_but_for_its_owner_only() {
    let first = plan("").environment(SALT.0, SALT.1).start().await;
    first.provider.script_for("POST /v1/responses", [Answer::json(200, made("resp_up1"))]);
    let id = id_of(&ask(&first, &json!({"model": "native", "input": "Hi"})).await);

    let second = plan("").environment(SALT.0, SALT.1).start().await;
    second.provider.script_for("GET /v1/responses/resp_up1", [Answer::json(200, made("resp_up1"))]);
    assert_eq!(id_of(&second.get(&format!("/v1/responses/{id}")).await), id);

    let owned = plan("general_settings: {master_key: '{master}'}\n").environment(SALT.0, SALT.1).start().await;
    let path = owned.at(&format!("/v1/responses/{id}"));
    refused(&get(&path, &[]).await, 401);
    refused(&get(&path, &[WITH_MASTER]).await, 404);
    let body = json!({"model": "native", "input": "Hi", "previous_response_id": id});
    refused(&post(&owned.at("/v1/responses"), &[WITH_MASTER], &body).await, 404);
    assert!(owned.provider.calls().is_empty());

    let elsewhere = plan("").start().await;
    refused(&elsewhere.get(&format!("/v1/responses/{id}")).await, 404);
    refused(&elsewhere.get("/v1/responses/resp_68ab").await, 404);
}

#[tokio::test]
async fn an_answer_is_continued_where_it_was_made() {
    let world = World::of(
        "
model_list:
  - model_name: m
    litellm_params: {model: openai/a, api_base: '{provider}/a', api_key: sk-fake-provider-key}
  - model_name: m
    litellm_params: {model: openai/b, api_base: '{provider}/b', api_key: sk-fake-provider-key}
",
    )
    .start()
    .await;
    world.provider.always("POST /a/responses", Answer::json(200, made("resp_a")));
    world.provider.always("POST /b/responses", Answer::json(200, made("resp_b")));
    let id = id_of(&ask(&world, &json!({"model": "m", "input": "Hi"})).await);
    let home = world.provider.only_call().path;
    for _ in 0..12 {
        let reply = ask(&world, &json!({"model": "m", "input": "On", "previous_response_id": id})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let calls = world.provider.calls();
    assert!(calls.iter().all(|call| call.path == home), "{home}");
    let raw = if home.starts_with("/a") { "resp_a" } else { "resp_b" };
    assert!(calls[1..].iter().all(|call| call.json()["previous_response_id"] == raw));
}

#[tokio::test]
async fn a_conversation_with_a_model_without_the_api_goes_on_from_memory() {
    let world = plan("").start().await;
    let first = ask(&world, &json!({"model": "bridged", "input": "My name is Ada"})).await;
    let id = id_of(&first);
    let body =
        json!({"model": "bridged", "input": [{"role": "user", "content": "My name?"}], "previous_response_id": id});
    let second = ask(&world, &body).await;
    assert_eq!(second.json()["previous_response_id"], id.as_str());
    let messages = world.provider.calls()[1].json()["messages"].clone();
    let roles: Vec<&Value> = messages.as_array().unwrap().iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"], "{messages}");
    assert!(messages.to_string().contains("My name is Ada"), "{messages}");

    let third = id_of(&second);
    let items = world.get(&format!("/v1/responses/{third}/input_items?order=asc")).await.json();
    assert_eq!(items["data"].as_array().unwrap().len(), 3, "{items}");
    assert_eq!(world.get(&format!("/v1/responses/{third}")).await.json(), second.json());
    refused(&with(&world, "POST", &format!("/v1/responses/{third}/cancel")).await, 400);
    assert_eq!(with(&world, "DELETE", &format!("/v1/responses/{id}")).await.json()["deleted"], true);
    refused(&world.get(&format!("/v1/responses/{id}")).await, 404);
    let words = refused(&ask(&world, &body).await, 400);
    assert!(words.contains("is gone"), "{words}");
    assert_eq!(world.provider.calls().len(), 2);
}

#[tokio::test]
async fn a_streamed_answer_is_kept_like_a_whole_one_and_one_that_must_not_be_is_not() {
    let world = plan("").start().await;
    let body = json!({"model": "bridged", "input": "My name is Ada", "stream": true});
    let events = ask(&world, &body).await.events();
    let last = events.last().unwrap().json();
    assert_eq!(last["type"], "response.completed");
    let id = last["response"]["id"].as_str().unwrap();
    assert_eq!(world.get(&format!("/v1/responses/{id}")).await.json(), last["response"]);

    let unkept = id_of(&ask(&world, &json!({"model": "bridged", "input": "Hi", "store": false})).await);
    refused(&world.get(&format!("/v1/responses/{unkept}")).await, 404);
}

#[tokio::test]
async fn memory_has_a_bound() {
    let world = plan("general_settings: {kept_responses: 1}\n").start().await;
    let first = id_of(&ask(&world, &json!({"model": "mocked", "input": "Hi"})).await);
    let second = id_of(&ask(&world, &json!({"model": "mocked", "input": "Hi"})).await);
    refused(&world.get(&format!("/v1/responses/{first}")).await, 404);
    assert_eq!(world.get(&format!("/v1/responses/{second}")).await.status, 200);
}

#[tokio::test]
async fn a_mock_answers_whole_and_streamed() {
    let world = plan("").start().await;
    let whole = ask(&world, &json!({"model": "mocked", "input": "Hi"})).await.json();
    assert_eq!(whole["output"][0]["content"][0]["text"], "one two three");
    let events = ask(&world, &json!({"model": "mocked", "input": "Hi", "stream": true})).await.events();
    let kinds = kinds(&events);
    assert_eq!(
        kinds[..4],
        ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    );
    assert_eq!(kinds[4..7], ["response.output_text.delta"; 3]);
    assert_eq!(kinds.last().unwrap(), "response.completed");
    let numbers: Vec<u64> = events.iter().map(|event| event.json()["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..kinds.len() as u64), "{numbers:?}");
    assert!(events.iter().all(|event| event.name.as_deref() == event.json()["type"].as_str()));
}

#[tokio::test]
async fn a_provider_that_fails_in_its_stream_is_heard_and_booked_as_failed() {
    let world = plan("").start().await;
    let event =
        |kind: &str, response: Value| SseItem::data(json!({"type": kind, "sequence_number": 0, "response": response}));
    let mut failed = made("resp_up1");
    failed["status"] = "failed".into();
    failed["error"] = json!({"code": "server_error", "message": "boom"});
    let begun = json!({"id": "resp_up1", "object": "response", "status": "in_progress", "output": []});
    world.provider.script([Answer::sse([event("response.created", begun), event("response.failed", failed)])]);
    let reply = ask(&world, &json!({"model": "native", "input": "Hi", "stream": true})).await;
    let events = reply.events();
    assert_eq!(kinds(&events), ["response.created", "response.failed"]);
    assert_eq!(events[0].json()["response"]["id"], events[1].json()["response"]["id"]);
    assert!(!reply.text().contains("resp_up1"));
    assert_eq!(world.settled(1).await.settled, 1);
}

#[tokio::test]
async fn a_document_in_a_streams_place_is_told_as_events() {
    let world = plan("").start().await;
    world.provider.script([Answer::json(200, made("resp_up1"))]);
    let events = ask(&world, &json!({"model": "native", "input": "Hi", "stream": true})).await.events();
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.output_item.added",
            "response.output_text.delta",
            "response.output_item.done",
            "response.completed"
        ]
    );
}

#[tokio::test]
async fn what_is_no_request_is_refused_before_anyone_is_asked() {
    let world = plan("").start().await;
    for body in [
        json!({"model": "bridged"}),
        json!({"model": "bridged", "input": 3}),
        json!({"model": "bridged", "input": [{"type": "of_tomorrow"}]}),
        json!({"model": "bridged", "input": "Hi", "background": true}),
        json!({"model": "bridged", "input": "Hi", "tools": [{"name": "f"}]}),
        json!({"model": "bridged", "input": "Hi", "previous_response_id": "resp_unknown"}),
        json!({"model": "bridged", "input": "Hi", "stream": "yes"}),
    ] {
        refused(&ask(&world, &body).await, 400);
    }
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn counting_and_shortening_are_for_providers_that_can() {
    let world = plan("").start().await;
    let counted = json!({"object": "response.input_tokens", "input_tokens": 11});
    world.provider.script_for("POST /v1/responses/input_tokens", [Answer::json(200, counted.clone())]);
    let mut shorter = made("resp_up2");
    shorter["object"] = "response.compaction".into();
    world.provider.script_for("POST /v1/responses/compact", [Answer::json(200, shorter)]);
    let body = json!({"model": "native", "input": "Hi"});
    let reply = world.post("/v1/responses/input_tokens", &body).await;
    assert_eq!((reply.json(), reply.header("x-litellm-response-cost")), (counted, Some("0")));
    assert_eq!(world.post("/openai/v1/responses/compact", &body).await.json()["object"], "response.compaction");
    assert!(world.provider.calls().iter().all(|call| call.json()["model"] == "gpt-4o"));
    refused(
        &world.post("/v1/responses/input_tokens", &json!({"model": "native", "input": "Hi", "stream": true})).await,
        400,
    );
    for path in ["/v1/responses/input_tokens", "/responses/compact"] {
        refused(&world.post(path, &json!({"model": "bridged", "input": "Hi"})).await, 400);
    }
}

#[tokio::test]
async fn an_answer_may_be_continued_without_a_word() {
    let world = plan("").start().await;
    let id = id_of(&ask(&world, &json!({"model": "mocked", "input": "Hi"})).await);
    let on = ask(&world, &json!({"model": "bridged", "previous_response_id": id})).await;
    assert_eq!(on.status, 200, "{}", on.text());
    let messages = &world.provider.only_call().json()["messages"];
    assert_eq!(messages.as_array().unwrap().len(), 2, "{messages}");
}

#[tokio::test]
async fn azures_answers_are_found_below_the_resource() {
    let world = World::of(
        "
model_list:
  - model_name: m
    litellm_params: {model: azure/my-gpt, api_base: '{provider}', api_key: sk-fake-provider-key}
",
    )
    .start()
    .await;
    world.provider.script_for("POST /openai/v1/responses", [Answer::json(200, made("resp_up1"))]);
    world.provider.script_for("GET /openai/v1/responses/resp_up1", [Answer::json(200, made("resp_up1"))]);
    let id = id_of(
        &post(&world.at("/openai/responses?api-version=2025-04-01"), &[], &json!({"model": "m", "input": "Hi"})).await,
    );
    let shown = get(&world.at(&format!("/openai/responses/{id}?api-version=2025-04-01&include=a")), &[]).await;
    assert_eq!(id_of(&shown), id);
    let calls = world.provider.calls();
    let queries: Vec<&str> = calls.iter().map(|call| call.query.as_str()).collect();
    assert_eq!(queries, ["api-version=preview", "api-version=preview&include=a"]);
    assert!(calls.iter().all(|call| call.header("api-key") == Some("sk-fake-provider-key")));
}

/// The asked model's deployment knows nothing of the answer before: another account, another provider, or none.
#[tokio::test]
async fn an_answer_is_gone_on_with_where_it_is_kept() {
    let more = "  - model_name: sibling
    litellm_params: {model: openai/gpt-5, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: stranger
    litellm_params: {model: openai/gpt-6, api_base: '{provider}/v1', api_key: sk-another-account}
";
    let models = MODELS.replace("router_settings:", &format!("{more}router_settings:"));
    let world = World::start(&models).await;
    world.provider.always("POST /v1/responses", Answer::json(200, made("resp_up1")));
    let id = id_of(&ask(&world, &json!({"model": "native", "input": "Hi"})).await);
    for (model, asked, named) in
        [("native", "gpt-4o", "native"), ("sibling", "gpt-5", "sibling"), ("stranger", "gpt-4o", "native")]
    {
        let reply = ask(&world, &json!({"model": model, "input": "on", "previous_response_id": id})).await;
        assert_eq!((reply.status, &reply.json()["model"]), (200, &json!(named)), "{model}: {}", reply.text());
        let call = world.provider.calls().pop().unwrap();
        let sent = call.json();
        assert_eq!((&sent["model"], &sent["previous_response_id"]), (&json!(asked), &json!("resp_up1")), "{model}");
        assert_eq!(call.header("authorization"), Some("Bearer sk-fake-provider-key"));
    }
    let gone =
        models.replace("native-1", "native-2").replace("api_base: '{provider}/v1'", "api_base: 'http://127.0.0.1:1'");
    world.gateway.swap(crate::world::snapshot(&gone, tollgate_gateway::Environment::new()));
    let body = json!({"model": "stranger", "input": "on", "previous_response_id": id});
    let words = refused(&ask(&world, &body).await, 400);
    assert!(words.contains("configured no longer"), "{words}");
}
