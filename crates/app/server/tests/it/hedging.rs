//! Hedged requests: a second attempt beside one that says nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_kit::{Answer, Call, Place, SseItem, http::Reply};

use crate::world::{World, hi, hi_streamed, refused};

/// `one` is asked first, `two` beside it, `three` after both.
fn config(hedging: &str, retries: u64) -> String {
    let one = |name: &str, order: u64| {
        format!(
            "  - model_name: gpt\n    litellm_params: {{model: openai/{name}, api_base: '{{provider}}/v1', \
             api_key: sk-fake-provider-key, order: {order}}}\n    model_info: {{id: {name}}}\n"
        )
    };
    format!(
        "model_list:\n{}{}{}router_settings: {{num_retries: {retries}, {hedging}}}\n",
        one("one", 1),
        one("two", 2),
        one("three", 3)
    )
}

const AT_ONCE: &str = "hedging: {enabled: true, after: 0.05, min_delay: 0.05, max_share: 1.0}";

fn is_for(model: &'static str) -> impl Fn(&Call) -> bool + Send + 'static {
    move |call| call.json()["model"] == model
}

fn silent() -> Answer {
    Answer::json(200, json!({})).stall(Place::BeforeHead)
}

fn failing(words: &str, after: u64) -> Answer {
    Answer::json(500, json!({"error": {"message": words, "type": "x", "code": null}}))
        .wait_before_head(Duration::from_millis(after))
}

fn said(words: &str, after: u64) -> Answer {
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33});
    let message = json!({"role": "assistant", "content": words});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    Answer::json(200, json!({"object": "chat.completion", "choices": [choice], "usage": usage}))
        .wait_before_head(Duration::from_millis(after))
}

fn models(world: &World) -> Vec<String> {
    world.provider.calls().iter().map(|call| call.json()["model"].as_str().unwrap().to_owned()).collect()
}

async fn closed(world: &World, model: &'static str) {
    world
        .provider
        .wait_until("the loser's connection is closed", |call| is_for(model)(call) && call.client_left())
        .await;
}

fn hedge(reply: &Reply) -> Option<&str> {
    reply.header("x-tollgate-hedge")
}

#[tokio::test]
async fn a_second_deployment_answers_where_the_first_says_nothing() {
    let world = World::start(&config(AT_ONCE, 0)).await;
    world.provider.script_when(is_for("one"), [silent()]);
    world.provider.script_when(is_for("two"), [said("the second", 0)]);
    let reply = world.chat(&hi("gpt")).await;
    assert_eq!((reply.status, hedge(&reply)), (200, Some("won")), "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "the second");
    assert_eq!(
        (reply.header("x-litellm-attempted-retries"), reply.header("x-litellm-model-id")),
        (Some("0"), Some("two"))
    );
    closed(&world, "one").await;
    let totals = world.settled(2).await;
    assert_eq!((totals.output, totals.unstated), (22, 1), "the loser is booked by its input: {totals:?}");
    assert!(totals.input > 11, "{totals:?}");
    let id = reply.header("x-litellm-call-id").unwrap().to_owned();
    let told = world.get(&format!("/router/explain/{id}")).await.json();
    assert_eq!(told["attempts"][0]["end"], "outrun", "{told}");
    assert_eq!(
        (&told["attempts"][1]["end"], &told["attempts"][1]["hedge"]),
        (&json!("answered"), &json!(true)),
        "{told}"
    );
}

#[tokio::test]
async fn a_stream_is_hedged_before_its_content_and_never_after() {
    let world = World::start(&config(AT_ONCE, 0)).await;
    let role = SseItem::data(json!({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": null}]}));
    world.provider.script_when(is_for("one"), [Answer::sse([role.clone()]).stall(Place::AfterEvents(1))]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert_eq!((reply.status, hedge(&reply)), (200, Some("won")));
    assert!(reply.text().contains("[DONE]"), "{}", reply.text());
    closed(&world, "one").await;
    world.settled(2).await;

    let word = SseItem::data(json!({"choices": [{"index": 0, "delta": {"content": "once"}, "finish_reason": null}]}));
    let end = SseItem::data(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    let slow = [word, SseItem::Wait(Duration::from_millis(300)), end, SseItem::done()];
    world.provider.script_when(is_for("one"), [Answer::sse(slow)]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert_eq!((reply.status, hedge(&reply)), (200, None));
    assert_eq!(models(&world), ["one", "two", "one"]);
    world.settled(3).await;
}

#[tokio::test]
async fn the_first_may_still_be_faster_and_the_second_is_closed() {
    let world = World::start(&config(AT_ONCE, 0)).await;
    world.provider.script_when(is_for("one"), [said("the first", 300)]);
    world.provider.script_when(is_for("two"), [silent()]);
    let reply = world.chat(&hi("gpt")).await;
    assert_eq!((reply.status, hedge(&reply)), (200, Some("lost")), "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "the first");
    closed(&world, "two").await;
    let totals = world.settled(2).await;
    assert_eq!((totals.output, totals.unstated), (22, 1), "{totals:?}");
}

#[tokio::test]
async fn who_fails_leaves_the_call_to_the_other() {
    for (one, two, end) in
        [(failing("one", 150), said("well", 250), "won"), (said("well", 300), failing("two", 0), "lost")]
    {
        let world = World::start(&config(AT_ONCE, 0)).await;
        world.provider.script_when(is_for("one"), [one]);
        world.provider.script_when(is_for("two"), [two]);
        let reply = world.chat(&hi("gpt")).await;
        assert_eq!((reply.status, hedge(&reply)), (200, Some(end)), "{}", reply.text());
        assert_eq!((reply.header("x-litellm-attempted-retries"), models(&world).len()), (Some("0"), 2));
        world.settled(2).await;
    }
}

#[tokio::test]
async fn when_both_fail_the_call_goes_on_as_after_one_failure() {
    for first_is_slower in [false, true] {
        let (one, two) = if first_is_slower { (400, 0) } else { (150, 250) };
        let world = World::start(&config(AT_ONCE, 0)).await;
        world.provider.script_when(is_for("one"), [failing("words of one", one)]);
        world.provider.script_when(is_for("two"), [failing("words of two", two)]);
        let words = refused(&world.chat(&hi("gpt")).await, 500);
        assert!(words.contains("words of one"), "{words}");
        world.settled(2).await;

        let world = World::start(&config(AT_ONCE, 1)).await;
        world.provider.script_when(is_for("one"), [failing("words of one", one)]);
        world.provider.script_when(is_for("two"), [failing("words of two", two)]);
        let reply = world.chat(&hi("gpt")).await;
        assert_eq!((reply.status, reply.header("x-litellm-attempted-retries")), (200, Some("1")), "{}", reply.text());
        assert_eq!(models(&world), ["one", "two", "three"], "neither is asked again while there is another");
        world.settled(3).await;
    }
}

#[tokio::test]
async fn what_the_client_caused_is_told_at_once() {
    let world = World::start(&config(AT_ONCE, 3)).await;
    let wrong = json!({"error": {"message": "wrong", "type": "x", "code": null}});
    let wrong = Answer::json(400, wrong).wait_before_head(Duration::from_millis(200));
    world.provider.script_when(is_for("one"), [wrong]);
    world.provider.script_when(is_for("two"), [silent()]);
    let words = refused(&world.chat(&hi("gpt")).await, 400);
    assert!(words.contains("wrong"), "{words}");
    closed(&world, "two").await;
    world.settled(2).await;
}

#[tokio::test]
async fn both_are_closed_when_the_client_leaves() {
    let world = World::start(&config(AT_ONCE, 0)).await;
    world.provider.always("*", Answer::sse([]).stall(Place::AfterBytes(0)));
    let mut connection = world.connect().await;
    connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
    world.provider.wait_for_calls(2).await;
    drop(connection);
    closed(&world, "one").await;
    closed(&world, "two").await;
    let totals = world.settled(2).await;
    assert_eq!(totals.unstated, 2, "{totals:?}");
}

#[tokio::test]
async fn a_hedge_keeps_to_the_limits_of_its_deployment() {
    let config = config(AT_ONCE, 0).replace("order: 2", "order: 2, rpm: 1").replace("order: 3", "order: 3, rpm: 0");
    let world = World::start(&config).await;
    world.provider.script_when(is_for("one"), [said("slow", 250), said("slow", 250)]);
    let (first, second) = (world.chat(&hi("gpt")).await, world.chat(&hi("gpt")).await);
    assert_eq!((hedge(&first), hedge(&second)), (Some("won"), None));
    assert_eq!(models(&world), ["one", "two", "one"]);
    world.settled(3).await;
}

#[tokio::test]
async fn who_is_asked_beside_a_fallback_fits_what_the_fallback_says() {
    let config = config(AT_ONCE, 0)
        .replace("order: 1", "order: 1, tags: [quick]")
        .replace("order: 2", "order: 2, tags: [cheap]")
        .replace("order: 3", "order: 3, tags: [quick]")
        .replace("router_settings: {", "router_settings: {enable_tag_filtering: true, ")
        .replace(
            "router_settings",
            "  - model_name: down\n    litellm_params: {model: openai/down, api_base: '{provider}/down', api_key: sk-fake-provider-key, \
             tags: [cheap]}\nrouter_settings",
        );
    let world = World::start(&config).await;
    world.provider.always("/down/*", failing("down", 0));
    // Its group earns a second attempt.
    let mut body = hi("gpt");
    body["tags"] = json!(["cheap"]);
    assert_eq!(world.chat(&body).await.header("x-litellm-model-id"), Some("two"));
    world.provider.script_when(is_for("one"), [silent()]);
    body["model"] = json!("down");
    body["fallbacks"] = json!([{"model": "gpt", "tags": ["quick"]}]);
    let reply = world.chat(&body).await;
    assert_eq!((reply.status, hedge(&reply)), (200, Some("won")), "{}", reply.text());
    assert_eq!(models(&world), ["two", "down", "one", "three"]);
}

#[tokio::test]
async fn hedges_are_no_more_than_their_share_under_load() {
    let hedging = AT_ONCE.replace("max_share: 1.0", "max_share: 0.1");
    let world = World::start(&config(&hedging, 0)).await;
    world.provider.always("*", said("slow", 200));
    for _ in 0..2 {
        let body = hi("gpt");
        let calls = futures_util::future::join_all((0..25).map(|_| world.chat(&body)));
        assert!(calls.await.iter().all(|reply| reply.status == 200));
    }
    let made = models(&world).iter().filter(|model| *model != "one").count();
    assert!((1..=5).contains(&made), "{made} of 50 calls");
    world.settled(50 + made as u64).await;
}

#[tokio::test]
async fn what_is_off_or_not_harmless_or_names_its_deployment_is_asked_once() {
    let slow = || said("slow", 200);
    for hedging in
        ["hedging: {after: 0.05}", "hedging: {enabled: true, after: 0.05, model_groups: [other]}", "timeout: 60"]
    {
        let world = World::start(&config(hedging, 0)).await;
        world.provider.script_when(is_for("one"), [slow()]);
        let reply = world.chat(&hi("gpt")).await;
        assert_eq!((reply.status, hedge(&reply), models(&world).len()), (200, None, 1), "{hedging}");
    }
    let world = World::start(&config(AT_ONCE, 0)).await;
    world.provider.always("*", slow());
    let with = |name: &str, value: Value| {
        let mut body = hi("gpt");
        body[name] = value;
        body
    };
    for body in [
        hi("one"),
        with("tools", json!([{"type": "mcp", "server_label": "x", "server_url": "https://x.example"}])),
        with("background", json!(true)),
    ] {
        let before = models(&world).len();
        let reply = world.chat(&body).await;
        assert_eq!((hedge(&reply), models(&world).len() - before), (None, 1), "{body}");
    }
    let before = models(&world).len();
    world.post("/v1/images/generations", &json!({"model": "gpt", "prompt": "a cat"})).await;
    assert_eq!(models(&world).len() - before, 1, "a picture is made once");
}

#[tokio::test]
async fn an_explanation_says_who_would_be_asked_beside_and_when() {
    let world = World::start(&config(AT_ONCE, 0)).await;
    let told = world.post("/router/explain", &hi("gpt")).await.json();
    assert_eq!(told["plan"][0]["hedge"], json!({"after_seconds": 0.05, "deployment": "two"}), "{told}");
    let plain = World::start(&config("timeout: 60", 0)).await;
    let told = plain.post("/router/explain", &hi("gpt")).await.json();
    assert!(told["plan"][0].get("hedge").is_none() && !told.to_string().contains("hedge"), "{told}");
}
