//! Sockets to providers: the way of every other call, then WebSocket (RFC 6455).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, SinkExt as _, Stream as _, StreamExt as _, stream::SplitStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header::HOST};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        handshake::client::generate_key,
        protocol::{CloseFrame, WebSocketConfig},
    },
};
use tollgate_wire::socket::{Closing, Frame};

use crate::{Client, NetError, Wait, stream::Stream, target::Target};

/// Read at once from a provider's socket, bytes.
const READ_BUFFER: usize = 16 << 10;
/// Most of a refusal that is read, bytes.
const REFUSAL: usize = 64 << 10;

/// How much and how long.
#[derive(Clone, Copy, Debug)]
pub struct SocketBounds {
    /// From the first byte sent until both sides may speak.
    pub handshake: Duration,
    /// Largest message of the provider, bytes.
    pub max_message: usize,
}

/// Why there is no socket.
#[derive(Debug)]
pub enum NoSocket {
    /// The provider was not reached, or spoke gibberish.
    Net(NetError),
    /// The provider answered, and refused.
    Refused {
        /// Its status.
        status: StatusCode,
        /// What it said, as much as came at once.
        body: bytes::Bytes,
    },
}

/// What is said to the provider.
pub struct SocketSender(Pin<Box<dyn Sink<Message, Error = tungstenite::Error> + Send>>);
/// What the provider says. Pings are answered in passing.
pub struct SocketReceiver(SplitStream<WebSocketStream<Stream>>);

impl Client {
    /// Opens a socket to `url` (`https://…` or `http://…`).
    ///
    /// # Errors
    /// See [`NoSocket`].
    pub async fn socket(
        &self,
        url: &str,
        headers: &HeaderMap,
        bounds: &SocketBounds,
    ) -> Result<(SocketSender, SocketReceiver), NoSocket> {
        let target = Target::parse(url).map_err(NoSocket::Net)?;
        let stream = self.dial(&target).await.map_err(NoSocket::Net)?;
        let request = request(&target, headers).map_err(NoSocket::Net)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Each message leaves at once.
            .write_buffer_size(0)
            .max_write_buffer_size(bounds.max_message.saturating_mul(2).saturating_add(READ_BUFFER))
            .max_message_size(Some(bounds.max_message))
            .max_frame_size(Some(bounds.max_message));
        let shaking = client_async_with_config(request, stream, Some(config));
        let late = || NoSocket::Net(NetError::Timeout { which: Wait::FirstByte, after: bounds.handshake });
        let (socket, _) =
            tokio::time::timeout(bounds.handshake, Box::pin(shaking)).await.map_err(|_| late())?.map_err(refusal)?;
        let (sender, receiver) = socket.split();
        Ok((SocketSender(Box::pin(sender)), SocketReceiver(receiver)))
    }
}

/// The request that asks for a socket.
fn request(target: &Target<'_>, headers: &HeaderMap) -> Result<Request<()>, NetError> {
    let authority = target.authority()?;
    let scheme = if target.tls { "wss" } else { "ws" };
    let uri = format!("{scheme}://{authority}{}", target.path()?);
    let mut request = Request::builder()
        .uri(uri)
        .body(())
        .map_err(|_| NetError::Setting("the provider's address is not a URL".to_owned()))?;
    let own = [
        ("connection", HeaderValue::from_static("Upgrade")),
        ("upgrade", HeaderValue::from_static("websocket")),
        ("sec-websocket-version", HeaderValue::from_static("13")),
    ];
    *request.headers_mut() = headers.clone();
    for (name, value) in own {
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    let key = HeaderValue::try_from(generate_key()).map_err(|_| NetError::Invalid("a key of its own".to_owned()))?;
    request.headers_mut().insert("sec-websocket-key", key);
    request.headers_mut().insert(HOST, target.host_header(&authority)?);
    if let Some(authorization) = target.authorization() {
        request.headers_mut().insert(http::header::AUTHORIZATION, authorization);
    }
    Ok(request)
}

fn refusal(error: tungstenite::Error) -> NoSocket {
    match error {
        tungstenite::Error::Http(response) => {
            let (head, body) = response.into_parts();
            let mut body = bytes::Bytes::from(body.unwrap_or_default());
            body.truncate(REFUSAL);
            NoSocket::Refused { status: head.status, body }
        }
        other => NoSocket::Net(of_socket(other)),
    }
}

fn of_socket(error: tungstenite::Error) -> NetError {
    match error {
        tungstenite::Error::Capacity(tungstenite::error::CapacityError::MessageTooLong { max_size, .. }) => {
            NetError::TooLarge { limit: max_size }
        }
        tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            NetError::Cut
        }
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => NetError::Cut,
        other => NetError::Invalid(other.to_string()),
    }
}

impl SocketSender {
    /// Says something; waits while the provider does not read.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, frame: Frame) -> Result<(), NetError> {
        let message = match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes),
            Frame::Close(closing) => Message::Close(
                closing.map(|Closing { code, reason }| CloseFrame { code: code.into(), reason: reason.into() }),
            ),
        };
        self.0.send(message).await.map_err(of_socket)
    }
}

impl SocketReceiver {
    /// The provider's next message; none after its end.
    pub async fn next(&mut self) -> Option<Result<Frame, NetError>> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, NetError>>> {
        loop {
            let Some(message) = std::task::ready!(Pin::new(&mut self.0).poll_next(context)) else {
                return Poll::Ready(None);
            };
            return Poll::Ready(Some(match message {
                Ok(Message::Text(text)) => Ok(Frame::Text(text.as_str().to_owned())),
                Ok(Message::Binary(bytes)) => Ok(Frame::Binary(bytes)),
                Ok(Message::Close(frame)) => {
                    Ok(Frame::Close(frame.map(|frame| Closing::new(frame.code.into(), frame.reason.as_str()))))
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                Err(error) => Err(of_socket(error)),
            }));
        }
    }
}
