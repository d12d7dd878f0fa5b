//! Calls that are passed on as they are: any method and body, to the provider that the path names, with its credential in
//! place of ours; what comes back is handed on byte for byte. One record each, like any call.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tollgate_net::{Bounds, RequestBody, Response};
use tollgate_observe::Outcome;
use tollgate_policy::{Caller, RouteClass, admit};
use tollgate_providers::{
    auth::Account,
    batches::Words,
    codec::ClientDialect,
    passage::{self, Prefix},
    target::Credential,
};
use tollgate_wire::{
    Failure, FailureKind, RawBody,
    http::{Outgoing, connection_options, is_credential, is_hop_by_hop, names_option},
};

use crate::{
    access::admit_passed,
    aftermath::{Aftermath, Sighting},
    answer::{Answer, AnswerBody},
    byte_stream::ByteStream,
    caller::admit_ephemeral_key,
    deployment::{Place, shown_address},
    event_stream::Source,
    exchange::{host, was_never_sent},
    forms::content_type,
    gateway::Gateway,
    headers, held,
    inbound::client_at,
    journey::refuse,
    meter::{Booking, Meter},
    passing::{self, Chosen, Endpoint},
    snapshot::Snapshot,
    things::Ids,
    upload::{self, Fault, Sending, UploadBody},
    words::Prompt,
};

/// A call to be passed on.
pub struct Passing {
    /// Its method.
    pub method: Method,
    /// Its query, without the question mark.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: UploadBody,
    /// Largest body that is read whole, to see which model it asks for. Bytes.
    pub whole_limit: usize,
    /// For such a body, or for the fields before a form's file, to arrive.
    pub patience: Duration,
}

/// Where a path leads, and in whose words those who ask there are refused.
#[derive(Clone, Debug)]
pub struct Way {
    leads: Leads,
    client: &'static dyn ClientDialect,
}

#[derive(Clone, Debug)]
enum Leads {
    /// To a provider, at what follows its prefix.
    Provider(&'static Prefix, String),
    /// To a target of the configuration.
    Endpoint(Arc<Endpoint>, String),
    /// To what is kept at a provider in `OpenAI`'s words: the provider, if the path names it, and the path.
    Kept(Option<String>, &'static str, String),
}

/// What Google's services read in a query in place of a header: whose key and token, whose account, another method.
const OF_GOOGLE: &[&str] =
    &["key", "access_token", "oauth_token", "$key", "userProject", "$userProject", "quotaUser", "$httpMethod"];
/// Largest refusal of a provider that is looked through for secrets. Bytes.
const MAX_REFUSAL: usize = 1 << 20;
/// How long a provider may be silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

impl Gateway {
    /// Where this path leads, if what comes there is passed on.
    #[must_use]
    pub fn way(&self, path: &str) -> Option<Way> {
        let own = self.snapshot().endpoints.iter().find_map(|endpoint| {
            let rest = endpoint.takes(path)?;
            Some(Leads::Endpoint(Arc::clone(endpoint), rest.to_owned()))
        });
        let kept =
            || held::kept(path.strip_prefix("/v1").unwrap_or(path)).map(|(what, path)| Leads::Kept(None, what, path));
        let kept_at = || held::kept_at(path).map(|(provider, what, path)| Leads::Kept(Some(provider), what, path));
        let prefixed = || passage::of_path(path).map(|(prefix, rest)| Leads::Provider(prefix, rest.to_owned()));
        let leads = own.or_else(kept).or_else(kept_at).or_else(prefixed)?;
        Some(Way { leads, client: client_at(path) })
    }

    /// Passes a call on.
    pub async fn pass_on(self: &Arc<Self>, way: Way, mut call: Passing) -> Answer {
        let snapshot = self.snapshot();
        let mut meter = way.meter(self);
        let id = call.headers.get("x-litellm-call-id").and_then(|id| id.to_str().ok());
        if let Some(id) = id.filter(|id| !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic()))
        {
            meter.set_call_id(id.to_owned());
        }
        let patience = call.patience;
        let ready = Box::pin(self.ready(&snapshot, &way.leads, &mut call, &mut meter));
        let in_time = tokio::time::timeout(patience, ready).await;
        let late = || format!("the request's body did not arrive within {} s", patience.as_secs_f64());
        match in_time.unwrap_or_else(|_| Err(Failure::new(FailureKind::RequestTimeout, late()))) {
            Ok(ready) => Box::pin(self.carry(&snapshot, ready, call, meter)).await,
            Err(failure) => way.leads.refuse(&failure, meter),
        }
    }

    /// Answers a call that would have gone this way and could not be read; it leaves its record like any other.
    #[must_use]
    pub fn turn_back(self: &Arc<Self>, way: &Way, failure: &Failure) -> Answer {
        refuse(failure, way.meter(self))
    }

    /// The request as it goes out.
    async fn ready(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        leads: &Leads,
        call: &mut Passing,
        meter: &mut Meter,
    ) -> Result<Ready, Failure> {
        leads.show_key(call);
        let caller = if leads.wants_key() { self.identify(snapshot, &call.headers).await? } else { Caller::Anyone };
        if leads.wants_key() {
            meter.asked_by(&caller);
            admit(&caller, RouteClass::Call, leads.label())?;
            self.take_place(snapshot, &caller, &[], &call.headers, meter).await?;
            if matches!(leads, Leads::Provider(_, rest) if passage::gives_key(rest)) {
                admit_ephemeral_key(snapshot, &caller)?;
                tracing::info!(target: "tollgate::call", call_id = meter.call_id(), "an ephemeral key is asked for");
            }
        }
        let ids = || Ids::of(self, snapshot, &caller);
        let mut ready = match leads {
            Leads::Provider(prefix, rest) => to_provider(snapshot, prefix, rest, ids(), call, meter).await?,
            Leads::Endpoint(endpoint, rest) => to_endpoint(endpoint, rest, call)?,
            Leads::Kept(provider, what, path) => {
                let about = held::About { provider: provider.as_deref(), what, path };
                Box::pin(held::to_kept(snapshot, about, ids(), call, meter)).await?
            }
        };
        let mut headers = match leads {
            Leads::Endpoint(endpoint, _) if !endpoint.forward_headers => only_content(&call.headers),
            _ => passage::forwarded(&call.headers, snapshot.key_header.as_ref()),
        };
        passage::authorize(&ready.place.target, &mut headers)?;
        ready.outgoing.headers = headers;
        if let Content::Stream = ready.content
            && signs_bodies(&ready.place)
        {
            // A signature is made over all of the body.
            ready.outgoing.body = upload::collect(&mut call.body, call.whole_limit).await?;
            ready.content = Content::Whole;
        }
        self.seal(&call.headers, &mut ready.outgoing, &ready.place).await?;
        ready.label = leads.label();
        Ok(ready)
    }

    /// Sends it, and hands on what comes back.
    async fn carry(self: &Arc<Self>, snapshot: &Snapshot, ready: Ready, call: Passing, mut meter: Meter) -> Answer {
        let Ready { outgoing, content, place, booking, timeout, label, after } = ready;
        if snapshot.debug {
            tollgate_observe::logs::print_raw(&tollgate_net::debug::as_curl(&outgoing));
        }
        let counted = std::iter::once(&outgoing.body).filter(|_| matches!(booking, Booking::Read | Booking::Words));
        let size = crate::budgets::Size::of_bytes(&outgoing.body);
        let staked = match booking {
            Booking::Free => Ok(()),
            _ => self.stake_passage(&mut meter, &place, &size).await,
        };
        if let Err(failure) = staked.and_then(|()| meter.open_at(&Arc::from(label), &place, Prompt::of(counted))) {
            return refuse(&failure, meter);
        }
        // What is looked into is held in memory.
        let max_body = if after.is_some() { snapshot.bounds.max_response_bytes } else { usize::MAX };
        let bounds = Bounds { first_byte: timeout, idle: timeout, total: None, max_body };
        let (body, fault) = content.body(&outgoing, call.body);
        let sent = self.client.send_with(&outgoing, body, &bounds).await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                let blamed = fault.as_ref().and_then(upload::take_fault);
                if blamed.is_some() || was_never_sent(&error) {
                    meter.unsent();
                }
                let mut failure =
                    blamed.unwrap_or_else(|| error.into_failure(place.target.provider.title, host(&place.address)));
                meter.failed(&mut failure);
                return refuse(&failure, meter);
            }
        };
        let is_answer = !(response.status.is_client_error() || response.status.is_server_error());
        meter.heard(is_answer);
        match after {
            Some(after) if is_answer && is_json(&response.headers) => {
                self.hand_document(snapshot, response, &place, &after, meter).await
            }
            _ if is_answer => self.hand_on(response, &place, booking, meter),
            after => hand_refusal(response, &place, after.as_deref(), meter).await,
        }
    }

    fn hand_on(&self, mut response: Response, place: &Arc<Place>, booking: Booking, meter: Meter) -> Answer {
        let theirs = std::mem::take(&mut response.headers);
        let status = response.status;
        let answered = answered_headers(&theirs, place, meter.call_id());
        let source = Source::new(response, place.target.provider.title, host(&place.address).to_owned());
        let stream = ByteStream::new(source, content_type(&theirs), booking, meter, self.closed());
        let body = AnswerBody::Bytes(Box::new(stream.with_status(status.as_u16())));
        Answer { status, headers: answered, body }
    }
}

/// A provider's refusal, in its own words but for our key.
async fn hand_refusal(
    mut response: Response,
    place: &Arc<Place>,
    after: Option<&Aftermath>,
    mut meter: Meter,
) -> Answer {
    let (status, theirs) = (response.status, std::mem::take(&mut response.headers));
    let mut whole = Vec::new();
    while let Some(Ok(piece)) = response.next().await {
        whole.extend_from_slice(&piece);
        if whole.len() > MAX_REFUSAL {
            break;
        }
    }
    let kind = match status.as_u16() {
        401 => FailureKind::Authentication,
        403 => FailureKind::PermissionDenied,
        404 => FailureKind::NotFound,
        429 => FailureKind::RateLimited,
        500.. => FailureKind::Api,
        _ => FailureKind::BadRequest,
    };
    let words = String::from_utf8_lossy(&whole).into_owned();
    let words = if let Some(after) = after { after.ids.retold(words) } else { words };
    let mut failure = Failure::new(kind, words);
    meter.failed(&mut failure);
    let mut answered = answered_headers(&theirs, place, meter.call_id());
    answered.remove(header::CONTENT_LENGTH);
    meter.finish(status.as_u16(), Outcome::Failed(kind));
    Answer { status, headers: answered, body: AnswerBody::Whole(Bytes::from(failure.message)) }
}

/// A request that is ready to go, but for what is on its way in.
pub(crate) struct Ready {
    pub(crate) outgoing: Outgoing,
    pub(crate) content: Content,
    pub(crate) place: Arc<Place>,
    pub(crate) booking: Booking,
    pub(crate) timeout: Duration,
    pub(crate) label: &'static str,
    /// What an answer that is a document leads to.
    pub(crate) after: Option<Box<Aftermath>>,
}

/// Where the body of a request is.
pub(crate) enum Content {
    /// Within the request.
    Whole,
    /// Still to come.
    Stream,
    /// A form that has begun.
    Form(Box<upload::Begun>),
}

impl Content {
    fn body(self, outgoing: &Outgoing, rest: UploadBody) -> (RequestBody, Option<Fault>) {
        let (sending, fault) = match self {
            Self::Whole => return (RequestBody::whole(outgoing.body.clone()), None),
            Self::Stream => Sending::plain(rest),
            Self::Form(begun) => Sending::form(*begun, rest),
        };
        (RequestBody::stream(sending), Some(fault))
    }
}

impl Way {
    fn meter(&self, gateway: &Arc<Gateway>) -> Meter {
        Meter::start_at(gateway, self.leads.label(), true, self.client)
    }
}

impl Leads {
    /// Refuses a call; a method that an endpoint does not take comes with those that it takes.
    fn refuse(&self, failure: &Failure, meter: Meter) -> Answer {
        let mut answer = refuse(failure, meter);
        if let (Self::Endpoint(endpoint, _), FailureKind::MethodNotAllowed) = (self, failure.kind)
            && let Ok(methods) = HeaderValue::try_from(endpoint.allowed())
        {
            answer.headers.insert(header::ALLOW, methods);
        }
        answer
    }

    /// The name under which its calls are recorded.
    fn label(&self) -> &'static str {
        match self {
            Self::Provider(prefix, _) => prefix.path,
            Self::Endpoint(..) => "pass_through_endpoint",
            Self::Kept(_, what, _) => what,
        }
    }

    fn wants_key(&self) -> bool {
        !matches!(self, Self::Endpoint(endpoint, _) if !endpoint.auth)
    }

    /// Some providers' clients show their key elsewhere: in the query, or as a password.
    fn show_key(&self, call: &mut Passing) {
        let Self::Provider(prefix, _) = self else { return };
        let own = HeaderName::from_static("x-litellm-api-key");
        let shown = match prefix.path {
            "/langfuse" => password(&call.headers),
            "/bedrock" => signed_with(&call.headers),
            _ if prefix.key_in_query && !call.headers.keys().any(is_credential) => {
                passage::query_value(&call.query, "key")
            }
            _ => None,
        };
        if let Some(Ok(value)) = shown.map(HeaderValue::try_from) {
            call.headers.entry(own).or_insert(value);
        }
        if prefix.key_in_query {
            call.query = passage::query_without(&call.query, OF_GOOGLE);
        }
    }
}

/// The key that AWS's clients name where they sign: they cannot be told to show one otherwise.
fn signed_with(headers: &HeaderMap) -> Option<String> {
    let signature = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let (key, _) = signature.split_once("Credential=")?.1.split_once('/')?;
    Some(key.strip_prefix("Bearer ").unwrap_or(key).to_owned())
}

/// The password of HTTP's basic authentication.
fn password(headers: &HeaderMap) -> Option<String> {
    use base64::Engine as _;
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let both = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?).ok()?;
    both.split_once(':').map(|(_, password)| password.to_owned())
}

fn signs_bodies(place: &Place) -> bool {
    matches!(&place.target.credential, Credential::Account(account) if matches!(account.as_ref(), Account::Aws(_)))
}

fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

pub(crate) fn outgoing(method: &Method, url: String, body: Bytes) -> Outgoing {
    Outgoing { method: method.clone(), url, headers: HeaderMap::new(), body }
}

/// The body, if it is a document, and otherwise left where it is.
pub(crate) async fn document(call: &mut Passing) -> Result<Option<Bytes>, Failure> {
    if call.body.is_end_stream() {
        return Ok(Some(Bytes::new()));
    }
    if is_json(&call.headers) { upload::collect(&mut call.body, call.whole_limit).await.map(Some) } else { Ok(None) }
}

async fn to_provider(
    snapshot: &Snapshot,
    prefix: &Prefix,
    rest: &str,
    ids: Ids,
    call: &mut Passing,
    meter: &mut Meter,
) -> Result<Ready, Failure> {
    let mut whole = document(call).await?;
    let parsed = whole.as_ref().and_then(|body| RawBody::parse(body).ok());
    let named = parsed.as_ref().and_then(|body| body.typed::<String>("model"));
    let model = named.clone().or_else(|| passage::model_in(rest));
    let by_path = rest.rsplit(['/', ':']).next().is_some_and(|last| last.to_ascii_lowercase().contains("stream"));
    let streams = by_path || parsed.as_ref().is_some_and(|body| body.typed("stream") == Some(true));
    meter.asked_for(model.as_deref().unwrap_or_default(), streams);
    let is_call = call.method == Method::POST;
    admit_passed(ids.caller(), prefix.providers, model.as_deref(), is_call)?;
    let meant = ids.caller().key().zip(model.as_deref()).map(|(key, asked)| key.meant(asked).to_owned());
    let asked = meant.as_deref().or(model.as_deref());
    let Chosen { place, deployment, renames } = passing::choose(snapshot, prefix.providers, asked)?;
    let renames = renames.or_else(|| meant.filter(|meant| Some(meant) != model.as_ref()));
    let mut rest = Cow::Borrowed(rest);
    match (renames, parsed) {
        (Some(own), Some(mut body)) if named.is_some() => {
            body.set_str("model", &own);
            whole = Some(body.to_bytes());
        }
        (Some(own), _) => rest = Cow::Owned(passage::with_model(&rest, &own)),
        (None, _) => {}
    }
    let url = passage::url(&place.target, &rest, &call.query)?;
    let asks = call.method == Method::POST && prefix.path != "/langfuse";
    let content = if whole.is_some() { Content::Whole } else { Content::Stream };
    let outgoing = outgoing(&call.method, url, whole.unwrap_or_default());
    let batches = message_batches(prefix, &rest, &call.method);
    let booking = match asks && batches.is_none() {
        true if passage::is_chat(&rest) => Booking::Words,
        true => Booking::Read,
        false => Booking::Free,
    };
    let what = prefix.path;
    let after =
        batches.map(|batches| Box::new(Aftermath { ids, seals: false, what, deployment, batches: Some(batches) }));
    Ok(Ready { outgoing, content, place, booking, timeout: PATIENCE, label: "", after })
}

/// Whether Anthropic is told to begin a batch, or asked how one stands.
fn message_batches(prefix: &Prefix, rest: &str, method: &Method) -> Option<Sighting> {
    let below = rest.strip_prefix("/v1/messages/batches").filter(|_| prefix.path == "/anthropic")?;
    let starts = method == Method::POST && below.is_empty();
    (!below.ends_with("/results")).then_some(Sighting { words: Words::Anthropic, starts })
}

fn to_endpoint(endpoint: &Arc<Endpoint>, rest: &str, call: &Passing) -> Result<Ready, Failure> {
    if !endpoint.methods.is_empty() && !endpoint.methods.contains(&call.method) {
        let words = format!("Not allowed to {} here; this endpoint takes {}", call.method, endpoint.allowed());
        return Err(Failure::new(FailureKind::MethodNotAllowed, words));
    }
    // What the client says goes before what the configuration proposes.
    let mut query = call.query.clone();
    for pair in endpoint.query.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap_or_default();
        if passage::query_value(&query, name).is_none() {
            query = if query.is_empty() { pair.to_owned() } else { format!("{query}&{pair}") };
        }
    }
    let url = passage::endpoint_url(&endpoint.place.target.base_url, rest, &query)?;
    let content = if call.body.is_end_stream() { Content::Whole } else { Content::Stream };
    let booking = endpoint.cost.map_or(Booking::Free, Booking::Fixed);
    let outgoing = outgoing(&call.method, url, Bytes::new());
    Ok(Ready {
        outgoing,
        content,
        place: Arc::clone(&endpoint.place),
        booking,
        timeout: endpoint.timeout,
        label: "",
        after: None,
    })
}

/// What of a client's headers says what its body is.
fn only_content(client: &HeaderMap) -> HeaderMap {
    let kept = [header::CONTENT_TYPE, header::ACCEPT];
    kept.into_iter().filter_map(|name| Some((name.clone(), client.get(&name)?.clone()))).collect()
}

/// The provider's headers as the client gets them, and ours.
pub(crate) fn answered_headers(theirs: &HeaderMap, place: &Place, call_id: &str) -> HeaderMap {
    let options = connection_options(theirs);
    let mut answered = HeaderMap::with_capacity(theirs.len() + 4);
    for (name, value) in theirs {
        // What binds a browser to a host is the provider's to say of its own.
        let binds = ["access-control-", "strict-transport-", "alt-svc", "server"];
        let stays = is_credential(name)
            || is_hop_by_hop(name)
            || options.is_some_and(|options| names_option(options, name))
            || binds.iter().any(|binding| name.as_str().starts_with(binding));
        if stays {
            continue;
        }
        // Servers repeat the address that they were asked at, and our keys may be in it.
        let places = [header::LOCATION, header::CONTENT_LOCATION, header::LINK, header::REFRESH];
        let tells = places.contains(name)
            && value.to_str().is_ok_and(|text| place.secrets().any(|secret| text.contains(secret)));
        if !tells {
            answered.append(name.clone(), value.clone());
        } else if name == header::LOCATION {
            let shown = value.to_str().map(shown_address).ok().and_then(|text| HeaderValue::try_from(text).ok());
            answered.extend(shown.map(|value| (header::LOCATION, value)));
        }
    }
    if let Ok(address) = HeaderValue::from_str(&place.address) {
        answered.insert("x-litellm-model-api-base", address);
    }
    headers::common(&mut answered, call_id);
    answered
}
