//! Snowflake Cortex: `OpenAI`'s words, and a header that says which kind of token the key is.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tollgate_wire::{Failure, Secret};

use crate::target::secret_value;

/// Before the key of a programmatic access token, as against a token signed with a key pair.
const PROGRAMMATIC: &str = "pat/";

/// Puts the token and its kind into the headers.
pub(crate) fn authorize(key: &Secret, headers: &mut HeaderMap) -> Result<(), Failure> {
    let (token, kind) = match key.expose().strip_prefix(PROGRAMMATIC) {
        Some(token) => (token, "PROGRAMMATIC_ACCESS_TOKEN"),
        None => (key.expose(), "KEYPAIR_JWT"),
    };
    headers.insert(header::AUTHORIZATION, secret_value(&format!("Bearer {token}"))?);
    let name = HeaderName::from_static("x-snowflake-authorization-token-type");
    headers.insert(name, HeaderValue::from_static(kind));
    Ok(())
}
