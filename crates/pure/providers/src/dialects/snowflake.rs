//! Snowflake Cortex: `OpenAI`'s words, and a header that says which kind of token the key is.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Secret, Usage,
    chat::{ChatRequest, ChatResponse},
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, Codec, ProviderDialect, Wanted, Words},
    dialects::{anthropic, openai},
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

/// The dialect of Claude: Anthropic's words at Snowflake's path.
pub static CLAUDE: Claude = Claude;

/// See [`CLAUDE`].
#[derive(Debug)]
pub struct Claude;

/// The dialect, if the model is Claude.
#[must_use]
pub fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    target.model.contains("claude").then_some(&CLAUDE as &dyn ProviderDialect)
}

impl ProviderDialect for Claude {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        anthropic::MESSAGES.wants(request, target)
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = anthropic::request_body(request, target)?;
        body.insert("model".to_owned(), target.model.as_str().into());
        body.insert("stream".to_owned(), request.stream.into());
        simplify(&mut body);
        let mut headers = target.request_headers()?;
        let version = HeaderName::from_static("anthropic-version");
        headers.entry(version).or_insert(HeaderValue::from_static("2023-06-01"));
        let url = target.url("/api/v2/cortex/v1/messages");
        Ok(Outgoing { method: Method::POST, url, headers, body: Value::Object(body).to_string().into() })
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        anthropic::MESSAGES.response(reply, request, target)
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        anthropic::MESSAGES.decoder(request, target)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// One text is said as a text, and tools have no type, as `LiteLLM` says it to Snowflake.
fn simplify(body: &mut Map<String, Value>) {
    let list = |value: Option<&mut Value>| value.and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let mut messages = list(body.get_mut("messages"));
    for content in messages.iter_mut().filter_map(|message| message.get_mut("content")) {
        let text = match content.as_array().map(Vec::as_slice) {
            Some([Value::Object(block)]) if block.len() == 2 => block.get("text").cloned(),
            _ => None,
        };
        if let Some(text) = text {
            *content = text;
        }
    }
    body.insert("messages".to_owned(), messages.into());
    for tool in body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(members) = tool.as_object_mut() {
            members.retain(|name, value| name != "type" || value != "custom");
        }
    }
}
