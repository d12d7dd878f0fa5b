//! How clients ask for an order of documents: Cohere's words, which `LiteLLM`'s route took over.

use serde_json::{Value, json};
use tollgate_wire::{
    Failure, RawBody, Usage,
    rerank::{RerankRequest, RerankResponse},
};

use crate::{
    codec::AnswerContext,
    errand::{answered, members},
    translate::Answered,
};

/// The client's request.
///
/// # Errors
/// When the query or the documents are missing.
pub fn read(body: &RawBody) -> Result<RerankRequest, Failure> {
    let mut members = body.to_map();
    let Some(Value::String(query)) = members.shift_remove("query") else {
        return Err(Failure::invalid("`query` must be text").with_param("query"));
    };
    let documents = match members.shift_remove("documents") {
        Some(Value::Array(documents)) if !documents.is_empty() => documents,
        _ => return Err(Failure::invalid("`documents` must be a list that is not empty").with_param("documents")),
    };
    if documents.iter().any(|document| !document.is_string() && !document.is_object()) {
        return Err(Failure::invalid("a document must be text or an object").with_param("documents"));
    }
    members.shift_remove("model");
    let top_n = members.shift_remove("top_n").and_then(|top| top.as_u64());
    let return_documents = members.shift_remove("return_documents").and_then(|wanted| wanted.as_bool());
    Ok(RerankRequest { query, documents, top_n, return_documents, extras: members })
}

/// The order in Cohere's shape.
#[must_use]
pub fn write(told: &RerankResponse, _ask: &RerankRequest, context: &AnswerContext) -> Answered {
    let results: Vec<Value> = told
        .results
        .iter()
        .map(|ranked| {
            let mut result = members(json!({"index": ranked.index, "relevance_score": ranked.score}));
            if let Some(document) = &ranked.document {
                let document = if document.is_string() { json!({"text": document}) } else { document.clone() };
                result.insert("document".to_owned(), document);
            }
            result.into()
        })
        .collect();
    let id = if told.id.is_empty() { context.id.clone() } else { told.id.clone() };
    let mut meta = told.meta.clone();
    if meta.is_empty() {
        if let Some(units) = told.search_units {
            meta.insert("billed_units".to_owned(), json!({"search_units": units}));
        }
        if let Some(usage) = told.usage {
            meta.insert("tokens".to_owned(), json!({"input_tokens": usage.input, "output_tokens": usage.output}));
        }
    }
    // A call is one search where nobody says how many it came to.
    let used = Usage { searches: told.search_units.unwrap_or(1), ..told.usage.unwrap_or_default() };
    answered(&json!({"id": id, "results": results, "meta": meta}), Some(used))
}
