//! What every answer gets, and the questions that browsers ask beforehand.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::{reply, settings::ServerSettings};

/// Adds the `server` header and CORS to every answer; answers preflights itself.
pub(crate) async fn front(State(settings): State<Arc<ServerSettings>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && origin.is_some()
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight { preflight(request.headers()) } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static(reply::SERVER));
    if let Some(origin) = origin {
        allow(headers, &origin, &settings);
    }
    response
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
