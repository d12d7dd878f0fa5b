//! The same-dialect lane and the hub lane count the same, whatever is asked and answered.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use tollgate_providers::{
    Target,
    codec::{ClientDialect as _, ProviderDialect as _},
    dialects::openai::{CHAT, CHAT_CLIENT},
};
use tollgate_wire::{
    RawBody, Usage,
    chat::{ChatChunk, ChatRequest},
    framing::sse::SseFramer,
    http::Reply,
};

use crate::world::{self, Ask};

const LIMIT: usize = 1 << 20;

fn message() -> impl Strategy<Value = Value> {
    let role = select(vec!["system", "user", "assistant", "developer"]);
    prop_oneof![
        (role, ".{0,20}").prop_map(|(role, text)| json!({"role": role, "content": text})),
        "[a-z]{1,8}".prop_map(|text| json!({"role": "user", "content": [{"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": "https://picture.test/a.png"}}]})),
        ("[a-z_]{1,12}", ".{0,20}").prop_map(|(id, text)| json!({"role": "tool", "tool_call_id": id, "content": text})),
    ]
}

fn asked() -> impl Strategy<Value = Map<String, Value>> {
    let number = option::of(0u32..4096);
    (vec(message(), 1..5), number, option::of(0.0f64..2.0), option::of("[a-z]{1,6}"), any::<bool>()).prop_map(
        |(messages, max_tokens, temperature, user, usage)| {
            let mut body = Map::from_iter([("messages".to_owned(), messages.into())]);
            let mut set = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.to_owned(), value));
            set("max_tokens", max_tokens.map(Value::from));
            set("temperature", temperature.map(Value::from));
            set("user", user.map(Value::from));
            set("a_member_of_its_own", Some(json!({"kept": true})));
            set("stream_options", Some(json!({"include_usage": usage})));
            body
        },
    )
}

/// A usage object as one of the many servers writes it, or what is none.
fn usage() -> impl Strategy<Value = Value> {
    let count = || option::of(0u32..100_000);
    let full = (0u32..100_000, count(), count(), count(), count(), count(), option::of(0.0f64..1.0)).prop_map(
        |(prompt, completion, total, cached, reasoning, hit, cost)| {
            let mut usage = json!({"prompt_tokens": prompt});
            let mut set = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    usage[name] = value;
                }
            };
            set("completion_tokens", completion.map(Value::from));
            set("total_tokens", total.map(Value::from));
            set("prompt_tokens_details", cached.map(|cached| json!({"cached_tokens": cached})));
            set("completion_tokens_details", reasoning.map(|reasoning| json!({"reasoning_tokens": reasoning})));
            set("prompt_cache_hit_tokens", hit.map(Value::from));
            set("cost", cost.map(Value::from));
            usage
        },
    );
    prop_oneof![4 => full, 1 => Just(Value::Null), 1 => Just(json!({})), 1 => Just(json!({"prompt_tokens": "many"}))]
}

fn answered() -> impl Strategy<Value = Value> {
    (".{0,30}", select(vec!["stop", "length", "eos", "tool_calls"]), option::of(usage())).prop_map(
        |(text, finish, usage)| {
            let mut answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}]});
            if let Some(usage) = usage {
                answer["usage"] = usage;
            }
            answer
        },
    )
}

fn streamed() -> impl Strategy<Value = String> {
    (vec((".{0,10}", option::of(usage())), 1..6), option::of(usage()), any::<bool>()).prop_map(
        |(pieces, last, done)| {
            let mut out = String::new();
            for (text, usage) in pieces {
                let mut chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
                if let Some(usage) = usage {
                    chunk["usage"] = usage;
                }
                out.push_str(&format!("data: {chunk}\n\n"));
            }
            if let Some(usage) = last {
                out.push_str(&format!("data: {}\n\n", json!({"id": "c", "choices": [], "usage": usage})));
            }
            out + if done { "data: [DONE]\n\n" } else { "" }
        },
    )
}

fn target() -> Arc<Target> {
    world::target(&json!({"model": "openai/m", "api_base": "http://provider.test/v1", "api_key": "k"})).unwrap()
}

fn ask(body: &Map<String, Value>, stream: bool) -> Ask {
    let mut body = body.clone();
    body.insert("stream".to_owned(), stream.into());
    Ask::read(&json!({"operation": "chat", "body": body}))
}

/// The request as the hub sees it; it must also be possible to say it.
fn hub(ask: &Ask, target: &Target) -> ChatRequest {
    let request = CHAT_CLIENT.read(&ask.body).unwrap();
    let outgoing = CHAT.request(&request, target).unwrap();
    let body = RawBody::parse(&outgoing.body).unwrap();
    assert_eq!(body.typed::<String>("model").as_deref(), Some("m"));
    assert!(body.has("a_member_of_its_own"));
    request
}

fn hub_stream(ask: &Ask, target: &Target, bytes: &[u8]) -> Option<Usage> {
    let mut decoder = CHAT.decoder(&hub(ask, target), target);
    let mut framer = SseFramer::new(LIMIT);
    let mut chunks = Vec::new();
    framer.push(bytes).unwrap();
    while !decoder.is_done() {
        let Some(frame) = framer.next_frame() else { break };
        decoder.feed(&frame, &mut chunks).unwrap();
    }
    chunks.iter().rev().find_map(|chunk| match chunk {
        ChatChunk::Usage { usage, .. } => Some(*usage),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn both_lanes_meter_a_whole_answer_alike(body in asked(), answer in answered()) {
        let target = target();
        let ask = ask(&body, false);
        let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from(answer.to_string()) };

        let spliced = ask.draft(&target).unwrap().finish().unwrap().answers.whole(&reply).unwrap();
        let through_the_hub = CHAT.response(&reply, &hub(&ask, &target), &target).unwrap();

        prop_assert_eq!(spliced.usage, through_the_hub.usage);
    }

    #[test]
    fn both_lanes_meter_a_stream_alike(body in asked(), stream in streamed()) {
        let target = target();
        let ask = ask(&body, true);

        let mut spliced = ask.draft(&target).unwrap().finish().unwrap().answers.stream(LIMIT).unwrap();
        let mut out = Vec::new();
        spliced.push(stream.as_bytes(), &mut out).unwrap();

        prop_assert_eq!(spliced.progress().usage, hub_stream(&ask, &target, stream.as_bytes()));
    }
}
