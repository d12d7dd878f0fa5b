//! The corpus of usage shapes: however a provider says what an answer used, whole or streamed, and in whosever words it was asked,
//! the same is booked, and it is what a person works out by hand.
#![expect(
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a table of documents, each written where it stands"
)]

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_kit::{Answer, Call, SseItem, http};
use tollgate_store::{EpochMs, LogListing, Place, SpendRow, Store, StoreSettings};

use crate::world::World;

/// In millionths of a dollar a token: input 1, output 2, cache read 0.1, written 1.25 and for an hour 3, reasoning 5, sound heard 10
/// and spoken 20, cached sound 0.5, pictures seen 4 and drawn 40; above 200,000 tokens input 3 and output 6; with priority input 7
/// and output 9. A search of the web costs 10,000 millionths, 5,000 where little is read.
const PRICES: &str = "
      input_cost_per_token: 1e-6
      output_cost_per_token: 2e-6
      cache_read_input_token_cost: 1e-7
      cache_creation_input_token_cost: 1.25e-6
      cache_creation_input_token_cost_above_1hr: 3e-6
      output_cost_per_reasoning_token: 5e-6
      input_cost_per_audio_token: 1e-5
      output_cost_per_audio_token: 2e-5
      cache_read_input_audio_token_cost: 5e-7
      input_cost_per_image_token: 4e-6
      output_cost_per_image_token: 4e-5
      input_cost_per_token_above_200k_tokens: 3e-6
      output_cost_per_token_above_200k_tokens: 6e-6
      input_cost_per_token_priority: 7e-6
      output_cost_per_token_priority: 9e-6
      search_context_cost_per_query: {search_context_size_low: 0.005, search_context_size_medium: 0.01, search_context_size_high: 0.02}
";

const MODELS: [(&str, &str, &str); 4] = [
    ("openai", "together_ai/gpt-4o", "{provider}/v1"),
    ("native", "openai/gpt-4o", "{provider}/v1"),
    ("anthropic", "anthropic/claude-sonnet-4-5", "{provider}"),
    ("gemini", "gemini/gemini-2.5-pro", "{provider}"),
];

/// How the client asks.
const CLIENTS: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];

/// One answer of a provider, whole and as a stream, and what it costs.
struct Shape {
    name: &'static str,
    model: &'static str,
    whole: Option<Value>,
    stream: Vec<Value>,
    /// Further members of the request.
    asked: Value,
    /// Worked out by hand, in thousand-millionths of a dollar.
    nanos: i64,
}

/// A world in which everything is booked into a store.
struct Books {
    world: World,
    store: Arc<Store>,
    asked: u32,
}

impl Books {
    async fn open() -> Self {
        let store = Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap();
        let store = Arc::new(store);
        let mut config = "router_settings: {num_retries: 0}\nmodel_list:\n".to_owned();
        for (name, model, base) in MODELS {
            config.push_str(&format!(
                "  - model_name: {name}\n    litellm_params:\n      model: {model}\n      api_base: '{base}'\n      api_key: sk-fake{PRICES}"
            ));
        }
        let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
        let world = World::of(&config).store(Arc::clone(&store), bounds).with_journal().start().await;
        Self { world, store, asked: 0 }
    }

    /// The row of the call that was made last.
    async fn row(&self) -> SpendRow {
        self.world.gateway.finish_books().await;
        let id = self.id();
        let rows = self.store.spend_logs(&LogListing { limit: 1000, ..LogListing::default() }).await.unwrap().rows;
        let mut rows: Vec<SpendRow> = rows.into_iter().filter(|row| row.call_id == id).collect();
        assert_eq!(rows.len(), 1, "rows of {id}");
        rows.remove(0)
    }

    fn id(&self) -> String {
        format!("call-{}", self.asked)
    }

    fn request(&mut self, client: &str, shape: &Shape, streamed: bool) -> (String, Value) {
        self.asked += 1;
        let words = "Hello, how are you?";
        let mut body = match client {
            "/v1/responses" => json!({"model": shape.model, "input": words}),
            _ => json!({"model": shape.model, "max_tokens": 100, "messages": [{"role": "user", "content": words}]}),
        };
        let members = body.as_object_mut().unwrap();
        members.insert("stream".to_owned(), streamed.into());
        members.extend(shape.asked.as_object().cloned().unwrap_or_default());
        (self.id(), body)
    }

    fn script(&self, shape: &Shape, streamed: bool) {
        let answer = if streamed { stream(shape) } else { Answer::json(200, shape.whole.clone().unwrap()) };
        self.world.provider.script([answer]);
    }

    /// Asks, and gives what was booked and what the answer's header says.
    async fn ask(&mut self, client: &str, shape: &Shape, streamed: bool) -> (SpendRow, Option<String>) {
        let (id, body) = self.request(client, shape, streamed);
        self.script(shape, streamed);
        let reply = http::post(&self.world.at(client), &[("x-litellm-call-id", &id)], &body).await;
        assert_eq!(reply.status, 200, "{}: {}", shape.name, reply.text());
        (self.row().await, reply.header("x-litellm-response-cost").map(str::to_owned))
    }
}

fn stream(shape: &Shape) -> Answer {
    let named = |event: &Value| match (shape.model, event["type"].as_str()) {
        ("anthropic" | "native", Some(name)) => SseItem::event(name, event.clone()),
        _ => SseItem::data(event.clone()),
    };
    let mut items: Vec<SseItem> = shape.stream.iter().map(named).collect();
    if shape.model == "openai" {
        items.push(SseItem::done());
    }
    Answer::sse(items)
}

/// `OpenAI`'s chat: how chunks are put together, and where the usage stands in them.
mod chat {
    use super::*;

    pub(super) fn whole(usage: Value) -> Value {
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "usage": usage, "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello, how are you?"}, "finish_reason": "stop"}]})
    }

    pub(super) fn chunk(choices: Value, usage: Option<Value>) -> Value {
        let mut chunk =
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": choices});
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        chunk
    }

    pub(super) fn word(text: &str, usage: Option<Value>) -> Value {
        chunk(json!([{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null}]), usage)
    }

    pub(super) fn end(usage: Option<Value>) -> Value {
        chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), usage)
    }

    /// The usage where `OpenAI` writes it: after everything, without choices.
    pub(super) fn stream(usage: Value) -> Vec<Value> {
        vec![word("Hello, how", None), word(" are you?", None), end(None), chunk(json!([]), Some(usage))]
    }

    pub(super) fn used(input: u64, output: u64) -> Value {
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }
}

fn of_openai() -> Vec<Shape> {
    use chat::{end, stream, used, whole, word};
    let shape = |name, usage: Value, nanos| Shape {
        name,
        model: "openai",
        whole: Some(whole(usage.clone())),
        stream: stream(usage),
        asked: json!({}),
        nanos,
    };
    let with = |base: Value, more: Value| {
        let mut usage = base;
        usage.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        usage
    };
    let plain = used(30, 20);
    let served = |body: Value| with(body, json!({"service_tier": "priority"}));
    let priority = chat::stream(plain.clone()).into_iter().map(served).collect();
    vec![
        // 30·1 + 20·2 = 70 millionths.
        shape("usage on a chunk without choices", plain.clone(), 70_000),
        Shape {
            stream: vec![word("Hello, how", None), word(" are you?", None), end(Some(plain.clone()))],
            ..shape("usage on the last chunk with choices", plain.clone(), 70_000)
        },
        Shape {
            stream: vec![
                word("Hello, how", Some(used(30, 3))),
                word(" are you?", Some(used(30, 6))),
                end(Some(used(30, 20))),
            ],
            ..shape("totals that grow", plain.clone(), 70_000)
        },
        // 13 tokens asked and 6 said, as OpenAI's own tokenizer counts them: 13·1 + 6·2.
        Shape {
            whole: Some(whole(Value::Null)),
            stream: vec![word("Hello, how", None), word(" are you?", None), end(None)],
            ..shape("no usage at all", Value::Null, 25_000)
        },
        // 100 asked: 40 cached (25 of them sound) and 30 of sound, 7 of pictures, so 28 of text: 15·0.1 + 25·0.5 + 5·10 + 7·4 + 48·1.
        // 50 said: 10 thought, 5 spoken, 15 drawn, 20 of text: 10·5 + 5·20 + 15·40 + 20·2.
        shape(
            "every detail",
            json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 30, "image_tokens": 7,
                    "cached_tokens_details": {"audio_tokens": 25}},
                "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 5, "image_tokens": 15}}),
            140_000 + 790_000,
        ),
        // 10 asked of which 99 cached: 10·0.1. 10 said of which 99 thought: 10·5.
        shape(
            "details beyond the total",
            json!({"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 99}, "completion_tokens_details": {"reasoning_tokens": 99}}),
            51_000,
        ),
        // Above 200,000: 200,001·3 + 10·6. At 200,000: 200,000·1 + 10·2.
        shape("a tier", used(200_001, 10), 600_063_000),
        shape("the bound of a tier", used(200_000, 10), 200_020_000),
        // Of 1 h 5, of 5 minutes 7, and 18 of text: 5·3 + 7·1.25 + 18·1 + 20·2.
        shape(
            "a cache written for an hour, by a gateway before Anthropic",
            with(
                plain.clone(),
                json!({"prompt_tokens_details": {"cache_creation_tokens": 12,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 5}}}),
            ),
            81_750,
        ),
        shape("a cost that the provider states", with(plain.clone(), json!({"cost": 0.001_234_567})), 1_234_567),
        // 70 for the tokens, and three searches that read much.
        shape(
            "searches that are counted in the usage",
            with(plain.clone(), json!({"num_search_queries": 3, "search_context_size": "high"})),
            60_070_000,
        ),
        // 30·7 + 20·9.
        Shape {
            whole: Some(served(whole(plain.clone()))),
            stream: priority,
            ..shape("an answer with priority", plain.clone(), 390_000)
        },
    ]
}

/// The answer does not say how it was served, but the request has asked for it. 30·7 + 20·9.
fn asked_for() -> Shape {
    Shape {
        name: "a request for priority",
        model: "openai",
        whole: Some(chat::whole(chat::used(30, 20))),
        stream: chat::stream(chat::used(30, 20)),
        asked: json!({"service_tier": "priority"}),
        nanos: 390_000,
    }
}

fn of_responses() -> Vec<Shape> {
    let shape = |name, usage: Value, more: Value, nanos| {
        let message = json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}]});
        let mut output = vec![message];
        output.extend(more["searches"].as_array().cloned().unwrap_or_default());
        let response = json!({"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o",
            "output": output, "usage": usage, "service_tier": more["service_tier"], "error": null});
        let begun = json!({"id": "r", "object": "response", "created_at": 1, "status": "in_progress", "model": "gpt-4o",
            "output": [], "usage": null});
        let stream = vec![
            json!({"type": "response.created", "sequence_number": 0, "response": begun}),
            json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m", "output_index": 0, "content_index": 0, "delta": "Hello"}),
            json!({"type": "response.completed", "sequence_number": 2, "response": response}),
        ];
        Shape { name, model: "native", whole: Some(response), stream, asked: json!({}), nanos }
    };
    let usage = json!({"input_tokens": 30, "output_tokens": 20, "total_tokens": 50,
        "input_tokens_details": {"cached_tokens": 10}, "output_tokens_details": {"reasoning_tokens": 4}});
    let search =
        |action: &str| json!({"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": action}});
    vec![
        // 20·1 + 10·0.1 + 16·2 + 4·5.
        shape("a response", usage.clone(), json!({}), 73_000),
        // With priority 20·7 + 10·0.1 + 16·9 + 4·5.
        shape("a response with priority", usage.clone(), json!({"service_tier": "priority"}), 305_000),
        // Two searches; opening a page is none.
        shape(
            "a response that searched",
            usage,
            json!({"searches": [search("search"), search("open_page"), search("search")]}),
            20_073_000,
        ),
    ]
}

mod claude {
    use super::*;

    pub(super) fn whole(usage: Value) -> Value {
        json!({"id": "msg", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn",
            "stop_sequence": null, "usage": usage, "content": [{"type": "text", "text": "Hello, how are you?"}]})
    }

    pub(super) fn stream(first: Value, between: Option<Value>, last: Value) -> Vec<Value> {
        let message = json!({"id": "msg", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": first});
        let delta = |usage: Value| json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": usage});
        let mut events = vec![
            json!({"type": "message_start", "message": message}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello, how are you?"}}),
            json!({"type": "content_block_stop", "index": 0}),
        ];
        events.extend(between.map(delta));
        events.push(delta(last));
        events.push(json!({"type": "message_stop"}));
        events
    }
}

fn of_anthropic() -> Vec<Shape> {
    use claude::{stream, whole};
    let shape = |name, usage: Value, stream, nanos| Shape {
        name,
        model: "anthropic",
        whole: Some(whole(usage)),
        stream,
        asked: json!({}),
        nanos,
    };
    let plain = json!({"input_tokens": 30, "output_tokens": 20});
    let began = json!({"input_tokens": 30, "output_tokens": 1});
    let nothing = json!({"input_tokens": 0, "output_tokens": 0});
    let cached = json!({"input_tokens": 20, "output_tokens": 9, "cache_read_input_tokens": 3000, "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}});
    let searched = json!({"input_tokens": 30, "output_tokens": 20, "server_tool_use": {"web_search_requests": 3}});
    let long = json!({"input_tokens": 1, "output_tokens": 10, "cache_read_input_tokens": 200_000});
    let first = json!({"input_tokens": 30, "output_tokens": 20, "service_tier": "priority"});
    vec![
        // 30·1 + 20·2.
        shape(
            "input first, output last",
            plain.clone(),
            stream(began.clone(), None, json!({"output_tokens": 20})),
            70_000,
        ),
        shape("all of it only in message_delta", plain.clone(), stream(nothing.clone(), None, plain.clone()), 70_000),
        shape(
            "output that grows",
            plain.clone(),
            stream(began.clone(), Some(json!({"output_tokens": 7})), json!({"output_tokens": 20})),
            70_000,
        ),
        shape(
            "a last event that repeats nothing",
            plain,
            stream(began.clone(), None, json!({"input_tokens": 0, "output_tokens": 20})),
            70_000,
        ),
        // 20·1 + 3000·0.1 + 20·1.25 + 10·3 + 9·2.
        shape(
            "caches of 5 minutes and an hour",
            cached.clone(),
            stream(cached.clone(), None, json!({"output_tokens": 9})),
            393_000,
        ),
        shape("caches told at the end", cached.clone(), stream(nothing, None, cached), 393_000),
        // 70 and three searches.
        shape("searches", searched.clone(), stream(began, None, searched), 30_070_000),
        // The whole prompt counts, cached tokens too: 1·3 + 200,000·0.1 + 10·6.
        shape("a tier by cached tokens", long.clone(), stream(long, None, json!({"output_tokens": 10})), 20_063_000),
        // 30·7 + 20·9.
        shape("priority", first.clone(), stream(first, None, json!({"output_tokens": 20})), 390_000),
    ]
}

fn of_gemini() -> Vec<Shape> {
    let candidate = |text: &str, end: bool, grounding: &Value| {
        let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": [{"text": text}]}});
        if end {
            candidate["finishReason"] = "STOP".into();
            if !grounding.is_null() {
                candidate["groundingMetadata"] = grounding.clone();
            }
        }
        candidate
    };
    let shape = |name, growing: &[Value], usage: Value, grounding: Value, nanos| {
        let body = |candidate: Value, usage: Value| json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-pro", "responseId": "g"});
        let mut stream: Vec<Value> =
            growing.iter().map(|usage| body(candidate("Hello, ", false, &Value::Null), usage.clone())).collect();
        stream.push(body(candidate("how are you?", true, &grounding), usage.clone()));
        let whole = body(candidate("Hello, how are you?", true, &grounding), usage);
        Shape { name, model: "gemini", whole: Some(whole), stream, asked: json!({}), nanos }
    };
    let counts = |input: u64, output: u64| json!({"promptTokenCount": input, "candidatesTokenCount": output, "totalTokenCount": input + output});
    let none = Value::Null;
    vec![
        shape("counts that grow", &[counts(30, 2), counts(30, 9)], counts(30, 20), none.clone(), 70_000),
        shape(
            "counts at the end",
            &[json!({"promptTokenCount": 30, "totalTokenCount": 30})],
            counts(30, 20),
            none.clone(),
            70_000,
        ),
        // 30·1 + 20·2 + 10·5.
        shape(
            "thoughts",
            &[],
            json!({"promptTokenCount": 30, "candidatesTokenCount": 20, "thoughtsTokenCount": 10, "totalTokenCount": 60}),
            none.clone(),
            120_000,
        ),
        // 20 of 100 cached, 30 of sound, 10 of a picture, 40 of text; 15 of 20 drawn: 20·0.1 + 30·10 + 10·4 + 40·1 + 15·40 + 5·2.
        shape(
            "sound, pictures and what is cached",
            &[counts(100, 1)],
            json!({"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120, "cachedContentTokenCount": 20,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 60}, {"modality": "AUDIO", "tokenCount": 30}, {"modality": "IMAGE", "tokenCount": 10}],
                "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 5}, {"modality": "IMAGE", "tokenCount": 15}]}),
            none.clone(),
            992_000,
        ),
        // Gemini 2 is paid once for an answer that searched, however often it did.
        shape(
            "a grounded answer",
            &[counts(30, 2)],
            counts(30, 20),
            json!({"webSearchQueries": ["a", "b"]}),
            10_070_000,
        ),
        // 30·7 + 20·9.
        shape(
            "priority",
            &[],
            json!({"promptTokenCount": 30, "candidatesTokenCount": 20, "totalTokenCount": 50, "trafficType": "ON_DEMAND_PRIORITY"}),
            none,
            390_000,
        ),
    ]
}

/// Asks for each of them in all dialects, whole and streamed.
async fn book_all(shapes: Vec<Shape>, clients: &[&str]) {
    let mut books = Books::open().await;
    let mut wrong = Vec::new();
    for shape in &shapes {
        for client in clients {
            for streamed in [false, true] {
                let (row, header) = books.ask(client, shape, streamed).await;
                let told = header.filter(|_| !streamed).map(|usd| (usd.parse::<f64>().unwrap() * 1e9).round() as i64);
                if row.spend.0 != shape.nanos || told.is_some_and(|told| told != shape.nanos) {
                    let (booked, expected) = (row.spend.0, shape.nanos);
                    wrong.push(format!(
                        "{} {client} streamed {streamed}: {booked}, told {told:?}, instead of {expected}",
                        shape.name
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(books.store.verify_totals().await.unwrap(), []);
}

#[tokio::test]
async fn what_openai_says_costs_the_same_however_it_says_it() {
    book_all(of_openai(), &CLIENTS).await;
}

#[tokio::test]
async fn what_the_request_asks_for_costs_what_it_costs() {
    // Anthropic's clients have other words for it, which the provider is not told.
    book_all(vec![asked_for()], &[CLIENTS[0], CLIENTS[2]]).await;
}

#[tokio::test]
async fn what_the_responses_api_says_costs_the_same_however_it_says_it() {
    book_all(of_responses(), &CLIENTS[2..]).await;
}

#[tokio::test]
async fn what_anthropic_says_costs_the_same_however_it_says_it() {
    book_all(of_anthropic(), &CLIENTS).await;
}

#[tokio::test]
async fn what_gemini_says_costs_the_same_however_it_says_it() {
    book_all(of_gemini(), &CLIENTS).await;
}

/// Streams whose client leaves after the first words, and what is owed for them.
fn left() -> Vec<Shape> {
    use chat::{used, word};
    let shape = |name, model, stream, nanos| Shape { name, model, whole: None, stream, asked: json!({}), nanos };
    let gemini = json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "Hello, how are you?"}]}}],
        "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 9, "totalTokenCount": 39}, "modelVersion": "g", "responseId": "g"});
    let mut claude = claude::stream(
        json!({"input_tokens": 30, "output_tokens": 1, "cache_read_input_tokens": 100}),
        None,
        json!({}),
    );
    claude.truncate(3);
    vec![
        // What was stated by then: 30·1 + 9·2.
        shape("totals that grow", "openai", vec![word("Hello, how are you?", Some(used(30, 9)))], 48_000),
        shape("totals that grow", "gemini", vec![gemini], 48_000),
        // Anthropic's first word on the output is a placeholder: the 6 tokens that came are counted. 30·1 + 100·0.1 + 6·2.
        shape("input only", "anthropic", claude, 52_000),
    ]
}

#[tokio::test]
async fn a_stream_that_is_left_costs_what_was_stated_and_heard_by_then() {
    let mut books = Books::open().await;
    // Whoever leaves cannot wait for the vocabularies to be read.
    for (model, _, _) in MODELS {
        let counted = books.world.post("/utils/token_counter", &json!({"model": model, "prompt": "hi"})).await;
        assert_eq!(counted.status, 200, "{}", counted.text());
    }
    let mut wrong = Vec::new();
    for shape in left() {
        for client in CLIENTS {
            let (id, body) = books.request(client, &shape, true);
            let answer = stream(&shape).stall(tollgate_kit::Place::AfterEvents(shape.stream.len()));
            books.world.provider.script([answer]);
            let mut connection = books.world.connect().await;
            connection.ask_json(client, &[("x-litellm-call-id", &id)], &body).await;
            let (head, mut events) = connection.answer().await;
            assert_eq!(head.status, 200, "{}", shape.name);
            while !events.event().await.unwrap().data.contains("you?") {}
            drop(connection);
            books.world.provider.wait_until("the stream is closed", Call::client_left).await;
            books.world.settled(u64::from(books.asked)).await;
            let row = books.row().await;
            if row.spend.0 != shape.nanos {
                wrong.push(format!(
                    "{} {} {client}: {} instead of {}",
                    shape.model, shape.name, row.spend.0, shape.nanos
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
