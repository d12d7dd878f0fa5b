//! Answers made up at random, and what a provider of each dialect sends of them.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use tollgate_providers::{
    codec::{AnswerContext, ClientDialect},
    dialects::{
        anthropic::MESSAGES_CLIENT, gemini::CONTENT_CLIENT, openai::CHAT_CLIENT, openai_responses::RESPONSES_CLIENT,
    },
};
use tollgate_wire::{
    Usage,
    chat::{ChatChunk, ChatResponse, Choice, Delta, Finish, Part, ToolCall},
};

use super::{Kind, talk::words};
use crate::world::{self, ID, NOW};

/// An answer in no dialect's words; texts in the pieces in which a stream tells them.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) thought: Option<(Vec<String>, String)>,
    pub(super) words: Vec<String>,
    pub(super) calls: Vec<Called>,
    pub(super) finish: Finish,
    pub(super) usage: Usage,
}

#[derive(Clone, Debug)]
pub(super) struct Called {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
    /// Where the text of the arguments is cut.
    cut: usize,
}

/// An answer.
pub(super) fn told() -> impl Strategy<Value = Told> {
    let pieces = || vec(words().prop_map(|words| format!("w{words}")), 1..4);
    let called = ("[a-z]{2,6}", "[a-zA-Z_]{1,20}", vec(("[a-zé]{1,6}", words()), 0..3), 0..40_usize);
    let counts = (1..9000_u64, 1..9000_u64, 0..5000_u64, 0..100_u64);
    let finish = select(vec![Finish::Stop, Finish::Length, Finish::ContentFilter]);
    (option::weighted(0.4, pieces()), option::weighted(0.7, pieces()), vec(called, 0..3), finish, counts).prop_map(
        |(thought, words, calls, finish, (input, output, cached, thinking))| {
            let calls: Vec<Called> = calls
                .into_iter()
                .enumerate()
                .map(|(at, (id, name, arguments, cut))| Called {
                    id: format!("call_{id}{at}"),
                    name,
                    arguments: arguments.into_iter().map(|(name, text)| (name, text.into())).collect(),
                    cut,
                })
                .collect();
            let words = match words {
                None if calls.is_empty() => vec!["w".to_owned()],
                words => words.unwrap_or_default(),
            };
            let reasoning = if thought.is_some() { thinking.min(output) } else { 0 };
            let usage = Usage { input: input + cached, output, cache_read: cached, reasoning, ..Usage::default() };
            let finish = if calls.is_empty() { finish } else { Finish::ToolCalls };
            Told { thought: thought.map(|pieces| (pieces, "EqQBseal+/=".to_owned())), words, calls, finish, usage }
        },
    )
}

impl Told {
    fn parts(&self) -> Vec<Part> {
        let thought = self.thought.iter();
        let thought =
            thought.map(|(pieces, seal)| Part::Thinking { text: pieces.concat(), signature: Some(seal.clone()) });
        let words = (!self.words.is_empty()).then(|| Part::text(self.words.concat()));
        let calls = self.calls.iter().map(|call| {
            Part::ToolCall(ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: Value::Object(call.arguments.clone()).to_string(),
                ..ToolCall::default()
            })
        });
        thought.chain(words).chain(calls).collect()
    }

    /// By the hub's words, for dialects whose answers we write ourselves.
    fn whole(&self) -> ChatResponse {
        let choice = Choice {
            index: 0,
            parts: self.parts(),
            finish: self.finish,
            native_finish: None,
            extras: Map::new(),
            message_extras: Map::new(),
        };
        ChatResponse {
            id: "answer-1".to_owned(),
            model: "m".to_owned(),
            choices: vec![choice],
            usage: Some(self.usage),
            ..ChatResponse::default()
        }
    }

    fn pieces(&self) -> Vec<ChatChunk> {
        let mut deltas: Vec<Delta> = Vec::new();
        if let Some((pieces, seal)) = &self.thought {
            deltas.extend(pieces.iter().cloned().map(Delta::Thinking));
            deltas.push(Delta::Signature(seal.clone()));
        }
        deltas.extend(self.words.iter().cloned().map(Delta::Text));
        for (index, call) in (0..).zip(&self.calls) {
            deltas.push(Delta::ToolStart { index, id: call.id.clone(), name: call.name.clone() });
            for fragment in call.fragments() {
                deltas.push(Delta::ToolArguments { index, fragment });
            }
        }
        let deltas = deltas.into_iter().map(|delta| ChatChunk::Delta { choice: 0, delta });
        [ChatChunk::Start { id: "answer-1".to_owned(), model: "m".to_owned() }]
            .into_iter()
            .chain(deltas)
            .chain([
                ChatChunk::Finish { choice: 0, finish: self.finish, native: None },
                ChatChunk::Usage { usage: self.usage, extras: Map::new() },
            ])
            .collect()
    }
}

impl Called {
    fn fragments(&self) -> [String; 2] {
        let text = Value::Object(self.arguments.clone()).to_string();
        let mut at = self.cut.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (head, tail) = text.split_at(at);
        [head.to_owned(), tail.to_owned()]
    }
}

/// What a provider sends, whole and streamed.
pub(super) struct Sent {
    pub(super) whole: Vec<u8>,
    pub(super) stream: Vec<u8>,
}

/// The answer in the words of this kind of provider, or of the path at which it was asked.
pub(super) fn sent(kind: &Kind, url: &str, told: &Told) -> Sent {
    match kind.column {
        _ if url.ends_with("/responses") => ours(&RESPONSES_CLIENT, told),
        "OpenAI chat" => ours(&CHAT_CLIENT, told),
        "OpenAI responses" => ours(&RESPONSES_CLIENT, told),
        "Anthropic" => ours(&MESSAGES_CLIENT, told),
        "Gemini" => ours(&CONTENT_CLIENT, told),
        "Bedrock Converse" => bedrock(told),
        "Cohere v2" => cohere(told),
        _ => ollama(told),
    }
}

/// In the words that we write ourselves, for clients.
fn ours(dialect: &dyn ClientDialect, told: &Told) -> Sent {
    let context = AnswerContext {
        alias: "m".to_owned(),
        now: NOW,
        id: ID.to_owned(),
        include_usage: true,
        ..AnswerContext::default()
    };
    let whole = dialect.write(&told.whole(), &context);
    let (mut encoder, mut stream) = (dialect.encoder(&AnswerContext { stream: true, ..context }), Vec::new());
    for chunk in told.pieces() {
        encoder.encode(&chunk, &mut stream);
    }
    encoder.close(None, &mut stream);
    Sent { whole, stream }
}

fn bedrock(told: &Told) -> Sent {
    let reason = match told.finish {
        Finish::Length => "max_tokens",
        Finish::ContentFilter => "content_filtered",
        Finish::ToolCalls => "tool_use",
        _ => "end_turn",
    };
    let usage = json!({"inputTokens": told.usage.input - told.usage.cache_read, "outputTokens": told.usage.output,
        "cacheReadInputTokens": told.usage.cache_read, "totalTokens": told.usage.total()});
    let mut content = Vec::new();
    let mut events = vec![json!({"event": "messageStart", "data": {"role": "assistant"}})];
    let mut block = 0;
    let mut say = |events: &mut Vec<Value>, begins: Option<Value>, deltas: Vec<Value>| {
        if let Some(start) = begins {
            events.push(json!({"event": "contentBlockStart", "data": {"start": start, "contentBlockIndex": block}}));
        }
        for delta in deltas {
            events.push(json!({"event": "contentBlockDelta", "data": {"delta": delta, "contentBlockIndex": block}}));
        }
        events.push(json!({"event": "contentBlockStop", "data": {"contentBlockIndex": block}}));
        block += 1;
    };
    if let Some((pieces, seal)) = &told.thought {
        content.push(json!({"reasoningContent": {"reasoningText": {"text": pieces.concat(), "signature": seal}}}));
        let mut deltas: Vec<Value> = pieces.iter().map(|text| json!({"reasoningContent": {"text": text}})).collect();
        deltas.push(json!({"reasoningContent": {"signature": seal}}));
        say(&mut events, None, deltas);
    }
    if !told.words.is_empty() {
        content.push(json!({"text": told.words.concat()}));
        say(&mut events, None, told.words.iter().map(|text| json!({"text": text})).collect());
    }
    for call in &told.calls {
        content.push(json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}));
        let deltas = call.fragments().map(|fragment| json!({"toolUse": {"input": fragment}})).to_vec();
        say(&mut events, Some(json!({"toolUse": {"toolUseId": call.id, "name": call.name}})), deltas);
    }
    events.push(json!({"event": "messageStop", "data": {"stopReason": reason}}));
    events.push(json!({"event": "metadata", "data": {"usage": usage, "metrics": {"latencyMs": 1}}}));
    let whole =
        json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, "usage": usage});
    Sent { whole: whole.to_string().into_bytes(), stream: world::aws_events(&events.into()).expect("events") }
}

fn event(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"))
}

fn cohere(told: &Told) -> Sent {
    let reason = match told.finish {
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "ERROR_TOXIC",
        Finish::ToolCalls => "TOOL_CALL",
        _ => "COMPLETE",
    };
    let usage = json!({"tokens": {"input_tokens": told.usage.input, "output_tokens": told.usage.output},
        "cached_tokens": told.usage.cache_read});
    let mut message = json!({"role": "assistant"});
    let mut content = Vec::new();
    let mut stream = event(&json!({"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}}));
    let thought = told.thought.as_ref().map_or(&[][..], |(pieces, _)| pieces);
    for (kind, pieces) in [("thinking", thought), ("text", &told.words)] {
        if !pieces.is_empty() {
            content.push(json!({"type": kind, kind: pieces.concat()}));
        }
        for piece in pieces {
            stream +=
                &event(&json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {kind: piece}}}}));
        }
    }
    if !content.is_empty() {
        message["content"] = content.into();
    }
    let mut calls = Vec::new();
    for (index, call) in told.calls.iter().enumerate() {
        let written = |arguments: &str| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}});
        let [head, tail] = call.fragments();
        calls.push(written(&format!("{head}{tail}")));
        let delta = |told: Value| json!({"message": {"tool_calls": told}});
        stream += &event(&json!({"type": "tool-call-start", "index": index, "delta": delta(written(&head))}));
        let more = json!({"function": {"arguments": tail}});
        stream += &event(&json!({"type": "tool-call-delta", "index": index, "delta": delta(more)}));
        stream += &event(&json!({"type": "tool-call-end", "index": index}));
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    stream += &event(&json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}}));
    let whole = json!({"id": "c", "finish_reason": reason, "message": message, "usage": usage});
    Sent { whole: whole.to_string().into_bytes(), stream: stream.into_bytes() }
}

fn ollama(told: &Told) -> Sent {
    let reason = if told.finish == Finish::Length { "length" } else { "stop" };
    let call = |call: &Called| json!({"id": call.id, "function": {"name": call.name, "arguments": call.arguments}});
    let thought = told.thought.as_ref().map_or(&[][..], |(pieces, _)| pieces);
    let mut message = json!({"role": "assistant", "content": told.words.concat()});
    if !thought.is_empty() {
        message["thinking"] = thought.concat().into();
    }
    if !told.calls.is_empty() {
        message["tool_calls"] = told.calls.iter().map(call).collect();
    }
    let piece = |message: Value| json!({"model": "m", "created_at": "t", "message": message, "done": false});
    let thoughts = thought.iter().map(|text| piece(json!({"role": "assistant", "content": "", "thinking": text})));
    let words = told.words.iter().map(|text| piece(json!({"role": "assistant", "content": text})));
    let calls =
        told.calls.iter().map(|one| piece(json!({"role": "assistant", "content": "", "tool_calls": [call(one)]})));
    let end = |message: Value| {
        json!({"model": "m", "created_at": "t", "message": message, "done": true, "done_reason": reason,
            "prompt_eval_count": told.usage.input, "eval_count": told.usage.output})
    };
    let events = thoughts.chain(words).chain(calls).chain([end(json!({"role": "assistant", "content": ""}))]);
    let stream: String = events.map(|event| format!("{event}\n")).collect();
    Sent { whole: end(message).to_string().into_bytes(), stream: stream.into_bytes() }
}
