//! Vectors of texts or pictures.

use http::Method;
use serde_json::{Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::Extras,
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use super::{failure, model, url};
use crate::{
    codec::Codec,
    dialects::{openai, rerank::whole},
    errand::members,
    target::Target,
};

/// The codec of `/v2/embed`, and of `/v1/embed` where the address says so.
pub static EMBED: Embed = Embed;

/// See [`EMBED`].
#[derive(Debug)]
pub struct Embed;

/// What vectors are for where the client does not say: `LiteLLM`'s choice.
const INPUT_TYPE: &str = "search_document";

impl Codec<EmbeddingRequest, EmbeddingResponse> for Embed {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let Some(texts) = ask.texts() else {
            return Err(
                Failure::invalid("Cohere makes vectors of texts and pictures, not of token ids").with_param("input")
            );
        };
        let pictures = texts.iter().all(|text| text.starts_with("data:image/"));
        let mut body = members(if pictures {
            json!({"model": model(target), "images": texts, "input_type": "image"})
        } else {
            json!({"model": model(target), "texts": texts, "input_type": INPUT_TYPE})
        });
        if let Some(dimensions) = ask.dimensions {
            body.insert("output_dimension".to_owned(), dimensions.into());
        }
        let form = if ask.base64 { Some("base64") } else { ask.says_float.then_some("float") };
        if let Some(form) = form {
            body.insert("embedding_types".to_owned(), json!([form]));
        }
        let given = ask.extras.iter().filter(|(_, value)| !value.is_null());
        body.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        let path = if target.base_url.ends_with("/v1/embed") { "/v1/embed" } else { "/v2/embed" };
        let body = Value::Object(body).to_string().into();
        Ok(vec![Outgoing { method: Method::POST, url: url(target, path), headers: target.request_headers()?, body }])
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
        let vectors = body.get("embeddings").and_then(vectors).ok_or_else(|| invalid("the answer has no vectors"))?;
        let units = body.get("meta").and_then(|meta| meta.get("billed_units"));
        let count = |name: &str| whole(units.and_then(|units| units.get(name)));
        let (texts, pictures) = (count("input_tokens"), count("images"));
        let usage = units.map(|_| Usage {
            input: texts.unwrap_or_default().saturating_add(pictures.unwrap_or_default()),
            ..Usage::default()
        });
        let extras = usage.map_or_else(Extras::new, |usage| told(usage, texts, pictures));
        Ok(EmbeddingResponse { model: String::new(), vectors, usage, extras })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}

/// The usage as `LiteLLM` tells it: with what the input was made of.
fn told(usage: Usage, texts: Option<u64>, pictures: Option<u64>) -> Extras {
    let usage = json!({"prompt_tokens": usage.input, "completion_tokens": 0, "total_tokens": usage.input,
        "prompt_tokens_details": {"text_tokens": texts, "image_tokens": pictures}});
    Extras::from_iter([("usage".to_owned(), usage)])
}

/// The vectors, numbers before any shorter form that was asked for.
fn vectors(embeddings: &Value) -> Option<Vec<Vec<Value>>> {
    let list = match embeddings {
        Value::Array(list) => list,
        Value::Object(forms) => forms.get("float").or_else(|| forms.values().next())?.as_array()?,
        _ => return None,
    };
    list.iter().map(vector).collect()
}

/// A list of numbers, or base64 of little-endian 32-bit floats.
fn vector(vector: &Value) -> Option<Vec<Value>> {
    match vector {
        Value::Array(numbers) => Some(numbers.clone()),
        Value::String(text) => {
            openai::embeddings::floats(text).map(|floats| floats.into_iter().map(Value::from).collect())
        }
        _ => None,
    }
}
