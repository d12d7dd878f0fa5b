//! Whether we, and the deployments, are well.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_gateway::SharingState;

use super::{App, info::queried};
use crate::reply;

#[derive(Deserialize)]
pub(crate) struct HealthQuery {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    model_id: Option<String>,
}

/// `LiteLLM`'s words, which probes compare.
pub(crate) async fn alive() -> Response {
    reply::json(&json!("I'm alive!"))
}

pub(crate) async fn ready(State(app): State<App>) -> Response {
    let stopping = app.gateway.is_draining();
    let status = if stopping { "stopping" } else { "healthy" };
    let body = json!({
        "status": status,
        "db": "Not connected",
        "cache": null,
        "redis": app.gateway.sharing().map(redis),
        "litellm_version": env!("CARGO_PKG_VERSION"),
        "success_callbacks": [],
    });
    let mut response = reply::json(&body);
    if stopping {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// `POST /config/reload`: the configuration is read again, as `SIGHUP` does.
pub(crate) async fn reload(State(app): State<App>, headers: HeaderMap) -> Response {
    match app.gateway.reload_for(&headers).await {
        Ok(reloaded) => reply::json(&json!({
            "status": "reloaded",
            "deployments": reloaded.deployments,
            "findings": reloaded.findings,
        })),
        Err(failure) => reply::failure(&failure),
    }
}

/// What is shared, and with how many. Without Redis the gateway is as ready as with it.
fn redis(sharing: SharingState) -> Value {
    let instances = sharing.instances;
    match sharing.redis_away_since() {
        None => json!({"state": "connected", "instances": instances}),
        Some(since) => json!({"state": "away", "since": since.as_secs(), "instances_last_seen": instances}),
    }
}

pub(crate) async fn health(
    State(app): State<App>,
    query: Result<Query<HealthQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let query = match app.gateway.identify(&app.gateway.snapshot(), &headers).await.and_then(|_| queried(query)) {
        Ok(query) => query,
        Err(failure) => return reply::failure(&failure),
    };
    let wanted = query.model_id.or(query.model);
    let report = app.gateway.health(wanted.as_deref()).await;
    let none_healthy = wanted.is_some() && report.get("healthy_count").and_then(Value::as_u64) == Some(0);
    let mut response = reply::json(&report);
    if none_healthy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
