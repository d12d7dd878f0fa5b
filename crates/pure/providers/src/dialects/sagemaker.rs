//! Endpoints of `SageMaker`: a container of the customer's own behind AWS's door. Most speak the words of Hugging Face's
//! text generation; `sagemaker_chat` is for those that speak `OpenAI`'s.

mod chat;
mod embeddings;
mod pieces;
mod text;

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use tollgate_wire::{Failure, http::Outgoing, percent};

pub use chat::CHAT;
pub use embeddings::EMBEDDINGS;
pub use text::TEXT;

use crate::{
    dialects::aws,
    locate::{Located, Site},
    resolve::Unservable,
    target::Target,
};

/// Names the model behind an endpoint that holds several.
const COMPONENT: &str = "x-amzn-sagemaker-inference-component";

/// Works out address and account; the model is the endpoint's name.
///
/// # Errors
/// When half of a pair of keys is missing, or the component's name cannot stand in a header.
pub fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    let region = aws::region(site, None)?;
    let setting = |name: &str| site.settings.defaults.get(name).and_then(Value::as_str).map(str::to_owned);
    let base_url = setting("sagemaker_base_url")
        .or_else(|| site.env(&["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"]))
        .unwrap_or_else(|| aws::host("runtime.sagemaker", &region));
    let mut located = Located {
        model: site.model.to_owned(),
        credential: aws::account(site, &region, &[])?,
        base_url: Some(base_url),
        ..Located::default()
    };
    if let Some(component) = setting("model_id") {
        if HeaderValue::try_from(&component).is_err() {
            return Err(Unservable::Missing("model_id cannot stand in a header; set a plain name".to_owned()));
        }
        located.facts.insert("component", component);
    }
    located.facts.insert("region", region);
    Ok(located)
}

/// The endpoint's address; one that is configured with its path is taken as it is.
fn url(target: &Target, stream: bool) -> String {
    if target.base_url.contains("/invocations") {
        return target.base_url.clone();
    }
    let operation = if stream { "invocations-response-stream" } else { "invocations" };
    format!("{}/endpoints/{}/{operation}", target.base_url, percent::encoded(&target.model))
}

/// A request to the endpoint.
fn outgoing(target: &Target, body: &Map<String, Value>, stream: bool) -> Result<Outgoing, Failure> {
    let body = serde_json::to_vec(body).map_err(|error| Failure::bug(error.to_string()))?.into();
    let outgoing =
        Outgoing { method: Method::POST, url: url(target, stream), headers: target.request_headers()?, body };
    Ok(for_component(outgoing, target))
}

fn for_component(mut outgoing: Outgoing, target: &Target) -> Outgoing {
    if let Some(value) = target.fact("component").and_then(|component| HeaderValue::try_from(component).ok()) {
        outgoing.headers.insert(HeaderName::from_static(COMPONENT), value);
    }
    outgoing
}
