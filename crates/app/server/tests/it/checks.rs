//! Looks at deployments: in the background, on request, and what is told of them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tollgate_kit::{Answer, http, http::Reply};

use crate::world::{MASTER, WITH_MASTER, World, hi, refused};

/// Three deployments, looked at every so often.
fn config(settings: &str) -> String {
    format!(
        "
model_list:
  - {{model_name: gpt, model_info: {{id: a}}, litellm_params: {{model: openai/gpt-4o, api_base: '{{provider}}/a/v1', api_key: sk-fake-provider-key}}}}
  - {{model_name: gpt, model_info: {{id: b}}, litellm_params: {{model: openai/gpt-4o, api_base: '{{provider}}/b/v1', api_key: sk-fake-provider-key}}}}
  - {{model_name: quiet, model_info: {{id: c, disable_background_health_check: true}}, litellm_params: {{model: openai/gpt-4o, api_base: '{{provider}}/c/v1', api_key: sk-fake-provider-key}}}}
general_settings: {{master_key: '{MASTER}', {settings}}}
router_settings: {{num_retries: 0}}
"
    )
}

const OFTEN: &str = "background_health_checks: true, health_check_interval: 0.05";

async fn as_admin(world: &World, path: &str) -> Reply {
    http::get(&world.at(path), &[WITH_MASTER]).await
}

/// Waits until what a path tells is so.
async fn until(world: &World, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let told = as_admin(world, path).await.json();
        if wanted(&told) {
            return told;
        }
        assert!(Instant::now() < deadline, "{told}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn calls_of(world: &World, path: &str) -> usize {
    world.provider.calls().iter().filter(|call| call.path == path).count()
}

fn down() -> Answer {
    Answer::json(503, json!({"error": {"message": "no room, says sk-fake-provider-key"}}))
}

#[tokio::test]
async fn health_tells_the_last_look_in_the_background_and_asks_nobody_itself() {
    let world = World::start(&config("background_health_checks: true, health_check_interval: 10")).await;
    world.provider.always("/b/v1/models", down());
    world.gateway.start_checks();
    // The first look comes within a tenth of the interval.
    let latest = until(&world, "/health/latest", |told| told["total_models"] == 2).await;
    assert_eq!(latest["latest_health_checks"]["a"]["status"], "healthy");
    let before = world.provider.calls().len();
    let health = as_admin(&world, "/health?model=gpt").await.json();
    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&json!(1), &json!(1)), "{health}");
    assert_eq!(health["unhealthy_endpoints"][0]["model_id"], "b");
    assert_eq!(world.provider.calls().len(), before, "what is known is told");
    assert_eq!(calls_of(&world, "/c/v1/models"), 0, "it is left out");
    assert_eq!(world.gateway.totals().opened, 0, "a look generates nothing");
}

#[tokio::test]
async fn looks_go_on_take_in_what_a_reload_brings_and_end_with_the_gateway() {
    let world = World::start(&config(OFTEN)).await;
    world.gateway.start_checks();
    until(&world, "/health/history", |told| told["total_records"].as_u64() > Some(6)).await;
    let with_another = config(OFTEN).replace("id: c, disable_background_health_check: true", "id: d");
    world.reload(&with_another.replace("id: a}", "id: e}"));
    let latest = until(&world, "/health/latest", |told| {
        let known = &told["latest_health_checks"];
        known["d"].is_object() && known["e"].is_object() && known["a"].is_null()
    })
    .await;
    assert_eq!(latest["total_models"], 3);
    world.reload(&config("background_health_checks: false"));
    // One that runs may still be told of.
    sleep(Duration::from_millis(200)).await;
    let looked = world.provider.calls().len();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.provider.calls().len(), looked, "they are off");
    world.reload(&config(OFTEN));
    until(&world, "/health/latest", |_| world.provider.calls().len() > looked).await;
    world.gateway.start_draining();
    assert!(world.gateway.workers().drained(Duration::from_secs(5)).await, "nothing is left behind");
}

#[tokio::test]
async fn a_look_that_is_a_real_call_is_the_smallest_one_and_is_recorded() {
    let settings = "background_health_checks: true, health_check_interval: 10, health_check_probe: generate, \
                    background_health_check_model_groups: [gpt]";
    let world = World::start(&config(settings)).await;
    world.provider.always("/b/v1/chat/completions", down());
    world.gateway.start_checks();
    let latest = until(&world, "/health/latest", |told| told["total_models"] == 2).await;
    let b = &latest["latest_health_checks"]["b"];
    assert_eq!(
        (&b["status"], &b["model_name"], &b["checked_by"]),
        (&json!("unhealthy"), &json!("gpt"), &json!("background"))
    );
    let why = b["error_message"].as_str().unwrap_or_default();
    assert!(why.contains("no room") && !why.contains("sk-fake-provider-key"), "{why}");
    let call = world.provider.calls().into_iter().find(|call| call.path == "/a/v1/chat/completions").unwrap();
    assert_eq!((&call.json()["max_tokens"], &call.json()["model"]), (&json!(5), &json!("gpt-4o")));
    let totals = world.settled(2).await;
    assert!(totals.input > 0 && totals.nanos > 0, "{totals:?}");
    // What a look meets makes nobody rest, and counts for no rate of failures.
    let explained = http::post(&world.at("/router/explain"), &[WITH_MASTER], &hi("gpt")).await.json();
    for candidate in explained["candidates"].as_array().unwrap() {
        let minute = &candidate["last_minute"];
        assert_eq!((&candidate["takes_it"], &minute["failures"]), (&json!(true), &json!(0)), "{candidate}");
    }
}

#[tokio::test]
async fn who_is_not_well_gets_no_calls_where_that_is_wanted() {
    let settings = format!("{OFTEN}, enable_health_check_routing: true");
    let world = World::start(&config(&settings)).await;
    world.provider.always("/b/v1/models", down());
    world.gateway.start_checks();
    until(&world, "/health/latest", |told| told["total_models"] == 2).await;
    for _ in 0..20 {
        assert_eq!(world.chat_with(&[WITH_MASTER], &hi("gpt")).await.status, 200);
    }
    assert_eq!((calls_of(&world, "/a/v1/chat/completions"), calls_of(&world, "/b/v1/chat/completions")), (20, 0));
    let explained = http::post(&world.at("/router/explain"), &[WITH_MASTER], &hi("gpt")).await.json();
    assert_eq!(explained["candidates"][1]["filter"], "unhealthy", "{explained}");

    // With all of them ill, each is better than none.
    let world = World::start(&config(&settings)).await;
    for path in ["/a/v1/models", "/b/v1/models"] {
        world.provider.always(path, down());
    }
    world.gateway.start_checks();
    until(&world, "/health", |told| told["unhealthy_count"] == 2).await;
    assert_eq!(world.chat_with(&[WITH_MASTER], &hi("gpt")).await.status, 200);
}

#[tokio::test]
async fn an_admin_may_have_every_deployment_really_called() {
    let world = World::start(&config("")).await;
    world.provider.always("/b/v1/chat/completions", down());
    refused(&world.get("/health?probe=generate").await, 401);
    refused(&as_admin(&world, "/health?probe=all").await, 400);
    assert_eq!(world.gateway.totals().opened, 0);
    let health = as_admin(&world, "/health?probe=generate").await.json();
    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&json!(2), &json!(1)), "{health}");
    assert!(!health.to_string().contains("sk-fake-provider-key"), "{health}");
    assert_eq!(world.settled(3).await.unpriced, 0);
    let open = World::plain().await;
    refused(&open.get("/health?probe=generate").await, 401);
    assert_eq!(open.gateway.totals().opened, 0, "without a master key nobody may spend by looking");
}

#[tokio::test]
async fn looks_are_told_page_by_page_to_the_admin_alone() {
    let world = World::start(&config(&format!("{OFTEN}, kept_health_checks: 5"))).await;
    world.provider.always("/b/v1/models", down());
    world.gateway.start_checks();
    for path in ["/health/latest", "/health/history", "/health/shared-status", "/health/readiness/details"] {
        refused(&world.get(path).await, 401);
        assert_eq!(as_admin(&world, path).await.status, 200, "{path}");
    }
    until(&world, "/health/history", |told| told["total_records"] == 5).await;
    let page = until(&world, "/health/history?status_filter=unhealthy&limit=1&offset=0", |told| {
        told["health_checks"].as_array().is_some_and(|rows| !rows.is_empty())
    })
    .await;
    let row = &page["health_checks"][0];
    assert_eq!((&row["model_id"], &row["unhealthy_count"], &row["healthy_count"]), (&json!("b"), &json!(1), &json!(0)));
    assert!(row["response_time_ms"].as_f64().is_some() && row["checked_at"].as_str().is_some_and(|at| at.len() == 29));
    refused(&as_admin(&world, "/health/history?limit=x").await, 400);
    assert_eq!(as_admin(&world, "/health/history?model=nobody").await.json()["total_records"], 0);
}

#[tokio::test]
async fn without_details_health_tells_no_addresses() {
    let world = World::start(&config("health_check_details: false")).await;
    let health = as_admin(&world, "/health").await.json();
    assert_eq!(health["healthy_endpoints"][0], json!({"model": "openai/gpt-4o", "model_id": "a"}));
}

#[tokio::test]
async fn readiness_tells_strangers_whether_and_the_admin_why() {
    let world = World::start(&config(OFTEN)).await;
    assert_eq!(world.get("/health/readiness").await.json(), json!({"status": "healthy", "db": "Not connected"}));
    let told = as_admin(&world, "/health/readiness").await.json();
    assert_eq!(told["background_health_checks"], json!({"state": "on", "interval_seconds": 0.05, "generates": false}));
    assert_eq!(told["deployments"], json!({"configured": 3, "unservable": 0, "resting": 0}));
    assert_eq!(
        (&told["config"]["state"], &told["cache"], &told["redis"]),
        (&json!("current"), &Value::Null, &Value::Null)
    );
    world.gateway.start_draining();
    let stopping = world.get("/health/readiness").await;
    assert_eq!((stopping.status, stopping.json()), (503, json!({"status": "stopping", "db": "Not connected"})));
}

#[tokio::test]
async fn an_interval_of_nothing_is_no_look_at_all() {
    let settings = "background_health_checks: true, health_check_interval: 0, health_check_probe: generate";
    let world = World::start(&config(settings)).await;
    let told = as_admin(&world, "/health/readiness").await.json();
    assert_eq!(told["background_health_checks"]["state"], "off", "{told}");
}
