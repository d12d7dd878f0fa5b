//! What tests need from outside a crate: a scripted fake provider, the gateway as a process, a raw HTTP client,
//! golden files.
//!
//! Everything here speaks HTTP/1.1 over bare sockets on purpose: a server library would refuse to send the broken
//! answers that a gateway has to survive, and a client library would refuse to send the broken requests.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test equipment stops the test with a message, and JSON documents are read by index; nothing of it ships"
)]

pub mod answer;
pub mod call;
mod defaults;
pub mod fuzz;
pub mod gateway;
pub mod golden;
pub mod gzip;
pub mod http;
pub mod postgres;
pub mod provider;
pub mod proxy;
pub mod redis;
pub mod temp;

pub use answer::{Answer, Body, Place, SseItem};
pub use call::{Call, Ending};
pub use gateway::Gateway;
pub use postgres::Postgres;
pub use provider::FakeProvider;
pub use proxy::{Flow, Proxy};
pub use redis::Redis;
pub use temp::TempFolder;
