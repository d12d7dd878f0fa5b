//! Vectors from Hugging Face's inference API and its embedding server: `inputs` in, a list of vectors out.

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    embeddings::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use super::{INFERENCE, ROUTER, failure, root};
use crate::{codec::Codec, target::Target};

/// How vectors are asked for.
pub static EMBED: Embed = Embed;

/// See [`EMBED`].
#[derive(Debug)]
pub struct Embed;

/// Members of its own that the embedding server knows; any other is an option of the inference API.
const OF_THE_SERVER: &[&str] =
    &["normalize", "truncate", "truncation_direction", "prompt_name", "options", "parameters"];
const SIMILARITY: &str = "sentence-similarity";

impl Codec<EmbeddingRequest, EmbeddingResponse> for Embed {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let inputs: Vec<Value> = ask.inputs.iter().map(input).collect();
        let compares = ask.extra("input_type").is_some_and(|kind| kind == SIMILARITY);
        let mut body = Map::new();
        body.insert("inputs".to_owned(), if compares { compared(&inputs)? } else { inputs.into() });
        if let Some(dimensions) = ask.dimensions {
            body.insert("dimensions".to_owned(), dimensions.into());
        }
        let mut options = Map::new();
        for (name, value) in ask.extras.iter().filter(|(name, _)| *name != "input_type") {
            let members = if OF_THE_SERVER.contains(&name.as_str()) { &mut body } else { &mut options };
            members.insert(name.clone(), value.clone());
        }
        if !options.is_empty() {
            body.entry("options").or_insert(options.into());
        }
        let url = if target.base_url == ROUTER {
            let task = if compares { SIMILARITY } else { "feature-extraction" };
            format!("{INFERENCE}/{}/pipeline/{task}", target.model)
        } else {
            root(target).to_owned()
        };
        let body = Value::Object(body).to_string().into();
        Ok(vec![Outgoing { method: Method::POST, url, headers: target.request_headers()?, body }])
    }

    fn response(
        &self,
        replies: &[Reply],
        _ask: &EmbeddingRequest,
        target: &Target,
    ) -> Result<EmbeddingResponse, Failure> {
        let invalid = || target.failure(FailureKind::InvalidResponse, "the answer holds no vectors");
        let reply = replies.first().ok_or_else(invalid)?;
        let answer: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid())?;
        let list = ["embeddings", "similarities"].iter().find_map(|name| answer.get(name)).unwrap_or(&answer);
        let vectors: Option<Vec<Vec<Value>>> = list.as_array().ok_or_else(invalid)?.iter().map(vector).collect();
        let counted = reply.headers.get("x-compute-tokens").and_then(|value| value.to_str().ok()?.parse().ok());
        let usage = counted.map(|input| Usage { input, ..Usage::default() });
        Ok(EmbeddingResponse { vectors: vectors.ok_or_else(invalid)?, usage, ..EmbeddingResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}

fn input(input: &EmbeddingInput) -> Value {
    match input {
        EmbeddingInput::Text(text) => text.as_str().into(),
        EmbeddingInput::Tokens(tokens) => tokens.clone().into(),
        EmbeddingInput::Opaque(raw) => raw.clone(),
    }
}

/// The first text, and those that it is compared with.
fn compared(inputs: &[Value]) -> Result<Value, Failure> {
    match inputs {
        [source, sentences @ ..] if !sentences.is_empty() => {
            Ok(json!({"source_sentence": source, "sentences": sentences}))
        }
        _ => Err(Failure::invalid("a comparison of sentences needs two of them").with_param("input")),
    }
}

/// A vector; the first token's where every token has one; a similarity is a vector of one number.
fn vector(told: &Value) -> Option<Vec<Value>> {
    match told {
        Value::Number(_) => Some(vec![told.clone()]),
        Value::Array(items) => match items.first() {
            Some(Value::Array(_)) => vector(items.first()?),
            _ => items.iter().all(Value::is_number).then(|| items.clone()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_of_tokens_is_that_of_the_first() {
        assert_eq!(vector(&json!([1.0, 2.0])), Some(vec![json!(1.0), json!(2.0)]));
        assert_eq!(vector(&json!([[[1.0], [2.0]]])), Some(vec![json!(1.0)]));
        assert_eq!(vector(&json!(0.5)), Some(vec![json!(0.5)]));
        assert_eq!(vector(&json!({"a": 1})), None);
        assert_eq!(vector(&json!(["a"])), None);
    }
}
