//! Whether we, and the deployments, are well.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_gateway::Looked;
use tollgate_wire::Failure;

use super::{App, info::queried, inquiries::told};
use crate::reply;

#[derive(Deserialize)]
pub(crate) struct HealthQuery {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    model_id: Option<String>,
    #[serde(default)]
    probe: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct HistoryQuery {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    status_filter: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    offset: Option<usize>,
}

impl HealthQuery {
    /// Whether deployments are really called.
    fn generates(&self) -> Result<bool, Failure> {
        match self.probe.as_deref() {
            None | Some("") => Ok(false),
            Some("generate") => Ok(true),
            Some(other) => {
                let words = format!("`probe` can be 'generate', which really calls every deployment; it is '{other}'");
                Err(Failure::invalid(words).with_param("probe"))
            }
        }
    }
}

/// `LiteLLM`'s words, which probes compare.
pub(crate) async fn alive() -> Response {
    reply::json(&json!("I'm alive!"))
}

pub(crate) async fn ready(State(app): State<App>, headers: HeaderMap) -> Response {
    let readiness = app.gateway.readiness(&headers).await;
    let mut response = reply::json(&readiness.document);
    if !readiness.is_ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// The same for the admin only.
pub(crate) async fn ready_in_full(State(app): State<App>, headers: HeaderMap) -> Response {
    match app.gateway.admits_admin(&headers, "/health/readiness/details").await {
        Ok(()) => ready(State(app), headers).await,
        Err(failure) => reply::failure(&failure),
    }
}

pub(crate) async fn latest(State(app): State<App>, headers: HeaderMap) -> Response {
    told(app.gateway.health_latest(&headers).await)
}

pub(crate) async fn history(
    State(app): State<App>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let told_of = async {
        let query = queried(query)?;
        let looked = Looked {
            model: query.model,
            status: query.status_filter,
            limit: query.limit.unwrap_or(100),
            offset: query.offset.unwrap_or_default(),
        };
        app.gateway.health_history(&headers, &looked).await
    };
    told(told_of.await)
}

pub(crate) async fn shared_status(State(app): State<App>, headers: HeaderMap) -> Response {
    told(app.gateway.health_shared_status(&headers).await)
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

pub(crate) async fn health(
    State(app): State<App>,
    query: Result<Query<HealthQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let asked = async {
        let caller = app.gateway.identify(&app.gateway.snapshot(), &headers).await?;
        let query = queried(query)?;
        let generates = query.generates()?;
        // What costs money is the admin's to ask for.
        if generates {
            app.gateway.admits_admin(&headers, "/health").await?;
        }
        Ok::<_, Failure>((query, generates, caller))
    };
    let (query, generates, caller) = match asked.await {
        Ok(asked) => asked,
        Err(failure) => return reply::failure(&failure),
    };
    let wanted = query.model_id.or(query.model);
    let report = app.gateway.health(wanted.as_deref(), generates, &caller).await;
    let none_healthy = wanted.is_some() && report.get("healthy_count").and_then(Value::as_u64) == Some(0);
    let mut response = reply::json(&report);
    if none_healthy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
