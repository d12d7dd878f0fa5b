//! Conversations in Anthropic's words through the hub and back, and through `OpenAI`'s.

use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value, json};
use tollgate_providers::{
    codec::{ClientDialect as _, ProviderDialect as _},
    dialects::{
        anthropic::{MESSAGES, MESSAGES_CLIENT},
        openai::{CHAT, CHAT_CLIENT},
    },
};
use tollgate_wire::{RawBody, chat::ChatRequest};

use crate::world;

fn words() -> impl Strategy<Value = String> {
    "[a-zé ]{0,12}[a-z]"
}

fn text() -> impl Strategy<Value = Value> {
    (words(), any::<bool>()).prop_map(|(text, marked)| {
        let mut block = json!({"type": "text", "text": text});
        if marked {
            block["cache_control"] = json!({"type": "ephemeral"});
        }
        block
    })
}

fn picture() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"type": "image", "source": {"type": "url", "url": "https://picture.test/a.png"}})),
        Just(json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}})),
    ]
}

/// A turn: the user speaks, the model thinks, speaks and calls, and the calls are answered.
fn turn() -> impl Strategy<Value = Vec<Value>> {
    let thought = option::of("[a-z]{1,8}");
    let results = vec((words(), any::<bool>()), 0..3);
    (vec(prop_oneof![3 => text(), 1 => picture()], 1..3), thought, text(), results).prop_map(
        |(asked, thought, said, results)| {
            let thought = thought.map(|text| json!({"type": "thinking", "thinking": text, "signature": "SEAL"}));
            let calls = results.iter().enumerate().map(|(at, (words, _))| {
                json!({"type": "tool_use", "id": format!("toolu_{at}"), "name": "f", "input": {"q": words}})
            });
            let answer: Vec<Value> = thought.into_iter().chain([said]).chain(calls).collect();
            let results = results.iter().enumerate().map(|(at, (words, failed))| {
                let mut result = json!({"type": "tool_result", "tool_use_id": format!("toolu_{at}"), "content": words});
                if *failed {
                    result["is_error"] = true.into();
                }
                result
            });
            let results: Vec<Value> = results.collect();
            let mut turn =
                vec![json!({"role": "user", "content": asked}), json!({"role": "assistant", "content": answer})];
            if !results.is_empty() {
                turn.push(json!({"role": "user", "content": results}));
            }
            turn
        },
    )
}

fn asked() -> impl Strategy<Value = Value> {
    (vec(turn(), 1..4), option::of(vec(text(), 1..3)), option::of("[a-z]{1,5}")).prop_map(|(turns, system, user)| {
        let mut messages: Vec<Value> = Vec::new();
        for message in
            turns.into_iter().flatten().chain([json!({"role": "user", "content": [{"type": "text", "text": "go"}]})])
        {
            match messages.last_mut().filter(|last| last["role"] == message["role"]) {
                // Anthropic knows no two messages of one side in a row.
                Some(last) => {
                    let more = message["content"].as_array().unwrap().clone();
                    last["content"].as_array_mut().unwrap().extend(more);
                }
                None => messages.push(message),
            }
        }
        let mut body = json!({"max_tokens": 64, "messages": messages, "stop_sequences": ["X"], "top_k": 3,
            "tools": [{"name": "f", "type": "custom", "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
        if let Some(system) = system {
            body["system"] = system.into();
        }
        if let Some(user) = user {
            body["metadata"] = json!({"user_id": user});
        }
        body
    })
}

fn read(body: &Value) -> ChatRequest {
    MESSAGES_CLIENT.read(&RawBody::from_map(body.as_object().unwrap())).unwrap()
}

fn sent(request: &ChatRequest, model: &str) -> Map<String, Value> {
    let target = world::target(&json!({"model": model, "api_base": "http://provider.test", "api_key": "k"})).unwrap();
    let outgoing = match target.provider.name {
        "anthropic" => MESSAGES.request(request, &target).unwrap(),
        _ => CHAT.request(request, &target).unwrap(),
    };
    let mut sent = RawBody::parse(&outgoing.body).unwrap().to_map();
    sent.shift_remove("model");
    sent
}

/// All words of a kind in the order in which they stand, wherever they stand.
fn all(value: &Value, name: &str, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| all(item, name, found)),
        Value::Object(members) => {
            found.extend(members.get(name).cloned());
            members.values().for_each(|member| all(member, name, found));
        }
        _ => {}
    }
}

fn found(value: &Value, name: &str) -> Vec<Value> {
    let mut found_so_far = Vec::new();
    all(value, name, &mut found_so_far);
    found_so_far
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_conversation_comes_out_of_the_hub_as_it_went_in(body in asked()) {
        let sent = Value::Object(sent(&read(&body), "anthropic/claude-x"));
        for name in ["messages", "system", "max_tokens", "stop_sequences", "top_k", "tools", "tool_choice", "metadata"] {
            prop_assert_eq!(sent.get(name), body.get(name), "{}", name);
        }
    }

    #[test]
    fn a_conversation_keeps_its_words_in_openais(body in asked()) {
        let sent = Value::Object(sent(&read(&body), "custom_openai/m"));
        let back = CHAT_CLIENT.read(&RawBody::from_map(sent.as_object().unwrap())).unwrap();
        let again = Value::Object(self::sent(&back, "anthropic/claude-x"));
        for name in ["url", "tool_use_id", "input", "id"] {
            prop_assert_eq!(found(&again["messages"], name), found(&body["messages"], name), "{}", name);
        }
        let spoken = |body: &Value| {
            let words = found(&body["messages"], "text");
            words.iter().map(|word| word.as_str().unwrap_or_default()).collect::<String>()
        };
        prop_assert_eq!(spoken(&again), spoken(&body));
    }

    #[test]
    fn no_body_breaks_the_reader(body in nonsense()) {
        let read = MESSAGES_CLIENT.read(&RawBody::from_map(&Map::from_iter([("messages".to_owned(), body)])));
        if let Err(failure) = read {
            prop_assert_eq!(failure.http_status(), 400);
        }
    }
}

/// JSON that looks a little like messages.
fn nonsense() -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(vec![
        "type",
        "role",
        "content",
        "source",
        "text",
        "id",
        "name",
        "input",
        "tool_use_id",
    ]);
    let word = proptest::sample::select(vec![
        "user",
        "assistant",
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "base64",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        word.prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner), 0..5).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}
