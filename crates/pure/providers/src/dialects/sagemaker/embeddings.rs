//! Vectors of endpoints that speak Hugging Face's words.

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use super::outgoing;
use crate::{codec::Codec, dialects::aws, target::Target};

/// The codec.
pub static EMBEDDINGS: Embeddings = Embeddings;

/// See [`EMBEDDINGS`].
#[derive(Debug)]
pub struct Embeddings;

/// Containers of models with a licence insist on being told.
const ATTRIBUTES: (&str, &str) = ("x-amzn-sagemaker-custom-attributes", "accept_eula=true");

impl Codec<EmbeddingRequest, EmbeddingResponse> for Embeddings {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let Some(texts) = ask.texts() else {
            return Err(Failure::invalid("SageMaker makes vectors of texts").with_param("input"));
        };
        let mut body = Map::new();
        body.insert("inputs".to_owned(), texts.into());
        for (name, value) in &ask.extras {
            if !value.is_null() && !name.starts_with("aws_") {
                body.insert(name.clone(), value.clone());
            }
        }
        let mut request = outgoing(target, &body, false)?;
        let (name, value) = ATTRIBUTES;
        request.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        Ok(vec![request])
    }

    fn response(
        &self,
        replies: &[Reply],
        _ask: &EmbeddingRequest,
        target: &Target,
    ) -> Result<EmbeddingResponse, Failure> {
        let invalid = |text: &str| target.failure(FailureKind::InvalidResponse, text);
        let mut told = EmbeddingResponse::default();
        for reply in replies {
            let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
            let list = ["embedding", "embeddings", "data"].iter().find_map(|name| body.get(*name));
            let Some(list) = list.unwrap_or(&body).as_array() else { return Err(invalid("the answer has no vectors")) };
            if list.iter().all(Value::is_number) {
                told.vectors.push(list.clone());
            }
            let nested = list.iter().filter_map(|one| one.get("embedding").unwrap_or(one).as_array());
            told.vectors.extend(nested.cloned());
            let tokens = body.pointer("/usage/prompt_tokens").and_then(Value::as_u64);
            told.usage = tokens.map(|input| Usage { input, ..Usage::default() });
        }
        Ok(told)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}
