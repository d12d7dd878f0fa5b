//! Anthropic's clients: their words in and out, whoever answers.

use serde_json::{Value, json};
use tollgate_kit::{
    Answer, SseItem,
    http::{self, Event, Reply},
};

use crate::world::{MASTER, World};

/// `claude` in its own words, `vllm` in `OpenAI`'s, `mocked` in nobody's.
const MODELS: &str = "
model_list:
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: '{provider}', api_key: sk-ant-fake}
  - model_name: vllm
    litellm_params: {model: hosted_vllm/qwen, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: mocked
    litellm_params: {model: hosted_vllm/none, api_base: '{provider}/v1', mock_response: 'hello there'}
router_settings: {num_retries: 0}
general_settings: {master_key: '{master}'}
";

fn hi(model: &str) -> Value {
    json!({"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]})
}

fn streamed(model: &str) -> Value {
    let mut body = hi(model);
    body["stream"] = true.into();
    body
}

async fn ask(world: &World, path: &str, body: &Value) -> Reply {
    http::post(&world.at(path), &[("x-api-key", MASTER)], body).await
}

async fn messages(world: &World, body: &Value) -> Reply {
    ask(world, "/v1/messages", body).await
}

/// Fails unless this is a refusal in Anthropic's envelope; gives its words.
#[track_caller]
fn refused(reply: &Reply, status: u16, kind: &str) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    let body = reply.json();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{body}");
    body["error"]["message"].as_str().expect("a message").to_owned()
}

fn names(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.json()["type"].as_str().unwrap_or_default().to_owned()).collect()
}

fn text_of(events: &[Event]) -> String {
    let texts = events.iter().filter_map(|event| event.json()["delta"]["text"].as_str().map(str::to_owned));
    texts.collect()
}

fn message() -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Hello!"}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 20, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0,
            "output_tokens": 9}, "of_tomorrow": {"kept": true}})
}

#[tokio::test]
async fn claude_is_asked_and_answers_in_its_own_words() {
    let world = World::start(MODELS).await;
    world.provider.script([Answer::json(200, message())]);
    let mut body = hi("claude");
    body["metadata"] = json!({"user_id": "user_1"});
    body["of_tomorrow"] = json!([1]);
    let headers =
        [("x-api-key", MASTER), ("anthropic-beta", "context-1m-2025-08-07"), ("anthropic-version", "2023-06-01")];
    let reply = http::post(&world.at("/v1/messages?beta=true"), &headers, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut expected = message();
    expected["model"] = "claude".into();
    assert_eq!(reply.json(), expected);
    assert!(reply.header("x-litellm-call-id").is_some() && reply.header("x-litellm-response-cost").is_some());
    let call = world.provider.only_call();
    assert_eq!((call.path.as_str(), call.header("x-api-key")), ("/v1/messages", Some("sk-ant-fake")));
    assert_eq!(call.header("anthropic-beta"), Some("context-1m-2025-08-07"));
    let sent = call.json();
    assert_eq!((&sent["model"], &sent["of_tomorrow"]), (&json!("claude-sonnet-4-5"), &json!([1])));
    assert_eq!(sent["metadata"], json!({"user_id": "user_1"}));
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.output, totals.unstated), (120, 9, 0));
}

#[tokio::test]
async fn a_stream_of_claudes_passes_event_by_event_and_is_metered() {
    let world = World::start(MODELS).await;
    let event = |document: Value| SseItem::event(document["type"].as_str().unwrap(), document.clone());
    let mut opening = message();
    opening["content"] = json!([]);
    world.provider.script([Answer::sse([
        event(json!({"type": "message_start", "message": opening})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        event(json!({"type": "ping"})),
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}})),
        event(json!({"type": "content_block_stop", "index": 0})),
        event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}})),
        event(json!({"type": "message_stop"})),
    ])]);
    let reply = messages(&world, &streamed("claude")).await;
    let events = reply.events();
    assert_eq!((reply.status, text_of(&events).as_str()), (200, "Hello"));
    assert_eq!(events[0].json()["message"]["model"], "claude");
    assert_eq!(names(&events).last().map(String::as_str), Some("message_stop"));
    assert!(reply.text().starts_with("event: message_start\n"), "{}", reply.text());
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.output, totals.unstated), (120, 15, 0));
}

#[tokio::test]
async fn other_models_answer_in_claudes_words() {
    let world = World::start(MODELS).await;
    let reply = messages(&world, &hi("vllm")).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["type"], &body["model"]), (200, &json!("message"), &json!("vllm")));
    assert!(body["usage"]["output_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{body}");
    let events = messages(&world, &streamed("vllm")).await.events();
    let names = names(&events);
    assert_eq!((names[0].as_str(), names[1].as_str()), ("message_start", "content_block_start"));
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    assert!(events[events.len() - 2].json()["usage"]["output_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
}

#[tokio::test]
async fn one_document_is_told_as_a_stream() {
    let world = World::start(MODELS).await;
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "length"});
    let chat = json!({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}});
    world.provider.script([Answer::json(200, message()), Answer::json(200, chat)]);
    for (model, reason, output) in [("claude", "end_turn", 9), ("vllm", "max_tokens", 4)] {
        let events = messages(&world, &streamed(model)).await.events();
        assert_eq!(text_of(&events), "Hello!", "{model}");
        let end = events[events.len() - 2].json();
        assert_eq!((&end["delta"]["stop_reason"], &end["usage"]["output_tokens"]), (&json!(reason), &json!(output)));
        assert_eq!(names(&events).last().map(String::as_str), Some("message_stop"));
    }
}

#[tokio::test]
async fn mocked_answers_have_claudes_shape() {
    let world = World::start(MODELS).await;
    let whole = messages(&world, &hi("mocked")).await.json();
    assert_eq!((&whole["content"][0]["text"], &whole["stop_reason"]), (&json!("hello there"), &json!("end_turn")));
    let events = messages(&world, &streamed("mocked")).await.events();
    assert_eq!(text_of(&events), "hello there");
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn every_refusal_has_claudes_shape() {
    let world = World::start(MODELS).await;
    let at = world.at("/v1/messages");
    refused(&http::post(&at, &[], &hi("claude")).await, 401, "authentication_error");
    refused(
        &http::post(&at, &[("authorization", "Bearer sk-wrong")], &hi("claude")).await,
        401,
        "authentication_error",
    );
    let words = refused(&messages(&world, &hi("nobody")).await, 400, "invalid_request_error");
    assert!(words.contains("nobody"), "{words}");
    for messages_of in [json!("hi"), json!([]), json!([{"role": "wizard", "content": "x"}])] {
        let mut body = hi("vllm");
        body["messages"] = messages_of;
        refused(&messages(&world, &body).await, 400, "invalid_request_error");
        refused(&ask(&world, "/v1/messages/count_tokens", &body).await, 400, "invalid_request_error");
    }
    refused(&world.get("/v1/messages").await, 405, "invalid_request_error");
    refused(&ask(&world, "/v1/messages/batches", &json!({})).await, 404, "not_found_error");
    assert!(world.provider.calls().is_empty());
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    world.provider.script([Answer::json(529, overloaded.clone()), Answer::json(429, overloaded)]);
    let reply = messages(&world, &hi("claude")).await;
    assert!(reply.json()["error"]["message"].as_str().is_some_and(|words| words.contains("Overloaded")));
    refused(&messages(&world, &streamed("claude")).await, 429, "rate_limit_error");
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_in_claudes_shape() {
    let world = World::of(MODELS).bounds(|bounds| bounds.max_body_bytes = 200).start().await;
    let mut body = hi("claude");
    body["system"] = "x".repeat(300).into();
    refused(&messages(&world, &body).await, 413, "request_too_large");
}

#[tokio::test]
async fn claude_counts_itself_and_for_others_we_count() {
    let world = World::start(MODELS).await;
    world.provider.script([Answer::json(200, json!({"input_tokens": 8}))]);
    let mut body = hi("claude");
    body.as_object_mut().unwrap().remove("max_tokens");
    let counted = ask(&world, "/v1/messages/count_tokens?beta=true", &body).await;
    assert_eq!((counted.status, &counted.json()["input_tokens"]), (200, &json!(8)), "{}", counted.text());
    assert_eq!(world.provider.only_call().path, "/v1/messages/count_tokens");
    body["model"] = "vllm".into();
    let one = ask(&world, "/v1/messages/count_tokens", &body).await.json()["input_tokens"].as_u64().unwrap();
    body["system"] = "a good deal more to count".into();
    let more = ask(&world, "/v1/messages/count_tokens", &body).await.json()["input_tokens"].as_u64().unwrap();
    assert!(0 < one && one < more, "{one} {more}");
    assert_eq!(world.provider.calls().len(), 1, "nobody else was asked");
    let totals = world.settled(3).await;
    assert_eq!((totals.input, totals.output), (0, 0), "counting is free");
}

/// What a coding agent sends: instructions with marks for the cache, many tools, thoughts, results of tools.
fn agents_turn(model: &str) -> Value {
    let mark = json!({"type": "ephemeral"});
    let tools: Vec<Value> = (0..20)
        .map(|at| {
            json!({"name": format!("Tool{at}"), "description": "does", "input_schema": {"type": "object",
                "properties": {"path": {"type": "string"}}, "required": ["path"], "additionalProperties": false}})
        })
        .collect();
    json!({"model": model, "max_tokens": 32000, "stream": true, "temperature": 1, "tools": tools,
        "metadata": {"user_id": format!("user_{}_account__session_{}", "0".repeat(64), "1".repeat(36))},
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "system": [{"type": "text", "text": "You are an agent.", "cache_control": mark},
            {"type": "text", "text": "Be brief.", "cache_control": mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<reminder>"}, {"type": "text", "text": "Fix it"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Look first", "signature": "SEAL"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "Tool1", "input": {"path": "a"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "fn main() {}",
                "cache_control": mark}]}]})
}

#[tokio::test]
async fn a_coding_agent_is_served_by_any_model() {
    let world = World::start(MODELS).await;
    let headers = [
        ("authorization", &*format!("Bearer {MASTER}")),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14"),
        ("x-app", "cli"),
    ];
    let events = http::post(&world.at("/v1/messages?beta=true"), &headers, &agents_turn("vllm")).await.events();
    assert_eq!(names(&events).last().map(String::as_str), Some("message_stop"));
    let sent = world.provider.only_call();
    assert_eq!(sent.path, "/v1/chat/completions");
    assert!(sent.header("anthropic-beta").is_none());
    let sent = sent.json();
    assert!(!sent.to_string().contains("cache_control"), "{sent}");
    for absent in ["context_management", "thinking", "metadata", "system"] {
        assert!(sent.get(absent).is_none(), "{absent}");
    }
    assert_eq!((&sent["reasoning_effort"], sent["tools"].as_array().map(Vec::len)), (&json!("high"), Some(20)));
    let roles: Vec<&str> =
        sent["messages"].as_array().unwrap().iter().map(|said| said["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool"]);
}
