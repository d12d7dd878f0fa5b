//! How `OpenAI`'s clients ask for vectors of providers that speak otherwise, and what they get.

use base64::Engine as _;
use serde_json::{Value, json};
use tollgate_wire::{
    Failure, RawBody,
    embeddings::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse},
};

use crate::{
    codec::AnswerContext,
    errand::{answered, members},
    translate::Answered,
};

/// The client's request.
///
/// # Errors
/// When `input` is nothing that a vector could be made of.
pub fn read(body: &RawBody) -> Result<EmbeddingRequest, Failure> {
    let mut members = body.to_map();
    let inputs = inputs(members.shift_remove("input").unwrap_or_default())?;
    members.shift_remove("model");
    members.shift_remove("stream");
    let format = members.shift_remove("encoding_format").unwrap_or_default();
    let (base64, says_float) = (format == "base64", format == "float");
    let dimensions = members.shift_remove("dimensions").and_then(|wanted| wanted.as_u64());
    let user = members.shift_remove("user").and_then(|user| user.as_str().map(str::to_owned));
    Ok(EmbeddingRequest { inputs, dimensions, base64, says_float, user, extras: members })
}

fn inputs(input: Value) -> Result<Vec<EmbeddingInput>, Failure> {
    let wrong = || Failure::invalid("`input` must be text, token ids, or a list of either").with_param("input");
    match input {
        Value::String(text) => Ok(vec![EmbeddingInput::Text(text)]),
        Value::Array(items) if items.is_empty() => {
            Err(Failure::invalid("`input` must not be empty").with_param("input"))
        }
        Value::Array(items) if items.iter().all(Value::is_number) => Ok(vec![tokens(&items).ok_or_else(wrong)?]),
        Value::Array(items) => items.into_iter().map(|item| one(item).ok_or_else(wrong)).collect(),
        other => one(other).map(|input| vec![input]).ok_or_else(wrong),
    }
}

fn one(item: Value) -> Option<EmbeddingInput> {
    match item {
        Value::String(text) => Some(EmbeddingInput::Text(text)),
        Value::Array(ids) => tokens(&ids),
        object @ Value::Object(_) => Some(EmbeddingInput::Opaque(object)),
        _ => None,
    }
}

fn tokens(ids: &[Value]) -> Option<EmbeddingInput> {
    ids.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>().map(EmbeddingInput::Tokens)
}

/// The vectors in `OpenAI`'s shape, under the client's name for the model.
#[must_use]
pub fn write(told: &EmbeddingResponse, ask: &EmbeddingRequest, context: &AnswerContext) -> Answered {
    let data: Vec<Value> = told
        .vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| {
            let vector = if ask.base64 { json!(as_base64(vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    let mut body = members(json!({"object": "list", "data": data, "model": context.alias}));
    if let Some(usage) = told.usage {
        // Old clients read all three.
        body.insert(
            "usage".to_owned(),
            json!({"prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.total()}),
        );
    }
    body.extend(told.extras.clone());
    answered(&body.into(), told.usage)
}

/// Little-endian 32-bit floats, as `OpenAI` has them.
fn as_base64(vector: &[Value]) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are what the format has")]
    let bytes: Vec<u8> =
        vector.iter().flat_map(|number| (number.as_f64().unwrap_or_default() as f32).to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &Value, expected: Option<usize>) {
        let body = RawBody::from_map(json!({"model": "m", "input": input}).as_object().unwrap());
        assert_eq!(read(&body).ok().map(|request| request.inputs.len()), expected);
    }

    #[test]
    fn an_input_is_text_or_token_ids_or_a_list_of_them() {
        check(&json!("a"), Some(1));
        check(&json!(["a", "b"]), Some(2));
        check(&json!([1, 2, 3]), Some(1));
        check(&json!([[1, 2], [3]]), Some(2));
        check(&json!([]), None);
        check(&json!([1, "a"]), None);
        check(&json!(7), None);
        check(&json!([-1]), None);
    }

    #[test]
    fn base64_holds_the_same_numbers() {
        assert_eq!(as_base64(&[json!(1.0), json!(-0.5)]), "AACAPwAAAL8=");
    }
}
