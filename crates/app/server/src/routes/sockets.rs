//! Sockets. Of realtime calls the provider's is opened first, so that a refusal is an answer over HTTP; then the client's.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{
        Query, Request, State,
        rejection::QueryRejection,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _, future::ready};
use http::HeaderMap;
use serde::Deserialize;
use tollgate_gateway::{RealtimeCaller, Route};
use tollgate_wire::{
    Failure,
    socket::{Closing, Frame},
};

use super::{App, calls, info};
use crate::{reply, socket::Running};

/// Read at once from a client's socket, bytes.
const READ_BUFFER: usize = 16 << 10;
/// Codes of RFC 6455, 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
const TOO_LARGE: u16 = 1009;

#[derive(Deserialize)]
pub(crate) struct RealtimeQuery {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    intent: Option<String>,
}

/// The request that a socket began as; while it is held, the connection is not taken for an idle one.
#[derive(Clone)]
pub(crate) struct Held {
    _request: Arc<Running>,
}

impl Held {
    pub(crate) fn new(request: Running) -> Self {
        Self { _request: Arc::new(request) }
    }
}

/// The socket of a request that asked for one.
fn upgraded(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    app: &App,
) -> Result<WebSocketUpgrade, Failure> {
    let largest = app.gateway.max_socket_message();
    let upgrade = upgrade.map_err(|rejection| {
        Failure::invalid(format!("this path is a WebSocket over HTTP/1.1: {}", rejection.body_text()))
    })?;
    Ok(upgrade
        .protocols(["realtime"])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(largest.saturating_mul(2).saturating_add(READ_BUFFER))
        .max_message_size(largest)
        .max_frame_size(largest))
}

/// Runs a socket among the tasks that shutdown waits for.
fn run<F>(
    app: &App,
    upgrade: WebSocketUpgrade,
    held: Option<Extension<Held>>,
    talk: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let workers = app.gateway.workers().clone();
    upgrade.on_upgrade(move |socket: WebSocket| async move {
        workers.spawn(async move {
            talk(socket).await;
            drop(held);
        });
    })
}

/// `GET /v1/responses`, upgraded.
pub(crate) async fn responses(
    State(app): State<App>,
    headers: HeaderMap,
    held: Option<Extension<Held>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgraded(upgrade, &app) {
        Ok(upgrade) => upgrade,
        Err(failure) => return reply::failure(&failure),
    };
    match app.gateway.responses_socket(headers).await {
        Ok(talk) => run(&app, upgrade, held, move |socket: WebSocket| async move {
            let (sender, receiver) = socket.split();
            talk.run(frames_to(sender), frames_from(receiver)).await;
        }),
        Err(answer) => reply::response(*answer),
    }
}

/// `GET /v1/realtime?model=`, upgraded.
pub(crate) async fn realtime(
    State(app): State<App>,
    query: Result<Query<RealtimeQuery>, QueryRejection>,
    headers: HeaderMap,
    held: Option<Extension<Held>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgraded(upgrade, &app) {
        Ok(upgrade) => upgrade,
        Err(failure) => return reply::failure(&failure),
    };
    let RealtimeQuery { model, intent } = match info::queried(query) {
        Ok(query) => query,
        Err(failure) => return reply::failure(&failure),
    };
    let call = match app.gateway.realtime(RealtimeCaller { model, intent, headers }).await {
        Ok(call) => call,
        Err(answer) => return reply::response(answer),
    };
    run(&app, upgrade, held, move |socket: WebSocket| async move {
        let (sender, receiver) = socket.split();
        call.run(frames_to(sender), frames_from(receiver)).await;
    })
}

fn frames_to(sender: impl Sink<Message, Error = axum::Error> + Send + Unpin) -> impl Sink<Frame> + Send + Unpin {
    sender.with(|frame: Frame| {
        ready(Ok::<_, axum::Error>(match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes),
            Frame::Close(closing) => {
                Message::Close(closing.map(|Closing { code, reason }| CloseFrame { code, reason: reason.into() }))
            }
        }))
    })
}

/// What the client says. Pings are answered below; a connection that is gone is the end.
fn frames_from(
    receiver: impl Stream<Item = Result<Message, axum::Error>> + Send + Unpin,
) -> impl Stream<Item = Result<Frame, Closing>> + Send + Unpin {
    receiver
        .map(|message| match message {
            Ok(Message::Text(text)) => Some(Ok(Frame::Text(text.as_str().to_owned()))),
            Ok(Message::Binary(bytes)) => Some(Ok(Frame::Binary(bytes))),
            Ok(Message::Close(frame)) => {
                let closing = frame.map(|CloseFrame { code, reason }| Closing::new(code, reason.as_str()));
                Some(Ok(Frame::Close(closing)))
            }
            Ok(Message::Ping(_) | Message::Pong(_)) => None,
            Err(error) => Some(broken(&error)),
        })
        .filter_map(ready)
}

/// axum keeps the kind of an error to itself; its words tell it.
fn broken(error: &axum::Error) -> Result<Frame, Closing> {
    let words = error.to_string();
    if words.contains("too long") || words.contains("too big") {
        return Err(Closing::new(
            TOO_LARGE,
            "the message is too large; general_settings.max_socket_message_bytes sets the bound",
        ));
    }
    if words.contains("without closing handshake") || words.contains("IO error") || words.contains("closed") {
        return Ok(Frame::Close(None));
    }
    Err(Closing::new(PROTOCOL_ERROR, &words))
}

pub(crate) async fn client_secrets(app: State<App>, request: Request) -> Response {
    document(app, "/realtime/client_secrets", request).await
}

pub(crate) async fn sessions(app: State<App>, request: Request) -> Response {
    document(app, "/realtime/sessions", request).await
}

pub(crate) async fn transcription_sessions(app: State<App>, request: Request) -> Response {
    document(app, "/realtime/transcription_sessions", request).await
}

async fn document(State(app): State<App>, path: &'static str, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match calls::read(&app, Route::ChatCompletions, &head.headers, body).await {
        Ok(body) => reply::response(app.gateway.realtime_document(path, &head.headers, &body).await),
        Err(failure) => reply::failure(&failure),
    }
}
