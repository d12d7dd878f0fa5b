//! Reranking in Cohere's words, which nearly everyone took over: one codec, and what differs as values of the row.

use http::Method;
use serde_json::{Map, Number, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::Extras,
    http::{Outgoing, Reply},
    rerank::{Ranked, RerankRequest, RerankResponse},
};

use crate::{codec::Codec, dialects::openai, errand::members, target::Target};

/// How one provider puts documents into order.
#[derive(Debug)]
pub struct Ranker {
    /// The address.
    pub url: fn(&RerankRequest, &Target) -> String,
    /// The request.
    pub body: fn(&RerankRequest, &Target) -> Map<String, Value>,
    /// What the client is told of what was used.
    pub told: Told,
    /// Where the provider never returns documents, we do: whether also where the client does not say that it wants them.
    pub repeats_documents: Option<bool>,
}

/// What `meta` tells of what was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// What the provider's own `meta` says.
    AsIs,
    /// The tokens, and that none came out.
    Tokens,
    /// The tokens that went in.
    Input,
    /// Their sum alone.
    Total,
    /// Their sum alone, and no place for the others.
    SumOnly,
}

/// Cohere's words below the base URL, as most have them.
pub static COMMON: Ranker = Ranker { url: below_base, body: common, told: Told::Tokens, repeats_documents: None };
/// Together AI, which does not say how its sum is made up.
pub static TOGETHER: Ranker = Ranker { told: Told::Total, body: uncounted, ..COMMON };
/// Infinity.
pub static INFINITY: Ranker = Ranker { body: uncounted, ..COMMON };
/// vLLM, and gateways of `LiteLLM`'s kind.
pub static VLLM: Ranker = Ranker { told: Told::Input, ..COMMON };
/// Another gateway, which speaks Cohere's words on both sides.
pub static GATEWAY: Ranker = Ranker { url: version_one, told: Told::AsIs, ..COMMON };
/// Jina.
pub static JINA: Ranker = Ranker { url: version_one, body: uncut, told: Told::Total, ..COMMON };
/// Voyage, which wants the best `top_k`.
pub static VOYAGE: Ranker = Ranker { url: version_one, body: by_top_k, ..COMMON };
/// Fireworks, whose rerankers have names of their own.
pub static FIREWORKS: Ranker = Ranker { body: of_fireworks, ..COMMON };
/// Azure AI Foundry, which serves Cohere's.
pub static FOUNDRY: Ranker = Ranker { url: foundry, told: Told::AsIs, ..COMMON };
/// `DeepInfra`, which gives a score to each pair of a query and a document.
pub static DEEPINFRA: Ranker = Ranker { url: deepinfra, body: pairs, repeats_documents: Some(false), ..COMMON };
/// NVIDIA's retrievers.
pub static NVIDIA: Ranker = Ranker { url: nvidia, body: passages, told: Told::SumOnly, repeats_documents: Some(true) };

impl Codec<RerankRequest, RerankResponse> for Ranker {
    fn requests(&self, ask: &RerankRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let body = Value::Object((self.body)(ask, target)).to_string().into();
        let url = (self.url)(ask, target);
        Ok(vec![Outgoing { method: Method::POST, url, headers: target.request_headers()?, body }])
    }

    fn response(&self, replies: &[Reply], ask: &RerankRequest, target: &Target) -> Result<RerankResponse, Failure> {
        let mut told = read(replies, ask, target, self.repeats_documents)?;
        tell(&mut told, self.told);
        Ok(told)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// The provider's answer, in any of the forms in use: `results`, `data` or `rankings` with a score each, or bare `scores`.
///
/// # Errors
/// `InvalidResponse` when it holds no order.
pub(crate) fn read(
    replies: &[Reply],
    ask: &RerankRequest,
    target: &Target,
    repeats_documents: Option<bool>,
) -> Result<RerankResponse, Failure> {
    let invalid = |text: &str| target.failure(FailureKind::InvalidResponse, text);
    let [reply] = replies else { return Err(Failure::bug("one request, several answers")) };
    let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
    let list = ["results", "data", "rankings"].into_iter().find_map(|name| body.get(name)?.as_array());
    let mut results = match (list, body.get("scores").and_then(Value::as_array)) {
        (Some(list), _) => list.iter().map(ranked).collect::<Option<Vec<_>>>(),
        (None, Some(scores)) => Some(by_score(scores)),
        (None, None) => None,
    }
    .ok_or_else(|| invalid("the answer has no results"))?;
    if list.is_none() {
        let most = ask.top_n.and_then(|most| usize::try_from(most).ok()).unwrap_or(results.len());
        results.truncate(most);
    }
    if repeats_documents.is_some_and(|unsaid| ask.return_documents.unwrap_or(unsaid)) {
        results.iter_mut().for_each(|result| repeat(result, ask));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let id = text("id").or_else(|| text("request_id")).unwrap_or_default().to_owned();
    let meta = body.get("meta").and_then(Value::as_object).cloned().unwrap_or_default();
    let search_units = whole(meta.get("billed_units").and_then(|units| units.get("search_units")));
    Ok(RerankResponse { id, results, search_units, usage: used(&body), meta })
}

/// What was used, in one of its many forms: input only.
fn used(body: &Value) -> Option<Usage> {
    let usage = body.get("usage");
    let meta = body.get("meta");
    let input = whole(usage.and_then(|usage| usage.get("total_tokens")))
        .or_else(|| whole(usage.and_then(|usage| usage.get("prompt_tokens"))))
        .or_else(|| whole(body.get("input_tokens")))
        .or_else(|| whole(body.get("input_token_count")))
        .or_else(|| whole(meta.and_then(|meta| meta.get("tokens")?.get("input_tokens"))))
        .or_else(|| whole(meta.and_then(|meta| meta.get("billed_units")?.get("total_tokens"))))?;
    Some(Usage { input, ..Usage::default() })
}

/// A count, also where it is written as `5.0`.
pub(crate) fn whole(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..9e15).contains(float))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        Some(float as u64)
    })
}

fn ranked(result: &Value) -> Option<Ranked> {
    let score = ["relevance_score", "score", "logit"].into_iter().find_map(|name| number(result.get(name)?));
    let document = ["document", "input"].into_iter().find_map(|name| result.get(name));
    let says_something = |document: &&Value| match document {
        Value::Object(members) => !members.is_empty(),
        other => !other.is_null(),
    };
    Some(Ranked {
        index: result.get("index")?.as_u64()?,
        score: score?,
        document: document.filter(says_something).cloned(),
    })
}

fn number(value: &Value) -> Option<Number> {
    if let Value::Number(number) = value { Some(number.clone()) } else { None }
}

/// Scores in the documents' order, put into their own: the best first.
fn by_score(scores: &[Value]) -> Vec<Ranked> {
    let mut results: Vec<Ranked> = (0..)
        .zip(scores)
        .filter_map(|(index, score)| Some(Ranked { index, score: number(score)?, document: None }))
        .collect();
    let value = |result: &Ranked| result.score.as_f64().unwrap_or_default();
    results.sort_by(|one, other| value(other).total_cmp(&value(one)));
    results
}

fn repeat(result: &mut Ranked, ask: &RerankRequest) {
    let document = usize::try_from(result.index).ok().and_then(|index| ask.documents.get(index));
    if let (None, Some(document)) = (&result.document, document) {
        result.document = Some(document.clone());
    }
}

/// Writes what was used into `meta`, where the provider's own words are not passed on.
fn tell(told: &mut RerankResponse, how: Told) {
    let input = told.usage.map(|usage| usage.input);
    let tokens = match how {
        Told::AsIs if !told.meta.is_empty() => return,
        Told::Tokens => json!({"input_tokens": input, "output_tokens": 0}),
        Told::AsIs | Told::Input => json!({ "input_tokens": input }),
        Told::Total => json!({}),
        Told::SumOnly => Value::Null,
    };
    told.meta = Extras::new();
    if let Some(input) = input {
        told.meta.insert("billed_units".to_owned(), json!({ "total_tokens": input }));
        if !tokens.is_null() {
            told.meta.insert("tokens".to_owned(), tokens);
        }
    }
}

/// Cohere's request.
pub(crate) fn common(ask: &RerankRequest, target: &Target) -> Map<String, Value> {
    let mut body = members(json!({"model": target.model, "query": ask.query, "documents": ask.documents}));
    if let Some(top) = ask.top_n {
        body.insert("top_n".to_owned(), top.into());
    }
    if let Some(wanted) = ask.return_documents {
        body.insert("return_documents".to_owned(), wanted.into());
    }
    add(&mut body, &ask.extras);
    body
}

fn add(body: &mut Map<String, Value>, extras: &Extras) {
    let given = extras.iter().filter(|(_, value)| !value.is_null());
    body.extend(given.map(|(name, value)| (name.clone(), value.clone())));
}

/// Cohere's words about parts of documents, which nobody else knows.
const CUTTING: &[&str] = &["max_chunks_per_doc", "max_tokens_per_doc", "rank_fields"];

fn uncut(ask: &RerankRequest, target: &Target) -> Map<String, Value> {
    let mut body = common(ask, target);
    body.retain(|name, _| !CUTTING.contains(&name.as_str()));
    body
}

/// Cohere's newest word of those.
fn uncounted(ask: &RerankRequest, target: &Target) -> Map<String, Value> {
    let mut body = common(ask, target);
    body.shift_remove("max_tokens_per_doc");
    body
}

fn by_top_k(ask: &RerankRequest, target: &Target) -> Map<String, Value> {
    let mut body = uncut(ask, target);
    if let Some(top) = body.shift_remove("top_n") {
        body.insert("top_k".to_owned(), top);
    }
    body.insert("documents".to_owned(), texts(ask));
    body
}

fn texts(ask: &RerankRequest) -> Value {
    ask.documents.iter().map(RerankRequest::text_of).collect()
}

fn of_fireworks(ask: &RerankRequest, target: &Target) -> Map<String, Value> {
    let name = target.model.rsplit('/').next().unwrap_or_default();
    let mut body = common(ask, target);
    body.insert("model".to_owned(), format!("fireworks/{name}").into());
    body.insert("documents".to_owned(), texts(ask));
    body
}

/// Queries and documents go in pairs, so the query is said as often as there are documents.
fn pairs(ask: &RerankRequest, _target: &Target) -> Map<String, Value> {
    let queries = vec![ask.query.as_str(); ask.documents.len()];
    let mut body = members(json!({"queries": queries, "documents": texts(ask)}));
    add(&mut body, &ask.extras);
    body
}

fn passages(ask: &RerankRequest, target: &Target) -> Map<String, Value> {
    let passages: Vec<Value> =
        ask.documents.iter().map(|document| json!({"text": RerankRequest::text_of(document)})).collect();
    // The name in the path has an underscore where the name itself has a dot.
    let model = target.model.replace('_', ".");
    let mut body = members(json!({"model": model, "query": {"text": ask.query}, "passages": passages}));
    if let Some(top) = ask.top_n {
        body.insert("top_k".to_owned(), top.into());
    }
    add(&mut body, &ask.extras);
    body
}

fn below_base(_ask: &RerankRequest, target: &Target) -> String {
    target.url("/rerank")
}

fn version_one(_ask: &RerankRequest, target: &Target) -> String {
    let base = target.base_url.as_str();
    if base.ends_with("/rerank") {
        return base.to_owned();
    }
    format!("{}/v1/rerank", base.strip_suffix("/v1").unwrap_or(base))
}

/// A resource serves Cohere's version 2 below a path of its own, the endpoint of one model Cohere's version 1.
fn foundry(_ask: &RerankRequest, target: &Target) -> String {
    let base = target.base_url.split('?').next().unwrap_or_default().trim_end_matches('/');
    if base.ends_with("/rerank") {
        return base.to_owned();
    }
    if target.is_at(&["services.ai.azure.com"]) {
        let root = base.strip_suffix("/models").unwrap_or(base);
        return format!("{root}/providers/cohere/v2/rerank");
    }
    format!("{}/v1/rerank", base.strip_suffix("/v1").unwrap_or(base))
}

fn deepinfra(_ask: &RerankRequest, target: &Target) -> String {
    let base = target.base_url.strip_suffix("/openai").unwrap_or(&target.base_url);
    format!("{base}/inference/{}", target.model)
}

/// NVIDIA's own cloud serves its retrievers at another host than its chat models.
fn nvidia(_ask: &RerankRequest, target: &Target) -> String {
    let base = target.base_url.as_str();
    if base.contains("/retrieval/") || base.ends_with("/ranking") {
        return base.to_owned();
    }
    let own_cloud = target.is_at(&["integrate.api.nvidia.com"]);
    let root = if own_cloud { "https://ai.api.nvidia.com" } else { base.strip_suffix("/v1").unwrap_or(base) };
    format!("{root}/v1/retrieval/{}/reranking", target.model)
}
