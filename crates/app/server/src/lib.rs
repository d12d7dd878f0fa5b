//! HTTP in: every path on one screen ([`routes`]), bodies read within bounds, connections accepted, drained, ended.

mod body;
mod cors;
mod listen;
mod openapi;
mod reply;
mod routes;
mod service;
mod settings;
mod socket;
mod tls;

pub use listen::{BoundServer, ServeError, bind};
pub use settings::{ServerBounds, ServerSettings, TlsFiles};
