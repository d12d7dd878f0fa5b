//! Documents by relevance, through the agents' runtime.

use http::Method;
use serde_json::{Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    http::{Outgoing, Reply},
    rerank::{Ranked, RerankRequest, RerankResponse},
};

use super::{id, json};
use crate::{codec::Codec, dialects::aws, target::Target};

/// The codec.
pub static RERANK: Rerank = Rerank;

/// See [`RERANK`].
#[derive(Debug)]
pub struct Rerank;

impl Codec<RerankRequest, RerankResponse> for Rerank {
    fn requests(&self, ask: &RerankRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let region = target.fact("region").unwrap_or_default();
        let id = id(target);
        let arn = if id.starts_with("arn:") {
            id.to_owned()
        } else {
            format!("arn:aws:bedrock:{region}::foundation-model/{id}")
        };
        let mut ranking = json!({"modelConfiguration": {"modelArn": arn}});
        if let (Some(most), Some(members)) = (ask.top_n, ranking.as_object_mut()) {
            members.insert("numberOfResults".to_owned(), most.into());
        }
        let body = json!({
            "queries": [{"type": "TEXT", "textQuery": {"text": ask.query}}],
            "rerankingConfiguration": {
                "type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": ranking},
            "sources": ask.documents.iter().map(source).collect::<Vec<_>>(),
        });
        // The agents' runtime has a host of its own, where the address is AWS's.
        let url = format!("{}/rerank", target.base_url.replacen("://bedrock-runtime.", "://bedrock-agent-runtime.", 1));
        Ok(vec![Outgoing {
            method: Method::POST,
            url,
            headers: target.request_headers()?,
            body: body.to_string().into(),
        }])
    }

    fn response(&self, replies: &[Reply], ask: &RerankRequest, target: &Target) -> Result<RerankResponse, Failure> {
        let mut told = RerankResponse { search_units: Some(1), ..RerankResponse::default() };
        for reply in replies {
            let body = json(reply, target)?;
            let Some(results) = body.get("results").and_then(Value::as_array) else {
                return Err(target.failure(FailureKind::InvalidResponse, "the answer has no results"));
            };
            told.results.extend(results.iter().filter_map(|result| ranked(result, ask)));
        }
        Ok(told)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

fn source(document: &Value) -> Value {
    let inner = match document {
        Value::Object(_) if document.get("text").is_none() => json!({"type": "JSON", "jsonDocument": document}),
        _ => json!({"type": "TEXT", "textDocument": {"text": RerankRequest::text_of(document)}}),
    };
    json!({"type": "INLINE", "inlineDocumentSource": inner})
}

fn ranked(result: &Value, ask: &RerankRequest) -> Option<Ranked> {
    let index = result.get("index")?.as_u64()?;
    let Value::Number(score) = result.get("relevanceScore")? else { return None };
    let document = usize::try_from(index).ok().and_then(|at| ask.documents.get(at));
    let document = document.filter(|_| ask.return_documents == Some(true));
    Some(Ranked {
        index,
        score: score.clone(),
        document: document.map(|document| json!({"text": RerankRequest::text_of(document)})),
    })
}
