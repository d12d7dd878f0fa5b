//! What models there are.

use axum::{
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
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

pub(crate) async fn models(
    State(app): State<App>,
    query: Result<Query<ModelsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    told(&app, &headers, |snapshot| {
        let wanted = queried(query)?.return_wildcard_routes;
        Ok(snapshot.models(wanted.is_some_and(|text| text.eq_ignore_ascii_case("true"))))
    })
}

pub(crate) async fn model(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    told(&app, &headers, |snapshot| {
        let Path(id) = id.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        snapshot.model(&id)
    })
}

pub(crate) async fn model_info(
    State(app): State<App>,
    query: Result<Query<InfoQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    told(&app, &headers, |snapshot| Ok(snapshot.model_info(queried(query)?.litellm_model_id.as_deref())))
}

pub(crate) async fn model_groups(
    State(app): State<App>,
    query: Result<Query<InfoQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    told(&app, &headers, |snapshot| Ok(snapshot.model_groups(queried(query)?.model_group.as_deref())))
}

/// What a query says, or a refusal in the shape of all others.
pub(super) fn queried<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Failure> {
    query.map(|Query(query)| query).map_err(|rejection| Failure::invalid(rejection.body_text()))
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
