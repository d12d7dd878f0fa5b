//! Acceptance of routing: one of three backends is killed under load. No client sees it, latency recovers as soon as the
//! dead one rests, and when it is back one call finds out.
#![expect(clippy::indexing_slicing, reason = "there are three of everything, and documents are read by name")]

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep},
};
use tollgate_kit::{Answer, Call, FakeProvider, Gateway, SseItem, http::Connection};

/// Callers of whole answers, and as many of streams.
const CALLERS: usize = 6;
/// How long the backends take.
const WORK: Duration = Duration::from_millis(25);
/// `cooldown_time` and `timeout` of the configuration.
const REST: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(1);
const LONG_WORDS: usize = 60;
/// So many calls tell what is usual. Of three times as many a hundredth is three: one for each rest that ends meanwhile, even
/// where the machine has little time for tests.
const USUAL: usize = 100;

/// What answers at the port of the dead.
#[derive(Clone, Copy, PartialEq)]
enum Port {
    /// Nobody: connections are refused.
    Refuses,
    /// Connections are made, and nothing ever comes.
    Swallows,
}

/// One call of the load, which a client has seen end.
struct Seen {
    begun: Instant,
    took: Duration,
    /// What was wrong with it.
    wrong: Option<String>,
}

struct World {
    providers: Vec<FakeProvider>,
    gateway: Arc<Gateway>,
}

impl World {
    async fn start() -> Self {
        let mut providers = Vec::new();
        let mut config = "model_list:\n".to_owned();
        for id in ["a", "b", "c"] {
            let provider = backend(0, WORK).await;
            config.push_str(&format!(
                "  - model_name: gpt\n    litellm_params: {{model: openai/{id}, api_base: '{}/v1', api_key: k}}\n    model_info: {{id: {id}}}\n",
                provider.url()
            ));
            providers.push(provider);
        }
        let (rest, timeout) = (REST.as_secs(), TIMEOUT.as_secs());
        config.push_str(&format!("router_settings: {{num_retries: 2, cooldown_time: {rest}, timeout: {timeout}}}\n"));
        let gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&config).start().await;
        Self { providers, gateway: Arc::new(gateway) }
    }
}

/// A backend that answers whole calls and streams after a while of work.
async fn backend(port: u16, work: Duration) -> FakeProvider {
    let provider = FakeProvider::start_on(port, None).await;
    provider.script_when(|call| says(call, "whole"), [whole(work)]);
    provider.script_when(|call| says(call, "brief"), [streamed(work)]);
    provider.always_when(|call| says(call, "whole"), whole(WORK));
    provider.always_when(|call| says(call, "brief"), streamed(WORK));
    let word = event(&json!({"content": "word "}));
    let long = std::iter::repeat_n(SseItem::Raw(word), LONG_WORDS).chain([SseItem::done()]);
    provider.always_when(|call| says(call, "long"), Answer::sse(long).wait_between_chunks(Duration::from_millis(50)));
    provider
}

fn says(call: &Call, words: &str) -> bool {
    call.text().contains(words)
}

fn whole(work: Duration) -> Answer {
    let message = json!({"role": "assistant", "content": "all of it"});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6});
    Answer::json(200, json!({"id": "x", "object": "chat.completion", "choices": choices, "usage": usage}))
        .wait_before_head(work)
}

/// A head, a beginning without content, and then all the content at once: what the client has of it is all or nothing.
fn streamed(work: Duration) -> Answer {
    let begins = SseItem::Raw(event(&json!({"role": "assistant", "content": ""})));
    let mut rest = event(&json!({"content": "all of it"}));
    rest.extend_from_slice(b"data: [DONE]\n\n");
    Answer::sse([begins, SseItem::Wait(work), SseItem::Raw(rest)])
}

fn event(delta: &Value) -> Vec<u8> {
    format!("data: {}\n\n", json!({"id": "x", "choices": [{"index": 0, "delta": delta}]})).into_bytes()
}

fn body(model: &str, words: &str) -> Value {
    json!({"model": model, "stream": words != "whole", "messages": [{"role": "user", "content": words}]})
}

/// What all callers know.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    answered: AtomicUsize,
}

impl Load {
    /// Waits until so many more calls have ended.
    async fn goes_on(&self, calls: usize) {
        let (from, patient) = (self.answered.load(Relaxed), Instant::now() + Duration::from_secs(20));
        while self.answered.load(Relaxed) < from + calls {
            assert!(Instant::now() < patient, "calls no longer end");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Asks again and again until it is over.
async fn caller(gateway: Arc<Gateway>, words: &'static str, load: Arc<Load>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let (mut connection, _) = Connection::open(gateway.url()).await;
    while !load.over.load(Relaxed) {
        let begun = Instant::now();
        connection.ask_json("/v1/chat/completions", &[], &body("gpt", words)).await;
        let reply = connection.reply().await;
        let text = reply.text();
        let is_whole = reply.status == 200
            && reply.complete
            && text.contains("all of it")
            && !text.contains("\"error\"")
            && (words == "whole" || text.trim_end().ends_with("data: [DONE]"));
        let wrong = (!is_whole).then(|| format!("{words}: {} {text}", reply.status));
        seen.push(Seen { begun, took: begun.elapsed(), wrong });
        load.answered.fetch_add(1, Relaxed);
    }
    seen
}

/// A stream of one deployment that says words for a while; tells when the first one is here, and gives all of it.
fn long_stream(gateway: &Arc<Gateway>, id: &'static str) -> (oneshot::Receiver<()>, JoinSet<String>) {
    let (speaks, heard) = oneshot::channel();
    let gateway = Arc::clone(gateway);
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        let (mut connection, _) = Connection::open(gateway.url()).await;
        connection.ask_json("/v1/chat/completions", &[], &body(id, "long")).await;
        let (head, mut reader) = connection.answer().await;
        assert_eq!(head.status, 200);
        let mut text = reader.event().await.map(|event| event.data).unwrap_or_default();
        let _ = speaks.send(());
        text.push_str(&String::from_utf8_lossy(&reader.rest().await.0));
        text
    });
    (heard, reading)
}

/// The time that all but one of a hundred of these calls take.
fn p99<'s>(seen: impl Iterator<Item = &'s Seen>) -> (Duration, usize) {
    let mut times: Vec<Duration> = seen.map(|call| call.took).collect();
    times.sort();
    (times[(times.len() * 99).div_ceil(100) - 1], times.len())
}

async fn kill_one(port_of_the_dead: Port) {
    let mut world = World::start().await;
    let load = Arc::new(Load::default());
    let mut callers = JoinSet::new();
    for words in ["whole", "brief"].repeat(CALLERS) {
        callers.spawn(caller(Arc::clone(&world.gateway), words, Arc::clone(&load)));
    }
    load.goes_on(USUAL).await;
    let streams: Vec<_> = ["a", "b", "c"].map(|id| (id, long_stream(&world.gateway, id))).into();
    let mut reading = Vec::new();
    for (id, (heard, stream)) in streams {
        assert!(heard.await.is_ok(), "the stream of {id} has content");
        reading.push((id, stream));
    }

    let killed = Instant::now();
    let port = world.providers.remove(0).kill().await;
    let silent = (port_of_the_dead == Port::Swallows).then(|| TcpListener::bind(("127.0.0.1", port)));
    assert!(silent.as_ref().is_none_or(Result::is_ok), "{silent:?}");
    // Surface chapter 6.5 and `failures_in_a_row`: five failures, and it rests. Nobody needs a minute of statistics.
    let line = world.gateway.wait_for_line("a deployment rests").await;
    assert!(line.contains("\"a\"") || line.contains("deployment=a"), "{line}");
    let rests = Instant::now();
    let _both = tokio::join!(load.goes_on(3 * USUAL), sleep(REST + TIMEOUT / 2));
    let revived = Instant::now();
    drop(silent);

    // The first call after its rest takes a while: until it is answered, no other goes there.
    let probe = Duration::from_millis(400);
    let back = backend(port, probe).await;
    back.wait_for_calls(1).await;
    sleep(probe / 2).await;
    assert_eq!(back.calls().len(), 1, "one call tries whether it is back");
    back.wait_for_calls(40).await;
    load.over.store(true, Relaxed);

    let seen: Vec<Seen> = callers.join_all().await.into_iter().flatten().collect();
    let wrong: Vec<&str> = seen.iter().filter_map(|call| call.wrong.as_deref()).collect();
    assert!(wrong.is_empty(), "{} of {} calls failed: {wrong:#?}", wrong.len(), seen.len());
    // Every error that a client saw: the one stream that had content of the dead one, and that cannot be made good.
    for (id, stream) in reading {
        let text = stream.join_all().await.concat();
        let (words, ends) = (text.matches("word ").count(), text.contains("[DONE]"));
        if id == "a" {
            assert!(words < LONG_WORDS && !ends && text.contains("\"error\""), "{text}");
        } else {
            assert!(words == LONG_WORDS && ends && !text.contains("\"error\""), "{id}: {text}");
        }
    }
    let (before, calls) = p99(seen.iter().filter(|call| call.begun + call.took < killed));
    assert!(calls >= USUAL, "{calls} calls before");
    let (after, calls) = p99(seen.iter().filter(|call| call.begun > rests && call.begun < revived));
    assert!(calls >= 2 * USUAL, "{calls} calls while it was dead");
    assert!(after < before * 2 + TIMEOUT / 4, "{before:?} before, {after:?} once it rested");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backend_whose_port_refuses_costs_no_call_and_comes_back_by_one() {
    kill_one(Port::Refuses).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backend_whose_port_swallows_calls_costs_none_and_comes_back_by_one() {
    kill_one(Port::Swallows).await;
}
