//! What every answer gets, the questions that browsers ask beforehand, and the answer where none could be made.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tollgate_wire::Failure;

use crate::{reply, settings::ServerSettings};

/// Adds the `server` header and CORS to every answer; answers preflights itself.
pub(crate) async fn front(State(settings): State<Arc<ServerSettings>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && origin.is_some()
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight { preflight(request.headers()) } else { caught(&settings, request, next).await };
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static(reply::SERVER));
    if let Some(origin) = origin {
        allow(headers, &origin, &settings);
    }
    response
}

/// The answer; a panic, which can only be our own mistake, is told like any other failure in place of a cut connection.
async fn caught(settings: &ServerSettings, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(target: "tollgate::server", path = uri.path(), "answering a request panicked");
        let path = uri.path().strip_prefix(settings.root_path.as_str()).unwrap_or(uri.path());
        reply::failure_at(path, &Failure::bug("answering a request panicked"))
    })
}

fn allow(headers: &mut HeaderMap, origin: &HeaderValue, settings: &ServerSettings) {
    let any = settings.cors_origins.iter().any(|allowed| allowed == "*");
    let named = settings.cors_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
    if any {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else if named {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if settings.cors_credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
    if any || named {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    }
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = reply::text("text/plain; charset=utf-8", "OK");
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(HeaderValue::from_static("*")));
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::get};
    use tower::Service as _;

    use super::*;

    async fn panicking_at(path: &str) -> serde_json::Value {
        let settings = Arc::new(ServerSettings {
            root_path: "/gate".to_owned(),
            host: String::new(),
            port: 0,
            tls: None,
            cors_origins: vec!["*".to_owned()],
            cors_credentials: false,
            bounds: crate::ServerBounds::default(),
        });
        let broken = |request: Request| async move {
            if request.uri().path().is_empty() { Response::<axum::body::Body>::default() } else { panic!("told") }
        };
        let mut router: Router =
            Router::new().fallback(get(broken)).layer(middleware::from_fn_with_state(settings, front));
        let request = Request::get(path).header("origin", "https://a.test").body(axum::body::Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["server"].as_bytes()),
            (500, b"tollgate".as_slice())
        );
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_the_words_of_those_who_ask_there() {
        let words = "an internal error of the gateway; it has been logged";
        let openai = panicking_at("/models").await;
        assert_eq!((&openai["error"]["code"], &openai["error"]["message"]), (&"500".into(), &words.into()));
        let anthropic = panicking_at("/gate/v1/messages").await;
        assert_eq!((&anthropic["type"], &anthropic["error"]["type"]), (&"error".into(), &"api_error".into()));
        let google = panicking_at("/v1beta/models").await;
        assert_eq!((&google["error"]["code"], &google["error"]["status"]), (&500.into(), &"INTERNAL".into()));
    }
}
