//! Every path on one screen.

mod calls;
mod explain;
mod health;
mod info;
mod inquiries;
mod json_list;
mod keys;
mod ledger;
mod models;
mod responses;
pub(crate) mod sockets;
mod spend;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, Request, State},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{Method, Uri};
use tollgate_gateway::Gateway;
use tollgate_wire::{Failure, FailureKind};
use tower::Service as _;

use crate::{cors, openapi, reply, settings::ServerSettings};

/// What handlers get.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) settings: Arc<ServerSettings>,
}

/// All routes. Paths with the model in them (`/engines/{model}/…`), whose model may hold slashes, are read by
/// [`calls::model_in_path`] where no route matches.
pub(crate) fn router(app: App) -> Router {
    let front = middleware::from_fn_with_state(Arc::clone(&app.settings), cors::front);
    routes(app).layer(front)
}

fn routes(app: App) -> Router {
    let routes = calls::media(Router::new())
        .route("/chat/completions", post(calls::chat_completions))
        .route("/v1/chat/completions", post(calls::chat_completions))
        .route("/completions", post(calls::completions))
        .route("/v1/completions", post(calls::completions))
        .route("/v1/messages", post(calls::messages))
        .route("/v1/messages/count_tokens", post(calls::count_tokens))
        .route("/embeddings", post(calls::embeddings))
        .route("/v1/embeddings", post(calls::embeddings))
        .route("/rerank", post(calls::rerank))
        .route("/v1/rerank", post(calls::rerank))
        .route("/v2/rerank", post(calls::rerank))
        .route("/moderations", post(calls::moderations))
        .route("/v1/moderations", post(calls::moderations))
        .route("/images/generations", post(calls::images))
        .route("/v1/images/generations", post(calls::images))
        .merge(responses::routes())
        .route("/models", get(info::models))
        .route("/v1/models", get(info::models))
        .route("/v1beta/models/{*id}", post(calls::gemini))
        .route("/models/{*id}", get(info::model).post(calls::gemini))
        .route("/v1/models/{*id}", get(info::model).post(calls::gemini))
        .route("/model/info", get(info::model_info))
        .route("/v1/model/info", get(info::model_info))
        .route("/v2/model/info", get(info::model_info_page))
        .route("/model_group/info", get(info::model_groups))
        .merge(keys::routes())
        .merge(models::routes())
        .merge(spend::routes())
        .merge(ledger::routes())
        .merge(realtime())
        .route("/utils/token_counter", post(inquiries::token_counter))
        .route("/utils/supported_openai_params", get(inquiries::supported_params))
        .route("/utils/transform_request", post(inquiries::transform_request))
        .route("/config/reload", post(health::reload))
        .route("/router/explain", post(explain::ahead))
        .route("/router/explain/{call_id}", get(explain::afterwards))
        .route("/health", get(health::health))
        .route("/health/liveliness", get(health::alive).options(health::alive))
        .route("/health/liveness", get(health::alive).options(health::alive))
        .route("/health/readiness", get(health::ready).options(health::ready))
        .route("/health/readiness/details", get(health::ready_in_full))
        .route("/health/latest", get(health::latest))
        .route("/health/history", get(health::history))
        .route("/health/shared-status", get(health::shared_status))
        .route("/", get(openapi::reference))
        .route("/openapi.json", get(openapi::document))
        .method_not_allowed_fallback(wrong_method)
        .fallback(elsewhere);
    match app.settings.root_path.as_str() {
        "" => routes.with_state(app),
        prefix => Router::new()
            .nest(prefix, routes.clone().with_state(app.clone()))
            // A nested root answers without the slash only.
            .route(&format!("{prefix}/"), get(openapi::reference).with_state(app.clone()))
            .merge(routes.with_state(app)),
    }
}

/// Sockets, and the documents beside them.
fn realtime() -> Router<App> {
    let mut routes = Router::new();
    for root in ["/realtime", "/v1/realtime", "/openai/v1/realtime"] {
        routes = routes
            .route(root, get(sockets::realtime))
            .route(&format!("{root}/client_secrets"), post(sockets::client_secrets))
            .route(&format!("{root}/sessions"), post(sockets::sessions))
            .route(&format!("{root}/transcription_sessions"), post(sockets::transcription_sessions));
    }
    routes
}

async fn elsewhere(State(app): State<App>, mut request: Request) -> Response {
    let path = request.uri().path();
    // Paths of models go first: `/openai/deployments/{model}/…` is theirs, `/openai/…` is passed on.
    if calls::model_in_path(path.trim_end_matches('/')).is_none()
        && !calls::models_in_path(path)
        && let Some(way) = app.gateway.way(path)
    {
        return calls::pass_on(app, way, request).await;
    }
    if let Some(tidy) = tidied(request.uri()) {
        *request.uri_mut() = tidy;
        return match routes(app).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    }
    if calls::models_in_path(request.uri().path()) {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return allowing("GET,HEAD", wrong_method(request).await);
        }
        return info::models(State(app), Query::try_from_uri(request.uri()), request.headers().clone()).await;
    }
    match calls::model_in_path(request.uri().path()) {
        Some((route, model)) if request.method() == Method::POST => calls::run(app, route, Some(model), request).await,
        Some(_) => allowing("POST", wrong_method(request).await),
        None => not_found(&request).into_response(),
    }
}

/// The address with one slash at the beginning of its path and none at the end, if that is another: clients join a
/// base that ends with a slash and a path that begins with one.
fn tidied(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let bare = path.trim_matches('/');
    if bare.is_empty() || path.strip_prefix('/') == Some(bare) {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("/{bare}{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

fn not_found(request: &Request) -> Response {
    reply::failure_at(request.uri().path(), &unknown(request))
}

fn unknown(request: &Request) -> Failure {
    let words = format!("Invalid URL ({} {}); GET / lists what there is", request.method(), request.uri().path());
    Failure::new(FailureKind::RouteNotFound, words)
}

/// The refusal of a method; the router adds the header that names the right ones.
async fn wrong_method(request: Request) -> Response {
    let words = format!(
        "Not allowed to {} on {}; use a method that this answer's Allow header names",
        request.method(),
        request.uri().path()
    );
    reply::failure_at(request.uri().path(), &Failure::new(FailureKind::MethodNotAllowed, words))
}

fn allowing(methods: &'static str, mut response: Response) -> Response {
    response.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static(methods));
    response
}
