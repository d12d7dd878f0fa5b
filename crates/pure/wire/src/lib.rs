//! The words every part of Tollgate uses: the hub's chat types, usage, failures, and HTTP as plain values.
//!
//! Nothing here waits, reads a clock or opens a socket; every other crate may come in, nothing goes out.

pub mod chat;
pub mod clock;
pub mod embeddings;
pub mod facts;
pub mod failure;
pub mod form;
pub mod framing;
pub mod http;
pub mod images;
pub mod json;
pub mod percent;
pub mod raw_body;
pub mod rerank;
pub mod secret;
pub mod socket;
pub mod usage;

pub use failure::{Blame, ErrorType, Failure, FailureKind};
pub use raw_body::RawBody;
pub use secret::Secret;
pub use usage::Usage;
