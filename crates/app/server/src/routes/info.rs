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
use tollgate_gateway::{ModelInfoPage, Snapshot};
use tollgate_policy::Caller;
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
    told(&app, &headers, |snapshot, caller| {
        let wanted = queried(query)?.return_wildcard_routes;
        Ok(snapshot.models(caller, wanted.is_some_and(|text| text.eq_ignore_ascii_case("true"))))
    })
    .await
}

pub(crate) async fn model(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    told(&app, &headers, |snapshot, caller| {
        let Path(id) = id.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        snapshot.model(caller, &id)
    })
    .await
}

pub(crate) async fn model_info(
    State(app): State<App>,
    query: Result<Query<InfoQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    told(
        &app,
        &headers,
        |snapshot, caller| Ok(snapshot.model_info(caller, queried(query)?.litellm_model_id.as_deref())),
    )
    .await
}

pub(crate) async fn model_info_page(
    State(app): State<App>,
    query: Result<Query<ModelInfoPage>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    told(&app, &headers, |snapshot, caller| Ok(snapshot.model_info_page(caller, &queried(query)?))).await
}

pub(crate) async fn model_groups(
    State(app): State<App>,
    query: Result<Query<InfoQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    told(&app, &headers, |snapshot, caller| Ok(snapshot.model_groups(caller, queried(query)?.model_group.as_deref())))
        .await
}

/// What a query says, or a refusal in the shape of all others.
pub(super) fn queried<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Failure> {
    query.map(|Query(query)| query).map_err(|rejection| Failure::invalid(rejection.body_text()))
}

async fn told(
    app: &App,
    headers: &HeaderMap,
    tell: impl FnOnce(&Snapshot, &Caller) -> Result<serde_json::Value, Failure>,
) -> Response {
    let snapshot = app.gateway.snapshot();
    match app.gateway.identify(&snapshot, headers).await.and_then(|caller| tell(&snapshot, &caller)) {
        Ok(value) => reply::json(&value),
        Err(failure) => reply::failure(&failure),
    }
}
