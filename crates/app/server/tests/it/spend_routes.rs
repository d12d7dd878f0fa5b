//! What was spent, over HTTP: from rows and sums that stand in the store.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_kit::http::{self, Reply};
use tollgate_policy::KeyDigest;
use tollgate_store::{
    Batch, Booked, EpochMs, Json, Key, NanoDollars, Place, SpendRow, Stamp, Store, StoreSettings, Team, User, Window,
    Windows,
};

use crate::world::{MASTER, World, hi, refused};

const CONFIG: &str = "
model_list:
  - model_name: gpt-4
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: dear
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key, input_cost_per_token: 0.001, output_cost_per_token: 0.01}
general_settings: {master_key: '{master}'}
";

/// 2024-02-01, in UTC.
const FIRST: i64 = 1_706_745_600_000;
const HOUR: i64 = 3_600_000;
const DOLLAR: i64 = 1_000_000_000;

const ANNA: &str = "sk-anna-1234567890";
const BERT: &str = "sk-bert-1234567890";
const LONE: &str = "sk-lone-1234567890";
const VIEW: &str = "sk-view-1234567890";

fn hash(key: &str) -> String {
    KeyDigest::of(key).to_hex()
}

/// A call so many hours after the first day's beginning.
struct Call {
    key: &'static str,
    user: Option<&'static str>,
    hour: i64,
    spend: i64,
    model: &'static str,
}

const CALLS: [Call; 6] = [
    Call { key: ANNA, user: Some("anna"), hour: 1, spend: DOLLAR, model: "gpt-4o" },
    Call { key: ANNA, user: Some("anna"), hour: 2, spend: 2 * DOLLAR, model: "claude" },
    Call { key: BERT, user: Some("bert"), hour: 3, spend: 4 * DOLLAR, model: "gpt-4o" },
    Call { key: LONE, user: None, hour: 23, spend: 8 * DOLLAR, model: "gpt-4o" },
    Call { key: ANNA, user: Some("anna"), hour: 49, spend: 16 * DOLLAR, model: "gpt-4o" },
    Call { key: BERT, user: Some("bert"), hour: 73, spend: 32 * DOLLAR, model: "claude" },
];

fn booked(number: usize, call: &Call, first: i64) -> Booked {
    let id = i64::try_from(number).unwrap();
    let begun = first + call.hour * HOUR;
    let fails = call.model == "claude";
    let row = SpendRow {
        row_id: format!("row-{number}"),
        attempt_id: format!("attempt-{number}"),
        call_id: format!("call-{number}"),
        request_id: format!("chatcmpl-{number}"),
        call_type: "acompletion".to_owned(),
        started_at: EpochMs(begun),
        ended_at: EpochMs(begun + 1500),
        request_duration_ms: 1500,
        status: if fails { "failure" } else { "success" }.to_owned(),
        certainty: "stated".to_owned(),
        spend: NanoDollars(call.spend),
        total_tokens: 30,
        prompt_tokens: 10,
        completion_tokens: 20,
        api_key: hash(call.key),
        user_id: call.user.map(str::to_owned),
        team_id: call.user.map(|_| "red".to_owned()),
        end_user: (call.key == LONE).then(|| "customer-1".to_owned()),
        model: call.model.to_owned(),
        model_group: Some(format!("my-{}", call.model)),
        provider: Some(if fails { "anthropic" } else { "openai" }.to_owned()),
        api_base: Some("https://api.example".to_owned()),
        error_code: fails.then(|| "429".to_owned()),
        error_message: fails.then(|| "Too many of them".to_owned()),
        session_id: (number == 5).then(|| "s".to_owned()),
        cache_hit: (number == 0).then(|| "True".to_owned()),
        metadata: Some(Json(r#"{"status": "success"}"#.to_owned())),
        messages: Some(Json(r#"[{"role": "user", "content": "secret words"}]"#.to_owned())),
        windows: Windows(vec![Window { kind: "key".to_owned(), id: hash(call.key), start: EpochMs(0) }]),
        ..SpendRow::default()
    };
    let day = jiff::Timestamp::from_millisecond(begun).unwrap().strftime("%Y-%m-%d").to_string();
    let tags =
        if call.model == "claude" { vec!["slow".to_owned()] } else { vec!["fast".to_owned(), "cheap".to_owned()] };
    Booked { position: id, row, day: Some(day), tags, leased: false, states: false, record: Vec::new() }
}

fn key(text: &str, alias: &str, user: Option<&str>) -> Key {
    Key {
        token: hash(text),
        origin: hash(text),
        key_alias: Some(alias.to_owned()),
        key_name: Some("sk-...7890".to_owned()),
        user_id: user.map(str::to_owned),
        team_id: user.filter(|user| *user != "eve").map(|_| "red".to_owned()),
        ..Key::default()
    }
}

/// The calls begin on this day; there are keys of two users, of nobody, and of one who may see everything.
async fn world_from(first: i64) -> (World, Arc<Store>) {
    world_of(CONFIG, first).await
}

async fn world_of(config: &str, first: i64) -> (World, Arc<Store>) {
    let store = Store::open(&StoreSettings::at(Place::Memory), EpochMs(0)).await.unwrap();
    let stamp = Stamp { at: EpochMs(0), by: None, audit: None };
    for (id, role) in [("anna", "internal_user"), ("bert", "internal_user"), ("eve", "proxy_admin_viewer")] {
        let user = User { user_id: id.to_owned(), user_role: Some(role.to_owned()), ..User::default() };
        store.insert_user(&user, &stamp).await.unwrap();
    }
    let red = Team { team_id: "red".to_owned(), team_alias: Some("Red Team".to_owned()), ..Team::default() };
    store.insert_team(&red, &stamp).await.unwrap();
    let keys = [
        key(ANNA, "of anna", Some("anna")),
        key(BERT, "of bert", Some("bert")),
        key(LONE, "alone", None),
        key(VIEW, "viewer", Some("eve")),
    ];
    store.insert_keys(&keys, &stamp).await.unwrap();
    let booked: Vec<Booked> = CALLS.iter().enumerate().map(|(number, call)| booked(number, call, first)).collect();
    let upto = i64::try_from(booked.len()).unwrap();
    let batch = Batch { journal: "j".to_owned(), upto, booked, keep_rows: true, ..Batch::default() };
    store.book(&batch).await.unwrap();
    let store = Arc::new(store);
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    (World::of(config).store(Arc::clone(&store), bounds).start().await, store)
}

async fn world() -> World {
    world_from(FIRST).await.0
}

/// Calls of today and the days before, as what has no days looks a month back.
async fn recent_world() -> World {
    let now = jiff::Timestamp::now().as_millisecond();
    world_from(now - now.rem_euclid(24 * HOUR) - 4 * 24 * HOUR).await.0
}

async fn ask(world: &World, key: &str, path: &str) -> Reply {
    http::get(&world.at(path), &[("authorization", &format!("Bearer {key}"))]).await
}

async fn see(world: &World, key: &str, path: &str) -> Value {
    let reply = ask(world, key, path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

async fn send(world: &World, key: &str, path: &str, body: &Value) -> Reply {
    http::post(&world.at(path), &[("authorization", &format!("Bearer {key}"))], body).await
}

fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["request_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_log_has_rows_without_days_and_sums_with_them() {
    let world = world().await;
    let all = see(&world, MASTER, "/spend/logs").await;
    assert_eq!(ids(&all), ["chatcmpl-5", "chatcmpl-4", "chatcmpl-3", "chatcmpl-2", "chatcmpl-1", "chatcmpl-0"]);
    let first = &all[5];
    let wanted = json!({
        "request_id": "chatcmpl-0", "call_type": "acompletion", "api_key": hash(ANNA), "spend": 1.0, "total_tokens": 30,
        "prompt_tokens": 10, "completion_tokens": 20, "startTime": "2024-02-01T01:00:00.000000+00:00",
        "endTime": "2024-02-01T01:00:01.500000+00:00", "completionStartTime": null, "request_duration_ms": 1500,
        "model": "gpt-4o", "model_id": "", "model_group": "my-gpt-4o", "custom_llm_provider": "openai", "user": "anna",
        "team_id": "red", "end_user": null, "metadata": {"status": "success"}, "cache_hit": "True", "request_tags": [],
        "status": "success", "response": {}, "proxy_server_request": {},
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&first[name], value, "{name}");
    }
    // A key by itself and by its hash, a user, one call.
    for named in [ANNA.to_owned(), hash(ANNA)] {
        let of_key = see(&world, MASTER, &format!("/spend/logs?api_key={named}")).await;
        assert_eq!(ids(&of_key), ["chatcmpl-4", "chatcmpl-1", "chatcmpl-0"]);
    }
    assert_eq!(ids(&see(&world, MASTER, "/spend/logs?user_id=bert").await), ["chatcmpl-5", "chatcmpl-2"]);
    assert_eq!(ids(&see(&world, MASTER, "/spend/logs?request_id=chatcmpl-3").await), ["chatcmpl-3"]);

    // Sums of days; the last one ends at its beginning, and days after the last sum are zero.
    let sums = see(&world, MASTER, "/spend/logs?start_date=2024-02-01&end_date=2024-02-04").await;
    let lone = hash(LONE);
    assert_eq!(
        sums,
        json!([
            {"startTime": "2024-02-01", "spend": 15.0, hash(ANNA): 3.0, hash(BERT): 4.0, lone: 8.0,
             "users": {"anna": 3.0, "bert": 4.0}, "models": {"gpt-4o": 13.0, "claude": 2.0}},
            {"startTime": "2024-02-03", "spend": 16.0, hash(ANNA): 16.0, "users": {"anna": 16.0}, "models": {"gpt-4o": 16.0}},
            {"startTime": "2024-02-04", "spend": 0.0, "users": {}, "models": {}},
        ])
    );
    let of_bert = see(&world, MASTER, "/spend/logs?start_date=2024-02-01&end_date=2024-02-05&user_id=bert").await;
    let spent: Vec<&Value> = of_bert.as_array().unwrap().iter().map(|day| &day["spend"]).collect();
    assert_eq!(spent, [&json!(4.0), &json!(32.0), &json!(0.0)]);
    let of_call =
        see(&world, MASTER, "/spend/logs?start_date=2024-02-01&end_date=2024-02-02&request_id=chatcmpl-1").await;
    assert_eq!((&of_call[0]["models"], of_call.as_array().unwrap().len()), (&json!({"claude": 2.0}), 2));
    let rows = see(&world, MASTER, "/spend/logs?start_date=2024-02-01&end_date=2024-02-04&summarize=false").await;
    assert_eq!(ids(&rows), ["chatcmpl-4", "chatcmpl-3", "chatcmpl-2", "chatcmpl-1", "chatcmpl-0"]);
    assert_eq!(see(&world, MASTER, "/spend/logs?start_date=2023-01-01&end_date=2023-01-09").await, json!([]));
}

#[tokio::test]
async fn the_log_is_paged_filtered_and_sorted() {
    let world = world().await;
    let of = async |query: &str| {
        let days = "start_date=2024-02-01%2000:00:00&end_date=2024-02-10%2000:00:00";
        see(&world, MASTER, &format!("/spend/logs/v2?{days}&{query}")).await
    };
    let page = of("page=2&page_size=4").await;
    assert_eq!(ids(&page["data"]), ["chatcmpl-1", "chatcmpl-0"]);
    assert_eq!(
        (&page["total"], &page["page"], &page["page_size"], &page["total_pages"]),
        (&json!(6), &json!(2), &json!(4), &json!(2))
    );
    assert_eq!(page["data"][0]["messages"], json!({}), "prompts are shown one by one");
    let filters = [
        ("sort_by=spend&sort_order=asc&page_size=2", vec!["chatcmpl-0", "chatcmpl-1"]),
        ("status_filter=failure", vec!["chatcmpl-5", "chatcmpl-1"]),
        ("error_message=too%20MANY&user_id=anna", vec!["chatcmpl-1"]),
        ("error_code=429&min_spend=3", vec!["chatcmpl-5"]),
        ("max_spend=2", vec!["chatcmpl-1", "chatcmpl-0"]),
        ("model=claude&team_id=red", vec!["chatcmpl-5", "chatcmpl-1"]),
        ("model_group=my-gpt-4o&end_user=customer-1", vec!["chatcmpl-3"]),
        ("cache_hit_filter=hit", vec!["chatcmpl-0"]),
        ("team_id=blue", vec![]),
    ];
    for (query, wanted) in filters {
        assert_eq!(ids(&of(query).await["data"]), wanted, "{query}");
    }
    // Without days: the last month, but a call is found by its id whenever it was.
    assert_eq!(see(&world, MASTER, "/spend/logs/ui").await["total"], 0);
    assert_eq!(see(&world, MASTER, "/spend/logs/ui?request_id=call-2").await["data"][0]["request_id"], "chatcmpl-2");
    assert_eq!(ids(&see(&world, MASTER, "/spend/logs/session/ui?session_id=s").await["data"]), ["chatcmpl-5"]);
    let one = see(&world, MASTER, "/spend/logs/ui/chatcmpl-2").await;
    assert_eq!((&one["messages"][0]["content"], &one["response"]), (&json!("secret words"), &json!({})));
    refused(&ask(&world, MASTER, "/spend/logs/ui/chatcmpl-99").await, 404);
}

#[tokio::test]
async fn an_answer_that_was_cut_says_so() {
    let (world, store) = world_from(FIRST).await;
    assert_eq!(ask(&world, MASTER, "/spend/tags").await.header("x-tollgate-truncated"), None);
    let tags = (0..1_001).map(|number| format!("tag-{number}")).collect();
    let many = Booked { tags, ..booked(6, &CALLS[2], FIRST) };
    let batch = Batch { journal: "j".to_owned(), after: 6, upto: 7, booked: vec![many], ..Batch::default() };
    store.book(&batch).await.unwrap();
    let reply = ask(&world, MASTER, "/spend/tags").await;
    assert_eq!(reply.header("x-tollgate-truncated"), Some("true"));
    assert_eq!((reply.json().as_array().unwrap().len(), &reply.json()[0]["total_spend"]), (1_000, &json!(34.0)));
}

#[tokio::test]
async fn whoever_is_no_admin_sees_what_is_his_own() {
    let world = world().await;
    assert_eq!(ids(&see(&world, ANNA, "/spend/logs").await), ["chatcmpl-4", "chatcmpl-1", "chatcmpl-0"]);
    assert_eq!(ids(&see(&world, LONE, "/spend/logs").await), ["chatcmpl-3"]);
    let paged = "/spend/logs/v2?start_date=2024-01-01&end_date=2024-03-01";
    assert_eq!(see(&world, BERT, paged).await["total"], 2);
    let sums = see(&world, ANNA, "/spend/logs?start_date=2024-02-01&end_date=2024-02-02").await;
    assert_eq!((&sums[0]["spend"], &sums[0]["users"]), (&json!(3.0), &json!({"anna": 3.0})));
    let alone = see(&world, LONE, "/spend/logs?start_date=2024-02-01&end_date=2024-02-02").await;
    assert_eq!((&alone[0]["spend"], &alone[0]["users"]), (&json!(8.0), &json!({})));
    let foreign = [
        format!("/spend/logs?api_key={}", hash(BERT)),
        "/spend/logs?api_key=sk-nobody-has-this-one".to_owned(),
        "/spend/logs?user_id=bert".to_owned(),
        "/spend/logs/v2?user_id=bert".to_owned(),
        "/user/daily/activity?start_date=2024-02-01&end_date=2024-02-02&user_id=bert".to_owned(),
        "/team/daily/activity?start_date=2024-02-01&end_date=2024-02-02&team_ids=blue".to_owned(),
        "/tag/daily/activity?start_date=2024-02-01&end_date=2024-02-02".to_owned(),
        "/spend/keys".to_owned(),
        "/spend/users".to_owned(),
        "/spend/tags".to_owned(),
        "/global/spend".to_owned(),
        "/global/spend/report?start_date=2024-02-01&end_date=2024-02-02".to_owned(),
        "/global/activity?start_date=2024-02-01&end_date=2024-02-02".to_owned(),
    ];
    for path in &foreign {
        refused(&ask(&world, ANNA, path).await, 403);
    }
    // One of somebody else's calls is no call to him.
    refused(&ask(&world, ANNA, "/spend/logs/ui/chatcmpl-2").await, 404);
    assert_eq!(see(&world, ANNA, "/spend/logs/ui/chatcmpl-1").await["user"], "anna");
    // Whoever may see everything does, and nobody else without a key.
    assert_eq!(see(&world, VIEW, "/spend/logs").await.as_array().unwrap().len(), 6);
    see(&world, VIEW, "/global/spend").await;
    refused(&http::get(&world.at("/spend/logs"), &[]).await, 401);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_its_name() {
    let world = world().await;
    let days = "start_date=2024-02-01&end_date=2024-02-02";
    let cases = [
        ("/spend/logs?start_date=2024-02-01", "end_date"),
        ("/spend/logs?start_date=yesterday&end_date=2024-02-01", "start_date"),
        ("/spend/logs?start_date=2024-02-02&end_date=2024-02-01", "end_date"),
        ("/spend/logs?start_date=0001-01-01&end_date=9999-01-01", "end_date"),
        ("/spend/logs?start_date=2024-02-01&end_date=2024-02-02&summarize=maybe", "summarize"),
        ("/spend/logs/v2?page=0", "page"),
        ("/spend/logs/v2?page=two", "page"),
        ("/spend/logs/v2?page=1000000", "page"),
        ("/spend/logs/v2?page_size=101", "page_size"),
        ("/spend/logs/v2?sort_by=prompt", "sort_by"),
        ("/spend/logs/v2?sort_order=up", "sort_order"),
        ("/spend/logs/v2?min_spend=much", "min_spend"),
        ("/spend/logs/v2?status_filter=odd", "status_filter"),
        ("/spend/logs/v2?start_date=2024-02-30", "start_date"),
        ("/global/spend/keys?limit=-1", "limit"),
        ("/global/activity", "start_date"),
        (&format!("/global/activity/exceptions?{days}"), "model_group"),
        (&format!("/global/spend/report?{days}&group_by=mood"), "group_by"),
        (&format!("/user/daily/activity?{days}&timezone=Mars/Base"), "timezone"),
        (&format!("/tag/daily/activity?{days}&timezone=60"), "timezone"),
        ("/team/daily/activity?start_date=2024-02-01", "end_date"),
        (&format!("/team/daily/activity?{days}&exclude_team_ids=red"), "exclude_team_ids"),
        (&format!("/user/daily/activity?{days}&page_size=1001"), "page_size"),
        ("/spend/logs/session/ui", "session_id"),
    ];
    for (path, param) in cases {
        let reply = ask(&world, MASTER, path).await;
        let words = refused(&reply, 400);
        assert_eq!(reply.json()["error"]["param"], param, "{path}: {words}");
    }
    let reply = send(&world, MASTER, "/global/spend/end_users", &json!({"startTime": 5})).await;
    refused(&reply, 400);
}

#[tokio::test]
async fn sums_tell_who_spent_what() {
    let world = recent_world().await;
    let keys = see(&world, MASTER, "/spend/keys").await;
    let spent: Vec<(&str, f64)> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["key_alias"].as_str().unwrap(), key["spend"].as_f64().unwrap()))
        .collect();
    assert_eq!(spent, [("of bert", 36.0), ("of anna", 19.0), ("alone", 8.0)]);
    assert_eq!(see(&world, MASTER, "/spend/users?user_id=anna").await[0]["user_id"], "anna");
    assert_eq!(see(&world, MASTER, "/spend/users").await.as_array().unwrap().len(), 3);
    refused(&ask(&world, MASTER, "/spend/users?user_id=nobody").await, 404);
    let tags = see(&world, MASTER, "/spend/tags").await;
    assert_eq!(tags[0], json!({"individual_request_tag": "slow", "log_count": 2, "total_spend": 34.0}));

    assert_eq!(see(&world, MASTER, "/global/spend").await, json!({"spend": 63.0, "max_budget": 0.0}));
    let days = see(&world, MASTER, "/global/spend/logs").await;
    let by_day: Vec<f64> = days.as_array().unwrap().iter().map(|day| day["spend"].as_f64().unwrap()).collect();
    assert_eq!(by_day, [15.0, 16.0, 32.0]);
    let of_key = see(&world, MASTER, &format!("/global/spend/logs?api_key={LONE}")).await;
    assert_eq!((&of_key[0]["spend"], of_key.as_array().unwrap().len()), (&json!(8.0), 1));
    let dearest = see(&world, MASTER, "/global/spend/keys?limit=1").await;
    let bert = json!({"api_key": hash(BERT), "key_alias": "of bert", "key_name": "sk-...7890", "total_spend": 36.0});
    assert_eq!(dearest, json!([bert]));
    let models = see(&world, MASTER, "/global/spend/models").await;
    assert_eq!(models, json!([{"model": "claude", "total_spend": 34.0}, {"model": "gpt-4o", "total_spend": 29.0}]));
    let providers = see(&world, MASTER, "/global/spend/provider").await;
    assert_eq!(providers, json!([{"provider": "anthropic", "spend": 34.0}, {"provider": "openai", "spend": 29.0}]));
    let teams = see(&world, MASTER, "/global/spend/teams").await;
    assert_eq!(
        (&teams["daily_spend"][0]["Red Team"], &teams["daily_spend"][0]["Unassigned"]),
        (&json!(7.0), &json!(8.0))
    );
    assert_eq!(teams["teams"], json!(["Red Team", "Unassigned"]));
    assert_eq!(teams["total_spend_per_team"][0], json!({"team_id": "Red Team", "total_spend": 55.0}));
    let tags = see(&world, MASTER, "/global/spend/tags?tags=fast,none").await;
    assert_eq!(tags, json!({"spend_per_tag": [{"name": "fast", "spend": 29.0, "log_count": 4}]}));
    let names = see(&world, MASTER, "/global/spend/all_tag_names").await;
    assert_eq!(names, json!({"tag_names": ["cheap", "fast", "slow"]}));
    let customers = send(&world, MASTER, "/global/spend/end_users", &json!({})).await;
    assert_eq!(customers.json(), json!([{"end_user": "customer-1", "total_count": 1, "total_spend": 8.0}]));
    let of_anna = send(&world, MASTER, "/global/spend/end_users", &json!({"api_key": ANNA})).await;
    assert_eq!(of_anna.json(), json!([]));
}

#[tokio::test]
async fn a_report_is_by_team_customer_or_key() {
    let world = world().await;
    let of = async |query: &str| {
        see(&world, MASTER, &format!("/global/spend/report?start_date=2024-02-01&end_date=2024-02-03&{query}")).await
    };
    let teams = of("group_by=team").await;
    assert_eq!((&teams[0]["group_by_day"], teams.as_array().unwrap().len()), (&json!("2024-02-01"), 2));
    let red = &teams[0]["teams"][0];
    assert_eq!((&red["team_name"], &red["total_spend"]), (&json!("Red Team"), &json!(7.0)));
    let part = json!({"model": "gpt-4o", "spend": 4.0, "total_tokens": 30, "api_key": hash(BERT)});
    assert!(red["metadata"].as_array().unwrap().contains(&part), "{red}");
    let customers = of("group_by=customer").await;
    assert_eq!(customers[0]["customers"][0]["customer"], "customer-1");
    let one = of(&format!("api_key={ANNA}")).await;
    assert_eq!((one[0]["total_cost"].as_f64(), &one[0]["total_input_tokens"]), (Some(19.0), &json!(30)));
    assert_eq!(of("internal_user_id=bert").await[0]["model_details"][0]["total_output_tokens"], 20);
    assert_eq!(of("group_by=api_key").await.as_array().unwrap().len(), 3);
    assert_eq!(of("team_id=blue").await, json!([]));
}

#[tokio::test]
async fn activity_tells_how_much_was_asked_for() {
    let world = world().await;
    let of = async |path: &str| {
        let sign = if path.contains('?') { '&' } else { '?' };
        see(&world, MASTER, &format!("/global/activity{path}{sign}start_date=2024-02-01&end_date=2024-02-04")).await
    };
    assert_eq!(
        of("").await,
        json!({
            "daily_data": [
                {"date": "Feb 01", "api_requests": 4, "total_tokens": 120},
                {"date": "Feb 03", "api_requests": 1, "total_tokens": 30},
                {"date": "Feb 04", "api_requests": 1, "total_tokens": 30},
            ],
            "sum_api_requests": 6,
            "sum_total_tokens": 180,
        })
    );
    let models = of("/model").await;
    assert_eq!((&models[0]["model"], &models[0]["sum_api_requests"]), (&json!("my-gpt-4o"), &json!(4)));
    assert_eq!(models[1]["daily_data"][1], json!({"date": "Feb 04", "api_requests": 1, "total_tokens": 30}));
    let refusals = json!({
        "daily_data": [
            {"date": "Feb 01", "num_rate_limit_exceptions": 1},
            {"date": "Feb 04", "num_rate_limit_exceptions": 1},
        ],
        "sum_num_rate_limit_exceptions": 2,
    });
    assert_eq!(of("/exceptions?model_group=my-claude").await, refusals);
    let by_address = of("/exceptions/deployment?model_group=my-claude").await;
    assert_eq!(by_address[0]["api_base"], "https://api.example");
    assert_eq!(by_address[0]["sum_num_rate_limit_exceptions"], 2);
    let hits = of("/cache_hits?key_aliases=of%20anna&models=gpt-4o").await;
    let wanted = json!({
        "api_key": "of anna", "call_type": "acompletion", "model": "gpt-4o", "total_rows": 2, "cache_hit_true_rows": 1,
        "cached_completion_tokens": 20, "generated_completion_tokens": 20,
    });
    assert_eq!(hits, json!([wanted]));
}

#[tokio::test]
async fn days_are_broken_down_and_paged() {
    let world = world().await;
    let of = async |key: &'static str, path: &str| {
        see(&world, key, &format!("/{path}&start_date=2024-02-01&end_date=2024-02-29")).await
    };
    let first = of(MASTER, "user/daily/activity?page_size=2").await;
    let dates: Vec<&Value> = first["results"].as_array().unwrap().iter().map(|day| &day["date"]).collect();
    assert_eq!(dates, [&json!("2024-02-04"), &json!("2024-02-03")]);
    let metadata = json!({
        "total_spend": 48.0, "total_prompt_tokens": 20, "total_completion_tokens": 40, "total_tokens": 60,
        "total_api_requests": 2, "total_successful_requests": 1, "total_failed_requests": 1,
        "total_cache_read_input_tokens": 0, "total_cache_creation_input_tokens": 0,
        "page": 1, "total_pages": 2, "has_more": true,
    });
    assert_eq!(first["metadata"], metadata);
    let second = of(MASTER, "user/daily/activity?page_size=2&page=2").await;
    let day = &second["results"][0];
    let metrics = json!({
        "spend": 15.0, "prompt_tokens": 40, "completion_tokens": 80, "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0, "total_tokens": 120, "successful_requests": 3, "failed_requests": 1,
        "api_requests": 4,
    });
    assert_eq!(day["metrics"], metrics);
    let parts = &day["breakdown"];
    assert_eq!(parts["models"]["gpt-4o"]["metrics"]["spend"], 13.0);
    assert_eq!(parts["model_groups"]["my-claude"]["metrics"]["failed_requests"], 1);
    assert_eq!(parts["providers"]["openai"]["api_key_breakdown"][hash(BERT)]["metrics"]["spend"], 4.0);
    let of_anna = &parts["api_keys"][hash(ANNA)];
    assert_eq!((&of_anna["metrics"]["spend"], &of_anna["metadata"]["key_alias"]), (&json!(3.0), &json!("of anna")));

    let teams = of(MASTER, "team/daily/activity?team_ids=red").await;
    assert_eq!(teams["results"][2]["breakdown"]["entities"]["red"]["metrics"]["spend"], 7.0);
    let tags = of(MASTER, "tag/daily/activity?tags=slow").await;
    assert_eq!(tags["metadata"]["total_spend"], 34.0);
    for path in ["customer/daily/activity?end_user_ids=customer-1", "end_user/daily/activity?model=gpt-4o"] {
        assert_eq!(of(MASTER, path).await["metadata"]["total_spend"], 8.0, "{path}");
    }
    assert_eq!(of(MASTER, "organization/daily/activity?page=1").await["results"], json!([]));

    // All days at once, and pages that are larger than any.
    let whole = of(MASTER, "user/daily/activity/aggregated?page_size=1").await;
    assert_eq!((whole["results"].as_array().unwrap().len(), &whole["metadata"]["has_more"]), (3, &json!(false)));
    assert_eq!(of(MASTER, "user/daily/activity?page_size=1000").await["metadata"]["total_spend"], 63.0);
    assert_eq!(of(MASTER, "agent/daily/activity?agent_ids=a").await["results"], json!([]));

    // One's own: of a user, of a key that has none, and in a team one's own keys.
    assert_eq!(of(ANNA, "user/daily/activity?page=1").await["metadata"]["total_spend"], 19.0);
    assert_eq!(of(LONE, "user/daily/activity?page=1").await["metadata"]["total_spend"], 8.0);
    assert_eq!(of(BERT, "team/daily/activity?team_ids=red").await["metadata"]["total_spend"], 36.0);
    assert_eq!(of(LONE, "team/daily/activity?page=1").await["results"], json!([]));
}

#[tokio::test]
async fn days_are_those_of_the_time_zone() {
    let world = world().await;
    let of = async |zone: &str| -> Vec<(String, f64)> {
        let path = format!("/user/daily/activity?start_date=2024-01-31&end_date=2024-02-05&timezone={zone}");
        let told = see(&world, MASTER, &path).await;
        let day = |day: &Value| (day["date"].as_str().unwrap().to_owned(), day["metrics"]["spend"].as_f64().unwrap());
        told["results"].as_array().unwrap().iter().map(day).collect()
    };
    let days = |days: [(&str, f64); 3]| days.map(|(date, spend)| (date.to_owned(), spend)).to_vec();
    assert_eq!(of("UTC").await, days([("2024-02-04", 32.0), ("2024-02-03", 16.0), ("2024-02-01", 15.0)]));
    // Two hours behind: what was before two in the morning belongs to the day before.
    let behind = of("120&page_size=1000").await;
    let wanted = [("2024-02-03", 32.0), ("2024-02-02", 16.0), ("2024-02-01", 14.0), ("2024-01-31", 1.0)];
    assert_eq!(behind, wanted.map(|(date, spend)| (date.to_owned(), spend)));
    // Berlin is an hour ahead in winter: what was at eleven in the evening is of the next day.
    let ahead = of("Europe/Berlin").await;
    let wanted = [("2024-02-04", 32.0), ("2024-02-03", 16.0), ("2024-02-02", 8.0), ("2024-02-01", 7.0)];
    assert_eq!(ahead, wanted.map(|(date, spend)| (date.to_owned(), spend)));
}

#[tokio::test]
async fn a_cost_is_calculated_by_the_price_of_the_deployment_or_the_catalog() {
    let world = world().await;
    let of = async |body: Value| send(&world, ANNA, "/spend/calculate", &body).await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let counted = send(&world, ANNA, "/utils/token_counter", &json!({"model": "dear", "messages": messages})).await;
    let tokens = counted.json()["total_tokens"].as_f64().unwrap();
    let dear = of(json!({"model": "dear", "messages": messages})).await.json()["cost"].as_f64().unwrap();
    assert!((dear - tokens * 0.001).abs() < 1e-12, "{dear} {tokens}");
    let answer =
        json!({"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}});
    // 2.50 USD and 10 USD for a million.
    assert_eq!(of(json!({"completion_response": answer})).await.json(), json!({"cost": 0.0035}));
    assert_eq!(of(json!({"model": "dear", "completion_response": answer})).await.json(), json!({"cost": 2.0}));
    for (body, param) in [
        (json!({"messages": messages}), "model"),
        (json!({"model": "nobody/knows-it", "messages": messages}), "model"),
        (json!({"completion_response": {"model": "gpt-4o"}}), "completion_response"),
    ] {
        let reply = of(body).await;
        refused(&reply, 400);
        assert_eq!(reply.json()["error"]["param"], param);
    }
}

#[tokio::test]
async fn what_is_left_of_a_providers_budget_is_told() {
    let plain = world().await;
    refused(&ask(&plain, MASTER, "/provider/budgets").await, 400);
    let budgets = "router_settings: {provider_budget_config: {openai: {budget_limit: 100, time_period: 1d}}}";
    let (world, _store) = world_of(&format!("{CONFIG}{budgets}\n"), FIRST).await;
    let of_openai = async || see(&world, MASTER, "/provider/budgets").await["providers"]["openai"].clone();
    let wanted = json!({"budget_limit": 100.0, "time_period": "1d", "spend": 0.0, "budget_reset_at": null});
    assert_eq!(of_openai().await, wanted);
    assert_eq!(send(&world, ANNA, "/v1/chat/completions", &hi("gpt-4")).await.status, 200);
    let spent = of_openai().await;
    assert!(
        spent["spend"].as_f64().is_some_and(|spend| spend > 0.0) && spent["budget_reset_at"].is_string(),
        "{spent}"
    );
    refused(&ask(&world, ANNA, "/provider/budgets").await, 403);
}

#[tokio::test]
async fn calls_are_told_with_their_tokens_and_cost_by_model() {
    let store = Store::open(&StoreSettings::at(Place::Memory), EpochMs(0)).await.unwrap();
    let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
    let world = World::of(CONFIG).store(Arc::new(store), bounds).with_journal().start().await;
    let made = send(&world, MASTER, "/key/generate", &json!({"user_id": "zoe"})).await.json();
    let (key, hash) = (made["key"].as_str().unwrap(), made["token"].as_str().unwrap());
    let mut tokens = 0;
    for model in ["gpt-4", "dear", "dear"] {
        let reply = send(&world, key, "/v1/chat/completions", &hi(model)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        tokens += reply.json()["usage"]["total_tokens"].as_i64().unwrap();
    }
    world.gateway.finish_books().await;
    let rows = see(&world, key, "/spend/logs").await;
    let models: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["model_group"]).collect();
    assert_eq!(models, [&json!("dear"), &json!("dear"), &json!("gpt-4")]);
    let cost_of = |model: &str| -> f64 {
        let of = rows.as_array().unwrap().iter().filter(|row| row["model_group"] == model);
        of.map(|row| row["spend"].as_f64().unwrap()).sum()
    };
    let day = |days: i64| {
        let moment = jiff::Timestamp::now().as_millisecond() + days * 24 * HOUR;
        jiff::Timestamp::from_millisecond(moment).unwrap().strftime("%Y-%m-%d").to_string()
    };
    // It may be midnight in between.
    let days = format!("start_date={}&end_date={}", day(-1), day(1));
    let whole = see(&world, key, &format!("/user/daily/activity/aggregated?{days}")).await;
    assert_eq!(whole["metadata"]["total_tokens"], tokens);
    for model in ["gpt-4", "dear"] {
        let of_days = whole["results"].as_array().unwrap().iter();
        let spent: f64 = of_days
            .filter_map(|day| {
                day["breakdown"]["model_groups"][model]["api_key_breakdown"][hash]["metrics"]["spend"].as_f64()
            })
            .sum();
        assert!(spent > 0.0 && (spent - cost_of(model)).abs() < 1e-9, "{model}: {spent}");
    }
    let models = see(&world, MASTER, &format!("/global/activity/model?{days}")).await;
    assert_eq!((&models[0]["model"], &models[0]["sum_api_requests"]), (&json!("dear"), &json!(2)));
}

#[tokio::test]
async fn rows_older_than_they_are_kept_go_and_totals_stay() {
    let now = jiff::Timestamp::now().as_millisecond();
    // The first four calls are older than 30 days, the fifth is two days younger.
    let config = CONFIG.replace("{master_key:", "{maximum_spend_logs_retention_period: 30d, master_key:");
    let (world, store) = world_of(&config, now - 31 * 24 * HOUR).await;
    assert_eq!(see(&world, MASTER, "/spend/logs").await.as_array().unwrap().len(), 6);
    world.gateway.start_tidying();
    let left = async {
        loop {
            let rows = see(&world, MASTER, "/spend/logs").await;
            if rows.as_array().unwrap().len() < 6 {
                return rows;
            }
        }
    };
    let left = tokio::time::timeout(Duration::from_secs(20), left).await.expect("old rows go");
    assert_eq!(ids(&left), ["chatcmpl-5", "chatcmpl-4"]);
    assert_eq!(store.verify_totals().await.unwrap(), []);
    assert_eq!(see(&world, MASTER, "/spend/keys").await[1]["spend"], 19.0);
    let kept = see(&world, MASTER, "/spend/tags").await;
    assert_eq!(kept[0]["total_spend"], 34.0, "sums of days stay");
}

#[tokio::test]
async fn rows_are_kept_for_ever_if_nobody_says_how_long() {
    let (world, store) = world_from(FIRST).await;
    world.gateway.start_tidying();
    // The task has looked once when it goes down with the gateway.
    world.gateway.start_draining();
    assert!(world.gateway.workers().drained(Duration::from_secs(20)).await);
    assert_eq!(see(&world, MASTER, "/spend/logs").await.as_array().unwrap().len(), 6);
    assert_eq!(store.verify_totals().await.unwrap(), []);
}
