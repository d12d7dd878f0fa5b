//! Who answers when a group does not, as the seeds show it.

use serde_json::{Value, json};
use tollgate_kit::{Answer, SseItem};

use crate::world::{World, hi, hi_streamed, refused};

/// The seeds' pair: `sonnet` is down, `haiku` answers.
const PAIR: &str = "
model_list:
  - {model_name: bedrock-claude-v3-sonnet, litellm_params: {model: openai/sonnet, api_base: '{provider}/down', api_key: sk-fake-provider-key}}
  - {model_name: bedrock-claude-v3-haiku, litellm_params: {model: openai/anthropic.claude-3-haiku-20240307-v1:0, api_base: '{provider}/v1', api_key: sk-fake-provider-key}}
litellm_settings:
  num_retries: 0
  fallbacks: [{'bedrock-claude-v3-sonnet': ['bedrock-claude-v3-haiku']}]
";

fn down(world: &World) {
    world.provider.always("/down/chat/completions", Answer::json(503, json!({"error": {"message": "down"}})));
}

fn models_asked(world: &World) -> Vec<String> {
    world.provider.calls().iter().map(|call| call.json()["model"].as_str().unwrap_or_default().to_owned()).collect()
}

/// SEED-85, SEED-88, SEED-114.
#[tokio::test]
async fn the_fallback_answers_under_its_own_name() {
    let world = World::start(PAIR).await;
    down(&world);
    let reply = world.chat(&hi("bedrock-claude-v3-sonnet")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["model"], "anthropic.claude-3-haiku-20240307-v1:0");
    assert_eq!(reply.header("x-litellm-attempted-fallbacks"), Some("1"));
    assert_eq!(reply.header("x-litellm-model-group"), Some("bedrock-claude-v3-haiku"));
    let streamed = world.chat(&hi_streamed("bedrock-claude-v3-sonnet")).await;
    assert!(
        streamed.text().contains("\"anthropic.claude-3-haiku-20240307-v1:0\"") && streamed.text().contains("[DONE]")
    );
    assert_eq!(world.settled(4).await.settled, 4);
}

/// SEED-147.
#[tokio::test]
async fn a_mocked_failure_is_answered_by_the_fallback() {
    let world = World::start(PAIR).await;
    let mut body = hi("bedrock-claude-v3-sonnet");
    body["mock_testing_fallbacks"] = json!(true);
    assert_eq!(world.chat(&body).await.status, 200);
    assert_eq!(models_asked(&world), ["anthropic.claude-3-haiku-20240307-v1:0"], "the first is not asked at all");
    assert!(world.provider.calls()[0].json().get("mock_testing_fallbacks").is_none());
}

/// SEED-146, SEED-148.
#[tokio::test]
async fn a_mocked_limit_fails_every_group_and_tells_the_story_of_the_seed() {
    let world = World::start(PAIR).await;
    let mut body = hi("bedrock-claude-v3-sonnet");
    body["mock_testing_rate_limit_error"] = json!(true);
    let words = refused(&world.chat(&body).await, 429);
    assert_eq!(
        words,
        "litellm.RateLimitError: This is a mock exception for model=bedrock-claude-v3-sonnet, to trigger a rate limit error.\nReceived Model Group=bedrock-claude-v3-sonnet\nAvailable Model Group Fallbacks=['bedrock-claude-v3-haiku']\nError doing the fallback: litellm.RateLimitError: This is a mock exception for model=bedrock-claude-v3-haiku, to trigger a rate limit error.No fallback model group found for original model_group=bedrock-claude-v3-haiku. Fallbacks=[{'bedrock-claude-v3-sonnet': ['bedrock-claude-v3-haiku']}]\nReceived Model Group=bedrock-claude-v3-haiku\nAvailable Model Group Fallbacks=None\nError doing the fallback: litellm.RateLimitError: This is a mock exception for model=bedrock-claude-v3-haiku, to trigger a rate limit error.No fallback model group found for original model_group=bedrock-claude-v3-haiku. Fallbacks=[{'bedrock-claude-v3-sonnet': ['bedrock-claude-v3-haiku']}]"
    );
    assert!(world.provider.calls().is_empty());
}

/// SEED-108, SEED-110: the seeds' lists, and which of them a failure looks into.
#[tokio::test]
async fn a_prompt_that_is_too_long_goes_to_the_larger_model() {
    let world = World::start(
        "
model_list:
  - {model_name: zephyr-beta, litellm_params: {model: openai/zephyr, api_base: '{provider}/small', api_key: sk-fake-provider-key}}
  - {model_name: gpt-3.5-turbo, litellm_params: {model: openai/gpt-3.5-turbo, api_base: '{provider}/v1', api_key: sk-fake-provider-key}}
  - {model_name: gpt-3.5-turbo-16k, litellm_params: {model: openai/gpt-3.5-turbo-16k, api_base: '{provider}/v1', api_key: sk-fake-provider-key}}
litellm_settings:
  num_retries: 3
  request_timeout: 10
  fallbacks: [{'zephyr-beta': ['gpt-3.5-turbo']}]
  context_window_fallbacks: [{'zephyr-beta': ['gpt-3.5-turbo-16k']}, {'gpt-3.5-turbo': ['gpt-3.5-turbo-16k']}]
  allowed_fails: 3
",
    )
    .await;
    let words = "This model's maximum context length is 10 tokens";
    let too_long = json!({"error": {"message": words, "code": "context_length_exceeded"}});
    world.provider.always("/small/chat/completions", Answer::json(400, too_long));
    let reply = world.chat(&hi("zephyr-beta")).await;
    assert_eq!(reply.json()["model"], "gpt-3.5-turbo-16k", "{}", reply.text());
    let mut mocked = hi("zephyr-beta");
    mocked["mock_testing_context_fallbacks"] = json!(true);
    assert_eq!(world.chat(&mocked).await.json()["model"], "gpt-3.5-turbo-16k");
}

/// SEED-109: per request, and nothing of it goes upstream.
#[tokio::test]
async fn a_request_brings_its_own_fallbacks() {
    let world = World::start(&PAIR.replace("fallbacks:", "max_fallbacks: 3 #")).await;
    down(&world);
    for fallbacks in [
        json!([{"bedrock-claude-v3-sonnet": ["bedrock-claude-v3-haiku"]}]),
        json!(["bedrock-claude-v3-haiku"]),
        json!([{"model": "bedrock-claude-v3-haiku", "messages": [{"role": "user", "content": "other words"}], "temperature": 0.5}]),
    ] {
        let mut body = hi("bedrock-claude-v3-sonnet");
        body["fallbacks"] = fallbacks.clone();
        body["num_retries"] = json!(0);
        body["request_timeout"] = json!(5);
        let reply = world.chat(&body).await;
        assert_eq!(reply.status, 200, "{fallbacks}: {}", reply.text());
        for member in ["fallbacks", "num_retries", "request_timeout"] {
            assert!(world.provider.calls().iter().all(|call| call.json().get(member).is_none()), "{member}");
        }
    }
    let last = world.provider.calls().last().map(|call| call.json()).unwrap_or_default();
    assert_eq!((&last["messages"][0]["content"], &last["temperature"]), (&json!("other words"), &json!(0.5)));
    let mut none = hi("bedrock-claude-v3-sonnet");
    none["fallbacks"] = json!(["bedrock-claude-v3-haiku"]);
    none["disable_fallbacks"] = json!(true);
    refused(&world.chat(&none).await, 503);
}

#[tokio::test]
async fn a_fallback_of_wrong_form_or_with_an_address_is_refused() {
    let world = World::start(PAIR).await;
    down(&world);
    for fallbacks in [json!("x"), json!([5]), json!([{"a": "b"}])] {
        let mut body = hi("bedrock-claude-v3-sonnet");
        body["fallbacks"] = fallbacks;
        assert!(refused(&world.chat(&body).await, 400).contains("fallbacks"));
    }
    for own in [json!({"api_base": "http://127.0.0.1:1"}), json!({"messages": []}), json!({"callbacks": ["x"]})] {
        let mut fallback = json!({"model": "bedrock-claude-v3-haiku"});
        fallback.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        let mut body = hi("bedrock-claude-v3-sonnet");
        body["fallbacks"] = json!([fallback]);
        let reply = world.chat(&body).await;
        assert!(reply.status >= 400 && reply.json()["error"].is_object(), "{own}: {}", reply.text());
    }
    assert!(models_asked(&world).iter().all(|model| model == "sonnet"));
}

#[tokio::test]
async fn a_stream_that_fails_before_content_becomes_the_fallbacks_stream() {
    let world = World::start(PAIR).await;
    let role = json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]});
    let broken = Answer::sse([SseItem::data(role), SseItem::data(json!({"error": {"message": "boom", "code": 500}}))]);
    world.provider.always("/down/chat/completions", broken);
    let reply = world.chat(&hi_streamed("bedrock-claude-v3-sonnet")).await;
    let text = reply.text();
    assert!(text.contains("haiku") && text.contains("[DONE]") && !text.contains("boom"), "{text}");
}

/// The same where the provider's words are told in others: a block that begins with no words has said nothing.
#[tokio::test]
async fn a_stream_that_fails_after_an_empty_piece_becomes_the_fallbacks_stream() {
    let config =
        PAIR.replace("openai/sonnet, api_base: '{provider}/down'", "anthropic/claude-x, api_base: '{provider}/down'");
    let world = World::start(&config).await;
    let start = json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": {"input_tokens": 1, "output_tokens": 0}}});
    let empty = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}});
    let broken = Answer::sse([
        SseItem::event("message_start", start),
        SseItem::event("content_block_delta", empty),
        SseItem::event("error", json!({"type": "error", "error": {"type": "overloaded_error", "message": "boom"}})),
    ]);
    world.provider.always("/down/*", broken);
    let text = world.chat(&hi_streamed("bedrock-claude-v3-sonnet")).await.text();
    assert!(text.contains("haiku") && text.contains("[DONE]") && !text.contains("boom"), "{text}");
}

/// An empty list is none: what is too long goes where everything goes.
#[tokio::test]
async fn an_empty_list_of_fallbacks_for_long_prompts_is_no_list() {
    let world = World::start(&format!("{PAIR}  context_window_fallbacks: []\n")).await;
    let too_long = json!({"error": {"message": "This model's maximum context length is 10 tokens", "code": "context_length_exceeded"}});
    world.provider.always("/down/chat/completions", Answer::json(400, too_long));
    let model = "anthropic.claude-3-haiku-20240307-v1:0";
    assert_eq!(world.chat(&hi("bedrock-claude-v3-sonnet")).await.json()["model"], model);
    let mut own = hi("bedrock-claude-v3-sonnet");
    own["context_window_fallbacks"] = json!([]);
    assert_eq!(world.chat(&own).await.json()["model"], model);
}

#[tokio::test]
async fn a_deployment_that_is_limited_rests_and_comes_back() {
    let world = World::start(
        "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/two, api_base: '{provider}/v1', api_key: sk-fake-provider-key, order: 2}}
  - {model_name: gpt, litellm_params: {model: openai/one, api_base: '{provider}/v1', api_key: sk-fake-provider-key, order: 1, cooldown_time: 0.4}}
",
    )
    .await;
    let count = |model: &str| models_asked(&world).iter().filter(|asked| *asked == model).count();
    world.provider.script([Answer::json(429, json!({"error": {"message": "slow down"}}))]);
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    assert_eq!((count("one"), count("two")), (1, 1), "the retry goes elsewhere at once");
    for _ in 0..3 {
        assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    }
    assert_eq!((count("one"), count("two")), (1, 4), "it rests");
    tokio::time::sleep(std::time::Duration::from_millis(450)).await;
    for _ in 0..3 {
        assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    }
    assert_eq!((count("one"), count("two")), (4, 4), "it is back");
}

#[tokio::test]
async fn when_everybody_rests_longer_than_the_call_may_take_the_client_learns_when_to_come_back() {
    let world = World::start(
        "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/one, api_base: '{provider}/v1', api_key: sk-fake-provider-key, timeout: 2}}
  - {model_name: gpt, litellm_params: {model: openai/two, api_base: '{provider}/v1', api_key: sk-fake-provider-key, timeout: 2}}
",
    )
    .await;
    let limited = || Answer::json(429, json!({"error": {"message": "slow down"}})).header("retry-after", "30");
    world.provider.always("*", limited());
    assert_eq!(world.chat(&hi("gpt")).await.status, 429);
    let reply = world.chat(&hi("gpt")).await;
    let words = refused(&reply, 429);
    assert!(words.starts_with("No deployments available for selected model, Try again in 30 seconds"), "{words}");
    assert_eq!(reply.header("retry-after"), Some("30"));
    assert_eq!(world.provider.calls().len(), 2, "nobody is asked while all rest");
}

#[tokio::test]
async fn a_reload_forgets_no_rest() {
    let config = "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/two, api_base: '{provider}/v1', api_key: sk-fake-provider-key, order: 2}}
  - {model_name: gpt, litellm_params: {model: openai/one, api_base: '{provider}/v1', api_key: sk-fake-provider-key, order: 1}, model_info: {id: first}}
";
    let world = World::start(config).await;
    world.provider.script([Answer::json(429, json!({"error": {"message": "slow down"}}))]);
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    world
        .gateway
        .swap(crate::world::snapshot(&config.replace("{provider}", &world.provider.url()), Default::default()));
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    assert_eq!(models_asked(&world), ["one", "two", "two"]);
}

#[tokio::test]
async fn tags_of_a_request_choose_its_deployment() {
    let world = World::start(
        "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/free, api_base: '{provider}/v1', api_key: sk-fake-provider-key, tags: [free]}}
  - {model_name: gpt, litellm_params: {model: openai/paid, api_base: '{provider}/v1', api_key: sk-fake-provider-key, tags: [paid]}}
router_settings: {enable_tag_filtering: true}
",
    )
    .await;
    let mut body = hi("gpt");
    body["metadata"] = json!({"tags": ["paid"]});
    for _ in 0..3 {
        world.chat(&body).await;
    }
    body["metadata"] = Value::Null;
    body["tags"] = json!(["free"]);
    world.chat(&body).await;
    world.chat_with(&[("x-litellm-tags", "other, paid")], &hi("gpt")).await;
    assert_eq!(models_asked(&world), ["paid", "paid", "paid", "free", "paid"]);
    body["tags"] = json!(["nobody"]);
    refused(&world.chat(&body).await, 401);
}

/// SEED-89: a read timeout is a failure like any other, of whole answers and of streams.
#[tokio::test]
async fn a_provider_that_is_silent_too_long_falls_back() {
    let world = World::start(&PAIR.replace("num_retries: 0", "num_retries: 0\n  request_timeout: 0.2")).await;
    let silent = || Answer::json(200, json!({})).stall(tollgate_kit::Place::BeforeHead);
    world.provider.always("/down/chat/completions", silent());
    for body in [hi("bedrock-claude-v3-sonnet"), hi_streamed("bedrock-claude-v3-sonnet")] {
        let reply = world.chat(&body).await;
        assert_eq!((reply.status, reply.header("x-litellm-attempted-fallbacks")), (200, Some("1")), "{}", reply.text());
    }
}

/// What one client chooses must not make a deployment rest for the others.
#[tokio::test]
async fn a_hurried_client_lets_nobody_rest() {
    let world = World::start(
        "
model_list:
  - {model_name: gpt, litellm_params: {model: openai/one, api_base: '{provider}/v1', api_key: sk-fake-provider-key, order: 1}}
  - {model_name: gpt, litellm_params: {model: openai/two, api_base: '{provider}/v1', api_key: sk-fake-provider-key, order: 2}}
router_settings: {num_retries: 0, allowed_fails: 0}
",
    )
    .await;
    let mut hurried = hi("gpt");
    hurried["timeout"] = json!(0.05);
    world.provider.script((0..3).map(|_| Answer::json(200, json!({})).stall(tollgate_kit::Place::BeforeHead)));
    for _ in 0..3 {
        refused(&world.chat(&hurried).await, 408);
    }
    assert_eq!(world.chat(&hi("gpt")).await.status, 200);
    assert_eq!(models_asked(&world), ["one"; 4]);
}
