//! Vectors and reranking.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
    rerank::{RerankRequest, RerankResponse},
};

use super::{place, url};
use crate::{
    codec::Codec,
    dialects::{openai, rerank},
    target::Target,
};

/// The codec of `/ml/v1/text/embeddings`.
pub static VECTORS: Vectors = Vectors;
/// The codec of `/ml/v1/text/rerank`.
pub static RERANK: Order = Order;

/// See [`VECTORS`].
#[derive(Debug)]
pub struct Vectors;

/// See [`RERANK`].
#[derive(Debug)]
pub struct Order;

impl Codec<EmbeddingRequest, EmbeddingResponse> for Vectors {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let Some(texts) = ask.texts() else {
            return Err(Failure::invalid("watsonx makes vectors of texts, not of token ids").with_param("input"));
        };
        let mut body = place(target);
        body.insert("inputs".to_owned(), texts.into());
        let given = ask.extras.iter().filter(|(_, value)| !value.is_null());
        let parameters: Map<String, Value> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
        body.insert("parameters".to_owned(), parameters.into());
        post(body, target, "text/embeddings")
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
        let results = body.get("results").and_then(Value::as_array);
        let vectors = results
            .and_then(|results| results.iter().map(|result| result.get("embedding")?.as_array().cloned()).collect());
        let Some(vectors) = vectors else { return Err(invalid("the answer has no vectors")) };
        let input = body.get("input_token_count").and_then(Value::as_u64);
        let usage = input.map(|input| Usage { input, ..Usage::default() });
        Ok(EmbeddingResponse { vectors, usage, ..EmbeddingResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

impl Codec<RerankRequest, RerankResponse> for Order {
    fn requests(&self, ask: &RerankRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let inputs: Vec<Value> = ask
            .documents
            .iter()
            .map(|document| if document.is_string() { json!({ "text": document }) } else { document.clone() })
            .collect();
        let mut options = Map::new();
        options.extend(ask.top_n.map(|top| ("top_n".to_owned(), top.into())));
        options.extend(ask.return_documents.map(|wanted| ("inputs".to_owned(), wanted.into())));
        let mut parameters = Map::new();
        if !options.is_empty() {
            parameters.insert("return_options".to_owned(), options.into());
        }
        if let Some(most) = ask.extras.get("max_tokens_per_doc") {
            parameters.insert("truncate_input_tokens".to_owned(), most.clone());
        }
        let mut body = place(target);
        body.insert("query".to_owned(), ask.query.as_str().into());
        body.insert("inputs".to_owned(), inputs.into());
        if !parameters.is_empty() {
            body.insert("parameters".to_owned(), parameters.into());
        }
        post(body, target, "text/rerank")
    }

    fn response(&self, replies: &[Reply], ask: &RerankRequest, target: &Target) -> Result<RerankResponse, Failure> {
        let mut told = rerank::read(replies, ask, target, None)?;
        if let Some(usage) = told.usage {
            told.meta.insert("tokens".to_owned(), json!({"input_tokens": usage.input}));
        }
        Ok(told)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

fn post(body: Map<String, Value>, target: &Target, operation: &str) -> Result<Vec<Outgoing>, Failure> {
    let body = Value::Object(body).to_string().into();
    Ok(vec![Outgoing { method: Method::POST, url: url(target, operation), headers: target.request_headers()?, body }])
}
