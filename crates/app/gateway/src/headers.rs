//! The headers of answers (surface chapter 5.1).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_catalog::Cost;
use tollgate_wire::http::{is_credential, is_hop_by_hop};

use crate::deployment::{Place, Served};

/// What a client can learn of an answer beside its body.
pub(crate) struct AnswerFacts<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) group: &'a str,
    pub(crate) served: &'a Served,
    pub(crate) place: &'a Place,
    pub(crate) retries: u32,
    pub(crate) max_retries: u64,
    pub(crate) timeout: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) upstream: Duration,
    /// Only whole answers know it in time.
    pub(crate) cost: Option<Cost>,
}

/// Adds the gateway's own headers.
pub(crate) fn add(headers: &mut HeaderMap, facts: &AnswerFacts<'_>) {
    common(headers, facts.call_id);
    let mut text = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    text("x-litellm-model-id", &facts.served.id);
    text("x-litellm-model-api-base", &facts.place.address);
    text("x-litellm-model-group", facts.group);
    text("x-litellm-model-name", &facts.place.model);
    text("x-litellm-timeout", &facts.timeout.as_secs_f64().to_string());
    text("x-litellm-response-duration-ms", &milliseconds(facts.elapsed));
    text("x-litellm-overhead-duration-ms", &milliseconds(facts.elapsed.saturating_sub(facts.upstream)));
    if let Some(cost) = facts.cost {
        text("x-litellm-response-cost", &cost.to_string());
    }
    headers.insert("x-litellm-attempted-retries", HeaderValue::from(facts.retries));
    headers.insert("x-litellm-max-retries", HeaderValue::from(facts.max_retries));
    headers.insert("x-litellm-attempted-fallbacks", HeaderValue::from_static("0"));
}

/// The headers that every answer of a call carries, failures included.
pub fn common(headers: &mut HeaderMap, call_id: &str) {
    if let Ok(value) = HeaderValue::from_str(call_id) {
        headers.insert("x-litellm-call-id", value);
    }
    headers.insert("x-litellm-version", HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
}

/// The provider's headers under `llm_provider-<name>`; its rate limits also under their own names, as `OpenAI`'s SDKs
/// look for them there.
pub(crate) fn add_provider(headers: &mut HeaderMap, provider: &HeaderMap) {
    for (name, value) in provider {
        if is_hop_by_hop(name) || is_credential(name) {
            continue;
        }
        if name.as_str().starts_with("x-ratelimit-") {
            headers.insert(name.clone(), value.clone());
        }
        if let Ok(name) = HeaderName::try_from(format!("llm_provider-{name}")) {
            headers.append(name, value.clone());
        }
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1e3)
}
