//! A Xinference server.

use crate::{
    provider::{KeyNeed, OPENAI_COMPATIBLE, Provider},
    translate::Operation,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "xinference",
    title: "Xinference",
    base_url: "http://127.0.0.1:9997/v1",
    base_env: &["XINFERENCE_API_BASE"],
    key_env: &["XINFERENCE_API_KEY"],
    key: KeyNeed::Optional,
    also: &[(Operation::Images, "/images/generations")],
    ..OPENAI_COMPATIBLE
};
