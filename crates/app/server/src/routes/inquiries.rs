//! What people ask before they call: tokens, parameters, the provider's request.

use axum::{
    extract::{Query, Request, State, rejection::QueryRejection},
    response::Response,
};
use serde::Deserialize;
use serde_json::Value;
use tollgate_gateway::Route;
use tollgate_wire::Failure;

use super::{App, calls, info};
use crate::reply;

#[derive(Deserialize)]
pub(crate) struct ParamsQuery {
    model: String,
}

pub(crate) async fn token_counter(State(app): State<App>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let counted = async {
        app.gateway.identify(&app.gateway.snapshot(), &head.headers).await?;
        let body = calls::read(&app, Route::ChatCompletions, &head.headers, body).await?;
        app.gateway.count_tokens(&body).await
    };
    told(counted.await)
}

pub(crate) async fn transform_request(State(app): State<App>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let transformed = async {
        let caller = app.gateway.identify(&app.gateway.snapshot(), &head.headers).await?;
        let body = calls::read(&app, Route::ChatCompletions, &head.headers, body).await?;
        app.gateway.transform_request(&caller, &body)
    };
    told(transformed.await)
}

pub(crate) async fn supported_params(
    State(app): State<App>,
    query: Result<Query<ParamsQuery>, QueryRejection>,
    headers: http::HeaderMap,
) -> Response {
    let snapshot = app.gateway.snapshot();
    let params = async {
        app.gateway.identify(&snapshot, &headers).await?;
        snapshot.supported_params(&info::queried(query)?.model)
    };
    told(params.await)
}

pub(super) fn told(answer: Result<Value, Failure>) -> Response {
    match answer {
        Ok(value) => reply::json(&value),
        Err(failure) => reply::failure(&failure),
    }
}
