//! What a call would cost or has cost: `POST /spend/calculate`.

use serde_json::{Map, Value, json};
use tollgate_catalog::{
    Price, cost,
    tokens::{Encoding, Tokenizer},
};
use tollgate_providers::gauge::usage_of;
use tollgate_wire::{Failure, RawBody, Usage};

use super::{Shown, asked::wrong};
use crate::{admin::Desk, inquiries::Counted, snapshot::Snapshot};

impl Desk<'_> {
    /// The cost of a prompt, or of an answer by the usage that it states: by the price of the first deployment of the model, else
    /// by the catalog's.
    pub(super) async fn calculate(&self, body: &Map<String, Value>) -> Result<Shown, Failure> {
        let answer = body.get("completion_response").filter(|answer| !answer.is_null());
        let named = body.get("model").filter(|model| !model.is_null());
        let named = named.or_else(|| answer?.get("model")).and_then(Value::as_str).filter(|model| !model.is_empty());
        let model = named.ok_or_else(|| wrong("model", "the name of a model"))?;
        let (price, used) = priced(self.snapshot, model)
            .ok_or_else(|| wrong("model", &format!("a model whose price is known; that of '{model}' is not")))?;
        let usage = match answer {
            Some(answer) => {
                let usage = answer.get("usage").and_then(usage_of);
                usage.ok_or_else(|| wrong("completion_response", "an answer with its `usage`"))?
            }
            None => {
                let counted = Counted::read(&RawBody::from_map(body))?;
                let encoding = Encoding::of(&used);
                let computing = self.gateway.workers.compute(move || counted.tokens(Tokenizer::get(encoding)));
                let input = computing.await.ok_or_else(|| Failure::bug("counting tokens panicked"))?;
                Usage { input, ..Usage::default() }
            }
        };
        Ok(json!({"cost": cost(&usage, &price).usd_f64()}).into())
    }
}

/// The price of a model, and the name by which its tokens are counted.
fn priced(snapshot: &Snapshot, model: &str) -> Option<(Price, String)> {
    if let Some(place) = snapshot.place_of(model) {
        return Some((place.price.clone(), place.target.model.clone()));
    }
    let catalog = &snapshot.catalog;
    let with_provider = model.split_once('/').and_then(|(provider, name)| catalog.find(provider, name));
    let found = with_provider.or_else(|| catalog.find(catalog.provider_of_bare_name(model)?, model))?;
    Some((found.price(), found.name().to_owned()))
}
