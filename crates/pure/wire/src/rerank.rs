//! Reranking as the hub knows it: Cohere's words, which everyone else's are close to.

use serde_json::{Number, Value};

use crate::{chat::Extras, usage::Usage};

/// A call to put documents into the order of their relevance.
#[derive(Clone, Debug, Default)]
pub struct RerankRequest {
    /// What is looked for.
    pub query: String,
    /// Texts, or objects with a `text`.
    pub documents: Vec<Value>,
    /// How many of the best are wanted; all of them without.
    pub top_n: Option<u64>,
    /// The documents are to be in the answer.
    pub return_documents: Option<bool>,
    /// Every other parameter, under the client's name for it (`rank_fields`, `max_chunks_per_doc`, …).
    pub extras: Extras,
}

/// Documents by relevance, the best first.
#[derive(Clone, Debug, Default)]
pub struct RerankResponse {
    /// The provider's id; empty when it gave none.
    pub id: String,
    /// What was found.
    pub results: Vec<Ranked>,
    /// What Cohere's like charge by, if the provider says.
    pub search_units: Option<u64>,
    /// Tokens, if the provider says.
    pub usage: Option<Usage>,
    /// Members of `meta` without a place here.
    pub meta: Extras,
}

/// One document's place.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// Which document of the request.
    pub index: u64,
    /// How relevant it is.
    pub score: Number,
    /// The document, where it was asked for.
    pub document: Option<Value>,
}

impl RerankRequest {
    /// The text of a document.
    #[must_use]
    pub fn text_of(document: &Value) -> String {
        match document {
            Value::String(text) => text.clone(),
            other => other.get("text").and_then(Value::as_str).map_or_else(|| other.to_string(), str::to_owned),
        }
    }
}
