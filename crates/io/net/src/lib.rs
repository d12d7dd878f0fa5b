//! All outgoing HTTP: one client with its own idle list over hyper's HTTP/1.1 connections.
//!
//! In come [`tollgate_wire::http::Outgoing`] wishes, out go responses whose bodies are pulled chunk by chunk. Nothing
//! here retries a request that may have been seen, follows a redirect, decompresses, or reads the environment; only the
//! clouds' own ways to credentials ([`credentials`]) do what their vendors' libraries do.
//! There are no background tasks: a connection is driven by the call that uses it, so a dropped call is a closed
//! connection, at once.

mod alarm;
mod client;
pub mod clock;
mod connection;
pub mod credentials;
pub mod debug;
mod dial;
mod error;
mod pool;
mod proxy;
mod relay;
mod request_body;
mod response;
mod settings;
mod stream;
mod target;
mod tls;
mod websocket;

pub use client::Client;
pub use error::{NetError, Wait};
pub use proxy::ProxySettings;
pub use request_body::RequestBody;
pub use response::Response;
pub use settings::{Bounds, ClientSettings};
pub use websocket::{NoSocket, SocketBounds, SocketReceiver, SocketSender};
