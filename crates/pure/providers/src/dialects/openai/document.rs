//! Answers that are passed on as they are: moderations, pictures.

use bytes::Bytes;
use tollgate_wire::{Failure, FailureKind, RawBody, Usage, http::Reply};

use crate::target::Target;

/// The answer, and what it used. It names the model as the provider does, and as `LiteLLM` leaves it.
///
/// # Errors
/// `InvalidResponse` when a 200 is no JSON object, the provider's own error where it holds one.
pub fn answer(reply: &Reply, target: &Target) -> Result<(Bytes, Option<Usage>), Failure> {
    let Ok(body) = RawBody::parse(&reply.body) else {
        return Err(target.failure(FailureKind::InvalidResponse, "the answer is no JSON object"));
    };
    if let Some(error) = body.typed::<serde_json::Value>("error").filter(|error| !error.is_null()) {
        return Err(super::splice::in_band(&error, target));
    }
    // Pictures are counted in the Responses API's words, moderations not at all.
    let used = body.typed::<serde_json::Value>("usage").and_then(|usage| crate::gauge::usage_of(&usage));
    Ok((body.to_bytes(), used))
}
