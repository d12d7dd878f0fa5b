//! The default behaviour: what OpenAI and Anthropic would say.

use serde_json::{Value, json};
use tollgate_kit::{
    FakeProvider,
    golden::assert_json,
    http::{self, Reply},
    provider::KEY,
};

async fn openai(path: &str, body: Value) -> Reply {
    let provider = FakeProvider::start().await;
    let key = format!("Bearer {KEY}");
    http::post(&format!("{}{path}", provider.url()), &[("authorization", &key)], &body).await
}

async fn anthropic(body: Value) -> Reply {
    let provider = FakeProvider::start().await;
    let headers = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
    http::post(&format!("{}/v1/messages", provider.url()), &headers, &body).await
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

fn weather_tool() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}
    }}}])
}

#[tokio::test]
async fn a_chat_is_answered_with_an_echo_and_usage() {
    let reply = openai("/v1/chat/completions", json!({"model": "gpt-4o", "messages": user("two words")})).await;

    let body = reply.json();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello from the fake provider. You said: two words");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_json(&body["usage"]["prompt_tokens"], &json!(2));
    assert_json(&body["usage"]["total_tokens"], &json!(11));
}

#[tokio::test]
async fn a_streamed_chat_says_the_same_as_the_whole_one() {
    let mut ask = json!({"model": "gpt-4o", "messages": user("two words")});
    let whole = openai("/v1/chat/completions", ask.clone()).await.json();
    ask["stream"] = json!(true);
    ask["stream_options"] = json!({"include_usage": true});

    let events = openai("/v1/chat/completions", ask).await.events();

    let text: String = events
        .iter()
        .map(|event| event.json()["choices"][0]["delta"]["content"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"].as_str().expect("a text"));
    assert_eq!(events[events.len() - 1].data, "[DONE]");
    let last = events[events.len() - 2].json();
    assert_json(&last["usage"], &whole["usage"]);
    assert_json(&last["choices"], &json!([]));
}

#[tokio::test]
async fn a_stream_without_the_option_has_no_usage() {
    let ask = json!({"model": "gpt-4o", "messages": user("hi"), "stream": true});

    let reply = openai("/v1/chat/completions", ask).await;

    assert!(!reply.text().contains("usage"));
}

#[tokio::test]
async fn an_offered_tool_is_called_until_its_result_is_there() {
    let mut ask = json!({"model": "gpt-4o", "messages": user("weather?"), "tools": weather_tool()});
    let first = openai("/v1/chat/completions", ask.clone()).await.json();
    ask["messages"] =
        json!([{"role": "user", "content": "weather?"}, {"role": "tool", "content": "sun", "tool_call_id": "c"}]);

    let second = openai("/v1/chat/completions", ask).await.json();

    let call = &first["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_json(call, &json!({"name": "weather", "arguments": r#"{"city":"sample"}"#}));
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(second["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_streamed_tool_call_comes_in_parts() {
    let ask = json!({"model": "gpt-4o", "messages": user("w"), "tools": weather_tool(), "stream": true});

    let events = openai("/v1/chat/completions", ask).await.events();

    let part =
        |event: &http::Event| event.json()["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].clone();
    let arguments: String = events.iter().filter_map(|event| part(event).as_str().map(str::to_owned)).collect();
    assert_eq!(arguments, r#"{"city":"sample"}"#);
}

#[tokio::test]
async fn a_schema_is_answered_with_a_fitting_document() {
    let schema = json!({"type": "object", "properties": {"age": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "person", "schema": schema}});

    let body =
        openai("/v1/chat/completions", json!({"model": "gpt-4o", "messages": user("x"), "response_format": format}))
            .await
            .json();

    assert_eq!(body["choices"][0]["message"]["content"], r#"{"age":7}"#);
}

#[tokio::test]
async fn a_token_limit_cuts_the_answer_short() {
    let body = openai("/chat/completions", json!({"model": "a", "messages": user("x"), "max_tokens": 2})).await.json();

    assert_eq!(body["choices"][0]["message"]["content"], "Hello from ");
    assert_eq!(body["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn an_azure_deployment_is_its_model() {
    let provider = FakeProvider::start().await;
    let url = format!("{}/openai/deployments/mine/chat/completions?api-version=1", provider.url());

    let reply = http::post(&url, &[("api-key", KEY)], &json!({"messages": user("x")})).await;

    assert_eq!((reply.status, &reply.json()["model"]), (200, &json!("mine")));
}

#[tokio::test]
async fn text_completions_are_answered_whole_and_streamed() {
    let whole = openai("/v1/completions", json!({"model": "a", "prompt": "once"})).await.json();
    let stream = openai("/v1/completions", json!({"model": "a", "prompt": ["once"], "stream": true})).await;

    let text: String = stream
        .events()
        .iter()
        .map(|event| event.json()["choices"][0]["text"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(whole["choices"][0]["text"], text);
    assert!(text.ends_with("once"));
}

#[tokio::test]
async fn embeddings_are_one_per_input_and_the_same_in_both_encodings() {
    let floats = openai("/v1/embeddings", json!({"model": "e", "input": ["a", "b"], "dimensions": 3})).await.json();
    let ask = json!({"model": "e", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64"});
    let encoded = openai("/v1/embeddings", ask).await.json();

    assert_eq!(floats["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(floats["data"][0]["embedding"].as_array().map(Vec::len), Some(3));
    assert_ne!(floats["data"][0]["embedding"], floats["data"][1]["embedding"]);
    assert_eq!(encoded["data"][0]["embedding"].as_str().map(str::len), Some(16), "twelve bytes in base64");
    assert_json(&floats["usage"], &json!({"prompt_tokens": 2, "total_tokens": 2}));
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let provider = FakeProvider::start().await;
    let headers = [("authorization", format!("Bearer {KEY}"))].map(|(name, value)| (name, value));
    let headers = [(headers[0].0, headers[0].1.as_str())];

    let list = http::get(&format!("{}/v1/models", provider.url()), &headers).await.json();
    let one = http::get(&format!("{}/v1/models/gpt-4o", provider.url()), &headers).await;
    let none = http::get(&format!("{}/v1/models/gpt-0", provider.url()), &headers).await;

    assert_eq!(list["data"][0]["id"], "gpt-4o");
    assert_eq!((one.status, none.status), (200, 404));
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_the_words_of_the_provider() {
    let provider = FakeProvider::start().await;
    let url = provider.url();

    let openai =
        http::post(&format!("{url}/v1/chat/completions"), &[("authorization", "Bearer wrong")], &json!({})).await;
    let anthropic = http::post(&format!("{url}/v1/messages"), &[("x-api-key", "wrong")], &json!({})).await;

    assert_eq!((openai.status, &openai.json()["error"]["code"]), (401, &json!("invalid_api_key")));
    assert_eq!((anthropic.status, &anthropic.json()["error"]["type"]), (401, &json!("authentication_error")));
}

#[tokio::test]
async fn model_names_ask_for_failures() {
    let limited = openai("/v1/chat/completions", json!({"model": "fail-429", "messages": user("x")})).await;
    let too_long = openai("/v1/chat/completions", json!({"model": "fail-context", "messages": user("x")})).await;
    let overloaded = anthropic(json!({"model": "fail-529", "max_tokens": 1, "messages": user("x")})).await;

    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("1")));
    assert_eq!(too_long.json()["error"]["code"], "context_length_exceeded");
    assert_eq!((overloaded.status, &overloaded.json()["error"]["type"]), (529, &json!("overloaded_error")));
}

#[tokio::test]
async fn an_incomplete_request_is_refused() {
    let no_messages = openai("/v1/chat/completions", json!({"model": "a"})).await;
    let no_limit = anthropic(json!({"model": "claude", "messages": user("x")})).await;
    let nowhere = openai("/v1/nowhere", json!({"model": "a"})).await;

    assert_eq!((no_messages.status, no_limit.status, nowhere.status), (400, 400, 404));
    assert_eq!(no_limit.json()["error"]["message"], "max_tokens: Field required");
}

#[tokio::test]
async fn a_message_is_answered_with_blocks_and_usage() {
    let ask = json!({
        "model": "claude", "max_tokens": 50, "system": "be kind", "messages": user("hi"),
        "thinking": {"type": "enabled", "budget_tokens": 1024}
    });

    let body = anthropic(ask).await.json();

    assert_eq!(body["content"][0]["type"], "thinking");
    assert_eq!(body["content"][1]["text"], "Hello from the fake provider. You said: hi");
    assert_eq!(body["stop_reason"], "end_turn");
    assert_json(&body["usage"]["input_tokens"], &json!(3));
    assert_json(&body["usage"]["output_tokens"], &json!(8));
}

#[tokio::test]
async fn a_streamed_message_says_the_same_as_the_whole_one() {
    let tool =
        json!({"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}});
    let ask = json!({"model": "claude", "max_tokens": 50, "messages": user("hi"), "stream": true, "tools": [tool]});

    let events = anthropic(ask).await.events();

    let names: Vec<&str> = events.iter().filter_map(|event| event.name.as_deref()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let input: String =
        events.iter().map(|event| event.json()["delta"]["partial_json"].as_str().unwrap_or("").to_owned()).collect();
    assert_eq!(input, r#"{"city":"sample"}"#);
    assert_eq!(events[events.len() - 2].json()["delta"]["stop_reason"], "tool_use");
}
