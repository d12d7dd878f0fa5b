//! The three ways in, each before a provider that speaks the same and before one that does not: how it is asked, what it
//! says, how it says that it failed.

use serde_json::{Value, json};
use tollgate_kit::{SseItem, http::Event};

/// One way in.
pub(super) struct Lane {
    pub(super) name: &'static str,
    /// Where clients ask.
    pub(super) path: &'static str,
    /// What stands before the model's name.
    pub(super) prefix: &'static str,
    /// What stands behind the provider's address.
    pub(super) suffix: &'static str,
    /// What ends a stream that went well.
    pub(super) last_word: &'static str,
    ask: fn(&mut Value),
    whole: fn() -> Value,
    stream: fn() -> [Vec<SseItem>; 3],
    refusal: fn(Option<u16>) -> Value,
    in_band: fn(Option<u16>) -> SseItem,
}

const WORDS: &str = "the words of the provider";

pub(super) const LANES: [Lane; 7] = [
    Lane { name: "chat", ..CHAT },
    Lane { name: "messages", ..MESSAGES },
    Lane { name: "responses", ..RESPONSES },
    Lane { name: "chat at Anthropic", path: CHAT.path, last_word: CHAT.last_word, ask: CHAT.ask, ..MESSAGES },
    Lane {
        name: "messages at a chat server",
        path: MESSAGES.path,
        prefix: "hosted_vllm/",
        last_word: MESSAGES.last_word,
        ask: MESSAGES.ask,
        ..CHAT
    },
    Lane {
        name: "messages at OpenAI",
        path: MESSAGES.path,
        last_word: MESSAGES.last_word,
        ask: MESSAGES.ask,
        ..RESPONSES
    },
    Lane {
        name: "responses at Anthropic",
        path: RESPONSES.path,
        last_word: RESPONSES.last_word,
        ask: RESPONSES.ask,
        ..MESSAGES
    },
];

const CHAT: Lane = Lane {
    name: "chat",
    path: "/v1/chat/completions",
    prefix: "openai/",
    suffix: "/v1",
    last_word: "[DONE]",
    ask: ask_with_messages,
    whole: chat_whole,
    stream: chat_stream,
    refusal: openai_refusal,
    in_band: chat_in_band,
};

const MESSAGES: Lane = Lane {
    name: "messages",
    path: "/v1/messages",
    prefix: "anthropic/",
    suffix: "",
    last_word: "message_stop",
    ask: ask_with_messages,
    whole: messages_whole,
    stream: messages_stream,
    refusal: anthropic_refusal,
    in_band: |status| SseItem::event("error", anthropic_refusal(status)),
};

const RESPONSES: Lane = Lane {
    name: "responses",
    path: "/v1/responses",
    prefix: "openai/",
    suffix: "/v1",
    last_word: "response.completed",
    ask: |body| body["input"] = json!("hi"),
    whole: responses_whole,
    stream: responses_stream,
    refusal: openai_refusal,
    in_band: responses_in_band,
};

impl Lane {
    /// The name as part of models' names and paths.
    pub(super) fn word(&self) -> String {
        self.name.replace(' ', "-")
    }

    /// A client's request.
    pub(super) fn ask(&self, model: &str, stream: bool) -> Value {
        let mut body = json!({"model": model, "stream": stream});
        (self.ask)(&mut body);
        body
    }

    /// What a provider says that is well.
    pub(super) fn whole(&self) -> Value {
        (self.whole)()
    }

    /// A stream that goes well, in three parts: what comes before content, two pieces of content, the end.
    pub(super) fn stream(&self) -> [Vec<SseItem>; 3] {
        (self.stream)()
    }

    /// How the provider refuses, with the status in its words.
    pub(super) fn refusal(&self, status: Option<u16>) -> Value {
        (self.refusal)(status)
    }

    /// How the provider says in a stream that it failed, as far as it has words for the status.
    pub(super) fn in_band(&self, status: Option<u16>) -> SseItem {
        (self.in_band)(status)
    }

    /// The type and the words of an error, in the body of a refusal or in the last event of a stream.
    pub(super) fn error(&self, told: &Value) -> Option<(String, String)> {
        let error = [told.get("error"), told.pointer("/response/error"), Some(told)]
            .into_iter()
            .flatten()
            .find(|error| error["message"].is_string())?;
        // A response that failed has a code in place of a type.
        let typed =
            if error.get("type").is_none() || error["type"] == "error" { &error["code"] } else { &error["type"] };
        Some((typed.as_str()?.to_owned(), error["message"].as_str()?.to_owned()))
    }

    /// Whether a stream's event carries words of the answer.
    pub(super) fn speaks(&self, event: &Event) -> bool {
        event.data.contains("\"Hel\"")
    }
}

fn ask_with_messages(body: &mut Value) {
    body["max_tokens"] = json!(9);
    body["messages"] = json!([{"role": "user", "content": "hi"}]);
}

fn openai_refusal(status: Option<u16>) -> Value {
    let code = status.map_or(Value::Null, |_| json!("a_code"));
    json!({"error": {"message": WORDS, "type": "a_type", "param": null, "code": code}})
}

fn anthropic_refusal(status: Option<u16>) -> Value {
    let kind = match status {
        Some(400 | 422) => "invalid_request_error",
        Some(401) => "authentication_error",
        Some(403) => "permission_error",
        Some(404) => "not_found_error",
        Some(408) => "timeout_error",
        Some(413) => "request_too_large",
        Some(429) => "rate_limit_error",
        Some(503 | 529) => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": WORDS}})
}

fn chunk(delta: Value, finish: Value) -> SseItem {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    SseItem::data(
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}),
    )
}

fn chat_whole() -> Value {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage})
}

fn chat_stream() -> [Vec<SseItem>; 3] {
    [
        vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)],
        vec![chunk(json!({"content": "Hel"}), Value::Null), chunk(json!({"content": "lo"}), Value::Null)],
        vec![chunk(json!({}), json!("stop")), SseItem::done()],
    ]
}

/// Servers behind `OpenAI`'s words put the status into `code`.
fn chat_in_band(status: Option<u16>) -> SseItem {
    SseItem::data(json!({"error": {"message": WORDS, "type": "a_type", "param": null, "code": status}}))
}

fn messages_whole() -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": null,
        "content": [{"type": "text", "text": "Hello"}], "usage": {"input_tokens": 3, "output_tokens": 2}})
}

fn messages_stream() -> [Vec<SseItem>; 3] {
    let event = |document: Value| SseItem::event(document["type"].as_str().unwrap_or_default(), document.clone());
    let delta = |text: &str| {
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}))
    };
    let mut opening = messages_whole();
    opening["content"] = json!([]);
    opening["stop_reason"] = Value::Null;
    let block = json!({"type": "text", "text": ""});
    [
        vec![
            event(json!({"type": "message_start", "message": opening})),
            event(json!({"type": "content_block_start", "index": 0, "content_block": block})),
        ],
        vec![delta("Hel"), delta("lo")],
        vec![
            event(json!({"type": "content_block_stop", "index": 0})),
            event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": 2}})),
            event(json!({"type": "message_stop"})),
        ],
    ]
}

fn response(status: &str, output: Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "error": null,
        "output": output, "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}})
}

fn said(status: &str, text: &str) -> Value {
    let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": content})
}

fn responses_whole() -> Value {
    response("completed", json!([said("completed", "Hello")]))
}

fn responses_stream() -> [Vec<SseItem>; 3] {
    let event = |mut document: Value, number: u64| {
        document["sequence_number"] = json!(number);
        SseItem::event(document["type"].as_str().unwrap_or_default(), document.clone())
    };
    let begun = response("in_progress", json!([]));
    let mut item = said("in_progress", "");
    item["content"] = json!([]);
    let part = json!({"type": "output_text", "text": "", "annotations": []});
    let delta = |text: &str, number: u64| {
        let place = json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
            "delta": text});
        event(place, number)
    };
    [
        vec![
            event(json!({"type": "response.created", "response": begun}), 0),
            event(json!({"type": "response.in_progress", "response": begun}), 1),
            event(json!({"type": "response.output_item.added", "output_index": 0, "item": item}), 2),
            event(
                json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0,
                "part": part}),
                3,
            ),
        ],
        vec![delta("Hel", 4), delta("lo", 5)],
        vec![event(json!({"type": "response.completed", "response": responses_whole()}), 6)],
    ]
}

fn responses_in_band(status: Option<u16>) -> SseItem {
    let code = match status {
        Some(400 | 413 | 422) => "invalid_prompt",
        Some(429) => "rate_limit_exceeded",
        _ => "server_error",
    };
    SseItem::event(
        "error",
        json!({"type": "error", "code": code, "message": WORDS, "param": null, "sequence_number": 5}),
    )
}
