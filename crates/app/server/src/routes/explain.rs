//! Why calls go where they go: before they are made, and afterwards.

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    response::Response,
};
use http::HeaderMap;
use tollgate_gateway::Route;
use tollgate_wire::Failure;

use super::{App, calls, inquiries::told};

pub(crate) async fn ahead(State(app): State<App>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let explained = async {
        app.gateway.identify(&app.gateway.snapshot(), &head.headers).await?;
        let body = calls::read(&app, Route::ChatCompletions, &head.headers, body).await?;
        app.gateway.explain(head.headers, body).await
    };
    told(explained.await)
}

pub(crate) async fn afterwards(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let id = id.map_err(|rejection| Failure::invalid(rejection.body_text()));
    told(match id {
        Ok(Path(id)) => app.gateway.explain_call(&headers, &id).await,
        Err(failure) => Err(failure),
    })
}
