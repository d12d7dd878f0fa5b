//! OpenAI's chat, text completions, embeddings and model list.

use base64::Engine;
use serde_json::{Value, json};

use super::{
    refusal::Refusal,
    spoken::{self, Asked, Spoken},
};
use crate::answer::{Answer, SseItem};

/// When everything was made, so that answers are the same every time.
const CREATED: u64 = 1_700_000_000;
const MODELS: [&str; 4] = ["gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo-instruct", "text-embedding-3-small"];

pub(super) fn models() -> Answer {
    let data: Vec<Value> = MODELS.iter().map(|name| model_document(name)).collect();
    Answer::json(200, json!({"object": "list", "data": data}))
}

pub(super) fn model(name: &str) -> Result<Answer, Refusal> {
    if MODELS.contains(&name) { Ok(Answer::json(200, model_document(name))) } else { Err(Refusal::unknown_model(name)) }
}

fn model_document(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": CREATED, "owned_by": "fake-provider"})
}

pub(super) fn chat(number: usize, model: &str, asked: &Value) -> Result<Answer, Refusal> {
    let reading = read_chat(model, asked)?;
    let spoken = Spoken::to(&reading);
    let reply = Completion { id: format!("chatcmpl-fake-{number}"), model, asked, spoken: &spoken };
    Ok(if asked["stream"] == true { reply.chat_stream() } else { reply.chat_whole() })
}

pub(super) fn completion(number: usize, model: &str, asked: &Value) -> Result<Answer, Refusal> {
    if model.is_empty() {
        return Err(Refusal::missing("model"));
    }
    let prompt = match &asked["prompt"] {
        Value::Array(prompts) => prompts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        prompt => spoken::text_of(prompt),
    };
    let most_tokens = asked["max_tokens"].as_u64();
    let reading = Asked { last_user_text: prompt.clone(), prompt, most_tokens, ..Asked::default() };
    let spoken = Spoken::to(&reading);
    let reply = Completion { id: format!("cmpl-fake-{number}"), model, asked, spoken: &spoken };
    Ok(if asked["stream"] == true { reply.text_stream() } else { reply.text_whole() })
}

fn read_chat<'asked>(model: &str, asked: &'asked Value) -> Result<Asked<'asked>, Refusal> {
    if model.is_empty() {
        return Err(Refusal::missing("model"));
    }
    let messages = asked["messages"].as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| Refusal::missing("messages"))?;
    let (prompt, last_user_text) = spoken::conversation(messages);
    let after_a_tool =
        messages.last().is_some_and(|message| message["role"] == "tool" || message["role"] == "function");
    Ok(Asked {
        prompt,
        last_user_text,
        tool: offered_tool(asked).filter(|_| !after_a_tool),
        schema: asked["response_format"]["json_schema"].get("schema"),
        wants_json: asked["response_format"]["type"] == "json_object",
        most_tokens: asked["max_completion_tokens"].as_u64().or_else(|| asked["max_tokens"].as_u64()),
    })
}

/// The tool that is called: the one that is demanded, else the first.
fn offered_tool(asked: &Value) -> Option<spoken::Tool<'_>> {
    let functions: Vec<&Value> = match asked["tools"].as_array() {
        Some(tools) => tools.iter().map(|tool| &tool["function"]).collect(),
        None => asked["functions"].as_array()?.iter().collect(),
    };
    if asked["tool_choice"] == "none" || asked["function_call"] == "none" {
        return None;
    }
    let demanded =
        asked["tool_choice"]["function"]["name"].as_str().or_else(|| asked["function_call"]["name"].as_str());
    let function =
        functions.iter().find(|function| demanded.is_none_or(|name| function["name"].as_str() == Some(name)))?;
    Some((function["name"].as_str()?, &function["parameters"]))
}

/// One completion on its way into OpenAI's words.
struct Completion<'asked> {
    id: String,
    model: &'asked str,
    asked: &'asked Value,
    spoken: &'asked Spoken,
}

impl Completion<'_> {
    fn chat_whole(&self) -> Answer {
        let choices: Vec<Value> = (0..self.choices())
            .map(|index| {
                json!({"index": index, "message": self.message(), "logprobs": null, "finish_reason": self.finish()})
            })
            .collect();
        self.answer(Answer::json(
            200,
            json!({
                "id": self.id, "object": "chat.completion", "created": CREATED, "model": self.model,
                "choices": choices, "usage": self.usage(), "system_fingerprint": "fp_fake"
            }),
        ))
    }

    fn chat_stream(&self) -> Answer {
        let mut items = Vec::new();
        for index in 0..self.choices() {
            let mut delta = |delta: Value, finish: Value| {
                let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
                items.push(self.chunk("chat.completion.chunk", &json!([choice])));
            };
            delta(
                json!({"role": "assistant", "content": if self.spoken.tool.is_some() { None } else { Some("") }}),
                Value::Null,
            );
            for piece in self.deltas() {
                delta(piece, Value::Null);
            }
            delta(json!({}), json!(self.finish()));
        }
        self.end_stream(items, "chat.completion.chunk")
    }

    fn text_whole(&self) -> Answer {
        let choices = json!([{"text": self.spoken.text, "index": 0, "logprobs": null, "finish_reason": self.finish()}]);
        self.answer(Answer::json(
            200,
            json!({
                "id": self.id, "object": "text_completion", "created": CREATED, "model": self.model,
                "choices": choices, "usage": self.usage()
            }),
        ))
    }

    fn text_stream(&self) -> Answer {
        let choice =
            |text: &str, finish: Value| json!([{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}]);
        let mut items: Vec<SseItem> = spoken::words(&self.spoken.text)
            .into_iter()
            .map(|word| self.chunk("text_completion", &choice(word, Value::Null)))
            .collect();
        items.push(self.chunk("text_completion", &choice("", json!(self.finish()))));
        self.end_stream(items, "text_completion")
    }

    /// The old `functions` are answered with the old `function_call`.
    fn message(&self) -> Value {
        match &self.spoken.tool {
            None => json!({"role": "assistant", "content": self.spoken.text, "refusal": null}),
            Some((name, arguments)) if self.speaks_functions() => {
                let call = json!({"name": name, "arguments": arguments.to_string()});
                json!({"role": "assistant", "content": null, "refusal": null, "function_call": call})
            }
            Some((name, arguments)) => {
                let function = json!({"name": name, "arguments": arguments.to_string()});
                let call = json!({"id": "call_fake_0", "type": "function", "function": function});
                json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]})
            }
        }
    }

    fn deltas(&self) -> Vec<Value> {
        let Some((name, arguments)) = &self.spoken.tool else {
            return spoken::words(&self.spoken.text).into_iter().map(|word| json!({"content": word})).collect();
        };
        let arguments = arguments.to_string();
        // The arguments come in two parts, as they never come whole from a real provider.
        let (first, second) = arguments.split_at(arguments.char_indices().nth(2).map_or(0, |(start, _)| start));
        if self.speaks_functions() {
            return vec![
                json!({"function_call": {"name": name, "arguments": first}}),
                json!({"function_call": {"arguments": second}}),
            ];
        }
        let opening = json!({"name": name, "arguments": ""});
        vec![
            json!({"tool_calls": [{"index": 0, "id": "call_fake_0", "type": "function", "function": opening}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": first}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": second}}]}),
        ]
    }

    fn end_stream(&self, mut items: Vec<SseItem>, object: &str) -> Answer {
        if self.wants_usage() {
            let mut last = self.chunk_document(object, &json!([]));
            last["usage"] = self.usage();
            items.push(SseItem::data(last));
        }
        items.push(SseItem::done());
        self.answer(Answer::sse(items))
    }

    fn chunk(&self, object: &str, choices: &Value) -> SseItem {
        let mut document = self.chunk_document(object, choices);
        if self.wants_usage() {
            document["usage"] = Value::Null;
        }
        SseItem::data(document)
    }

    fn chunk_document(&self, object: &str, choices: &Value) -> Value {
        json!({
            "id": self.id, "object": object, "created": CREATED, "model": self.model,
            "system_fingerprint": "fp_fake", "choices": choices
        })
    }

    fn answer(&self, answer: Answer) -> Answer {
        answer.header("x-request-id", &format!("req-{}", self.id)).header("openai-processing-ms", "5")
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.spoken.prompt_tokens, self.spoken.completion_tokens * self.choices());
        json!({
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}
        })
    }

    fn finish(&self) -> &'static str {
        match (&self.spoken.tool, self.spoken.cut_short) {
            (Some(_), _) if self.speaks_functions() => "function_call",
            (Some(_), _) => "tool_calls",
            (None, true) => "length",
            (None, false) => "stop",
        }
    }

    fn choices(&self) -> usize {
        self.asked["n"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1).clamp(1, 16)
    }

    fn speaks_functions(&self) -> bool {
        self.asked["tools"].is_null() && self.asked["functions"].is_array()
    }

    fn wants_usage(&self) -> bool {
        self.asked["stream_options"]["include_usage"] == true
    }
}

pub(super) fn embeddings(model: &str, asked: &Value) -> Result<Answer, Refusal> {
    let inputs: Vec<&Value> = match &asked["input"] {
        Value::Null => return Err(Refusal::missing("input")),
        Value::Array(inputs) if !inputs.first().is_some_and(Value::is_number) => inputs.iter().collect(),
        single => vec![single],
    };
    let dimensions = asked["dimensions"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(8);
    let as_base64 = asked["encoding_format"] == "base64";
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector_of(input, dimensions);
            json!({"object": "embedding", "index": index, "embedding": encode(&vector, as_base64)})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|input| tokens_of(input)).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Answer::json(200, json!({"object": "list", "data": data, "model": model, "usage": usage})))
}

fn tokens_of(input: &Value) -> usize {
    input.as_array().map_or_else(|| spoken::count(input.as_str().unwrap_or_default()), Vec::len)
}

/// A unit vector that depends on the input alone; equal inputs have equal vectors.
fn vector_of(input: &Value, dimensions: usize) -> Vec<f32> {
    // FNV-1a, then a linear congruence per coordinate: any fixed scatter will do.
    let seed = input
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut state = seed;
    let raw: Vec<f32> = (0..dimensions)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from(u16::try_from(state >> 48).unwrap_or(0)) / 32_768.0 - 1.0
        })
        .collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    raw.into_iter().map(|value| value / length).collect()
}

fn encode(vector: &[f32], as_base64: bool) -> Value {
    if !as_base64 {
        return json!(vector);
    }
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    json!(base64::engine::general_purpose::STANDARD.encode(bytes))
}
