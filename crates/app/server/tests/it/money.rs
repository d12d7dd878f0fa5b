//! Budgets: money is set aside before a call goes out, in all budgets that hold for it, and what is not there is not spent.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollgate_gateway::KeyBounds;
use tollgate_kit::{
    Answer, Postgres, SseItem,
    http::{self, Reply},
};
use tollgate_store::{EpochMs, Instance, NanoDollars, Place, Stamp, Store, StoreSettings, Team, User, Window, Wish};
use tollgate_wire::Secret;

use crate::world::{WITH_MASTER, World, hi, hi_streamed, refused};

/// Ten dollars for a million tokens asked, 500 for a million answered: an answer of 40 tokens costs two cents.
const CONFIG: &str = "
model_list:
  - model_name: gpt
    litellm_params: &dear
      model: hosted_vllm/gpt-4o
      api_base: '{provider}/v1'
      api_key: sk-fake-provider-key
      input_cost_per_token: 0.00001
      output_cost_per_token: 0.0005
  - model_name: other
    litellm_params: *dear
  - model_name: bridged
    litellm_params:
      model: deepseek/some-model
      api_base: '{provider}/v1'
      api_key: sk-fake-provider-key
      input_cost_per_token: 0.00001
      output_cost_per_token: 0.0005
router_settings: {num_retries: 0}
general_settings: {master_key: '{master}'}
";
const CHAT: &str = "/v1/chat/completions";

/// Tests run beside one another, and what is slow is not away.
fn patient(place: Place) -> StoreSettings {
    let long = std::time::Duration::from_secs(20);
    StoreSettings { acquire_timeout: long, statement_timeout: long, ..StoreSettings::at(place) }
}

async fn memory() -> Arc<Store> {
    Arc::new(Store::open(&patient(Place::Memory), EpochMs::default()).await.unwrap())
}

async fn world_of(config: &str, store: &Arc<Store>, instance: u128) -> World {
    let bounds = KeyBounds { patience: std::time::Duration::from_secs(20), ..KeyBounds::default() };
    World::of(config).store(Arc::clone(store), bounds).with_journal_of(instance).start().await
}

async fn made(world: &World, body: &Value) -> String {
    let reply = http::post(&world.at("/key/generate"), &[WITH_MASTER], body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["key"].as_str().unwrap().to_owned()
}

async fn ask(world: &World, key: &str, path: &str, body: &Value) -> Reply {
    http::post(&world.at(path), &[("authorization", &format!("Bearer {key}"))], body).await
}

fn completion(input: u64, output: u64) -> Answer {
    let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    let message = json!({"role": "assistant", "content": "hi"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    Answer::json(
        200,
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice], "usage": usage,
        }),
    )
}

/// A stream of so many words, each a token of the provider's.
fn words(count: u64) -> Answer {
    let chunk = |delta: Value, finish: Value, usage: Value| {
        let choices =
            if usage.is_null() { json!([{"index": 0, "delta": delta, "finish_reason": finish}]) } else { json!([]) };
        SseItem::data(json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": choices,
            "usage": usage,
        }))
    };
    let said = (0..count).map(|_| chunk(json!({"content": "word "}), Value::Null, Value::Null));
    let usage = json!({"prompt_tokens": 10, "completion_tokens": count, "total_tokens": 10 + count});
    let end = [chunk(json!({}), json!("stop"), Value::Null), chunk(json!({}), Value::Null, usage), SseItem::done()];
    Answer::sse(said.chain(end))
}

/// What all calls have cost, as the store has it.
async fn spent(store: &Store, worlds: &[&World]) -> i64 {
    for world in worlds {
        world.gateway.finish_books().await;
    }
    assert_eq!(store.verify_totals().await.unwrap(), []);
    let totals = store.totals_of(&[("proxy".to_owned(), String::new())]).await.unwrap();
    totals.iter().filter(|total| total.window.start == EpochMs(0)).map(|total| total.settled.0 + total.unknown.0).sum()
}

#[tokio::test]
async fn a_budget_with_a_window_holds_and_says_so() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    let key = made(&world, &json!({"max_budget": 0.05, "budget_duration": "1d"})).await;
    world.provider.always(CHAT, completion(10, 40));
    let short = json!({"model": "gpt", "max_tokens": 40, "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..2 {
        let reply = ask(&world, &key, CHAT, &short).await;
        assert_eq!((reply.status, reply.header("x-litellm-key-max-budget")), (200, Some("0.05")));
    }
    // Less than a cent is left: enough for a shorter answer, and then for none.
    let reply = ask(&world, &key, CHAT, &short).await;
    assert_eq!((reply.status, reply.header("x-tollgate-max-tokens").is_some()), (200, true), "{}", reply.text());
    let words = refused(&ask(&world, &key, CHAT, &short).await, 400);
    assert!(words.starts_with("Budget has been exceeded! Key=") && words.contains("budget_duration: 1d"), "{words}");
    spent(&store, &[&world]).await;
    let info = http::get(&world.at(&format!("/key/info?key={key}")), &[WITH_MASTER]).await.json()["info"].clone();
    let hash = info["token"].clone();
    assert!(info["spend"] == info["total_spend"] && info["budget_reset_at"].as_str().is_some(), "{info}");
    let of_key = ("key@1d".to_owned(), hash.as_str().unwrap().to_owned());
    assert_eq!(store.totals_of(&[of_key]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_stands_above_a_key_has_a_budget_too() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    let (now, cent) = (Stamp::default(), NanoDollars(10_000_000));
    let team = Team { team_id: "blue".to_owned(), max_budget: Some(cent), ..Team::default() };
    store.insert_team(&team, &now).await.unwrap();
    let user = User { user_id: "ann".to_owned(), max_budget: Some(cent), ..User::default() };
    store.insert_user(&user, &now).await.unwrap();
    world.provider.always(CHAT, completion(10, 20));
    for (fields, whose) in [(json!({"team_id": "blue"}), "Team=blue"), (json!({"user_id": "ann"}), "User=ann")] {
        let (one, other) = (made(&world, &fields).await, made(&world, &fields).await);
        assert_eq!(ask(&world, &one, CHAT, &hi("gpt")).await.status, 200);
        let words = refused(&ask(&world, &other, CHAT, &hi("gpt")).await, 400);
        assert!(words.contains(whose), "{words}");
    }
    // A user's own budget is not for keys of a team.
    let of_both = made(&world, &json!({"user_id": "ann", "team_id": "green"})).await;
    assert_eq!(ask(&world, &of_both, CHAT, &hi("gpt")).await.status, 200);
}

#[tokio::test]
async fn a_model_of_a_key_and_the_whole_gateway_have_budgets() {
    let store = memory().await;
    let config = format!(
        "{CONFIG}litellm_settings: {{max_budget: 0.05, budget_duration: 30d, budget_exceeded_status_code: 429}}\n"
    );
    let world = world_of(&config, &store, 1).await;
    world.provider.always(CHAT, completion(10, 40));
    let budgets = json!({"model_max_budget": {"gpt": {"budget_limit": 0.02, "time_period": "1d"}}});
    let key = made(&world, &budgets).await;
    assert_eq!(ask(&world, &key, CHAT, &hi("gpt")).await.status, 200);
    assert!(refused(&ask(&world, &key, CHAT, &hi("gpt")).await, 429).contains("model=gpt"));
    assert_eq!(ask(&world, &key, CHAT, &hi("other")).await.status, 200);
    // The master key is no way around it.
    assert_eq!(http::post(&world.at(CHAT), &[WITH_MASTER], &hi("gpt")).await.status, 200);
    let words = refused(&http::post(&world.at(CHAT), &[WITH_MASTER], &hi("gpt")).await, 429);
    assert!(words.contains("Proxy Current cost: 0.06"), "{words}");
}

#[tokio::test]
async fn a_budget_that_is_raised_or_cut_holds_at_once() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    world.provider.always(CHAT, completion(10, 40));
    let key = made(&world, &json!({"max_budget": 0})).await;
    refused(&ask(&world, &key, CHAT, &hi("gpt")).await, 400);
    for (fields, status) in [
        (json!({"max_budget": 5}), 200),
        (json!({"max_budget": 0.02}), 400),
        (json!({"max_budget": 0.02, "temp_budget_increase": 1, "temp_budget_expiry": "2999-01-01T00:00:00Z"}), 200),
        (json!({"max_budget": 0.02, "temp_budget_increase": 1, "temp_budget_expiry": "2020-01-01T00:00:00Z"}), 400),
        (json!({"max_budget": null}), 200),
    ] {
        let mut body = fields.clone();
        body["key"] = json!(key);
        assert_eq!(http::post(&world.at("/key/update"), &[WITH_MASTER], &body).await.status, 200);
        assert_eq!(ask(&world, &key, CHAT, &hi("gpt")).await.status, status, "{fields}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_dear_is_made_shorter_in_each_dialect() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    let message = json!([{"role": "user", "content": "hi"}]);
    for (path, body, member) in [
        (CHAT, json!({"model": "gpt", "max_tokens": 100_000, "messages": message}), "max_tokens"),
        (CHAT, json!({"model": "gpt", "max_completion_tokens": 100_000, "messages": message}), "max_completion_tokens"),
        (CHAT, json!({"model": "gpt", "messages": message}), "max_tokens"),
        ("/v1/messages", json!({"model": "gpt", "max_tokens": 100_000, "messages": message}), "max_tokens"),
        (
            "/v1beta/models/gpt:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            "max_tokens",
        ),
        ("/v1/completions", json!({"model": "gpt", "max_tokens": 100_000, "prompt": "hi"}), "max_tokens"),
    ] {
        let key = made(&world, &json!({"max_budget": 1})).await;
        world.provider.script([completion(10, 40)]);
        let reply = ask(&world, &key, path, &body).await;
        let told: u64 = reply
            .header("x-tollgate-max-tokens")
            .unwrap_or_else(|| panic!("{path}: {}", reply.text()))
            .parse()
            .unwrap();
        // Half of a dollar at 500 USD for a million, less the request.
        assert!((900..1000).contains(&told), "{path}: {told}");
        let sent = world.provider.calls().last().unwrap().json();
        assert_eq!(sent[member], told, "{path}: {sent}");
    }
}

#[tokio::test]
async fn a_stream_whose_money_ends_is_ended_in_its_dialect() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    let message = json!([{"role": "user", "content": "hi"}]);
    for (path, body, end) in [
        (CHAT, hi_streamed("gpt"), "data: {\"error\":"),
        (
            "/v1/messages",
            json!({"model": "gpt", "max_tokens": 100_000, "stream": true, "messages": message}),
            "event: error",
        ),
        ("/v1/responses", json!({"model": "bridged", "stream": true, "input": "hi"}), "response.failed"),
    ] {
        let before = spent(&store, &[&world]).await;
        // 20 cents are 400 tokens; the provider would say ten times as many.
        let key = made(&world, &json!({"max_budget": 0.2})).await;
        world.provider.script([words(4_000)]);
        let reply = ask(&world, &key, path, &body).await;
        let text = reply.text();
        assert_eq!(reply.status, 200, "{text}");
        assert!(
            text.contains(end) && text.contains("Budget has been exceeded!"),
            "{path}: {}",
            text.get(text.len().saturating_sub(600)..).unwrap_or(&text)
        );
        let cost = spent(&store, &[&world]).await - before;
        // Words are counted with a margin, as nobody knows the provider's own count before its end.
        assert!((140_000_000..=200_000_000).contains(&cost), "{path}: {cost}");
    }
}

/// Many streams at once against one key, through these gateways; gives how many were answered.
async fn race(worlds: &[&World], key: &str, streams: usize) -> usize {
    let mut running = JoinSet::new();
    for number in 0..streams {
        let Some(world) = worlds.get(number % worlds.len()) else { continue };
        let (url, auth) = (world.at(CHAT), format!("Bearer {key}"));
        running.spawn(async move { http::post(&url, &[("authorization", &auth)], &hi_streamed("gpt")).await.status });
    }
    let statuses = running.join_all().await;
    let odd: Vec<&u16> = statuses.iter().filter(|status| !matches!(status, 200 | 400 | 429)).collect();
    assert_eq!(odd, [&0_u16; 0], "a call is answered, or refused for its budget");
    statuses.iter().filter(|status| **status == 200).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_at_once_never_pass_a_budget() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    world.provider.always(CHAT, words(40));
    let key = made(&world, &json!({"max_budget": 10})).await;
    let mut answered = 0;
    // Each costs 2.01 cents: some 497 can be paid. Those that were refused come again, as clients do.
    for _ in 0..3 {
        answered += race(&[&world], &key, 1000).await;
    }
    let spent = spent(&store, &[&world]).await;
    assert!(spent <= 10_000_000_000, "{spent} of 10 USD, {answered} answered");
    assert!(spent >= 9_500_000_000, "{spent} of 10 USD, {answered} answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_never_pass_a_budget_together() {
    let postgres = Postgres::shared();
    let settings = patient(Place::Postgres(Secret::new(postgres.database())));
    let store = Arc::new(Store::open(&settings, EpochMs::default()).await.unwrap());
    let (one, other) = (world_of(CONFIG, &store, 1).await, world_of(CONFIG, &store, 2).await);
    let key = made(&one, &json!({"max_budget": 10})).await;
    [&one, &other].into_iter().for_each(|world| world.provider.always(CHAT, words(40)));
    for _ in 0..3 {
        race(&[&one, &other], &key, 1000).await;
    }
    let spent = spent(&store, &[&one, &other]).await;
    assert!((9_500_000_000..=10_000_000_000).contains(&spent), "{spent} of 10 USD");
}

#[tokio::test]
async fn huge_answers_are_not_refused_before_the_budget_is_spent() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    for streamed in [false, true] {
        let key = made(&world, &json!({"max_budget": 1})).await;
        world.provider.always(CHAT, if streamed { words(60) } else { completion(10, 60) });
        let before = spent(&store, &[&world]).await;
        let message = json!([{"role": "user", "content": "hi"}]);
        let body = json!({"model": "gpt", "max_tokens": 10_000_000, "stream": streamed, "messages": message});
        let mut calls = 0;
        while ask(&world, &key, CHAT, &body).await.status == 200 {
            calls += 1;
            assert!(calls < 1000);
        }
        let cost = spent(&store, &[&world]).await - before;
        assert!((950_000_000..=1_000_000_000).contains(&cost), "{cost} after {calls} calls, streamed: {streamed}");
    }
}

#[tokio::test]
async fn what_a_dead_instance_had_goes_back_or_is_unknown() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    let key = made(&world, &json!({"max_budget": 1})).await;
    let info = http::get(&world.at(&format!("/key/info?key={key}")), &[WITH_MASTER]).await.json()["info"].clone();
    let window = Window { kind: "key".to_owned(), id: info["token"].as_str().unwrap().to_owned(), start: EpochMs(0) };
    let dollars = |cents: i64| NanoDollars(cents * 10_000_000);
    // Its disk is another machine's, and it has all of the money; 30 cents are spent and not told, as far as it last said.
    let dead = Instance {
        instance: "dead".to_owned(),
        journal: uuid::Uuid::from_u128(99).to_string(),
        host: "elsewhere".to_owned(),
        started_at: EpochMs(1),
        heartbeat_at: EpochMs(1),
    };
    store.enter(&dead).await.unwrap();
    let wish = Wish { window: window.clone(), budget: dollars(100), need: dollars(100), want: dollars(100) };
    store.lease("dead", EpochMs(2), &[wish]).await.unwrap();
    store.heartbeat("dead", EpochMs(3), &[(window.clone(), dollars(30))]).await.unwrap();
    world.provider.always(CHAT, completion(10, 40));
    let body = json!({"model": "gpt", "max_tokens": 40, "messages": [{"role": "user", "content": "hi"}]});
    refused(&ask(&world, &key, CHAT, &body).await, 400);
    world.gateway.bury_the_dead().await.unwrap();
    let mut paid = 0;
    // The provider knows no bound; what is made shorter would cost as much.
    loop {
        let reply = ask(&world, &key, CHAT, &body).await;
        if reply.status != 200 {
            break;
        }
        paid += 1;
        if reply.header("x-tollgate-max-tokens").is_some() {
            break;
        }
    }
    // Of 70 cents, at two a call; the last of them is made shorter.
    assert!((30..=35).contains(&paid), "{paid}");
    let spent = spent(&store, &[&world]).await;
    let totals = store.totals_of(&[(window.kind.clone(), window.id.clone())]).await.unwrap();
    assert_eq!((totals.len(), totals[0].unknown), (1, dollars(30)));
    assert!(spent + dollars(30).0 <= dollars(102).0, "{spent}");
}

#[tokio::test]
async fn no_word_of_a_request_gets_around_its_budget() {
    let store = memory().await;
    let world = world_of(CONFIG, &store, 1).await;
    let message = json!([{"role": "user", "content": "hi"}]);
    for more in [
        json!({"max_tokens": 1, "max_completion_tokens": 90_000}),
        json!({"max_tokens": 1, "extra_body": {"max_tokens": 50_000}}),
        json!({"max_tokens": 1, "extra_body": {"max_tokens": null}}),
        json!({"max_tokens": 1, "additional_drop_params": ["max_tokens"]}),
        json!({"additional_drop_params": ["max_tokens", "max_completion_tokens"]}),
        json!({"max_tokens": 1, "extra_body": {"n": 1000}}),
        json!({"max_tokens": 100, "n": "100"}),
    ] {
        // 200 tokens.
        let key = made(&world, &json!({"max_budget": 0.1})).await;
        let mut body = json!({"model": "gpt", "messages": message});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let before = world.provider.calls().len();
        let reply = ask(&world, &key, CHAT, &body).await;
        if reply.status == 400 {
            continue;
        }
        let sent = world.provider.calls().get(before).unwrap_or_else(|| panic!("{more}: {}", reply.text())).json();
        let longest = ["max_tokens", "max_completion_tokens"].iter().filter_map(|name| sent[name].as_u64()).max();
        let choices = sent["n"].as_u64().or_else(|| sent["n"].as_str()?.parse().ok()).unwrap_or(1);
        let most = longest.unwrap_or_else(|| panic!("{more}: as long as it likes: {sent}")) * choices;
        assert!(most <= 200, "{more}: {sent}");
    }
}
