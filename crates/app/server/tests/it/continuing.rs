//! Streams that break after content and go on at another deployment.

use serde_json::{Value, json};
use tollgate_kit::{Answer, Call, Place, SseItem};

use crate::world::{World, hi_streamed};

const ON: &str = "continuation: {enabled: true}";

/// `one` is asked first; `two` may go on.
fn config(one: &str, two: &str, router: &str) -> String {
    let entry = |model: &str, order: u64| {
        let base = if model.starts_with("anthropic/") { "{provider}" } else { "{provider}/v1" };
        format!(
            "  - model_name: gpt\n    litellm_params: {{model: {model}, api_base: '{base}', api_key: sk-fake-provider-key, \
             order: {order}, input_cost_per_token: 0.001, output_cost_per_token: 0.001}}\n"
        )
    };
    format!("model_list:\n{}{}router_settings: {{num_retries: 0, {router}}}\n", entry(one, 1), entry(two, 2))
}

fn is_for(model: &'static str) -> impl Fn(&Call) -> bool + Send + 'static {
    move |call| call.json()["model"] == model
}

#[expect(clippy::needless_pass_by_value, reason = "tests write json!(…) in place")]
fn delta(delta: Value) -> SseItem {
    SseItem::data(json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}))
}

fn words(words: &[&str]) -> Vec<SseItem> {
    words.iter().map(|word| delta(json!({ "content": word }))).collect()
}

fn to_the_end(said: &[&str]) -> Answer {
    let mut items = words(said);
    items.push(SseItem::data(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})));
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33});
    items.push(SseItem::data(json!({"choices": [], "usage": usage})));
    items.push(SseItem::done());
    Answer::sse(items)
}

/// Cut in the midst of an event.
fn cut(said: &[&str]) -> Answer {
    let mut items = words(said);
    items.extend(words(&["never seen"]));
    Answer::sse(items).cut(Place::InsideEvent(said.len()))
}

fn claude(said: &[&str]) -> Answer {
    let mut items = vec![
        SseItem::event(
            "message_start",
            json!({"type": "message_start", "message": {"id": "msg_2", "type": "message",
            "role": "assistant", "model": "claude", "content": [], "usage": {"input_tokens": 11, "output_tokens": 1}}}),
        ),
        SseItem::event(
            "content_block_start",
            json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}),
        ),
    ];
    items.extend(said.iter().map(|text| {
        let delta = json!({"type": "text_delta", "text": text});
        SseItem::event("content_block_delta", json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    }));
    items.push(SseItem::event("content_block_stop", json!({"type": "content_block_stop", "index": 0})));
    items.push(SseItem::event(
        "message_delta",
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 22}}),
    ));
    items.push(SseItem::event("message_stop", json!({"type": "message_stop"})));
    Answer::sse(items)
}

/// The documents of a stream.
fn events(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

fn said(text: &str) -> String {
    let events = events(text);
    let of = |event: &Value| {
        let chat = event.pointer("/choices/0/delta/content").and_then(Value::as_str);
        let message = event.pointer("/delta/text").and_then(Value::as_str);
        let response = event["delta"].as_str().filter(|_| event["type"] == "response.output_text.delta");
        chat.or(message).or(response).unwrap_or_default().to_owned()
    };
    events.iter().map(of).collect()
}

fn kinds(text: &str, kind: &str) -> usize {
    events(text).iter().filter(|event| event["type"] == kind).count()
}

fn with(body: &Value, members: &[(&str, Value)]) -> Value {
    let mut body = body.clone();
    for (name, value) in members {
        body[*name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_chat_that_is_cut_in_the_midst_of_a_word_goes_on_with_it() {
    let world = World::start(&config("openai/one", "mistral/two", ON)).await;
    world.provider.script_when(is_for("one"), [cut(&["Hel", "lo wor"])]);
    world.provider.script_when(is_for("two"), [to_the_end(&["ld", " and all"])]);
    let usage = json!({"include_usage": true});
    let body = with(&hi_streamed("gpt"), &[("stream_options", usage), ("max_tokens", json!(100))]);
    let reply = world.chat(&body).await;
    let text = reply.text();
    assert_eq!((reply.status, said(&text).as_str()), (200, "Hello world and all"), "{text}");
    assert!(text.trim_end().ends_with("[DONE]") && !text.contains("error"), "{text}");
    let ids: Vec<Value> = events(&text).iter().map(|event| event["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one answer, one id: {ids:?}");
    let calls = world.provider.calls();
    let asked = calls[1].json();
    let messages = asked["messages"].as_array().unwrap();
    assert_eq!(messages[1], json!({"role": "assistant", "content": "Hello wor", "prefix": true}));
    assert_eq!((messages.len(), &asked["max_tokens"]), (2, &json!(98)));
    let totals = world.settled(2).await;
    let told = events(&text).into_iter().find_map(|event| event.get("usage").filter(|usage| !usage.is_null()).cloned());
    let told = told.unwrap_or_else(|| panic!("no usage in {text}"));
    assert_eq!(told["prompt_tokens"].as_u64(), Some(totals.input), "the usage is that of both: {told}");
    assert_eq!(told["completion_tokens"].as_u64(), Some(totals.output), "{told}");
    assert!(totals.input > 11 && totals.output > 22 && totals.unstated == 1, "{totals:?}");
    let cost = told["cost"].as_f64().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let due = (totals.input + totals.output) as f64 * 0.001;
    assert!((cost - due).abs() < 1e-9, "{cost} for {due}");
}

#[tokio::test]
async fn white_space_that_claude_refuses_is_not_told_and_not_said_twice() {
    for (pieces, more, whole) in [
        (["Hello", " "], [" world", "!"], "Hello world!"),
        (["Hello", "\n\n"], ["\n", "\nNext"], "Hello\n\nNext"),
        (["Hel", "lo"], [" world", ""], "Hello world"),
    ] {
        let world = World::start(&config("openai/one", "anthropic/claude-3-haiku-20240307", ON)).await;
        world.provider.script_when(is_for("one"), [cut(&pieces)]);
        world.provider.script_when(is_for("claude-3-haiku-20240307"), [claude(&more)]);
        let reply = world.chat(&hi_streamed("gpt")).await;
        assert_eq!(said(&reply.text()), whole, "{}", reply.text());
        let asked = world.provider.calls()[1].json();
        assert_eq!(asked["messages"][1]["role"], "assistant", "{asked}");
        let told = asked["messages"][1]["content"].to_string();
        assert!(told.contains("\"Hello\""), "{told}");
        world.settled(2).await;
    }
}

#[tokio::test]
async fn a_message_goes_on_in_its_one_block() {
    for (one, first) in [
        ("openai/one", cut(&["Hel", "lo "])),
        // Its own words, which else would be passed on as they are.
        ("anthropic/one", claude(&["Hel", "lo "]).cut(Place::AfterEvents(4))),
    ] {
        let world = World::start(&config(one, "anthropic/claude-sonnet-4-5", ON)).await;
        world.provider.script_when(is_for("one"), [first]);
        world.provider.script_when(is_for("claude-sonnet-4-5"), [claude(&[" wor", "ld"])]);
        let body = with(&hi_streamed("gpt"), &[("max_tokens", json!(50))]);
        let reply = world.post("/v1/messages", &body).await;
        let text = reply.text();
        assert_eq!((reply.status, said(&text).as_str()), (200, "Hello world"), "{text}");
        let once = ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"];
        assert_eq!(once.map(|kind| kinds(&text, kind)), [1; 5], "{text}");
        assert_eq!(kinds(&text, "error"), 0);
        world.settled(2).await;
    }
}

#[tokio::test]
async fn a_response_goes_on_in_its_one_item_where_the_first_had_no_responses_of_its_own() {
    let world = World::start(&config("openai_like/one", "hosted_vllm/two", ON)).await;
    world.provider.script_when(is_for("one"), [cut(&["Hel", "lo wor"])]);
    world.provider.script_when(is_for("two"), [to_the_end(&["ld"])]);
    let reply = world.post("/v1/responses", &json!({"model": "gpt", "input": "hi", "stream": true})).await;
    let text = reply.text();
    assert_eq!(said(&text), "Hello world", "{text}");
    let last = events(&text).pop().unwrap();
    assert_eq!(last["type"], "response.completed", "{text}");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hello world", "{last}");
    let asked = world.provider.calls()[1].json();
    assert_eq!((&asked["continue_final_message"], &asked["add_generation_prompt"]), (&json!(true), &json!(false)));
    world.settled(2).await;
}

#[tokio::test]
async fn a_stream_that_stalls_goes_on_and_so_does_one_at_a_fallback() {
    let stalls = format!("{ON}, stream_idle_timeout: 0.2");
    let world = World::start(&config("openai/one", "mistral/two", &stalls)).await;
    world.provider.script_when(is_for("one"), [Answer::sse(words(&["Hel", "lo"])).stall(Place::AfterEvents(2))]);
    world.provider.script_when(is_for("two"), [to_the_end(&[" world"])]);
    assert_eq!(said(&world.chat(&hi_streamed("gpt")).await.text()), "Hello world");
    world.settled(2).await;

    let fallback = format!("{ON}, fallbacks: [{{gpt: [spare]}}]");
    let config = config("openai/one", "openai/deaf", &fallback).replace(
        "router_settings",
        "  - model_name: spare\n    litellm_params: {model: mistral/two, api_base: '{provider}/v1', api_key: \
         sk-fake-provider-key}\nrouter_settings",
    );
    let world = World::start(&config).await;
    world.provider.script_when(is_for("one"), [cut(&["Hel", "lo"])]);
    world.provider.script_when(is_for("two"), [to_the_end(&[" world"])]);
    assert_eq!(said(&world.chat(&hi_streamed("gpt")).await.text()), "Hello world");
    world.settled(2).await;
}

#[tokio::test]
async fn what_cannot_go_on_ends_with_the_error_as_ever() {
    let call = delta(
        json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}]}),
    );
    let plain = hi_streamed("gpt");
    let mut with_call = words(&["Hello"]);
    with_call.extend([call.clone(), call]);
    let in_band = |status: u64| {
        let mut items = words(&["Hello"]);
        items.push(SseItem::data(json!({"error": {"message": "no", "type": "x", "code": status}})));
        Answer::sse(items)
    };
    for (why, second, router, first, body) in [
        ("off", "mistral/two", "timeout: 60", cut(&["Hello"]), plain.clone()),
        ("nobody can", "openai/two", ON, cut(&["Hello"]), plain.clone()),
        ("Claude 4.6 cannot", "anthropic/claude-opus-4-6", ON, cut(&["Hello"]), plain.clone()),
        ("a tool is called", "mistral/two", ON, Answer::sse(with_call).cut(Place::AfterEvents(2)), plain.clone()),
        ("too long", "mistral/two", "continuation: {enabled: true, max_kept_bytes: 4}", cut(&["Hello"]), plain.clone()),
        ("the client's mistake", "mistral/two", ON, in_band(400), plain.clone()),
        (
            "none are allowed",
            "mistral/two",
            "continuation: {enabled: true, max_continuations: 0}",
            cut(&["Hello"]),
            plain.clone(),
        ),
        ("two answers", "mistral/two", ON, cut(&["Hello"]), with(&plain, &[("n", json!(2))])),
        ("nothing said", "mistral/two", ON, cut(&[" "]), plain.clone()),
    ] {
        let world = World::start(&config("openai/one", second, router)).await;
        world.provider.script_when(is_for("one"), [first]);
        let text = world.chat(&body).await.text();
        assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{why}: {text}");
        assert_eq!(world.provider.calls().len(), 1, "{why}");
        world.settled(1).await;
    }
    let world = World::start(&config("openai/one", "mistral/two", ON)).await;
    world.provider.script_when(is_for("one"), [in_band(500)]);
    world.provider.script_when(is_for("two"), [to_the_end(&[" world"])]);
    assert_eq!(said(&world.chat(&plain).await.text()), "Hello world", "an error event of the provider's own");
}

#[tokio::test]
async fn a_second_break_is_told_and_both_attempts_are_booked() {
    let refused = Answer::json(503, json!({"error": {"message": "busy", "type": "x", "code": null}}));
    for (second, heard) in [(cut(&[" wor"]), "Hello wor"), (refused, "Hello")] {
        let world = World::start(&config("openai/one", "mistral/two", ON)).await;
        world.provider.script_when(is_for("one"), [cut(&["Hello"])]);
        world.provider.script_when(is_for("two"), [second]);
        let text = world.chat(&hi_streamed("gpt")).await.text();
        assert_eq!(said(&text), heard, "{text}");
        assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
        world.settled(2).await;
    }
}

#[tokio::test]
async fn the_next_one_is_closed_when_the_client_leaves_meanwhile() {
    let world = World::start(&config("openai/one", "mistral/two", ON)).await;
    world.provider.script_when(is_for("one"), [cut(&["Hello"])]);
    world.provider.script_when(is_for("two"), [to_the_end(&[]).stall(Place::BeforeHead)]);
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
    world.provider.wait_for_calls(2).await;
    drop(connection);
    world.provider.wait_until("the next one is closed", |call| is_for("two")(call) && call.client_left()).await;
    world.settled(2).await;
}
