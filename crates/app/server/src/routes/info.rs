//! What models there are.

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use http::HeaderMap;
use serde::Deserialize;
use tollgate_gateway::{Snapshot, identify};
use tollgate_wire::Failure;

use super::App;
use crate::reply;

#[derive(Deserialize)]
pub(crate) struct ModelsQuery {
    #[serde(default)]
    return_wildcard_routes: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct InfoQuery {
    #[serde(default)]
    litellm_model_id: Option<String>,
    #[serde(default)]
    model_group: Option<String>,
}

pub(crate) async fn models(State(app): State<App>, Query(query): Query<ModelsQuery>, headers: HeaderMap) -> Response {
    let as_written = query.return_wildcard_routes.is_some_and(|text| text.eq_ignore_ascii_case("true"));
    told(&app, &headers, |snapshot| Ok(snapshot.models(as_written)))
}

pub(crate) async fn model(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    told(&app, &headers, |snapshot| snapshot.model(&id))
}

pub(crate) async fn model_info(State(app): State<App>, Query(query): Query<InfoQuery>, headers: HeaderMap) -> Response {
    told(&app, &headers, |snapshot| Ok(snapshot.model_info(query.litellm_model_id.as_deref())))
}

pub(crate) async fn model_groups(
    State(app): State<App>,
    Query(query): Query<InfoQuery>,
    headers: HeaderMap,
) -> Response {
    told(&app, &headers, |snapshot| Ok(snapshot.model_groups(query.model_group.as_deref())))
}

fn told(
    app: &App,
    headers: &HeaderMap,
    tell: impl FnOnce(&Snapshot) -> Result<serde_json::Value, Failure>,
) -> Response {
    let snapshot = app.gateway.snapshot();
    match identify(&snapshot, headers).and_then(|_| tell(&snapshot)) {
        Ok(value) => reply::json(&value),
        Err(failure) => reply::failure(&failure),
    }
}
