//! Embeddings in `OpenAI`'s shape: the request goes through the splice, the answer is checked and named.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_wire::{Failure, RawBody, Usage, http::Reply};

use super::splice;
use crate::{codec::AnswerContext, provider::Asked, target::Target};

/// The answer under the client's name for the model. `wanted_base64` says how the client asked for its vectors.
///
/// # Errors
/// `InvalidResponse` when a 200 does not carry vectors.
pub fn answer(
    reply: &Reply,
    target: &Target,
    context: &AnswerContext,
    wanted_base64: bool,
) -> Result<(Bytes, Option<Usage>), Failure> {
    let (bytes, used) = splice::answer(reply, target, context, Asked::default())?;
    let mut body = RawBody::parse(&bytes).map_err(|error| Failure::bug(error.to_string()))?;
    if !wanted_base64 && holds_text_vectors(&bytes) {
        decode_vectors(&mut body);
    }
    // Voyage and Jina count input only, and say so by the total alone.
    let used = used.or_else(|| total_only(&body));
    body.set("object", &"list".into());
    body.remove("id");
    body.remove("created");
    if let Some(used) = used {
        let mut object: serde_json::Map<String, Value> = body.typed("usage").unwrap_or_default();
        // Old clients read all three.
        object.entry("prompt_tokens").or_insert_with(|| used.input.into());
        object.insert("completion_tokens".to_owned(), used.output.into());
        object.entry("total_tokens").or_insert_with(|| used.total().into());
        body.set("usage", &object.into());
    }
    Ok((body.to_bytes(), used))
}

fn total_only(body: &RawBody) -> Option<Usage> {
    let input = body.typed::<Value>("usage")?.get("total_tokens")?.as_u64()?;
    Some(Usage { input, ..Usage::default() })
}

/// Whether a vector is a text: what follows the name of the first one, blanks passed over.
fn holds_text_vectors(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"\"embedding\"";
    // The name is also the value of `object`, where a comma or brace follows.
    let mut values = memchr::memmem::find_iter(bytes, NAME)
        .filter_map(|at| bytes.get(at + NAME.len()..)?.trim_ascii_start().strip_prefix(b":"));
    values.next().is_some_and(|value| value.trim_ascii_start().starts_with(b"\""))
}

/// Vectors that were fetched as base64 (little-endian `f32`), as numbers.
fn decode_vectors(body: &mut RawBody) {
    let Some(mut data) = body.typed::<Vec<Value>>("data") else { return };
    for item in &mut data {
        let floats = item.get("embedding").and_then(Value::as_str).and_then(floats);
        if let (Some(floats), Some(item)) = (floats, item.as_object_mut()) {
            item.insert("embedding".to_owned(), json!(floats));
        }
    }
    body.set("data", &data.into());
}

/// Numbers out of base64 of little-endian 32-bit floats.
pub(crate) fn floats(text: &str) -> Option<Vec<f32>> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}
