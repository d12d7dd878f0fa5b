//! The Responses API: making answers, and what can be done with them afterwards.

use axum::{
    Router,
    extract::{Path, RawQuery, Request, State, rejection::PathRejection},
    response::Response,
    routing::{get, post},
};
use http::HeaderMap;
use tollgate_gateway::{Deed, Route, StoredAsk};
use tollgate_wire::Failure;

use super::{App, calls, sockets};
use crate::reply;

/// Where clients look for it: with and without a version, and as Azure's ask.
const PREFIXES: [&str; 4] = ["", "/v1", "/openai/v1", "/openai"];

pub(super) fn routes() -> Router<App> {
    PREFIXES.iter().fold(Router::new(), |routes, prefix| {
        routes
            .route(&format!("{prefix}/responses"), post(create).get(sockets::responses))
            .route(&format!("{prefix}/responses/input_tokens"), post(input_tokens))
            .route(&format!("{prefix}/responses/compact"), post(compact))
            .route(&format!("{prefix}/responses/{{id}}"), get(show).delete(delete))
            .route(&format!("{prefix}/responses/{{id}}/input_items"), get(items))
            .route(&format!("{prefix}/responses/{{id}}/cancel"), post(cancel))
    })
}

async fn create(State(app): State<App>, request: Request) -> Response {
    calls::run(app, Route::Responses, None, request).await
}

async fn input_tokens(State(app): State<App>, request: Request) -> Response {
    calls::run(app, Route::ResponseTokens, None, request).await
}

async fn compact(State(app): State<App>, request: Request) -> Response {
    calls::run(app, Route::ResponsesCompact, None, request).await
}

type Id = Result<Path<String>, PathRejection>;

async fn show(State(app): State<App>, id: Id, query: RawQuery, headers: HeaderMap) -> Response {
    stored(app, Deed::Show, id, query, headers).await
}

async fn delete(State(app): State<App>, id: Id, query: RawQuery, headers: HeaderMap) -> Response {
    stored(app, Deed::Delete, id, query, headers).await
}

async fn items(State(app): State<App>, id: Id, query: RawQuery, headers: HeaderMap) -> Response {
    stored(app, Deed::Items, id, query, headers).await
}

async fn cancel(State(app): State<App>, id: Id, query: RawQuery, headers: HeaderMap) -> Response {
    stored(app, Deed::Cancel, id, query, headers).await
}

async fn stored(app: App, deed: Deed, id: Id, query: RawQuery, headers: HeaderMap) -> Response {
    match id {
        Ok(Path(id)) => {
            let ask = StoredAsk { deed, id, query: query.0.unwrap_or_default(), headers };
            reply::response(app.gateway.stored(ask).await)
        }
        Err(rejection) => reply::failure(&Failure::invalid(rejection.body_text())),
    }
}
