//! Vectors of a model that Triton serves: one input tensor of texts, one output tensor of numbers.

use http::Method;
use serde_json::{Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use crate::{codec::Codec, dialects::openai, target::Target};

/// How vectors are asked for.
pub static EMBED: Embed = Embed;

/// See [`EMBED`].
#[derive(Debug)]
pub struct Embed;

impl Codec<EmbeddingRequest, EmbeddingResponse> for Embed {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let Some(texts) = ask.texts() else {
            return Err(Failure::invalid("triton's models make vectors of texts only").with_param("input"));
        };
        let input = json!({"name": "input_text", "shape": [texts.len()], "datatype": "BYTES", "data": texts});
        let body = json!({ "inputs": [input] }).to_string().into();
        Ok(vec![Outgoing {
            method: Method::POST,
            url: target.base_url.clone(),
            headers: target.request_headers()?,
            body,
        }])
    }

    fn response(
        &self,
        replies: &[Reply],
        ask: &EmbeddingRequest,
        target: &Target,
    ) -> Result<EmbeddingResponse, Failure> {
        let invalid = || target.failure(FailureKind::InvalidResponse, "the answer holds no vectors");
        let reply = replies.first().ok_or_else(invalid)?;
        let told: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid())?;
        let outputs = told.get("outputs").and_then(Value::as_array).ok_or_else(invalid)?;
        let vectors: Option<Vec<Vec<Vec<Value>>>> = outputs.iter().map(rows).collect();
        let vectors = vectors.ok_or_else(invalid)?.concat();
        if vectors.len() < ask.inputs.len() {
            return Err(invalid());
        }
        Ok(EmbeddingResponse { vectors, ..EmbeddingResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// The rows of a tensor, whose numbers stand in one list.
fn rows(output: &Value) -> Option<Vec<Vec<Value>>> {
    let data = output.get("data")?.as_array()?;
    let width = output.get("shape")?.as_array()?.last()?.as_u64().and_then(|width| usize::try_from(width).ok())?;
    (width > 0).then(|| data.chunks(width).map(<[Value]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_cut_into_its_rows() {
        let output = json!({"shape": [2, 2], "data": [1, 2, 3, 4]});
        assert_eq!(rows(&output), Some(vec![vec![json!(1), json!(2)], vec![json!(3), json!(4)]]));
        assert_eq!(rows(&json!({"shape": [0], "data": []})), None);
        assert_eq!(rows(&json!({"data": [1]})), None);
    }
}
