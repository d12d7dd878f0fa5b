//! Vectors: a batch of contents at Google AI Studio, predictions at Vertex AI.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    embeddings::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use super::url;
use crate::{codec::Codec, target::Target};

/// `batchEmbedContents`.
pub static EMBED: Batch = Batch;
/// `:predict` of Vertex AI's embedding models.
pub static PREDICT_VECTORS: Predict = Predict;

/// See [`EMBED`].
#[derive(Debug)]
pub struct Batch;

/// See [`PREDICT_VECTORS`].
#[derive(Debug)]
pub struct Predict;

/// Parameters by the clients' names, and by Google's.
const SETTINGS: [(&str, &str); 4] =
    [("task_type", "taskType"), ("taskType", "taskType"), ("title", "title"), ("output_dimensionality", DIMENSIONS)];
const DIMENSIONS: &str = "outputDimensionality";

fn settings(ask: &EmbeddingRequest) -> Map<String, Value> {
    let given = SETTINGS.iter().filter_map(|(name, sent)| Some(((*sent).to_owned(), ask.extra(name)?.clone())));
    let mut out: Map<String, Value> = given.collect();
    if let Some(dimensions) = ask.dimensions {
        out.insert(DIMENSIONS.to_owned(), dimensions.into());
    }
    out
}

fn outgoing(target: &Target, method: &str, body: &Value) -> Result<Outgoing, Failure> {
    let (url, headers) = (url(target, method), target.request_headers()?);
    Ok(Outgoing { method: Method::POST, url, headers, body: body.to_string().into() })
}

fn read(reply: &Reply, target: &Target) -> Result<Value, Failure> {
    let no_json = |error: serde_json::Error| {
        target.failure(FailureKind::InvalidResponse, format!("the answer is no JSON: {error}"))
    };
    serde_json::from_slice(&reply.body).map_err(no_json)
}

fn vector(values: Option<&Value>, target: &Target) -> Result<Vec<Value>, Failure> {
    let numbers = values.and_then(Value::as_array).cloned();
    numbers.ok_or_else(|| target.failure(FailureKind::InvalidResponse, "the answer has no vector"))
}

fn only<'r>(replies: &'r [Reply], target: &Target) -> Result<&'r Reply, Failure> {
    replies.first().ok_or_else(|| target.failure(FailureKind::InvalidResponse, "there is no answer"))
}

/// A part of content: text, or what a `data:` address holds.
fn part(input: &EmbeddingInput) -> Result<Value, Failure> {
    match input {
        EmbeddingInput::Text(text) => Ok(match inline(text) {
            Some((kind, data)) => json!({"inline_data": {"mime_type": kind, "data": data}}),
            None => json!({ "text": text }),
        }),
        EmbeddingInput::Opaque(part) => Ok(part.clone()),
        EmbeddingInput::Tokens(_) => {
            Err(Failure::invalid("Google makes vectors of texts, not of token ids").with_param("input"))
        }
    }
}

fn inline(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("data:")?.split_once(";base64,")
}

impl Codec<EmbeddingRequest, EmbeddingResponse> for Batch {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let settings = settings(ask);
        let model = format!("models/{}", target.model);
        let one = |input: &EmbeddingInput| {
            let mut request = Map::from_iter([("model".to_owned(), Value::from(model.as_str()))]);
            request.insert("content".to_owned(), json!({"parts": [part(input)?]}));
            request.extend(settings.clone());
            Ok(Value::Object(request))
        };
        let requests: Vec<Value> = ask.inputs.iter().map(one).collect::<Result<_, Failure>>()?;
        Ok(vec![outgoing(target, "batchEmbedContents", &json!({ "requests": requests }))?])
    }

    fn response(
        &self,
        replies: &[Reply],
        _ask: &EmbeddingRequest,
        target: &Target,
    ) -> Result<EmbeddingResponse, Failure> {
        let body = read(only(replies, target)?, target)?;
        let vectors = body.get("embeddings").and_then(Value::as_array).into_iter().flatten();
        let vectors = vectors.map(|entry| vector(entry.get("values"), target)).collect::<Result<Vec<_>, _>>()?;
        if vectors.is_empty() {
            return Err(target.failure(FailureKind::InvalidResponse, "the answer has no vectors"));
        }
        let input = body.get("usageMetadata").and_then(|usage| usage.get("promptTokenCount")?.as_u64());
        let usage = input.map(|input| Usage { input, ..Usage::default() });
        Ok(EmbeddingResponse { vectors, usage, ..EmbeddingResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        super::failure(reply, target)
    }
}

fn is_multimodal(target: &Target) -> bool {
    target.model.contains("multimodalembedding")
}

/// One thing to make a vector of, as the models for texts and for pictures want it.
fn instance(input: &EmbeddingInput, target: &Target, own: &Map<String, Value>) -> Result<Value, Failure> {
    let mut out = match input {
        EmbeddingInput::Opaque(Value::Object(members)) => return Ok(Value::Object(members.clone())),
        EmbeddingInput::Text(text) if is_multimodal(target) => match inline(text) {
            Some((_, data)) => json!({"image": {"bytesBase64Encoded": data}}),
            None if text.starts_with("gs://") => json!({"image": {"gcsUri": text}}),
            None => json!({ "text": text }),
        },
        EmbeddingInput::Text(text) => json!({ "content": text }),
        _ => return Err(Failure::invalid("Google makes vectors of texts, not of token ids").with_param("input")),
    };
    if let Some(members) = out.as_object_mut() {
        members.extend(own.clone());
    }
    Ok(out)
}

impl Codec<EmbeddingRequest, EmbeddingResponse> for Predict {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let mut own = Map::new();
        for (name, sent) in [("task_type", "task_type"), ("taskType", "task_type"), ("title", "title")] {
            if let Some(value) = ask.extra(name) {
                own.insert(sent.to_owned(), value.clone());
            }
        }
        let instances = ask.inputs.iter().map(|input| instance(input, target, &own));
        let mut body = json!({"instances": instances.collect::<Result<Vec<_>, _>>()?});
        let mut parameters = Map::new();
        if let Some(dimensions) = ask.dimensions {
            parameters
                .insert(if is_multimodal(target) { "dimension" } else { DIMENSIONS }.to_owned(), dimensions.into());
        }
        for name in ["autoTruncate", "auto_truncate"] {
            if let Some(value) = ask.extra(name) {
                parameters.insert("autoTruncate".to_owned(), value.clone());
            }
        }
        if let Some(body) = body.as_object_mut() {
            body.insert("parameters".to_owned(), parameters.into());
        }
        Ok(vec![outgoing(target, "predict", &body)?])
    }

    fn response(
        &self,
        replies: &[Reply],
        _ask: &EmbeddingRequest,
        target: &Target,
    ) -> Result<EmbeddingResponse, Failure> {
        let body = read(only(replies, target)?, target)?;
        let Some(predictions) = body.get("predictions").and_then(Value::as_array) else {
            return Err(target.failure(FailureKind::InvalidResponse, "the answer has no predictions"));
        };
        let mut vectors = Vec::with_capacity(predictions.len());
        let mut counted = None;
        for prediction in predictions {
            let of_text = prediction.get("embeddings");
            let of_picture = ["textEmbedding", "imageEmbedding"].iter().find_map(|name| prediction.get(*name));
            vectors.push(vector(of_text.and_then(|found| found.get("values")).or(of_picture), target)?);
            let tokens = of_text.and_then(|found| found.get("statistics")?.get("token_count")?.as_u64());
            counted = tokens.map(|tokens| tokens + counted.unwrap_or(0)).or(counted);
        }
        let usage = counted.map(|input| Usage { input, ..Usage::default() });
        Ok(EmbeddingResponse { vectors, usage, ..EmbeddingResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        super::failure(reply, target)
    }
}
