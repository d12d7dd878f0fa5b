//! The routes that call models.

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tollgate_gateway::{Answer, Inbound, Passing, Route, Way};
use tollgate_wire::{Failure, percent};

use super::{App, json_list::JsonList};
use crate::{body, reply};

pub(crate) async fn chat_completions(State(app): State<App>, request: Request) -> Response {
    run(app, Route::ChatCompletions, None, request).await
}

pub(crate) async fn completions(State(app): State<App>, request: Request) -> Response {
    run(app, Route::Completions, None, request).await
}

pub(crate) async fn messages(State(app): State<App>, request: Request) -> Response {
    run(app, Route::Messages, None, request).await
}

pub(crate) async fn count_tokens(State(app): State<App>, request: Request) -> Response {
    run(app, Route::CountTokens, None, request).await
}

pub(crate) async fn embeddings(State(app): State<App>, request: Request) -> Response {
    run(app, Route::Embeddings, None, request).await
}

pub(crate) async fn rerank(State(app): State<App>, request: Request) -> Response {
    run(app, Route::Rerank, None, request).await
}

pub(crate) async fn moderations(State(app): State<App>, request: Request) -> Response {
    run(app, Route::Moderations, None, request).await
}

pub(crate) async fn images(State(app): State<App>, request: Request) -> Response {
    run(app, Route::Images, None, request).await
}

/// `{model}:{method}` as Google's clients ask, below `/v1beta/models/`, `/v1/models/` and `/models/`.
pub(crate) async fn gemini(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    mut request: Request,
) -> Response {
    let Ok(Path(id)) = id else { return super::not_found(&request) };
    let method = id.rsplit_once(':').unwrap_or((&id, ""));
    let (model, streams, route) = match method {
        (model, "generateContent") => (model, false, Route::GenerateContent),
        (model, "streamGenerateContent") => (model, true, Route::StreamGenerateContent),
        (model, "countTokens") => (model, false, Route::CountContents),
        _ => return reply::response(Answer::failure_to(Route::GenerateContent.client(), &super::unknown(&request))),
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let asked = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(known, _)| *known == name))
            .map(|(_, value)| value)
    };
    if let Some(key) = asked("key").and_then(percent::decoded_text).and_then(|key| HeaderValue::try_from(key).ok()) {
        request.headers_mut().entry("x-goog-api-key").or_insert(key);
    }
    let model = Some(model.to_owned());
    if !streams || asked("alt") == Some("sse") {
        return run(app, route, model, request).await;
    }
    let response = run(app, route, model, request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut head, events) = response.into_parts();
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(head, Body::new(JsonList::of(events)))
}

/// The routes of forms and of sound, with and without `/v1`.
pub(crate) fn media(mut routes: Router<App>) -> Router<App> {
    for route in Route::MEDIA {
        let answer = |State(app): State<App>, request: Request| run(app, *route, None, request);
        routes = routes.route(route.path(), post(answer)).route(&format!("/v1{}", route.path()), post(answer));
    }
    routes
}

/// Passes a call on along this way.
pub(crate) async fn pass_on(app: App, way: Way, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let bounds = &app.settings.bounds;
    let stated = body::stated(&head.headers);
    match body::Passed::of(stated, body, bounds.max_file_bytes, bounds.body_read_timeout) {
        Ok(body) => {
            let query = head.uri.query().unwrap_or_default().to_owned();
            let whole_limit = bounds.max_body_bytes;
            let patience = bounds.body_read_timeout;
            let call = Passing { method: head.method, query, headers: head.headers, body, whole_limit, patience };
            reply::response(app.gateway.pass_on(way, call).await)
        }
        Err(failure) => reply::closing(app.gateway.turn_back(&way, &failure)),
    }
}

/// Bodies up to this are read before anyone asks whose they are. Bytes.
const SMALL: usize = 64 << 10;

/// Reads the request and has it answered.
pub(crate) async fn run(app: App, route: Route, path_model: Option<String>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match read(&app, route, &head.headers, body).await {
        Ok(body) => reply::response(app.gateway.call(Inbound { route, path_model, headers: head.headers, body }).await),
        Err(failure) => reply::closing(app.gateway.turn_away(route, &failure)),
    }
}

/// The body. A large one is not read for a caller whom nobody knows.
pub(super) async fn read(app: &App, route: Route, headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let bounds = &app.settings.bounds;
    let stated = body::stated(headers);
    if stated.is_none_or(|stated| stated > SMALL) {
        app.gateway.identify(&app.gateway.snapshot(), headers).await?;
    }
    if route.takes_form() {
        // What may be larger may take longer.
        let more = bounds.max_form_bytes.div_ceil(bounds.max_body_bytes.max(1)).clamp(1, 100);
        let patience = bounds.body_read_timeout.saturating_mul(u32::try_from(more).unwrap_or(1));
        return body::read(stated, body, bounds.max_form_bytes, "max_form_size_mb", patience).await;
    }
    body::read(stated, body, bounds.max_body_bytes, "max_request_size_mb", bounds.body_read_timeout).await
}

/// Reads `/engines/{model}/<route>` and `/openai/deployments/{model}/<route>`, with or without `/v1` before them.
pub(crate) fn model_in_path(path: &str) -> Option<(Route, String)> {
    let rest = after_model_prefix(path)?;
    // The longer first: `/chat/completions` ends with `/completions`.
    Route::ALL.iter().find_map(|route| {
        let model = rest.strip_suffix(route.path()).filter(|model| !model.is_empty())?;
        Some((*route, percent::decoded_text(model)?))
    })
}

/// Whether this is `/engines/{model}/models` or `/openai/deployments/{model}/models`.
pub(crate) fn models_in_path(path: &str) -> bool {
    after_model_prefix(path).and_then(|rest| rest.strip_suffix("/models")).is_some_and(|model| !model.is_empty())
}

fn after_model_prefix(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    path.strip_prefix("/engines/").or_else(|| path.strip_prefix("/openai/deployments/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_hold_the_model() {
        let check = |path: &str, expected: Option<(Route, &str)>| {
            let expected = expected.map(|(route, model)| (route, model.to_owned()));
            assert_eq!(model_in_path(path), expected, "{path}");
        };
        check("/engines/gpt-4o/chat/completions", Some((Route::ChatCompletions, "gpt-4o")));
        check("/openai/deployments/azure/my%20dep/completions", Some((Route::Completions, "azure/my dep")));
        check("/v1/engines/e/embeddings", Some((Route::Embeddings, "e")));
        check("/engines//embeddings", None);
        check("/engines/x/files", None);
        check("/engines/%zz/embeddings", None);
    }
}
