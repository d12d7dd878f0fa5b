//! Snowflake Cortex: `OpenAI`'s words, and a header that says which kind of token the key is.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use tollgate_wire::{
    Failure, FailureKind, Secret, Usage,
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use crate::{
    codec::Codec,
    dialects::openai,
    target::{Target, secret_value},
};

/// The codec of `/api/v2/cortex/inference:embed`.
pub static VECTORS: Vectors = Vectors;

/// See [`VECTORS`].
#[derive(Debug)]
pub struct Vectors;

impl Codec<EmbeddingRequest, EmbeddingResponse> for Vectors {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let Some(texts) = ask.texts() else {
            return Err(Failure::invalid("Snowflake makes vectors of texts, not of token ids").with_param("input"));
        };
        let body = json!({"model": target.model, "text": texts}).to_string().into();
        let url = target.url("/api/v2/cortex/inference:embed");
        Ok(vec![Outgoing { method: Method::POST, url, headers: target.request_headers()?, body }])
    }

    fn response(
        &self,
        replies: &[Reply],
        _ask: &EmbeddingRequest,
        target: &Target,
    ) -> Result<EmbeddingResponse, Failure> {
        let invalid = |words: &str| target.failure(FailureKind::InvalidResponse, words);
        let [reply] = replies else { return Err(Failure::bug("one request, several answers")) };
        let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
        let data = body.get("data").and_then(Value::as_array);
        let vectors = data.and_then(|data| data.iter().map(|item| vector(item.get("embedding")?)).collect());
        let Some(vectors) = vectors else { return Err(invalid("the answer has no vectors")) };
        let input = body.get("usage").and_then(|usage| usage.get("total_tokens")?.as_u64());
        let usage = input.map(|input| Usage { input, ..Usage::default() });
        Ok(EmbeddingResponse { vectors, usage, ..EmbeddingResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// A vector stands in a list of its own.
fn vector(embedding: &Value) -> Option<Vec<Value>> {
    let list = embedding.as_array()?;
    match list.as_slice() {
        [Value::Array(inner)] => Some(inner.clone()),
        numbers => Some(numbers.to_vec()),
    }
}

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
