//! Vectors by an orchestration.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use super::{deployment, headers};
use crate::{codec::Codec, dialects::openai, target::Target};

/// The codec of an orchestration's `/v2/embeddings`.
pub static VECTORS: Vectors = Vectors;

/// See [`VECTORS`].
#[derive(Debug)]
pub struct Vectors;

impl Codec<EmbeddingRequest, EmbeddingResponse> for Vectors {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let Some(texts) = ask.texts() else {
            return Err(Failure::invalid("SAP makes vectors of texts, not of token ids").with_param("input"));
        };
        let Some(address) = deployment(target) else {
            let words = "vectors of SAP AI Core need api_base, the URL of an orchestration's deployment";
            return Err(Failure::new(FailureKind::Misconfigured, words));
        };
        let mut params: Map<String, Value> = ask.extras.clone();
        params.extend(ask.dimensions.map(|dimensions| ("dimensions".to_owned(), dimensions.into())));
        let model = json!({"name": target.model, "version": "latest", "params": params});
        let body = json!({"config": {"modules": {"embeddings": {"model": model}}}, "input": {"text": texts}});
        let url = format!("{}/v2/embeddings", address.trim_end_matches('/'));
        Ok(vec![Outgoing { method: Method::POST, url, headers: headers(target)?, body: body.to_string().into() }])
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
        let result = body.get("final_result").unwrap_or(&body);
        let data = result.get("data").and_then(Value::as_array);
        let vectors =
            data.and_then(|data| data.iter().map(|item| item.get("embedding")?.as_array().cloned()).collect());
        let Some(vectors) = vectors else { return Err(invalid("the answer has no vectors")) };
        let usage = result.get("usage").and_then(|usage| openai::read_usage(usage.to_string().as_bytes()));
        let usage = usage.map(|usage| Usage { output: 0, ..usage });
        Ok(EmbeddingResponse { vectors, usage, ..EmbeddingResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}
