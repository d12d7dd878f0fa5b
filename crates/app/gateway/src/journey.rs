//! The way of one call, top to bottom: who asks → what is asked → who answers. Every call, however it ends, leaves one
//! record and one log line.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderMap;
use tollgate_config::ClientDisconnect;
use tollgate_observe::Outcome;
use tollgate_policy::{Caller, RouteClass, admit};
use tollgate_providers::codec::AnswerContext;
use tollgate_wire::{Failure, RawBody, json};

use crate::{
    access::{admit_fallbacks, group_for},
    answer::Answer,
    dispatch::Ask,
    drain::{Drained, DrainedStream},
    forms,
    gateway::{Closed, Gateway},
    headers,
    inbound::{Inbound, Route},
    late,
    meter::Meter,
    options::{self, CallOptions},
    overlay, responses,
    snapshot::Snapshot,
    things,
};

impl Gateway {
    /// Answers one call of a model.
    pub async fn call(self: &Arc<Self>, inbound: Inbound) -> Answer {
        let snapshot = self.snapshot();
        let mut meter = Meter::start(self, inbound.route);
        let read = async {
            let caller = self.identify(&snapshot, &inbound.headers).await?;
            self.read(&snapshot, caller, inbound, &mut meter)
        };
        let ask = match read.await {
            Ok(ask) => ask,
            Err(failure) => return refuse(&failure, meter),
        };
        let (call_id, left) = (meter.call_id().to_owned(), ask.left.clone());
        let streams = ask.context.stream;
        let client = ask.route.client();
        let drains = ask.disconnect() == ClientDisconnect::Drain;
        let (bounds, workers, closed) = (snapshot.bounds, self.workers.clone(), self.closed());
        // Boxed once: middleware, router and connection would otherwise carry, and move, all the kilobytes of a call's
        // state.
        let answering = Box::pin(caught(ask, meter, call_id.clone()));
        if !streams {
            return if drains {
                Drained::new(answering, workers, bounds.max_draining, left).await
            } else {
                answering.await
            };
        }
        let in_time = late::in_time(answering, client, bounds.stream_header_wait, call_id, closed);
        if !drains {
            return in_time.await;
        }
        let most = bounds.max_draining;
        let drained = DrainedStream::of(in_time, workers.clone(), most);
        Drained::new(Box::pin(drained), workers, most, left).await
    }

    /// Answers a call whose request could not be read; it leaves its record like any other.
    #[must_use]
    pub fn turn_away(self: &Arc<Self>, route: Route, failure: &Failure) -> Answer {
        refuse(failure, Meter::start(self, route))
    }

    /// The call as the gateway needs it, or why it is refused.
    pub(crate) fn read(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        caller: Caller,
        inbound: Inbound,
        meter: &mut Meter,
    ) -> Result<Box<Ask>, Failure> {
        meter.asked_by(&caller);
        admit(&caller, RouteClass::Call, inbound.route.path())?;
        let Inbound { route, path_model, headers, body } = inbound;
        let mut form = route.takes_form().then(|| forms::read(&headers, &body)).transpose()?;
        let mut body = form.as_ref().map_or_else(|| parse(&body), |form| Ok(forms::fields(form)))?;
        let mut options = own_options(snapshot, &caller, route, &mut body, &headers)?;
        if let Some(form) = &mut form {
            // What was the gateway's own is no longer in the body, and must not be in the form either.
            form.retain(|part| body.has(&part.name));
        }
        meter.tagged(&options.tags);
        meter.made_for(snapshot, options.customer.as_deref(), &headers);
        if let Some(id) = &options.call_id {
            meter.set_call_id(id.clone());
        }
        if options.mock_response.is_some() && !may_mock(snapshot, &caller) {
            let words = "`mock_response` cannot be set by a request with this key";
            return Err(Failure::invalid(words).with_param("mock_response"));
        }
        if let Some(key) = caller.key().filter(|key| !key.routing.is_empty()) {
            options.fallbacks = options.fallbacks.or_of_key(&key.routing);
        }
        admit_fallbacks(snapshot, &caller, &options.fallbacks)?;
        check_members(route, &body)?;
        let asked = asked_model(snapshot, route, path_model, &body)?;
        let stream = match route.streams() {
            Some(said) => {
                body.set_raw("stream", if said { "true" } else { "false" });
                said
            }
            None => flag(&body, "stream")?,
        };
        let include_usage = stream && (route == Route::Messages || wants_usage(snapshot, &body)?);
        meter.asked_for(&asked, stream);
        let id = meter.call_id().to_owned();
        let unopened = overlay::unopened(snapshot, &options, &body);
        let (responses, told) = responses::begin(self, snapshot, &caller, route, &mut body)?;
        let names = things::in_prompt(self, snapshot, &caller, &mut body)?;
        let now = self.now_unix();
        let context = AnswerContext { alias: asked, now, id, include_usage, stream, responses: told };
        Ok(Box::new(Ask {
            gateway: Arc::clone(self),
            snapshot: Arc::clone(snapshot),
            route,
            caller,
            body,
            unopened,
            form,
            options,
            customer: None,
            responses,
            names,
            context,
            headers,
            left: Closed::default(),
            fetched: std::sync::Mutex::default(),
        }))
    }
}

/// What the request says to the gateway itself, with what its key adds.
fn own_options(
    snapshot: &Snapshot,
    caller: &Caller,
    route: Route,
    body: &mut RawBody,
    headers: &HeaderMap,
) -> Result<CallOptions, Failure> {
    // Here it is the provider's, which keeps it beside the answer.
    let metadata = body.get("metadata").filter(|_| route.is_of_responses()).cloned();
    let customer = snapshot.whom.customer(headers, Some(body));
    let mut options = options::take(body, headers, route)?;
    options.customer = customer;
    options.add_tags(caller.key().map_or(&[], |key| &key.tags));
    options.num_retries = options.num_retries.map(|asked| asked.min(snapshot.bounds.max_client_retries));
    if let Some(metadata) = metadata {
        body.set_raw("metadata", metadata);
    }
    Ok(options)
}

/// Finds the group and asks it.
async fn answer(mut ask: Box<Ask>, mut meter: Meter) -> Answer {
    let snapshot = Arc::clone(&ask.snapshot);
    if let Err(failure) = ask.gateway.has_room(&snapshot) {
        return refuse(&failure, meter);
    }
    if let Err(failure) = ask.meet_customer(&mut meter).await {
        return refuse(&failure, meter);
    }
    let group = group_for(&snapshot, &ask.caller, ask.route.path(), &ask.context.alias);
    let group = match group.and_then(|group| ask.group_of_customer(&snapshot, group)) {
        Ok(group) => group,
        Err(failure) => return refuse(&failure, meter),
    };
    let asked = group.name;
    let group = match ask.home(&snapshot, group) {
        Ok(group) => group,
        Err(failure) => return refuse(&failure, meter),
    };
    // An answer does not bear the name of a model that has not made it.
    if ask.context.alias.is_empty() || group.name != asked {
        group.name.clone_into(&mut ask.context.alias);
    }
    let placed = match ask.keeper(&group) {
        Ok(_) => ask.take_place(&group, &mut meter).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = placed {
        return refuse(&failure, meter);
    }
    match ask.dispatch(group, meter).await {
        Ok(answer) => answer,
        Err(missed) => {
            let (failure, meter) = *missed;
            refuse(&failure, meter)
        }
    }
}

pub(crate) fn refuse(failure: &Failure, mut meter: Meter) -> Answer {
    let mut answer = Answer::failure_to(meter.client(), failure);
    headers::common(&mut answer.headers, meter.call_id());
    if let Ok(cost) = meter.spent().to_string().parse() {
        answer.headers.insert("x-litellm-response-cost", cost);
    }
    if let Some(detail) = &failure.detail {
        tracing::error!(target: "tollgate::call", call_id = meter.call_id(), %detail, "a call was refused");
    }
    meter.finish(failure.http_status(), Outcome::Failed(failure.kind));
    answer
}

/// A panic in a call is that call's failure; its meter has settled on the way.
async fn caught(ask: Box<Ask>, meter: Meter, call_id: String) -> Answer {
    let client = ask.route.client();
    let call = AssertUnwindSafe(answer(ask, meter));
    call.catch_unwind().await.unwrap_or_else(|_| {
        let mut answer = Answer::failure_to(client, &Failure::bug("a call panicked"));
        headers::common(&mut answer.headers, &call_id);
        answer
    })
}

/// Strict first; on failure the lenient reader (decision 10).
fn parse(body: &Bytes) -> Result<RawBody, Failure> {
    let strict = match RawBody::parse(body) {
        Ok(body) => return Ok(body),
        Err(error) => error,
    };
    let refused = || Failure::invalid(format!("Invalid JSON payload: {strict}"));
    let text =
        std::str::from_utf8(body).map_err(|_| Failure::invalid("Invalid JSON payload: the body is not UTF-8"))?;
    let rewritten = json::strict_from_lenient(text).ok_or_else(refused)?;
    let read = RawBody::parse(&Bytes::from(rewritten)).map_err(|_| refused())?;
    static TOLD: std::sync::Once = std::sync::Once::new();
    TOLD.call_once(|| {
        tracing::warn!(target: "tollgate::call", "a request body was not strict JSON and was read leniently; told once");
    });
    Ok(read)
}

/// The admin, whoever has a key that says so and, on a machine of one's own, anyone may ask for a mocked answer.
pub(crate) fn may_mock(snapshot: &Snapshot, caller: &Caller) -> bool {
    !snapshot.has_master_key() || caller.is_admin() || caller.key().is_some_and(|key| key.may_mock)
}

/// What every provider would refuse is refused here, in `OpenAI`'s words.
pub(crate) fn check_members(route: Route, body: &RawBody) -> Result<(), Failure> {
    if route == Route::CountContents && body.has("generateContentRequest") {
        return Ok(());
    }
    let required = route.required();
    // A template of the provider's, or the answer before, may hold the input.
    let instead = ["prompt", "previous_response_id"].into_iter().find(|name| route.is_of_responses() && body.has(name));
    let required = instead.unwrap_or(required);
    let Some(raw) = body.get(required).filter(|raw| raw.as_ref() != b"null") else {
        let words = format!("{}: Missing required parameter: '{required}'.", route.path());
        return Err(Failure::invalid(words).with_param(required));
    };
    if required == "messages" {
        if raw.first() != Some(&b'[') {
            return Err(Failure::invalid("`messages` must be a list").with_param("messages"));
        }
        if raw.iter().skip(1).find(|byte| !byte.is_ascii_whitespace()) == Some(&b']') {
            return Err(Failure::invalid("`messages` must not be empty").with_param("messages"));
        }
    }
    for (name, raw) in body.iter() {
        let is_number = matches!(raw.first(), Some(b'-' | b'0'..=b'9'));
        let value = is_number.then(|| std::str::from_utf8(raw).ok()?.parse::<f64>().ok()).flatten();
        if is_number && !value.is_some_and(f64::is_finite) {
            return Err(Failure::invalid(format!("`{name}` is not a number that can be used")).with_param(name));
        }
        if is_number && name.starts_with("max_") && value.is_some_and(|value| value < 0.0) {
            return Err(Failure::invalid(format!("`{name}` must not be negative")).with_param(name));
        }
    }
    Ok(())
}

/// Which model is asked for: forced by the configuration, else the path's, else the body's; empty when none is named.
fn asked_model(snapshot: &Snapshot, route: Route, path: Option<String>, body: &RawBody) -> Result<String, Failure> {
    let forced = match route {
        Route::Embeddings => &snapshot.embedding_model,
        Route::ChatCompletions
        | Route::Completions
        | Route::Messages
        | Route::CountTokens
        | Route::GenerateContent
        | Route::StreamGenerateContent => &snapshot.completion_model,
        _ => &None,
    };
    if let Some(forced) = forced {
        return Ok(forced.clone());
    }
    if let Some(path) = path {
        return Ok(path);
    }
    if !body.has("model") {
        return Ok(String::new());
    }
    body.typed::<String>("model").ok_or_else(|| Failure::invalid("`model` must be text").with_param("model"))
}

fn flag(body: &RawBody, name: &str) -> Result<bool, Failure> {
    match body.get(name).map(AsRef::as_ref) {
        None | Some(b"null" | b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(Failure::invalid(format!("`{name}` must be true or false")).with_param(name)),
    }
}

fn wants_usage(snapshot: &Snapshot, body: &RawBody) -> Result<bool, Failure> {
    if !body.has("stream_options") {
        return Ok(snapshot.always_stream_usage);
    }
    let options: serde_json::Map<String, serde_json::Value> = body
        .typed("stream_options")
        .ok_or_else(|| Failure::invalid("`stream_options` must be an object").with_param("stream_options"))?;
    Ok(options.get("include_usage").and_then(serde_json::Value::as_bool).unwrap_or_default()
        || snapshot.always_stream_usage)
}
