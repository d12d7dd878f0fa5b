//! `/api/embed`: vectors.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use crate::{codec::Codec, dialects::openai, target::Target};

/// How vectors are asked for.
pub static EMBED: Embed = Embed;

/// Path below the address.
const PATH: &str = "/api/embed";

/// See [`EMBED`].
#[derive(Debug)]
pub struct Embed;

impl Codec<EmbeddingRequest, EmbeddingResponse> for Embed {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let Some(texts) = ask.texts() else {
            return Err(Failure::invalid("ollama makes vectors of texts only").with_param("input"));
        };
        let mut body = json!({"model": target.model, "input": texts});
        let mut options = Map::new();
        if let Some(body) = body.as_object_mut() {
            if let Some(dimensions) = ask.dimensions {
                body.insert("dimensions".to_owned(), dimensions.into());
            }
            for (name, value) in &ask.extras {
                let beside = matches!(name.as_str(), "truncate" | "keep_alive" | "options");
                let members = if beside { &mut *body } else { &mut options };
                members.insert(name.clone(), value.clone());
            }
            if !options.is_empty() {
                body.entry("options").or_insert(options.into());
            }
        }
        let body = body.to_string().into();
        Ok(vec![Outgoing { method: Method::POST, url: target.url(PATH), headers: target.request_headers()?, body }])
    }

    fn response(
        &self,
        replies: &[Reply],
        _ask: &EmbeddingRequest,
        target: &Target,
    ) -> Result<EmbeddingResponse, Failure> {
        let invalid = || target.failure(FailureKind::InvalidResponse, "the answer holds no vectors");
        let reply = replies.first().ok_or_else(invalid)?;
        let told = super::read(&reply.body, target)?;
        let list = told.get("embeddings").and_then(Value::as_array).ok_or_else(invalid)?;
        let vectors: Option<Vec<Vec<Value>>> = list.iter().map(|vector| vector.as_array().cloned()).collect();
        let counted = told.get("prompt_eval_count").and_then(Value::as_u64);
        let usage = counted.map(|input| Usage { input, ..Usage::default() });
        Ok(EmbeddingResponse { vectors: vectors.ok_or_else(invalid)?, usage, ..EmbeddingResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}
