//! The HTTP front as clients meet it: a server in this process, a fake provider behind it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be built ends with a message, and JSON documents are read by index"
)]

mod bad_input;
mod bodies;
mod client_side;
mod headers;
mod keys;
mod leaving;
mod ledger;
mod media;
mod passage;
mod paths;
mod protocols;
mod retries;
mod secrets;
mod self_calls;
mod slow;
mod streams;
mod timeouts;
mod world;
