//! Reranking by Hugging Face's embedding server.

use http::Method;
use serde_json::{Number, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    http::{Outgoing, Reply},
    rerank::{Ranked, RerankRequest, RerankResponse},
};

use super::{failure, root};
use crate::{codec::Codec, target::Target};

/// How documents are reranked.
pub static RERANK: Rerank = Rerank;

/// See [`RERANK`].
#[derive(Debug)]
pub struct Rerank;

impl Codec<RerankRequest, RerankResponse> for Rerank {
    fn requests(&self, ask: &RerankRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let texts: Vec<String> = ask.documents.iter().map(RerankRequest::text_of).collect();
        let mut body = json!({"query": ask.query, "texts": texts, "raw_scores": false, "truncate": false,
            "truncation_direction": "Right", "return_text": wants_documents(ask)});
        if let Some(body) = body.as_object_mut() {
            for name in ["truncate", "truncation_direction", "raw_scores"] {
                if let Some(value) = ask.extras.get(name) {
                    body.insert(name.to_owned(), value.clone());
                }
            }
            if let Some(most) = ask.top_n {
                body.insert("top_n".to_owned(), most.into());
            }
        }
        let base = root(target);
        let url = if base.ends_with("/rerank") { base.to_owned() } else { format!("{base}/rerank") };
        let body = body.to_string().into();
        Ok(vec![Outgoing { method: Method::POST, url, headers: target.request_headers()?, body }])
    }

    fn response(&self, replies: &[Reply], ask: &RerankRequest, target: &Target) -> Result<RerankResponse, Failure> {
        let invalid = || target.failure(FailureKind::InvalidResponse, "the answer holds no order of documents");
        let reply = replies.first().ok_or_else(invalid)?;
        let answer: Vec<Value> = serde_json::from_slice(&reply.body).map_err(|_| invalid())?;
        let ranked: Option<Vec<Ranked>> = answer.iter().map(|one| read(one, ask)).collect();
        let mut results = ranked.ok_or_else(invalid)?;
        results.sort_by(|a, b| value(&b.score).total_cmp(&value(&a.score)));
        results.truncate(ask.top_n.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX));
        // The server counts nothing; LiteLLM's answers say one search for each call.
        Ok(RerankResponse { results, search_units: Some(1), ..RerankResponse::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}

/// Documents come back unless nobody wants them.
fn wants_documents(ask: &RerankRequest) -> bool {
    ask.return_documents.unwrap_or(true)
}

fn read(told: &Value, ask: &RerankRequest) -> Option<Ranked> {
    let index = told.get("index")?.as_u64()?;
    let document = ask.documents.get(usize::try_from(index).ok()?)?;
    let Value::Number(score) = told.get("score")?.clone() else { return None };
    let document = wants_documents(ask).then(|| document.clone());
    Some(Ranked { index, score, document })
}

fn value(score: &Number) -> f64 {
    score.as_f64().unwrap_or_default()
}
