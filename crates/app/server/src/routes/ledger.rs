//! The ledger by hand: `/ledger/unknown`, resets of what is spent, and the audit log.

use std::collections::HashMap;

use axum::{
    Router,
    extract::{Path, Query, Request, State, rejection::PathRejection},
    response::Response,
    routing::{get, post},
};
use tollgate_gateway::{LedgerAsk, LedgerTask, Route};
use tollgate_wire::Failure;

use super::{App, calls, info, inquiries::told};

/// Each path with what it does.
pub(super) fn routes() -> Router<App> {
    LedgerTask::ALL.into_iter().fold(Router::new(), |routes, task| {
        let kept = move |State(app),
                         of_path: Result<Path<HashMap<String, String>>, PathRejection>,
                         request: Request| { keep(app, task, of_path, request) };
        routes.route(task.path(), if task.is_posted() { post(kept) } else { get(kept) })
    })
}

async fn keep(
    app: App,
    task: LedgerTask,
    of_path: Result<Path<HashMap<String, String>>, PathRejection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let kept = async {
        let Path(named) = of_path.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        let query = info::queried(Query::<HashMap<String, String>>::try_from_uri(&head.uri))?.into_iter().collect();
        let body = calls::read(&app, Route::ChatCompletions, &head.headers, body).await?;
        let of_path = named.into_values().next();
        app.gateway.keep_ledger(LedgerAsk { task, headers: head.headers, query, body, of_path }).await
    };
    told(kept.await)
}
