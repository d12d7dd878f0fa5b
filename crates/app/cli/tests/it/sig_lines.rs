//! What the process writes about calls: one line each, and never a secret.
#![expect(clippy::panic, reason = "a test whose lines do not come ends with all that was written")]

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tollgate_kit::{Answer, FakeProvider, Gateway, Place, SseItem, http::Connection};

const PROVIDER_KEY: &str = "sk-provider-5up3r";
const CLIENT_KEY: &str = "sk-client-5up3r";
const MASTER: &str = "sk-master-5up3r";
const PROMPT: &str = "the-prompt-nobody-may-read";

async fn started(provider: &FakeProvider, arguments: &[&str], settings: &str) -> Gateway {
    let file = format!(
        "model_list:\n  - model_name: gpt\n    litellm_params: {{model: openai/gpt-4o, api_base: '{url}/v1?sig={PROVIDER_KEY}', \
         api_key: {PROVIDER_KEY}, timeout: 0.3}}\n  - model_name: gone\n    litellm_params: {{model: openai/x, api_base: \
         'http://u:{PROVIDER_KEY}@127.0.0.1:1/v1', api_key: {PROVIDER_KEY}}}\ngeneral_settings: {{master_key: {MASTER}}}\n\
         router_settings: {{num_retries: 0}}\nlitellm_settings: {{{settings}}}\n",
        url = provider.url()
    );
    let start = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file);
    arguments.iter().fold(start, |start, argument| start.argument(argument)).start().await
}

fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]})
}

/// Asks in every way there is; gives how many calls that were.
async fn mixed_calls(gateway: &Gateway, provider: &FakeProvider) -> usize {
    let word = || SseItem::data(json!({"choices": [{"index": 0, "delta": {"content": "word"}}]}));
    let mut count = 0;
    provider.script([
        Answer::json(401, json!({"error": {"message": format!("Incorrect API key provided: {PROVIDER_KEY}")}})),
        Answer::text(500, format!("boom {PROVIDER_KEY} {PROMPT}")),
        Answer::json(200, json!({"not": "an answer"})),
        Answer::json(200, json!({"object": "chat.completion", "choices": []})),
        Answer::sse([word(), word()]).cut(Place::AfterEvents(1)),
        Answer::sse([word(), SseItem::data(json!({"error": {"message": format!("no {PROVIDER_KEY}")}}))]),
        Answer::sse([word(), SseItem::done()]),
        Answer::sse([word()]).stall(Place::BeforeHead),
    ]);
    let master = format!("Bearer {MASTER}");
    for stream in [false, false, false, false, true, true, true, true] {
        ask(gateway, &[("authorization", &master)], chat("gpt", stream).to_string().as_bytes()).await;
        count += 1;
    }
    let client = format!("Bearer {CLIENT_KEY}");
    for (headers, body) in [
        (vec![("authorization", client.as_str())], chat("gpt", false).to_string()),
        (vec![], chat("gpt", false).to_string()),
        (vec![("authorization", &master), ("x-mine", CLIENT_KEY)], chat("unknown", false).to_string()),
        (vec![("authorization", &master)], chat("gone", true).to_string()),
        (vec![("authorization", &master)], format!("{{\"{PROMPT}\": nonsense")),
        (
            vec![("authorization", &master)],
            format!(
                " {{\"messages\": [{{\"role\": \"user\", \"content\": \"{PROMPT}\"}}], \"api_key\": \"{CLIENT_KEY}\",}}"
            ),
        ),
    ] {
        ask(gateway, &headers, body.as_bytes()).await;
        count += 1;
    }
    count
}

async fn ask(gateway: &Gateway, headers: &[(&str, &str)], body: &[u8]) {
    let (mut connection, _) = Connection::open(gateway.url()).await;
    connection.ask("POST", "/v1/chat/completions", headers, body).await;
    let reply = connection.reply().await;
    assert!(reply.complete, "{}", reply.text());
}

async fn lines_of_calls(gateway: &Gateway, count: usize) -> Vec<String> {
    let written =
        || gateway.lines().into_iter().filter(|line| line.contains("call_id") && line.contains("took_ms")).collect();
    let waiting = async {
        loop {
            let lines: Vec<String> = written();
            if lines.len() >= count {
                return lines;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let Ok(lines) = timeout(Duration::from_secs(10), waiting).await else {
        panic!("{} lines of {count} calls in\n{}", written().len(), gateway.output());
    };
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_writes_one_line_however_it_ends() {
    let provider = FakeProvider::start().await;
    let gateway = started(&provider, &[], "json_logs: true").await;
    let mut count = mixed_calls(&gateway, &provider).await;
    let master = format!("Bearer {MASTER}");
    // Clients that leave are calls as well.
    for stream in [true, false] {
        let before = provider.calls().len();
        provider.script([Answer::json(200, json!({})).stall(Place::BeforeHead)]);
        let (mut connection, _) = Connection::open(gateway.url()).await;
        connection.ask_json("/v1/chat/completions", &[("authorization", &master)], &chat("gpt", stream)).await;
        provider.wait_for_calls(before + 1).await;
        count += 1;
    }
    let lines = lines_of_calls(&gateway, count).await;
    // Nothing is told twice.
    sleep(Duration::from_millis(100)).await;
    assert_eq!(lines_of_calls(&gateway, count).await.len(), count);
    let mut ids: Vec<String> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["call_id"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_holds_a_secret_or_a_prompt() {
    for settings in ["json_logs: true", ""] {
        let provider = FakeProvider::start().await;
        let gateway = started(&provider, &[], settings).await;
        let count = mixed_calls(&gateway, &provider).await;
        lines_of_calls(&gateway, count).await;
        for line in gateway.stop().await.output.lines() {
            for secret in [PROVIDER_KEY, CLIENT_KEY, MASTER] {
                assert!(!line.contains(secret), "{secret} in {line}");
            }
            assert!(!line.contains(PROMPT), "the prompt in {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn debugging_shows_bodies_and_still_no_key() {
    let provider = FakeProvider::start().await;
    let gateway = started(&provider, &["--detailed_debug"], "").await;
    let count = mixed_calls(&gateway, &provider).await;
    lines_of_calls(&gateway, count).await;
    let output = gateway.stop().await.output;
    assert!(output.contains("POST Request Sent from LiteLLM:") && output.contains(PROMPT), "{output}");
    for secret in [PROVIDER_KEY, CLIENT_KEY, MASTER] {
        let line = output.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in {line:?}");
    }
}

/// The first says nothing for too long and then fails, the second answers: both are in the call's line.
#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_hedged_call_counts_who_failed_as_well() {
    let provider = FakeProvider::start().await;
    let failing = |after: u64| Answer::text(500, "boom".to_owned()).wait_before_head(Duration::from_millis(after));
    let message = json!({"role": "assistant", "content": "well"});
    let document =
        json!({"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    let well = |after: u64| Answer::json(200, document.clone()).wait_before_head(Duration::from_millis(after));
    let one = |name: &str, order: u64| {
        format!(
            "  - model_name: gpt\n    litellm_params: {{model: openai/{name}, api_base: '{}/v1', api_key: k, order: {order}}}\n",
            provider.url()
        )
    };
    let file = format!(
        "model_list:\n{}{}litellm_settings: {{json_logs: true}}\nrouter_settings:\n  num_retries: 0\n  hedging: {{enabled: \
         true, after: 0.05, min_delay: 0.05, max_share: 1.0}}\n",
        one("one", 1),
        one("two", 2)
    );
    for (first, second, end) in [(failing(200), well(400), "won"), (well(400), failing(0), "lost")] {
        provider.script_when(|call| call.json()["model"] == "one", [first]);
        provider.script_when(|call| call.json()["model"] == "two", [second]);
        let gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file).start().await;
        ask(&gateway, &[], chat("gpt", false).to_string().as_bytes()).await;
        let lines = lines_of_calls(&gateway, 1).await;
        let line: Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!((&line["hedge"], &line["attempts"]), (&json!(end), &json!(2)), "{line}");
    }
}
