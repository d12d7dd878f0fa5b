//! What clients ask: every operation is a target, and is asked of every kind of provider.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_kit::fuzz::spoil_json;
use tollgate_providers::Target;

use super::{all_cases, hash, prepare, run, targets};
use crate::world::Ask;

/// An input is asked of one in so many targets; which ones, its bytes decide.
const ONE_IN: usize = 8;

fn ask_of(operation: &str, targets: &[Arc<Target>], input: &[u8]) {
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(input) else { return };
    let ask = Ask::read(&json!({"operation": operation, "body": body}));
    for target in targets.iter().skip(hash(input) % ONE_IN).step_by(ONE_IN) {
        let _ = prepare(&ask, target);
    }
}

fn recorded(operations: &[&str]) -> Vec<Vec<u8>> {
    let asks = all_cases().into_iter().map(|case| case.need_json("ask.json"));
    let of_these = asks.filter(|ask| operations.iter().any(|operation| ask["operation"] == *operation));
    of_these.map(|ask| ask["body"].to_string().into_bytes()).collect()
}

fn spoil(operation: &str, seeds: &[Vec<u8>]) {
    let targets = targets();
    run(&format!("request_{operation}"), seeds, spoil_json, |input| ask_of(operation, &targets, input));
}

/// Every operation that fixtures ask for is spoiled below.
#[test]
fn every_recorded_operation_is_a_target() {
    const SPOILED: [&str; 10] = [
        "chat",
        "completions",
        "messages",
        "responses",
        "gemini",
        "embeddings",
        "rerank",
        "images",
        "count_tokens",
        "gemini_count",
    ];
    for case in all_cases() {
        let ask = case.need_json("ask.json");
        assert!(SPOILED.iter().any(|operation| ask["operation"] == *operation), "{}", case.name);
    }
}

#[test]
fn no_spoiled_chat_breaks_a_reader() {
    spoil("chat", &recorded(&["chat"]));
}

#[test]
fn no_spoiled_completion_breaks_a_reader() {
    spoil("completions", &recorded(&["completions"]));
}

#[test]
fn no_spoiled_message_breaks_a_reader() {
    spoil("messages", &recorded(&["messages", "count_tokens"]));
}

#[test]
fn no_spoiled_call_for_a_response_breaks_a_reader() {
    spoil("responses", &recorded(&["responses"]));
}

#[test]
fn no_spoiled_content_of_geminis_breaks_a_reader() {
    spoil("gemini", &recorded(&["gemini", "gemini_count"]));
}

#[test]
fn no_spoiled_wish_for_vectors_breaks_a_reader() {
    spoil("embeddings", &recorded(&["embeddings"]));
}

#[test]
fn no_spoiled_list_to_rank_breaks_a_reader() {
    spoil("rerank", &recorded(&["rerank"]));
}

#[test]
fn no_spoiled_wish_for_a_picture_breaks_a_reader() {
    spoil("images", &recorded(&["images"]));
}

#[test]
fn no_spoiled_wish_to_moderate_breaks_a_reader() {
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let bodies = [
        json!({"model": "omni-moderation-latest", "input": "words"}),
        json!({"model": "m", "input": ["words", {"type": "text", "text": "more"}, picture]}),
    ];
    spoil("moderations", &bodies.map(|body| body.to_string().into_bytes()));
}

#[test]
fn no_spoiled_wish_for_speech_breaks_a_reader() {
    let bodies = [
        json!({"model": "tts-1", "input": "words", "voice": "alloy"}),
        json!({"model": "gpt-4o-mini-tts", "input": "words", "voice": {"id": "v"}, "instructions": "softly",
            "response_format": "mp3", "speed": 1.25, "stream_format": "sse"}),
    ];
    spoil("speech", &bodies.map(|body| body.to_string().into_bytes()));
}

/// What is asked about a body, not of it: how many tokens it comes to, and that it be made shorter.
#[test]
fn no_spoiled_body_breaks_who_counts_or_shortens_it() {
    let targets = targets();
    let seeds = recorded(&["messages", "count_tokens", "gemini", "gemini_count", "responses"]);
    run("request_beside", &seeds, spoil_json, |input| {
        for operation in ["count_tokens", "gemini_count", "response_tokens", "compact"] {
            ask_of(operation, &targets, input);
        }
    });
}
