//! Batches: an attempt that stays open until the results are seen, and is booked once.

use serde_json::{Value, json};
use tollgate_gateway::Totals;
use tollgate_kit::{Answer, answer::Place, http::post};

use crate::world::{MASTER, WITH_MASTER, World};

/// Looks come every 20 ms; `{more}` may say otherwise.
const MODELS: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: mine
    litellm_params: {model: openai/mine, api_base: '{provider}/v1', api_key: sk-fake-provider-key,
      input_cost_per_token: 0.002, output_cost_per_token: 0.004, input_cost_per_token_batches: 0.0005}
  - model_name: claude
    litellm_params: {model: anthropic/claude-haiku-4-5, api_base: '{provider}', api_key: sk-fake-provider-key}
router_settings: {num_retries: 0}
general_settings: {proxy_batch_polling_interval: 0.02}
";

fn batch(status: &str) -> Value {
    json!({"id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-in", "status": status,
        "output_file_id": null, "error_file_id": null, "request_counts": {"total": 2, "completed": 0, "failed": 0}})
}

fn ended(status: &str) -> Value {
    let mut batch = batch(status);
    batch["output_file_id"] = "file-out".into();
    batch["request_counts"]["completed"] = 2.into();
    batch
}

fn line(model: &str, input: u64, output: u64) -> String {
    let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [],
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}});
    json!({"id": "batch_req_1", "custom_id": "a", "response": {"status_code": 200, "request_id": "r", "body": body}, "error": null})
        .to_string()
}

fn results(lines: &[String]) -> Answer {
    Answer::raw(200, "application/octet-stream", lines.join("\n")).split_every(7)
}

async fn world(config: &str) -> World {
    let world = World::start(config).await;
    world.provider.script_for("POST /v1/batches", [Answer::json(200, batch("validating"))]);
    world
}

/// Starts a batch; gives its id.
async fn start(world: &World) -> String {
    let body = json!({"input_file_id": "file-in", "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let reply = world.post("/v1/batches", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

fn looks(world: &World, path: &str) -> usize {
    world.provider.calls().iter().filter(|call| call.method == "GET" && call.path == path).count()
}

/// What is booked when the call that starts the batch, and the batch, are over.
async fn booked(world: &World) -> Totals {
    world.settled(2).await
}

#[tokio::test]
async fn a_batch_is_booked_once_when_it_is_over_at_the_prices_of_batches() {
    let world = world(MODELS).await;
    let looks_at = [batch("validating"), batch("in_progress"), batch("finalizing"), ended("completed")];
    world.provider.script_for("GET /v1/batches/batch_1", looks_at.map(|batch| Answer::json(200, batch)));
    let lines = [line("gpt-4o-2024-08-06", 1000, 100), line("gpt-4o-2024-08-06", 500, 50)];
    world.provider.always("GET /v1/files/file-out/content", results(&lines));
    start(&world).await;
    // $2.50 and $10 a million tokens; in a batch half of that.
    let totals = booked(&world).await;
    assert_eq!((totals.input, totals.output, totals.nanos), (1500, 150, 2_625_000));
    assert_eq!((totals.unstated, totals.unpriced), (0, 0));
    assert_eq!((looks(&world, "/v1/batches/batch_1"), looks(&world, "/v1/files/file-out/content")), (4, 1));
    let call = world.provider.calls().into_iter().find(|call| call.path.ends_with("/content")).unwrap();
    assert_eq!(call.header("authorization"), Some("Bearer sk-fake-provider-key"));
}

#[tokio::test]
async fn a_client_that_sees_the_end_hastens_the_booking_and_doubles_nothing() {
    let world = world(&MODELS.replace("0.02", "3600")).await;
    world.provider.always("GET /v1/batches/batch_1", Answer::json(200, ended("completed")));
    world.provider.always("GET /v1/files/file-out/content", results(&[line("gpt-4o", 1000, 100)]));
    let id = start(&world).await;
    assert_eq!(world.gateway.totals().settled, 1);
    for _ in 0..3 {
        assert_eq!(world.get(&format!("/v1/batches/{id}")).await.json()["status"], "completed");
    }
    let totals = world.settled(5).await;
    assert_eq!((totals.input, totals.output, totals.nanos), (1000, 100, 1_750_000));
    assert_eq!(looks(&world, "/v1/files/file-out/content"), 1);
}

#[tokio::test]
async fn two_models_in_one_file_have_each_its_price_and_an_unknown_one_none() {
    let world = world(MODELS).await;
    world.provider.always("GET /v1/batches/batch_1", Answer::json(200, ended("completed")));
    let lines = [line("gpt-4o", 1000, 0), line("mine", 10, 10), line("gpt-4o", 1000, 0), line("who-knows", 5, 5)];
    world.provider.always("GET /v1/files/file-out/content", results(&lines));
    start(&world).await;
    let totals = world.settled(4).await;
    assert_eq!((totals.input, totals.output, totals.unpriced), (2015, 15, 1));
    // 2000 at half of $2.50 a million; 10 at the stated price of batches, and 10 at half of theirs.
    assert_eq!(totals.nanos, 2_500_000 + 5_000_000 + 20_000_000);
}

#[tokio::test]
async fn a_refused_batch_costs_nothing_and_a_cancelled_one_what_was_done() {
    for (end, input, nanos) in
        [(batch("failed"), 0, 0), (batch("cancelled"), 0, 0), (ended("cancelled"), 1000, 1_250_000)]
    {
        let world = world(MODELS).await;
        world.provider.always("GET /v1/batches/batch_1", Answer::json(200, end));
        world.provider.always("GET /v1/files/file-out/content", results(&[line("gpt-4o", 1000, 0)]));
        start(&world).await;
        let totals = booked(&world).await;
        assert_eq!((totals.input, totals.nanos, totals.unstated, totals.unpriced), (input, nanos, 0, 0));
    }
}

#[tokio::test]
async fn requests_that_failed_cost_nothing_and_those_that_do_not_say_are_not_free() {
    let world = world(MODELS).await;
    let mut end = ended("expired");
    end["error_file_id"] = "file-err".into();
    world.provider.always("GET /v1/batches/batch_1", Answer::json(200, end));
    let silent = json!({"response": {"status_code": 200, "body": {"data": []}}}).to_string();
    world.provider.always("GET /v1/files/file-out/content", results(&[line("gpt-4o", 1000, 0), silent]));
    let failed = json!({"response": null, "error": {"code": "batch_expired"}}).to_string();
    world.provider.always("GET /v1/files/file-err/content", results(&[failed.clone(), failed]));
    start(&world).await;
    let totals = booked(&world).await;
    assert_eq!((totals.input, totals.nanos, totals.unstated), (1000, 1_250_000, 1));
}

#[tokio::test]
async fn a_provider_that_stumbles_is_asked_again() {
    let world = world(MODELS).await;
    let busy = || Answer::json(500, json!({"error": {"message": "busy"}}));
    let looks_at = [busy(), busy(), Answer::json(200, ended("completed"))];
    world.provider.script_for("GET /v1/batches/batch_1", looks_at);
    world.provider.always("GET /v1/batches/batch_1", Answer::json(200, ended("completed")));
    let whole = [line("gpt-4o", 1000, 0), line("gpt-4o", 1000, 0)];
    let cut = results(&whole).cut(Place::AfterBytes(whole[0].len() + 9));
    world.provider.script_for("GET /v1/files/file-out/content", [cut, results(&whole)]);
    start(&world).await;
    let totals = booked(&world).await;
    assert_eq!((totals.input, totals.nanos, totals.unstated), (2000, 2_500_000, 0));
}

#[tokio::test]
async fn a_provider_that_never_says_is_given_up_and_nothing_is_claimed() {
    let world = world(&format!("{}\n", MODELS.replace("0.02", "0.02, max_batch_poll_failures: 3"))).await;
    world.provider.always("GET /v1/batches/batch_1", Answer::json(404, json!({"error": {"message": "gone"}})));
    start(&world).await;
    let totals = booked(&world).await;
    assert_eq!((totals.nanos, totals.unstated, totals.unpriced), (0, 1, 1));
    assert_eq!(looks(&world, "/v1/batches/batch_1"), 3);
}

#[tokio::test]
async fn more_batches_than_may_be_are_booked_as_unknown_at_once() {
    let world = world(&MODELS.replace("0.02", "3600, max_followed_batches: 0")).await;
    start(&world).await;
    let totals = booked(&world).await;
    assert_eq!((totals.unstated, totals.unpriced), (1, 1));
}

#[tokio::test]
async fn a_batch_that_is_open_at_the_end_is_booked_as_unknown() {
    let mut world = world(&MODELS.replace("0.02", "3600")).await;
    start(&world).await;
    let totals = world.gateway.totals();
    assert_eq!((totals.opened, totals.settled), (2, 1));
    world.stop.send_modify(|signals| *signals += 1);
    world.serving.join_next().await.unwrap().unwrap();
    let totals = world.gateway.totals();
    assert_eq!((totals.settled, totals.nanos, totals.unstated, totals.unpriced), (2, 0, 1, 1));
}

#[tokio::test]
async fn a_batch_that_does_not_begin_is_not_followed() {
    let world = World::start(MODELS).await;
    world.provider.script_for("POST /v1/batches", [Answer::json(400, json!({"error": {"message": "no such file"}}))]);
    world.post("/v1/batches", &json!({"input_file_id": "file-in"})).await;
    let totals = world.settled(1).await;
    assert_eq!((totals.nanos, totals.unstated), (0, 0));
}

#[tokio::test]
async fn results_of_any_size_pass_by() {
    let world = world(MODELS).await;
    world.provider.always("GET /v1/batches/batch_1", Answer::json(200, ended("completed")));
    let lines: Vec<String> = (0..20_000).map(|_| line("gpt-4o", 1000, 10)).collect();
    let answer = Answer::raw(200, "application/octet-stream", lines.join("\n"));
    world.provider.always("GET /v1/files/file-out/content", answer);
    start(&world).await;
    let totals = booked(&world).await;
    assert_eq!((totals.input, totals.output, totals.nanos), (20_000_000, 200_000, 26_000_000_000));
}

#[tokio::test]
async fn anthropics_message_batches_are_followed_like_others() {
    let world = World::start(&MODELS.replace("0.02", "0.02, master_key: '{master}'")).await;
    let message_batch = |status: &str, succeeded: u64| {
        json!({"id": "msgbatch_1", "type": "message_batch", "processing_status": status, "results_url": null,
            "request_counts": {"processing": 0, "succeeded": succeeded, "errored": 1, "canceled": 0, "expired": 0}})
    };
    let begun = message_batch("in_progress", 0);
    world.provider.script_for("POST /v1/messages/batches", [Answer::json(200, begun.clone())]);
    let looks_at = [begun.clone(), message_batch("ended", 1)].map(|batch| Answer::json(200, batch));
    world.provider.script_for("GET /v1/messages/batches/msgbatch_1", looks_at);
    let lines = [
        json!({"custom_id": "a", "result": {"type": "succeeded", "message": {"model": "claude-haiku-4-5-20251001",
            "usage": {"input_tokens": 1000, "output_tokens": 100}}}})
        .to_string(),
        json!({"custom_id": "b", "result": {"type": "errored", "error": {}}}).to_string(),
    ];
    world.provider.always("GET /v1/messages/batches/msgbatch_1/results", results(&lines));
    let reply = post(&world.at("/anthropic/v1/messages/batches"), &[WITH_MASTER], &json!({"requests": []})).await;
    assert_eq!((reply.status, reply.json()), (200, begun));
    // $1 and $5 a million tokens; in a batch half of that.
    let totals = booked(&world).await;
    assert_eq!((totals.input, totals.output, totals.nanos, totals.unpriced), (1000, 100, 750_000, 0));
    let look = world.provider.calls().into_iter().find(|call| call.method == "GET").unwrap();
    assert_eq!(
        (look.header("x-api-key"), look.header("anthropic-version")),
        (Some("sk-fake-provider-key"), Some("2023-06-01"))
    );
    assert!(!format!("{:?}", look.headers).contains(MASTER));
}
