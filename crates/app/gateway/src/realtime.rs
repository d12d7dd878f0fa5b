//! Realtime calls: a socket to the client, one to the provider, and what each says passed on to the other as it is. Every
//! turn of the model is an attempt of its own, opened and settled like any other.

mod relay;
mod turns;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::Value;
use tollgate_net::{Bounds, NoSocket, SocketBounds, SocketReceiver, SocketSender};
use tollgate_observe::Outcome;
use tollgate_policy::{RouteClass, admit};
use tollgate_providers::{auth, dialects::openai::CHAT_CLIENT, realtime, target::Credential};
use tollgate_router::{Asked, Event, Group, Plan, Step};
use tollgate_wire::{Failure, FailureKind, RawBody, Usage, http::Outgoing};

pub(crate) use self::relay::{GOING_AWAY, KEY_EVERY, POLICY};
use self::turns::Turns;
use crate::{
    aboard::Aboard,
    access::group_for,
    answer::Answer,
    caller::admit_ephemeral_key,
    deployment::{Place, Served},
    exchange::host,
    gateway::Gateway,
    hops,
    journey::refuse,
    meter::Meter,
    options::ClientSide,
    snapshot::Snapshot,
};

/// The path, as errors and records name it.
const PATH: &str = "/realtime";
/// Where a browser, which cannot set headers, puts its key (`OpenAI`'s own way).
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";
/// The header of the API's first version, which some clients send as a protocol.
const BETA: &str = "openai-beta";

/// A client that wants a socket.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The model that it asks for.
    pub model: Option<String>,
    /// What the socket is for, if it says (`transcription`).
    pub intent: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
}

/// So often others may be faster before a socket is refused.
const MOST_TAKEN: usize = 16;

/// Who may be asked: a deployment, where its calls go, and a place at it.
struct Admitted {
    served: Arc<Served>,
    place: Arc<Place>,
    aboard: Aboard,
}

/// A realtime call whose provider listens.
pub struct RealtimeCall {
    gateway: Arc<Gateway>,
    headers: HeaderMap,
    to_provider: SocketSender,
    from_provider: SocketReceiver,
    turns: Turns,
    idle: std::time::Duration,
}

impl Gateway {
    /// Opens the provider's socket for a client that asks for one.
    ///
    /// # Errors
    /// The refusal, as an answer over HTTP; it has left its record.
    pub async fn realtime(self: &Arc<Self>, mut caller: Caller) -> Result<RealtimeCall, Answer> {
        let snapshot = self.snapshot();
        key_from_protocol(&mut caller.headers);
        let mut meter = Meter::start_at(self, PATH, true, &CHAT_CLIENT);
        match self.reach(&snapshot, &caller, &mut meter).await {
            Ok((to_provider, from_provider, admitted)) => Ok(RealtimeCall {
                gateway: Arc::clone(self),
                headers: caller.headers,
                to_provider,
                from_provider,
                turns: Turns::new(meter, admitted.served, admitted.place, admitted.aboard.stays()),
                idle: snapshot.bounds.socket_idle,
            }),
            Err(failure) => Err(refuse(&failure, meter)),
        }
    }

    /// Largest message that a client may send, bytes.
    #[must_use]
    pub fn max_socket_message(&self) -> usize {
        self.snapshot().bounds.max_socket_message
    }

    async fn reach(
        &self,
        snapshot: &Arc<Snapshot>,
        caller: &Caller,
        meter: &mut Meter,
    ) -> Result<(SocketSender, SocketReceiver, Admitted), Failure> {
        let admitted = self.admitted(snapshot, &caller.headers, caller.model.as_deref(), meter).await?;
        let (served, place) = (&admitted.served, &admitted.place);
        let url = realtime::address(&place.target, caller.intent.as_deref()).ok_or_else(|| no_realtime(place))?;
        let mut outgoing = self.request(Method::GET, url, &caller.headers, place).await?;
        outgoing.headers.remove(header::CONTENT_TYPE);
        let bounds = SocketBounds { handshake: served.timeout, max_message: snapshot.bounds.max_socket_message };
        match self.client.socket(&outgoing.url, &outgoing.headers, &bounds).await {
            Ok((to_provider, from_provider)) => Ok((to_provider, from_provider, admitted)),
            Err(refusal) => {
                let failure = failure_of(refusal, place);
                admitted.aboard.fail(&failure, self.clock.monotonic(), &Usage::default());
                Err(failure)
            }
        }
    }

    /// Who asks, and the first deployment that may be asked, with a place at it.
    async fn admitted(
        &self,
        snapshot: &Arc<Snapshot>,
        headers: &HeaderMap,
        model: Option<&str>,
        meter: &mut Meter,
    ) -> Result<Admitted, Failure> {
        let caller = self.identify(snapshot, headers).await?;
        meter.asked_by(&caller);
        admit(&caller, RouteClass::Call, PATH)?;
        self.has_room(snapshot)?;
        let asked = model.unwrap_or_default();
        meter.asked_for(asked, true);
        let group = group_for(snapshot, &caller, PATH, asked)?;
        let models = [group.name, group.label()];
        self.take_place(snapshot, &caller, &models, headers, meter).await?;
        self.admits_spending(meter, &models).await?;
        let captured = group.captured.clone();
        let (deployment, aboard) = self.boarded(snapshot, group)?;
        let served = snapshot.served.get(deployment).ok_or_else(|| Failure::bug("a deployment without a place"))?;
        let (captured, client) = (captured.as_ref(), ClientSide::default());
        let place = served.place_for(captured, &client, &snapshot.catalog, &snapshot.environment);
        let place = place.map_err(|why| Failure::new(FailureKind::Misconfigured, why.to_string()))?;
        Ok(Admitted { served: Arc::clone(served), place, aboard })
    }

    /// A place at one of the group, which is held until the socket ends.
    fn boarded(&self, snapshot: &Arc<Snapshot>, group: Group<'_>) -> Result<(usize, Aboard), Failure> {
        let no_fallbacks = Asked { no_fallbacks: true, ..Asked::default() };
        let mut plan = Plan::new(&snapshot.fleet, group, no_fallbacks);
        let mut event = Event::Begin;
        for _ in 0..MOST_TAKEN {
            match plan.on(&event, self.clock.monotonic(), self.random.u64()) {
                Step::Start { deployment, .. } => {
                    if let Some(aboard) = self.board(snapshot, deployment) {
                        return Ok((deployment, aboard));
                    }
                    event = Event::Taken;
                }
                Step::GiveUp(failure) => return Err(*failure),
                // A socket does not wait for its turn.
                Step::Wait { .. } | Step::Reword => break,
            }
        }
        Err(Failure::new(FailureKind::NoDeployment, "No deployments available for selected model"))
    }

    /// A request to a place, signed and marked like every other.
    async fn request(
        &self,
        method: Method,
        url: String,
        inbound: &HeaderMap,
        place: &Place,
    ) -> Result<Outgoing, Failure> {
        let mut headers = place.target.request_headers()?;
        if let Some(organization) = place.target.organization.as_ref().and_then(|text| text.parse().ok()) {
            headers.insert("openai-organization", organization);
        }
        if let Some(beta) = inbound.get(BETA) {
            headers.insert(BETA, beta.clone());
        }
        let mut outgoing = Outgoing { method, url, headers, body: Bytes::new() };
        hops::mark(&self.instance, inbound, place, &mut outgoing)?;
        if let Credential::Account(account) = &place.target.credential {
            let grant = self.credentials.grant(account, &self.client, self.clock.as_ref()).await?;
            auth::sign(&mut outgoing, &place.target, &grant, self.clock.unix())?;
        }
        Ok(outgoing)
    }

    /// `POST /realtime/client_secrets`, `/realtime/sessions`, `/realtime/transcription_sessions`: passed on, the model
    /// renamed. What a client does with a provider's secret is between the two, and is not metered: the configuration
    /// says who is given one.
    pub async fn realtime_document(self: &Arc<Self>, path: &'static str, headers: &HeaderMap, body: &Bytes) -> Answer {
        let snapshot = self.snapshot();
        let mut meter = Meter::start_at(self, path, false, &CHAT_CLIENT);
        match self.document(&snapshot, path, headers, body, &mut meter).await {
            Ok(mut answer) => {
                crate::headers::common(&mut answer.headers, meter.call_id());
                meter.finish(answer.status.as_u16(), Outcome::Answered);
                answer
            }
            Err(failure) => refuse(&failure, meter),
        }
    }

    async fn document(
        &self,
        snapshot: &Arc<Snapshot>,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
        meter: &mut Meter,
    ) -> Result<Answer, Failure> {
        let caller = self.identify(snapshot, headers).await?;
        meter.asked_by(&caller);
        admit_ephemeral_key(snapshot, &caller)?;
        let body = RawBody::parse(body).map_err(|error| Failure::invalid(format!("Invalid JSON payload: {error}")))?;
        let mut body = Value::Object(body.to_map());
        let asked = model_in(&body).map(str::to_owned);
        let asked = asked.ok_or_else(|| Failure::invalid("`model` must be text").with_param("model"))?;
        let Admitted { served, place, aboard } = self.admitted(snapshot, headers, Some(&asked), meter).await?;
        rename_model(&mut body, &asked, &place.target.model);
        let url = realtime::document_address(&place.target, path).ok_or_else(|| no_realtime(&place))?;
        let mut outgoing = self.request(Method::POST, url, headers, &place).await?;
        outgoing.body = body.to_string().into();
        let max_body = snapshot.bounds.max_response_bytes;
        let bounds = Bounds { first_byte: served.timeout, idle: served.timeout, total: Some(served.timeout), max_body };
        let into =
            |error: tollgate_net::NetError| error.into_failure(place.target.provider.title, host(&place.address));
        let answered = async {
            let response = self.client.send(&outgoing, &bounds).await.map_err(into)?;
            let status = response.status;
            let body = response.collect().await.map_err(into)?;
            if status.is_success() {
                Ok((status, body))
            } else {
                Err(failure_of(NoSocket::Refused { status, body }, &place))
            }
        };
        match answered.await {
            Ok((status, body)) => {
                tracing::info!(target: "tollgate::call", call_id = meter.call_id(), path, "an ephemeral key was given out");
                drop(aboard.stays());
                Ok(Answer::json(status, body))
            }
            Err(failure) => {
                aboard.fail(&failure, self.clock.monotonic(), &Usage::default());
                Err(failure)
            }
        }
    }
}

/// Where a body may name its model.
const MODELS: [&str; 4] =
    ["/model", "/session/model", "/input_audio_transcription/model", "/session/audio/input/transcription/model"];

fn model_in(body: &Value) -> Option<&str> {
    MODELS.iter().find_map(|place| body.pointer(place)?.as_str()).filter(|model| !model.is_empty())
}

/// Puts the provider's name in the place of ours; another model beside it (of a transcription, say) is the provider's.
fn rename_model(body: &mut Value, ours: &str, theirs: &str) {
    for place in MODELS {
        if let Some(named) = body.pointer_mut(place).filter(|named| *named == ours) {
            *named = theirs.into();
        }
    }
}

fn no_realtime(place: &Place) -> Failure {
    let words = format!("{} has no realtime API that is known here", place.target.provider.title);
    Failure::invalid(words).with_param("model")
}

/// Why the provider did not open its socket; cleared of our credentials, which a refusal may repeat.
fn failure_of(refusal: NoSocket, place: &Place) -> Failure {
    let provider = place.target.provider.title;
    let mut failure = match refusal {
        NoSocket::Net(error) => error.into_failure(provider, host(&place.address)),
        NoSocket::Refused { status, body } => {
            let document: Option<Value> = serde_json::from_slice(&body).ok();
            let words = document.as_ref().and_then(|body| body.pointer("/error/message")?.as_str());
            let words = words.map_or_else(|| format!("the provider answers {status}"), str::to_owned);
            let kind = match status.as_u16() {
                401 => FailureKind::Authentication,
                403 => FailureKind::PermissionDenied,
                404 => FailureKind::NotFound,
                429 => FailureKind::RateLimited,
                500.. => FailureKind::ServiceUnavailable,
                _ => FailureKind::BadRequest,
            };
            Failure::new(kind, words).from_provider(provider)
        }
    };
    place.hide_secrets(&mut failure);
    failure
}

/// Reads what a browser says in its protocols: the key, and the version of the API.
pub(crate) fn key_from_protocol(headers: &mut HeaderMap) {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<String> = offered.flat_map(|text| text.split(',')).map(|text| text.trim().to_owned()).collect();
    let key = offered.iter().find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL));
    let value = key.and_then(|key| header::HeaderValue::try_from(format!("Bearer {key}")).ok());
    if let (Some(mut value), false) = (value, headers.contains_key(header::AUTHORIZATION)) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    if offered.iter().any(|protocol| protocol == "openai-beta.realtime-v1") {
        headers.entry(BETA).or_insert(header::HeaderValue::from_static("realtime=v1"));
    }
}

impl std::fmt::Debug for RealtimeCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RealtimeCall")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_shows_its_key_as_a_protocol() {
        let mut headers = HeaderMap::new();
        let offered = "realtime, openai-insecure-api-key.sk-x, openai-beta.realtime-v1";
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered.parse().unwrap());
        key_from_protocol(&mut headers);
        assert_eq!(
            (&headers[header::AUTHORIZATION], &headers[BETA]),
            (&"Bearer sk-x".parse().unwrap(), &"realtime=v1".parse().unwrap())
        );
        headers.insert(header::AUTHORIZATION, "Bearer sk-y".parse().unwrap());
        key_from_protocol(&mut headers);
        assert_eq!(headers[header::AUTHORIZATION], "Bearer sk-y", "a header goes before");
    }

    #[test]
    fn the_model_is_renamed_where_it_stands() {
        let mut body = serde_json::json!({"session": {"type": "realtime", "model": "a",
            "audio": {"input": {"transcription": {"model": "whisper"}}}}});
        assert_eq!(model_in(&body), Some("a"));
        rename_model(&mut body, "a", "b");
        assert_eq!(body["session"]["model"], "b");
        assert_eq!(body["session"]["audio"]["input"]["transcription"]["model"], "whisper");
        assert_eq!(model_in(&serde_json::json!({"input_audio_transcription": {"model": "w"}})), Some("w"));
        assert_eq!(model_in(&serde_json::json!({"model": ""})), None);
    }
}
