//! Embeddings as the hub knows them.

use serde_json::Value;

use crate::{chat::Extras, usage::Usage};

/// A call for vectors.
#[derive(Clone, Debug, Default)]
pub struct EmbeddingRequest {
    /// What to make vectors of, in the client's order.
    pub inputs: Vec<EmbeddingInput>,
    /// How long the vectors are to be.
    pub dimensions: Option<u64>,
    /// The client wants base64 of little-endian 32-bit floats.
    pub base64: bool,
    /// The client says that it wants numbers, where it could have said nothing.
    pub says_float: bool,
    /// The end user.
    pub user: Option<String>,
    /// Every other parameter, under the client's name for it.
    pub extras: Extras,
}

/// One thing to make a vector of.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// Text; some providers take pictures as data URLs here.
    Text(String),
    /// Token ids.
    Tokens(Vec<u64>),
    /// Whatever only this provider knows (`{"image": …}`).
    Opaque(Value),
}

/// Vectors.
#[derive(Clone, Debug, Default)]
pub struct EmbeddingResponse {
    /// The model that answered, in the provider's words; empty when not said.
    pub model: String,
    /// One for each input, in their order; numbers as the provider wrote them.
    pub vectors: Vec<Vec<Value>>,
    /// What it used, if the provider says.
    pub usage: Option<Usage>,
    /// Members without a place here.
    pub extras: Extras,
}

impl EmbeddingRequest {
    /// The inputs as texts, where all of them are.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<&str>> {
        let mut texts = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let EmbeddingInput::Text(text) = input else { return None };
            texts.push(text.as_str());
        }
        Some(texts)
    }

    /// A parameter that has no field of its own.
    #[must_use]
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extras.get(name).filter(|value| !value.is_null())
    }
}
