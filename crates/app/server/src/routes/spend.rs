//! What was spent: `/spend/*`, `/global/*`, and the days of users, teams and so on.

use std::collections::HashMap;

use axum::{
    Router,
    extract::{Path, Query, Request, State, rejection::PathRejection},
    response::Response,
    routing::{get, post},
};
use http::HeaderValue;
use tollgate_gateway::{Route, SpendAsk, SpendView};
use tollgate_wire::Failure;

use super::{App, calls, info};
use crate::reply;

/// Says that there is more than the answer holds.
const CUT: &str = "x-tollgate-truncated";

/// Each path with what it shows.
pub(super) fn routes() -> Router<App> {
    SpendView::ALL.into_iter().fold(Router::new(), |routes, view| {
        let shown = move |State(app),
                          of_path: Result<Path<HashMap<String, String>>, PathRejection>,
                          request: Request| { show(app, view, of_path, request) };
        routes.route(view.path(), if view.is_posted() { post(shown) } else { get(shown) })
    })
}

async fn show(
    app: App,
    view: SpendView,
    of_path: Result<Path<HashMap<String, String>>, PathRejection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let shown = async {
        let Path(mut named) = of_path.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        let query = info::queried(Query::<HashMap<String, String>>::try_from_uri(&head.uri))?;
        let body = calls::read(&app, Route::ChatCompletions, &head.headers, body).await?;
        let of_path = named.remove("request_id");
        app.gateway.show_spend(SpendAsk { view, headers: head.headers, query, body, of_path }).await
    };
    match shown.await {
        Ok(shown) => {
            let mut response = reply::json(&shown.value);
            if shown.is_cut {
                response.headers_mut().insert(CUT, HeaderValue::from_static("true"));
            }
            response
        }
        Err(failure) => reply::failure(&failure),
    }
}
