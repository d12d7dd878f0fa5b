//! What is spent is changed by hand: unknown attempts are stated once, resets follow into what is remembered, and every
//! change leaves a trace.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_kit::{
    Answer,
    http::{self, Reply},
};
use tollgate_store::{
    Batch, Booked, EpochMs, Json, NanoDollars, Place, Projected, SpendRow, Store, StoreSettings, UnknownAttempt,
    Window, Windows,
};

use crate::world::{MASTER, WITH_MASTER, World, hi, refused};

const CONFIG: &str = "
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_base: '{provider}/v1'
      api_key: sk-fake-provider-key
      input_cost_per_token: 0.00001
      output_cost_per_token: 0.00002
router_settings: {num_retries: 0}
litellm_settings: {store_audit_logs: true}
general_settings: {master_key: '{master}'}
";

const ATTEMPT: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

async fn store() -> Arc<Store> {
    Arc::new(Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap())
}

/// An instance with a journal of its own.
async fn instance(store: &Arc<Store>, number: u128) -> World {
    let bounds = KeyBounds { patience: std::time::Duration::from_secs(20), ..KeyBounds::default() };
    World::of(CONFIG).store(Arc::clone(store), bounds).with_journal_of(number).start().await
}

async fn post(world: &World, path: &str, body: Value) -> Reply {
    http::post(&world.at(path), &[WITH_MASTER], &body).await
}

async fn get(world: &World, path: &str) -> Value {
    let reply = http::get(&world.at(path), &[WITH_MASTER]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn key(world: &World, fields: Value) -> (String, String) {
    let made = post(world, "/key/generate", fields).await.json();
    (made["key"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

async fn spend(world: &World, key: &str) -> f64 {
    get(world, &format!("/key/info?key={key}")).await["info"]["spend"].as_f64().unwrap()
}

fn window(kind: &str, id: &str, start: i64) -> Window {
    Window { kind: kind.to_owned(), id: id.to_owned(), start: EpochMs(start) }
}

/// An attempt of this key of which nobody knows what it cost.
fn lost(token: &str) -> UnknownAttempt {
    UnknownAttempt {
        attempt_id: ATTEMPT.to_owned(),
        call_id: "call-1".to_owned(),
        journal: "gone".to_owned(),
        opened_at: EpochMs(1_700_000_000_000),
        held: NanoDollars(500_000_000),
        windows: Windows(vec![window("key", token, 0), window("key@1d", token, 1_700_000_000_000)]),
        api_key: token.to_owned(),
        model: "gpt-4o".to_owned(),
        provider: Some("openai".to_owned()),
        details: Some(Json(r#"{"at_least": 0.125, "input_tokens": 9, "output_tokens": 0}"#.to_owned())),
    }
}

async fn hold(store: &Store, token: &str) {
    let batch = Batch { journal: "gone".to_owned(), upto: 1, unknown: vec![lost(token)], ..Batch::default() };
    assert!(matches!(store.book(&batch).await.unwrap(), Projected::Done { .. }));
}

async fn sound(store: &Store) {
    assert_eq!(store.verify_totals().await.unwrap(), []);
}

async fn settled(store: &Store, kind: &str, id: &str) -> i64 {
    let totals = store.totals_of(&[(kind.to_owned(), id.to_owned())]).await.unwrap();
    totals.iter().map(|total| total.settled.0).sum()
}

#[tokio::test]
async fn an_unknown_attempt_is_listed_stated_and_gone() {
    let store = store().await;
    let world = instance(&store, 1).await;
    let (key, token) = key(&world, json!({})).await;
    hold(&store, &token).await;
    let list = get(&world, "/ledger/unknown").await;
    assert_eq!((&list["total"], &list["total_held"], &list["total_pages"]), (&json!(1), &json!(0.5), &json!(1)));
    let one = &list["unknown"][0];
    assert_eq!(
        (
            &one["attempt_id"],
            &one["call_id"],
            &one["held"],
            &one["at_least"],
            &one["api_key"],
            &one["model"],
            &one["provider"]
        ),
        (
            &json!(ATTEMPT),
            &json!("call-1"),
            &json!(0.5),
            &json!(0.125),
            &json!(token),
            &json!("gpt-4o"),
            &json!("openai")
        )
    );
    assert_eq!(one["since"], "2023-11-14T22:13:20.000000+00:00");
    assert_eq!(one["scopes"][1], json!({"kind": "key", "id": token, "period": "1d", "since": one["since"]}));

    let path = format!("/ledger/unknown/{ATTEMPT}");
    let stated = post(&world, &path, json!({"cost": 0.25, "reason": "the provider's invoice"})).await;
    assert_eq!(stated.status, 200, "{}", stated.text());
    let stated = stated.json();
    assert_eq!((&stated["cost"], &stated["held"], &stated["is_booked"]), (&json!(0.25), &json!(0.5), &json!(true)));
    assert!((spend(&world, &key).await - 0.25).abs() < 1e-9);
    assert_eq!(get(&world, "/ledger/unknown").await["total"], 0);
    assert_eq!(settled(&store, "key@1d", &token).await, 250_000_000);
    refused(&post(&world, &path, json!({"cost": 0.25, "reason": "again"})).await, 404);
    let row = store.rows_of(&[ATTEMPT.to_owned()]).await.unwrap().pop().unwrap();
    assert_eq!((row.certainty.as_str(), row.spend), ("corrected", NanoDollars(250_000_000)));
    assert_eq!(row.api_key, token, "it is found among the key's rows");
    let why: Value = serde_json::from_str(&row.metadata.unwrap().0).unwrap();
    assert_eq!(why, json!({"author": "default_user_id", "reason": "the provider's invoice"}));
    sound(&store).await;
}

#[tokio::test]
async fn of_all_who_state_an_attempt_on_two_instances_at_once_one_does() {
    let store = store().await;
    let (here, there) = (instance(&store, 1).await, instance(&store, 2).await);
    let (_, token) = key(&here, json!({})).await;
    hold(&store, &token).await;
    let path = format!("/ledger/unknown/{ATTEMPT}");
    let say = |world, cost: f64| post(world, &path, json!({"cost": cost, "reason": "x"}));
    let (a, b, c, d) = tokio::join!(say(&here, 0.1), say(&there, 0.2), say(&here, 0.3), say(&there, 0.4));
    let mut cost = 0.0;
    for (reply, said) in [(a, 0.1), (b, 0.2), (c, 0.3), (d, 0.4)] {
        match reply.status {
            200 => cost += said,
            404 | 409 => {}
            status => panic!("{status}: {}", reply.text()),
        }
    }
    assert!([0.1, 0.2, 0.3, 0.4].contains(&cost), "{cost}");
    here.gateway.finish_books().await;
    there.gateway.finish_books().await;
    let nanos = settled(&store, "key", &token).await;
    assert_eq!(format!("{cost:.1}"), format!("{:.1}", f64::from(i32::try_from(nanos / 1000).unwrap()) / 1e6));
    assert_eq!(store.unknown_sum().await.unwrap(), (0, NanoDollars(0)));
    sound(&store).await;
}

#[tokio::test]
async fn an_attempt_may_be_charged_what_it_cost_at_least_and_nothing_else_unsaid() {
    let store = store().await;
    let world = instance(&store, 1).await;
    let (key, token) = key(&world, json!({})).await;
    hold(&store, &token).await;
    let path = format!("/ledger/unknown/{ATTEMPT}");
    for wrong in [json!({}), json!({"cost": 1}), json!({"cost": -1, "reason": "x"}), json!({"accept": "all"})] {
        refused(&post(&world, &path, wrong).await, 400);
    }
    refused(&post(&world, "/ledger/unknown/nobody", json!({"accept": "at_least"})).await, 404);
    // A key's holder may not, and does not see others' attempts.
    let auth = format!("Bearer {key}");
    let own = [("authorization", auth.as_str())];
    refused(&http::post(&world.at(&path), &own, &json!({"accept": "at_least"})).await, 403);
    refused(&http::get(&world.at("/ledger/unknown"), &own).await, 403);
    refused(&http::get(&world.at("/ledger/unknown?page=0"), &[WITH_MASTER]).await, 400);
    assert_eq!(post(&world, &path, json!({"accept": "at_least"})).await.json()["cost"], 0.125);
    assert_eq!(settled(&store, "key", &token).await, 125_000_000);
    sound(&store).await;
}

#[tokio::test]
async fn an_attempt_that_nobody_states_is_charged_once_by_the_rule() {
    let store = store().await;
    let (here, there) = (instance(&store, 1).await, instance(&store, 2).await);
    let (key, token) = key(&here, json!({})).await;
    hold(&store, &token).await;
    here.gateway.start_expiry();
    there.gateway.start_expiry();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while store.unknown_sum().await.unwrap().0 > 0 {
        assert!(tokio::time::Instant::now() < deadline, "nobody charges it");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    here.gateway.finish_books().await;
    there.gateway.finish_books().await;
    assert!((spend(&here, &key).await - 0.125).abs() < 1e-9);
    let rows = store.rows_of(&[ATTEMPT.to_owned()]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].metadata.as_ref().unwrap().0.contains("rule: unknown_spend_ttl"));
    sound(&store).await;
}

fn completion() -> Answer {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    Answer::json(
        200,
        json!({"id": "1", "object": "chat.completion", "model": "gpt-4o", "choices": [choice], "usage": usage}),
    )
}

#[tokio::test]
async fn a_reset_is_seen_at_once_and_frees_the_budget_on_every_instance() {
    let store = store().await;
    let (here, there) = (instance(&store, 1).await, instance(&store, 2).await);
    let (key, token) = key(&here, json!({"max_budget": 0.003})).await;
    let auth = format!("Bearer {key}");
    let ask = async |world: &World| {
        world.provider.script([completion()]);
        http::post(&world.at("/v1/chat/completions"), &[("authorization", &auth)], &hi("gpt")).await.status
    };
    assert_eq!((ask(&here).await, ask(&here).await), (200, 400));
    here.gateway.finish_books().await;
    assert_eq!(ask(&there).await, 400);
    // What was spent this moment is spent before the reset.
    let reset = post(&here, &format!("/key/{token}/reset_spend"), json!({"reset_to": 0.001})).await;
    assert_eq!(reset.status, 200, "{}", reset.text());
    let told = reset.json();
    assert_eq!(
        (&told["key_hash"], &told["spend"], &told["previous_spend"], &told["is_booked"]),
        (&json!(token), &json!(0.001), &json!(0.003), &json!(true))
    );
    assert!((spend(&here, &key).await - 0.001).abs() < 1e-9);
    assert_eq!(ask(&here).await, 200);
    here.gateway.finish_books().await;
    let updated = post(&there, "/key/update", json!({"key": key, "spend": 0})).await.json();
    assert_eq!((&updated["spend"], &updated["spend_is_booked"]), (&json!(0.0), &json!(true)));
    assert_eq!(ask(&there).await, 200);
    refused(&post(&here, &format!("/key/{token}/reset_spend"), json!({"reset_to": -1})).await, 400);
    refused(&post(&here, "/key/sk-nobody/reset_spend", json!({"reset_to": 0})).await, 404);
    refused(&post(&here, "/key/update", json!({"key": key, "spend": "much"})).await, 400);
    let own = [("authorization", auth.as_str())];
    refused(&http::post(&here.at(&format!("/key/{token}/reset_spend")), &own, &json!({"reset_to": 0})).await, 403);
    sound(&store).await;
}

/// Something that was spent in these windows.
async fn spent(store: &Store, journal: &str, nanos: i64, windows: Vec<Window>) {
    let row = SpendRow {
        row_id: journal.to_owned(),
        attempt_id: journal.to_owned(),
        certainty: "stated".to_owned(),
        spend: NanoDollars(nanos),
        windows: Windows(windows),
        ..SpendRow::default()
    };
    let booked = vec![Booked { position: 1, row, ..Booked::default() }];
    let batch = Batch { journal: journal.to_owned(), upto: 1, booked, keep_rows: true, ..Batch::default() };
    assert!(matches!(store.book(&batch).await.unwrap(), Projected::Done { .. }));
}

/// Midnight of today, UTC, in milliseconds.
fn today() -> i64 {
    let now = jiff::Timestamp::now().as_second();
    (now - now.rem_euclid(86_400)) * 1000
}

#[tokio::test]
async fn a_reset_holds_in_the_current_window_and_leaves_the_past_alone() {
    let store = store().await;
    let world = instance(&store, 1).await;
    let (key, token) = key(&world, json!({"max_budget": 1, "budget_duration": "1d"})).await;
    let (now, past) = (today(), today() - 40 * 86_400_000);
    spent(&store, "a", 9, vec![window("key", &token, 0), window("key@1d", &token, past)]).await;
    spent(&store, "b", 5, vec![window("key", &token, 0), window("key@1d", &token, now)]).await;
    post(&world, "/key/update", json!({"key": key, "spend": 0.000_000_002})).await;
    let mut left: Vec<(String, i64, i64)> = Vec::new();
    for kind in ["key", "key@1d"] {
        let totals = store.totals_of(&[(kind.to_owned(), token.clone())]).await.unwrap();
        left.extend(totals.into_iter().map(|total| (total.window.kind, total.window.start.0, total.settled.0)));
    }
    left.sort();
    assert_eq!(left, [("key".to_owned(), 0, 2), ("key@1d".to_owned(), past, 9), ("key@1d".to_owned(), now, 2)]);
    sound(&store).await;
}

#[tokio::test]
async fn all_keys_and_teams_are_reset_with_the_master_key_alone() {
    let store = store().await;
    let world = instance(&store, 1).await;
    let (key, token) = key(&world, json!({})).await;
    spent(&store, "a", 9, vec![window("key", &token, 0), window("team", "t", 0), window("user", "u", 0)]).await;
    spent(&store, "b", 5, vec![window("key", "gone", 0), window("team@1mo", "t", today())]).await;
    let auth = format!("Bearer {key}");
    refused(&http::post(&world.at("/global/spend/reset"), &[("authorization", &auth)], &json!({})).await, 403);
    let reset = post(&world, "/global/spend/reset", json!({})).await;
    assert_eq!(reset.status, 200, "{}", reset.text());
    let reset = reset.json();
    assert_eq!((&reset["status"], &reset["is_booked"]), (&json!("success"), &json!(true)));
    assert_eq!(reset["message"], "Spend for all API Keys and Teams reset successfully");
    for (kind, id, left) in
        [("key", token.as_str(), 0), ("key", "gone", 0), ("team", "t", 0), ("team@1mo", "t", 0), ("user", "u", 9)]
    {
        assert_eq!(settled(&store, kind, id).await, left, "{kind} {id}");
    }
    assert!(spend(&world, &key).await.abs() < 1e-12);
    sound(&store).await;
}

#[tokio::test]
async fn every_change_of_a_key_leaves_an_entry_without_secrets() {
    let store = store().await;
    let world = instance(&store, 1).await;
    let metadata = json!({"logging": [{"callback_vars": {"langfuse_secret_key": "hush"}}]});
    let (key, token) = key(&world, json!({"team_id": "t7", "metadata": metadata})).await;
    let changed = [WITH_MASTER, ("litellm-changed-by", "carol")];
    http::post(&world.at("/key/update"), &changed, &json!({"key": key, "max_budget": 2})).await;
    post(&world, "/key/block", json!({"key": key})).await;
    post(&world, &format!("/key/{key}/reset_spend"), json!({"reset_to": 1})).await;
    let rotated = post(&world, "/key/regenerate", json!({"key": key})).await.json();
    let (newer, newest) = (rotated["key"].as_str().unwrap(), rotated["token"].as_str().unwrap());
    post(&world, "/key/delete", json!({"keys": [newer]})).await;

    let all = get(&world, "/audit?page_size=100&sort_order=asc").await;
    let entries = all["audit_logs"].as_array().unwrap();
    let actions: Vec<&str> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["created", "updated", "blocked", "spend_reset", "rotated", "deleted"]);
    assert!(entries.iter().all(|entry| entry["table_name"] == "LiteLLM_VerificationToken"), "{entries:?}");
    let text = all.to_string();
    assert!(
        !text.contains("hush") && !text.contains(&key) && !text.contains(newer) && !text.contains(MASTER),
        "{text}"
    );
    let updated = &entries[1];
    assert_eq!((&updated["changed_by"], &updated["object_id"]), (&json!("carol"), &json!(token)));
    assert_eq!(
        (&updated["before_value"]["max_budget"], &updated["updated_values"]["max_budget"]),
        (&Value::Null, &json!(2.0))
    );
    assert_eq!((&entries[0]["before_value"], &entries[5]["updated_values"]), (&Value::Null, &Value::Null));
    assert_eq!(entries[3]["updated_values"], json!({"spend": 1.0}));
    assert_eq!(entries[5]["object_id"], newest);

    let count = async |query: &str| get(&world, &format!("/audit?{query}")).await["total"].as_i64().unwrap();
    assert_eq!(count("changed_by=carol").await, 1);
    assert_eq!(count(&format!("object_key_hash={key}")).await, 4);
    assert_eq!(count("object_team_id=t7").await, 5);
    assert_eq!(count("action=deleted&table_name=LiteLLM_VerificationToken").await, 1);
    assert_eq!(count("search=ROTAT").await, 1);
    assert_eq!(count("start_date=2000-01-01&end_date=2000-01-02").await, 0);
    let page = get(&world, "/audit?page=2&page_size=4").await;
    assert_eq!((page["audit_logs"].as_array().unwrap().len(), &page["total_pages"]), (2, &json!(2)));
    let one = get(&world, &format!("/audit/{}", updated["id"].as_str().unwrap())).await;
    assert_eq!(&one, updated);
    refused(&http::get(&world.at("/audit/nothing"), &[WITH_MASTER]).await, 404);
    refused(&http::get(&world.at("/audit?sort_by=colour"), &[WITH_MASTER]).await, 400);
}

#[tokio::test]
async fn without_the_setting_there_are_no_entries() {
    let store = store().await;
    let config = CONFIG.replace("store_audit_logs: true", "store_audit_logs: false");
    let world = World::of(&config).store(Arc::clone(&store), KeyBounds::default()).with_journal_of(1).start().await;
    post(&world, "/key/generate", json!({})).await;
    assert_eq!(get(&world, "/audit").await["total"], 0);
}
