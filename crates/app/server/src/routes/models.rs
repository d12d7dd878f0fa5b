//! Models and credentials of the store: `/model/*`, `/credentials/*`.

use axum::{
    Router,
    extract::{Path, Request, State, rejection::PathRejection},
    response::Response,
    routing::{get, patch, post},
};
use tollgate_gateway::Action;
use tollgate_wire::Failure;

use super::{App, inquiries::told, keys::manage};

/// A name in a path, which may hold slashes.
type Named = Result<Path<String>, PathRejection>;

/// Each path with what it does.
pub(super) fn routes() -> Router<App> {
    let whole = |action: Action| move |State(app), request: Request| manage(app, action, None, request);
    let of = |action: Action| move |State(app), named: Named, request: Request| of_path(app, action, named, request);
    let of_name = patch(of(Action::UpdateCredential)).delete(of(Action::DeleteCredential));
    Router::new()
        .route("/model/new", post(whole(Action::NewModel)))
        .route("/model/update", post(whole(Action::UpdateModel)))
        .route("/model/delete", post(whole(Action::DeleteModel)))
        .route("/model/{id}/update", patch(of(Action::UpdateModel)))
        .route("/credentials", get(whole(Action::ListCredentials)).post(whole(Action::NewCredential)))
        .route("/credentials/by_name/{*name}", get(of(Action::CredentialByName)))
        .route("/credentials/by_model/{*id}", get(of(Action::CredentialByModel)))
        .route("/credentials/{*name}", of_name)
}

async fn of_path(app: App, action: Action, named: Named, request: Request) -> Response {
    match named {
        Ok(Path(name)) => manage(app, action, Some(name), request).await,
        Err(rejection) => told(Err(Failure::invalid(rejection.body_text()))),
    }
}
