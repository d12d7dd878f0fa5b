//! Calls that wait for a place, or for a deployment to come back.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollgate_kit::{
    Answer, Place,
    http::{self, Reply},
};

use crate::world::{ONE_MODEL, World, hi, refused};

/// One call at a time.
fn narrow(more: &str) -> String {
    let config = ONE_MODEL.replace("api_key:", "max_parallel_requests: 1, api_key:");
    config.replace("{num_retries: 0}", &format!("{{num_retries: 0{more}}}"))
}

fn answer() -> Answer {
    Answer::json(
        200,
        json!({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}),
    )
}

fn numbered(number: usize) -> Value {
    json!({"model": "gpt", "messages": [{"role": "user", "content": number.to_string()}]})
}

/// Sends a call of this number and comes back when so many wait.
async fn wait_in_line(world: &World, calls: &mut JoinSet<(usize, Reply)>, number: usize, waiting: usize) {
    let url = world.at("/v1/chat/completions");
    calls.spawn(async move { (number, http::post(&url, &[], &numbered(number)).await) });
    world.eventually("it waits", || (world.gateway.waiting() == waiting).then_some(())).await;
}

/// A call that keeps its place until its client, the task, is dropped.
async fn occupy(world: &World) -> JoinSet<Reply> {
    let before = world.provider.calls().len();
    world.provider.script([Answer::sse([]).stall(Place::BeforeHead)]);
    let (url, mut body) = (world.at("/v1/chat/completions"), hi("gpt"));
    body["stream"] = json!(true);
    let mut holder = JoinSet::new();
    holder.spawn(async move { http::post(&url, &[], &body).await });
    world.eventually("the place is taken", || (world.provider.calls().len() > before).then_some(())).await;
    holder
}

#[tokio::test]
async fn who_waits_for_a_place_is_served_in_the_order_of_coming() {
    let world = World::start(&narrow("")).await;
    let holder = occupy(&world).await;
    let mut calls = JoinSet::new();
    for number in 1..=8 {
        wait_in_line(&world, &mut calls, number, number).await;
    }
    drop(holder);
    while let Some(done) = calls.join_next().await {
        assert_eq!(done.unwrap().1.status, 200);
    }
    let asked = world.provider.calls();
    let order: Vec<Value> = asked.iter().skip(1).map(|call| call.json()["messages"][0]["content"].clone()).collect();
    assert_eq!(order, (1..=8).map(|number| json!(number.to_string())).collect::<Vec<_>>());
    assert_eq!(world.gateway.waiting(), 0);
}

#[tokio::test]
async fn as_many_wait_as_may_and_the_next_is_told_when_to_come_again() {
    let world = World::start(&narrow(", max_waiting_calls: 2")).await;
    let holder = occupy(&world).await;
    let mut calls = JoinSet::new();
    wait_in_line(&world, &mut calls, 1, 1).await;
    wait_in_line(&world, &mut calls, 2, 2).await;
    let reply = world.chat(&hi("gpt")).await;
    assert!(refused(&reply, 429).contains("Try again in 1 seconds"), "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("1"));
    drop(holder);
    while let Some(done) = calls.join_next().await {
        assert_eq!(done.unwrap().1.status, 200);
    }
}

#[tokio::test]
async fn with_no_line_at_all_nobody_waits() {
    let world = World::start(&narrow(", max_waiting_calls: 0")).await;
    let _holder = occupy(&world).await;
    refused(&world.chat(&hi("gpt")).await, 429);
}

#[tokio::test]
async fn a_wait_ends_when_the_gateway_goes_down() {
    let world = World::start(&narrow("")).await;
    let _holder = occupy(&world).await;
    let mut calls = JoinSet::new();
    wait_in_line(&world, &mut calls, 1, 1).await;
    world.gateway.start_draining();
    let words = refused(&calls.join_next().await.unwrap().unwrap().1, 503);
    assert!(words.contains("shutting down"), "{words}");
    assert_eq!(world.provider.calls().len(), 1);
}

#[tokio::test]
async fn a_wait_ends_when_its_client_leaves() {
    for cancels in ["", "general_settings: {client_disconnect: cancel}\n"] {
        let world = World::start(&format!("{}{cancels}", narrow(""))).await;
        let _holder = occupy(&world).await;
        let mut calls = JoinSet::new();
        wait_in_line(&world, &mut calls, 1, 1).await;
        drop(calls);
        world.eventually("nobody waits", || (world.gateway.waiting() == 0).then_some(())).await;
        world.eventually("no work is left", || (world.gateway.workers().running() == 0).then_some(())).await;
        assert_eq!(world.provider.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_wait_ends_at_the_calls_own_deadline() {
    let world = World::start(&narrow("")).await;
    let _holder = occupy(&world).await;
    let mut calls = JoinSet::new();
    wait_in_line(&world, &mut calls, 1, 1).await;
    let mut hurried = hi("gpt");
    hurried["timeout"] = json!(0.1);
    refused(&world.chat(&hurried).await, 429);
    assert_eq!(world.gateway.waiting(), 1);
}

/// One probe; the others wait for what comes of it.
#[tokio::test]
async fn of_those_who_wait_for_a_rest_to_end_one_tries() {
    let config = narrow(", cooldown_time: 1, allowed_fails: 0").replace("max_parallel_requests: 1, ", "");
    for is_back in [true, false] {
        let world = Arc::new(World::start(&config).await);
        world.provider.script([Answer::json(503, json!({"error": {"message": "down"}}))]);
        refused(&world.chat(&hi("gpt")).await, 503);
        if !is_back {
            // Not back, and not before those who wait would give up.
            let down = Answer::json(503, json!({"error": {"message": "down"}})).header("retry-after", "60");
            world.provider.script([down.wait_before_head(Duration::from_millis(50))]);
        } else {
            world.provider.script([answer().wait_before_head(Duration::from_millis(200))]);
        }
        let mut calls = JoinSet::new();
        for number in 1..=20 {
            wait_in_line(&world, &mut calls, number, number).await;
        }
        world.provider.wait_until("the probe", |call| call.json()["messages"][0]["content"] == "1").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(world.provider.calls().len(), 2, "one probe while its outcome is open");
        let mut answered = 0;
        while let Some(done) = calls.join_next().await {
            answered += usize::from(done.unwrap().1.status == 200);
        }
        assert_eq!(answered, if is_back { 20 } else { 0 });
        assert_eq!(world.provider.calls().len(), if is_back { 21 } else { 2 });
    }
}
