//! Management: `/key/*`, `/customer/*` (also as `/end_user/*`), `/budget/*`, `/tag/*`, `/user/*`, `/team/*`, `/organization/*`.

use std::collections::HashMap;

use axum::{
    Router,
    extract::{Path, Query, Request, State, rejection::PathRejection},
    response::Response,
    routing::{MethodFilter, get, on, post},
};
use tollgate_gateway::{AccountAction, Action, ManageAsk, PartyAction, Route};
use tollgate_wire::Failure;

use super::{App, calls, info, inquiries::told};

/// Each path with what it does.
pub(super) fn routes() -> Router<App> {
    let written = [
        Action::GenerateKey,
        Action::GenerateServiceAccount,
        Action::UpdateKey,
        Action::UpdateKeys,
        Action::DeleteKeys,
        Action::KeysInfo,
        Action::RegenerateKey,
        Action::BlockKey,
        Action::UnblockKey,
    ];
    let read = [Action::KeyInfo, Action::ListKeys, Action::KeyAliases];
    let routes = written.into_iter().fold(Router::new(), |routes, action| {
        routes.route(action.path(), post(move |State(app), request: Request| manage(app, action, None, request)))
    });
    let routes = read.into_iter().fold(routes, |routes, action| {
        routes.route(action.path(), get(move |State(app), request: Request| manage(app, action, None, request)))
    });
    let routes = PartyAction::ALL.into_iter().fold(routes, |routes, action| {
        let done = move |State(app), request: Request| manage(app, Action::Party(action), None, request);
        let methods = || if action.is_got() { get(done) } else { post(done) };
        let routes = routes.route(action.path(), methods());
        match action.path().strip_prefix("/customer/") {
            Some(rest) => routes.route(&format!("/end_user/{rest}"), methods()),
            None => routes,
        }
    });
    let routes = AccountAction::all().fold(routes, |routes, action| {
        let done = move |State(app), request: Request| manage(app, Action::Account(action), None, request);
        // All methods that the table has are ones that can be routed.
        let method = MethodFilter::try_from(action.method()).unwrap_or(MethodFilter::POST);
        routes.route(action.path(), on(method, done))
    });
    let health = |State(app), request: Request| manage(app, Action::KeyHealth, None, request);
    routes.route(Action::KeyHealth.path(), get(health).post(health)).route("/key/{key}/regenerate", post(regenerate))
}

async fn regenerate(State(app): State<App>, key: Result<Path<String>, PathRejection>, request: Request) -> Response {
    match key {
        Ok(Path(key)) => manage(app, Action::RegenerateKey, Some(key), request).await,
        Err(rejection) => told(Err(Failure::invalid(rejection.body_text()))),
    }
}

pub(super) async fn manage(app: App, action: Action, of_path: Option<String>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let done = async {
        let query = info::queried(Query::<HashMap<String, String>>::try_from_uri(&head.uri))?.into_iter().collect();
        let body = calls::read(&app, Route::ChatCompletions, &head.headers, body).await?;
        app.gateway.manage(ManageAsk { action, headers: head.headers, query, body, of_path }).await
    };
    told(done.await)
}
