//! A request of the Responses API comes out of the hub as it went in, and so does an answer: what is said, thought, called and
//! returned, in its order, and the parameters that have a place there.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use tollgate_providers::{
    Target,
    codec::{ClientDialect as _, ProviderDialect as _},
    dialects::openai_responses::{RESPONSES, RESPONSES_CLIENT},
};
use tollgate_wire::{RawBody, chat::ChatRequest, http::Reply};

use crate::world::{self, Ask};

fn target() -> Arc<Target> {
    world::target(&json!({"model": "openai/responses/m", "api_key": "k"})).unwrap()
}

fn said() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{1,20}".prop_map(
            |text| json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
        ),
        ".{1,20}".prop_map(
            |text| json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
        ),
        ".{1,20}".prop_map(
            |text| json!({"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]})
        ),
        Just(json!({"type": "message", "role": "user", "content": [
            {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
            {"type": "input_file", "file_id": "file-1"}]})),
        ("[a-z]{1,8}", "[A-Za-z0-9]{4,20}").prop_map(|(text, seal)| json!({"type": "reasoning",
            "summary": [{"type": "summary_text", "text": text}], "encrypted_content": format!("gAAAA{seal}")})),
        ("[a-z]{4,9}", "[a-z]{1,9}", "[a-z]{0,9}").prop_map(|(id, name, value)| json!({"type": "function_call",
            "call_id": id, "name": name, "arguments": json!({ "a": value }).to_string()})),
        ("[a-z]{4,9}", ".{0,20}")
            .prop_map(|(id, text)| json!({"type": "function_call_output", "call_id": id, "output": text})),
    ]
}

fn asked() -> impl Strategy<Value = Value> {
    let effort = option::of(select(vec!["low", "medium", "high"]));
    let format = option::of(select(vec![
        json!({"type": "json_object"}),
        json!({"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": true}),
    ]));
    let tools = select(vec![
        json!([]),
        json!([{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true}]),
        json!([{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": false},
            {"type": "file_search", "vector_store_ids": ["v"]}]),
    ]);
    let choice = select(vec![json!("auto"), json!("required"), json!({"type": "function", "name": "f"})]);
    (vec(said(), 1..8), option::of("[a-z ]{1,20}"), option::of(16u32..4096), effort, format, tools, choice).prop_map(
        |(mut items, instructions, longest, effort, format, tools, choice)| {
            // What the operator says first would join the instructions.
            items.insert(
                0,
                json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}),
            );
            let mut body = json!({"input": items});
            let mut set = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    body[name] = value;
                }
            };
            set("instructions", instructions.map(Value::from));
            set("max_output_tokens", longest.map(Value::from));
            set("reasoning", effort.map(|effort| json!({ "effort": effort })));
            set("text", format.map(|format| json!({ "format": format })));
            if tools != json!([]) {
                set("tools", Some(tools));
                set("tool_choice", Some(choice));
            }
            body
        },
    )
}

/// Everything that is said, thought, called and returned, in order, whichever item it stands in.
fn flat(items: &Value) -> Vec<Value> {
    let mut flat = Vec::new();
    for item in items.as_array().expect("items") {
        match item["type"].as_str().expect("a type") {
            "message" => {
                for part in item["content"].as_array().expect("parts") {
                    flat.push(json!([item["role"], part]));
                }
            }
            _ => flat.push(item.clone()),
        }
    }
    flat
}

fn hub(body: &Value) -> ChatRequest {
    RESPONSES_CLIENT.read(&RawBody::from_map(body.as_object().expect("an object"))).expect("a request")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_request_comes_out_as_it_went_in(body in asked()) {
        let outgoing = RESPONSES.request(&hub(&body), &target()).unwrap();
        let out: Value = serde_json::from_slice(&outgoing.body).unwrap();
        prop_assert_eq!(flat(&out["input"]), flat(&body["input"]));
        for name in ["instructions", "max_output_tokens", "reasoning", "text", "tools", "tool_choice"] {
            prop_assert_eq!(&out[name], &body[name], "{}", name);
        }
    }

    #[test]
    fn an_answer_comes_out_as_it_went_in(texts in vec(".{1,20}", 1..3), seal in option::of("gAAAA[a-z]{1,9}"), calls in 0usize..3,
        longest in any::<bool>(), counts in (0u32..1000, 0u32..1000, 0u32..1000)) {
        let mut output = vec![];
        if let Some(seal) = &seal {
            output.push(json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": seal}));
        }
        for text in &texts {
            output.push(json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}));
        }
        for call in 0..calls {
            output.push(json!({"type": "function_call", "call_id": format!("call_{call}"), "name": "f", "arguments": "{}"}));
        }
        let (input, cached, told) = counts;
        let usage = json!({"input_tokens": input + cached, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": told,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + cached + told});
        let status = if longest { "incomplete" } else { "completed" };
        let details = if longest { json!({"reason": "max_output_tokens"}) } else { Value::Null };
        let answer = json!({"id": "resp_1", "object": "response", "created_at": 5, "status": status, "model": "m", "output": output,
            "incomplete_details": details, "usage": usage});
        let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from(answer.to_string()) };

        let ask = Ask::read(&json!({"operation": "responses", "body": {"input": "Hi"}}));
        let response = RESPONSES.response(&reply, &ChatRequest::default(), &target()).unwrap();
        let out: Value = serde_json::from_slice(&RESPONSES_CLIENT.write(&response, &ask.context)).unwrap();

        for name in ["status", "incomplete_details", "usage", "created_at"] {
            prop_assert_eq!(&out[name], &answer[name], "{}", name);
        }
        let kinds = |items: &Value| -> Vec<Value> {
            let mut kinds: Vec<Value> = items.as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
            kinds.dedup_by(|a, b| a == b && a == "message");
            kinds
        };
        prop_assert_eq!(kinds(&out["output"]), kinds(&answer["output"]));
        let words = |items: &Value| -> String {
            flat(items).iter().filter_map(|part| part[1]["text"].as_str().map(str::to_owned)).collect()
        };
        prop_assert_eq!(words(&out["output"]), texts.concat());
        if let Some(seal) = &seal {
            prop_assert_eq!(&out["output"][0]["encrypted_content"], &json!(seal));
        }
        let made = out["output"].as_array().unwrap().iter().filter(|item| item["type"] == "function_call");
        let ids: Vec<Value> = made.map(|item| item["call_id"].clone()).collect();
        let called: Vec<Value> = (0..calls).map(|call| format!("call_{call}").into()).collect();
        prop_assert_eq!(ids, called);
    }
}
