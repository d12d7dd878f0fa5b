//! The configuration is read again while calls run: by signal, by file, by request.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tollgate_kit::{
    Answer, FakeProvider, Gateway, SseItem,
    http::{self, Connection},
};

const MASTER: (&str, &str) = ("authorization", "Bearer sk-master-0f1e2d3c");

fn config(provider: &FakeProvider, model: &str, more: &str) -> String {
    format!(
        "model_list:\n  - model_name: gpt\n    litellm_params: {{model: openai/{model}, api_base: '{}/v1', api_key: sk-fake-provider-key}}\n\
         general_settings: {{master_key: sk-master-0f1e2d3c, {more}}}\nrouter_settings: {{num_retries: 0}}\n",
        provider.url()
    )
}

async fn started(provider: &FakeProvider, more: &str) -> Gateway {
    let file = config(provider, "first", more);
    Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file).start().await
}

fn write(gateway: &Gateway, text: &str) {
    let written = fs::write(gateway.folder().join("config.yaml"), text);
    assert!(written.is_ok(), "the folder is ours: {written:?}");
}

fn chat(stream: bool) -> Value {
    json!({"model": "gpt", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

async fn asked_model(gateway: &Gateway, provider: &FakeProvider) -> String {
    let reply = http::post(&gateway.at("/v1/chat/completions"), &[MASTER], &chat(false)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let last = provider.calls().pop().map(|call| call.json()).unwrap_or_default();
    last.get("model").and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn reaches(gateway: &Gateway, provider: &FakeProvider, model: &str) {
    let until = Instant::now() + Duration::from_secs(10);
    while asked_model(gateway, provider).await != model {
        assert!(Instant::now() < until, "{model} never came; {}", gateway.output());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_a_file_and_a_request_bring_a_new_configuration() {
    let provider = FakeProvider::start().await;
    let gateway = started(&provider, "config_poll_interval: 0.05").await;
    assert_eq!(asked_model(&gateway, &provider).await, "first");
    write(&gateway, &config(&provider, "by-file", "config_poll_interval: 0.05"));
    reaches(&gateway, &provider, "by-file").await;

    let gateway = started(&provider, "config_poll_interval: 0").await;
    write(&gateway, &config(&provider, "by-signal", "config_poll_interval: 0"));
    assert_eq!(asked_model(&gateway, &provider).await, "first");
    gateway.signal("HUP");
    reaches(&gateway, &provider, "by-signal").await;
    write(&gateway, &config(&provider, "by-request", "config_poll_interval: 0"));
    let nobody = http::post(&gateway.at("/config/reload"), &[], &json!({})).await;
    assert_eq!(nobody.status, 401, "{}", nobody.text());
    let reply = http::post(&gateway.at("/config/reload"), &[MASTER], &json!({})).await;
    assert_eq!((reply.status, reply.json().get("deployments")), (200, Some(&json!(1))), "{}", reply.text());
    assert_eq!(asked_model(&gateway, &provider).await, "by-request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_never_takes_effect_and_says_why() {
    let provider = FakeProvider::start().await;
    let gateway = started(&provider, "config_poll_interval: 0.05").await;
    for wrong in ["model_list: [", "model_list: nonsense\n", "general_settings: {custom_auth: my.auth}\n", ""] {
        write(&gateway, wrong);
        let reply = http::post(&gateway.at("/config/reload"), &[MASTER], &json!({})).await;
        let words = reply.json().pointer("/error/message").and_then(Value::as_str).unwrap_or_default().to_owned();
        assert_eq!(reply.status, 400, "{words}");
        // An empty file, or one cut short, is a configuration without a key: it would open the gateway.
        let why = if wrong.is_empty() { "no master key" } else { "config.yaml:" };
        assert!(words.contains("the configuration was not changed: ") && words.contains(why), "{words}");
        assert_eq!(asked_model(&gateway, &provider).await, "first");
    }
    assert!(gateway.output().contains("the configuration was not changed"), "{}", gateway.output());
}

/// The file that is at fault is one that the configuration in use does not know.
#[tokio::test(flavor = "multi_thread")]
async fn an_include_that_was_wrong_or_missing_is_read_when_it_is_mended() {
    let provider = FakeProvider::start().await;
    for wrong in [Some("model_list: ["), None] {
        let gateway = started(&provider, "config_poll_interval: 0.05").await;
        let more = gateway.folder().join("more.yaml");
        if let Some(wrong) = wrong {
            fs::write(&more, wrong).unwrap();
        }
        let including = "config_poll_interval: 0.05}\ninclude: [more.yaml]\nlitellm_settings: {drop_params: true";
        write(&gateway, &config(&provider, "second", including));
        let until = Instant::now() + Duration::from_secs(10);
        while !gateway.output().contains("the configuration was not changed") {
            assert!(Instant::now() < until, "{}", gateway.output());
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(asked_model(&gateway, &provider).await, "first");
        fs::write(&more, "litellm_settings: {num_retries: 1}\n").unwrap();
        reaches(&gateway, &provider, "second").await;
    }
}

/// Acceptance of routing: a thousand reloads under load, with streams that live through them.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reloads_under_load_cost_no_call_and_cut_no_stream() {
    let provider = FakeProvider::start().await;
    let gateway = Arc::new(started(&provider, "config_poll_interval: 0").await);
    let word = || SseItem::data(json!({"choices": [{"index": 0, "delta": {"content": "word "}}]}));
    let mut events: Vec<SseItem> = (0..150).map(|_| word()).collect();
    events.push(SseItem::done());
    let long = Answer::sse(events).wait_between_chunks(Duration::from_millis(20));
    provider.script_when(|call| call.json().get("stream") == Some(&json!(true)), (0..4).map(|_| long.clone()));
    let mut streams = JoinSet::new();
    for _ in 0..4 {
        let gateway = Arc::clone(&gateway);
        streams.spawn(async move {
            let (mut connection, _) = Connection::open(gateway.url()).await;
            connection.ask_json("/v1/chat/completions", &[MASTER], &chat(true)).await;
            connection.reply().await.text()
        });
    }
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut load = JoinSet::new();
    for _ in 0..4 {
        let (gateway, over, answered) = (Arc::clone(&gateway), Arc::clone(&over), Arc::clone(&answered));
        load.spawn(async move {
            while !over.load(Relaxed) {
                let reply = http::post(&gateway.at("/v1/chat/completions"), &[MASTER], &chat(false)).await;
                assert_eq!(reply.status, 200, "{}", reply.text());
                answered.fetch_add(1, Relaxed);
            }
        });
    }
    for round in 0..1_000 {
        let reply = http::post(&gateway.at("/config/reload"), &[MASTER], &json!({})).await;
        assert_eq!(reply.status, 200, "round {round}: {}", reply.text());
    }
    let texts = timeout(Duration::from_secs(60), streams.join_all()).await.unwrap_or_default();
    assert_eq!(texts.len(), 4, "they end");
    for text in texts {
        assert_eq!((text.matches("word ").count(), text.matches("[DONE]").count()), (150, 1));
    }
    over.store(true, Relaxed);
    load.join_all().await;
    assert!(answered.load(Relaxed) > 100, "{answered:?} calls in between");
}
