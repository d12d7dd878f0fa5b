//! The headers of answers (surface chapter 5.1).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_catalog::{Breakdown, Cost, Money};
use tollgate_observe::Hedge;
use tollgate_wire::{
    Usage,
    http::{connection_options, is_credential, is_hop_by_hop, names_option},
};

use crate::deployment::{Place, Served};

// Names made once: making one checks and hashes every byte.
static MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
static API_BASE: HeaderName = HeaderName::from_static("x-litellm-model-api-base");
static GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
static MODEL_NAME: HeaderName = HeaderName::from_static("x-litellm-model-name");
static TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-timeout");
static DURATION: HeaderName = HeaderName::from_static("x-litellm-response-duration-ms");
static OVERHEAD: HeaderName = HeaderName::from_static("x-litellm-overhead-duration-ms");
static COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
static RETRIES: HeaderName = HeaderName::from_static("x-litellm-attempted-retries");
static MAX_RETRIES: HeaderName = HeaderName::from_static("x-litellm-max-retries");
static FALLBACKS: HeaderName = HeaderName::from_static("x-litellm-attempted-fallbacks");
static CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
static HEDGE: HeaderName = HeaderName::from_static("x-tollgate-hedge");
static VERSION: HeaderName = HeaderName::from_static("x-litellm-version");

/// What a client can learn of an answer beside its body.
pub(crate) struct AnswerFacts<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) group: &'a str,
    pub(crate) served: &'a Served,
    pub(crate) place: &'a Place,
    pub(crate) retries: u32,
    pub(crate) max_retries: u64,
    pub(crate) fallbacks: u32,
    pub(crate) timeout: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) upstream: Duration,
    /// Only whole answers know it in time.
    pub(crate) cost: Option<Cost>,
}

/// Adds the gateway's own headers.
pub(crate) fn add(headers: &mut HeaderMap, facts: &AnswerFacts<'_>) {
    common(headers, facts.call_id);
    let mut text = |name: &HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    text(&MODEL_ID, &facts.served.id);
    text(&API_BASE, &facts.place.address);
    text(&GROUP, facts.group);
    text(&MODEL_NAME, &facts.place.model);
    text(&TIMEOUT, &seconds(facts.timeout));
    text(&DURATION, &milliseconds(facts.elapsed));
    text(&OVERHEAD, &milliseconds(facts.elapsed.saturating_sub(facts.upstream)));
    if let Some(cost) = facts.cost {
        text(&COST, &cost.to_string());
    }
    headers.insert(&RETRIES, HeaderValue::from(facts.retries));
    headers.insert(&MAX_RETRIES, HeaderValue::from(facts.max_retries));
    headers.insert(&FALLBACKS, HeaderValue::from(facts.fallbacks));
}

/// Adds what the cost is made of, as far as there is something to say beside the whole.
pub(crate) fn cost_parts(headers: &mut HeaderMap, parts: &Breakdown) {
    let mut add = |name: &'static str, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let of_tokens = [
        ("x-litellm-response-cost-input", parts.input),
        ("x-litellm-response-cost-output", parts.output),
        ("x-litellm-response-cost-cache-read", parts.cache_read),
        ("x-litellm-response-cost-cache-creation", parts.cache_write),
        ("x-litellm-response-cost-reasoning", parts.reasoning),
        ("x-litellm-response-cost-tool-usage", parts.tools),
    ];
    let none = Cost::default();
    of_tokens.into_iter().filter(|(_, cost)| *cost != none).for_each(|(name, cost)| add(name, cost.to_string()));
    if parts.adjustment.is_none() {
        return;
    }
    add("x-litellm-response-cost-original", parts.original.to_string());
    if parts.discount != none {
        add("x-litellm-response-cost-discount-amount", parts.discount.to_string());
    }
    if parts.margin != none {
        add("x-litellm-response-cost-margin-amount", parts.margin.to_string());
        add("x-litellm-response-cost-margin-percent", parts.adjustment.margin.as_f64().to_string());
    }
}

/// What another gateway of `LiteLLM`'s kind says of an answer's cost in its head is what it cost.
pub(crate) fn take_cost(usage: &mut Option<Usage>, provider: &HeaderMap, place: &Place) {
    if place.target.provider.name != "litellm_proxy" {
        return;
    }
    let stated = provider.get(&COST).and_then(|cost| Money::from_usd_text(cost.to_str().ok()?));
    if let Some(stated) = stated.filter(|cost| *cost > Money::ZERO) {
        let known = usage.unwrap_or_default();
        *usage = Some(Usage { stated_cost_nanos: known.stated_cost_nanos.or(Some(stated.nanos())), ..known });
    }
}

/// Says what came of a second attempt.
pub(crate) fn hedged(headers: &mut HeaderMap, end: Hedge) {
    headers.insert(&HEDGE, HeaderValue::from_static(end.as_str()));
}

/// The headers that every answer of a call carries, failures included.
pub fn common(headers: &mut HeaderMap, call_id: &str) {
    if let Ok(value) = HeaderValue::from_str(call_id) {
        headers.insert(&CALL_ID, value);
    }
    headers.insert(&VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
}

/// The provider's headers under `llm_provider-<name>`; its rate limits also under their own names, as `OpenAI`'s SDKs
/// look for them there.
pub(crate) fn add_provider(headers: &mut HeaderMap, provider: &HeaderMap) {
    let options = connection_options(provider);
    for (name, value) in provider {
        let is_of_connection = is_hop_by_hop(name) || options.is_some_and(|options| names_option(options, name));
        if is_of_connection || is_credential(name) {
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

/// Headers that keep nothing else in memory. As they are read they are slices of the connection's read buffer, which
/// would stay as long as the stream that they begin, beside the one that is then made for its events.
pub(crate) fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut copies = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // What was a value is one: none is lost.
        if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
            copy.set_sensitive(value.is_sensitive());
            copies.append(name.clone(), copy);
        }
    }
    copies
}

/// With microseconds, without a float's formatting.
fn milliseconds(duration: Duration) -> String {
    // 64 bits print several times faster than 128, and hold half a million years.
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// Whole seconds as LiteLLM prints a float (`600.0`), others with their milliseconds.
fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}.0", duration.as_secs()),
        millis => format!("{}.{millis:03}", duration.as_secs()),
    }
}
