//! Calls that are passed on as they are: any method and body, to the provider that the path names, with its credential in
//! place of ours; what comes back is handed on byte for byte. One record each, like any call.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tollgate_net::{Bounds, RequestBody, Response};
use tollgate_observe::Outcome;
use tollgate_policy::{RouteClass, admit};
use tollgate_providers::{
    auth::Account,
    passage::{self, Prefix},
    target::Credential,
};
use tollgate_wire::{
    Failure, FailureKind, RawBody,
    http::{Outgoing, connection_options, is_credential, is_hop_by_hop, names_option},
};

use crate::{
    answer::{Answer, AnswerBody},
    byte_stream::ByteStream,
    caller::identify,
    deployment::Place,
    event_stream::Source,
    exchange::{host, was_never_sent},
    forms::content_type,
    gateway::Gateway,
    headers,
    journey::refuse,
    meter::{Booking, Meter},
    passing::{self, Chosen, Endpoint},
    snapshot::Snapshot,
    upload::{self, Fault, Sending, UploadBody},
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

/// Where a path leads.
#[derive(Clone, Debug)]
pub struct Way(Leads);

#[derive(Clone, Debug)]
enum Leads {
    /// To a provider, at what follows its prefix.
    Provider(&'static Prefix, String),
    /// To a target of the configuration.
    Endpoint(Arc<Endpoint>, String),
    /// To what is kept at a provider in `OpenAI`'s words: the provider, if the path names it, and the path.
    Kept(Option<String>, &'static str, String),
}

/// Things that are kept at a provider.
const KEPT: &[&str] = &["/files", "/batches", "/fine_tuning/jobs", "/assistants", "/threads", "/vector_stores"];
/// Members of requests for such things that are ours.
const OURS: &[&str] = &["custom_llm_provider", "target_model_names", "litellm_metadata", "litellm_call_id"];
/// Largest refusal of a provider that is looked through for secrets. Bytes.
const MAX_REFUSAL: usize = 1 << 20;
/// How long a provider may be silent.
const PATIENCE: Duration = Duration::from_secs(600);

impl Gateway {
    /// Where this path leads, if what comes there is passed on.
    #[must_use]
    pub fn way(&self, path: &str) -> Option<Way> {
        let own = self.snapshot().endpoints.iter().find_map(|endpoint| {
            let rest = endpoint.takes(path)?;
            Some(Leads::Endpoint(Arc::clone(endpoint), rest.to_owned()))
        });
        let kept = || kept(path.strip_prefix("/v1").unwrap_or(path)).map(|(what, path)| Leads::Kept(None, what, path));
        let prefixed = || passage::of_path(path).map(|(prefix, rest)| Leads::Provider(prefix, rest.to_owned()));
        own.or_else(kept).or_else(|| kept_at(path)).or_else(prefixed).map(Way)
    }

    /// Passes a call on.
    pub async fn pass_on(self: &Arc<Self>, way: Way, mut call: Passing) -> Answer {
        let snapshot = self.snapshot();
        let mut meter = Meter::start_at(self, way.0.label());
        let id = call.headers.get("x-litellm-call-id").and_then(|id| id.to_str().ok());
        if let Some(id) = id.filter(|id| !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic()))
        {
            meter.set_call_id(id.to_owned());
        }
        let patience = call.patience;
        let ready = Box::pin(self.ready(&snapshot, &way.0, &mut call, &mut meter));
        let in_time = tokio::time::timeout(patience, ready).await;
        let late = || format!("the request's body did not arrive within {} s", patience.as_secs_f64());
        match in_time.unwrap_or_else(|_| Err(Failure::new(FailureKind::RequestTimeout, late()))) {
            Ok(ready) => Box::pin(self.carry(&snapshot, ready, call, meter)).await,
            Err(failure) => refuse(&failure, meter),
        }
    }

    /// Answers a call that would have gone this way and could not be read; it leaves its record like any other.
    #[must_use]
    pub fn turn_back(self: &Arc<Self>, way: &Way, failure: &Failure) -> Answer {
        refuse(failure, Meter::start_at(self, way.0.label()))
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
        if leads.wants_key() {
            let caller = identify(snapshot, &call.headers)?;
            meter.asked_by(caller);
            admit(caller, RouteClass::Call)?;
        }
        let mut ready = match leads {
            Leads::Provider(prefix, rest) => to_provider(snapshot, prefix, rest, call, meter).await?,
            Leads::Endpoint(endpoint, rest) => to_endpoint(endpoint, rest, call)?,
            Leads::Kept(provider, what, path) => {
                Box::pin(to_kept(snapshot, provider.as_deref(), what, path, call, meter)).await?
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
        let Ready { outgoing, content, place, booking, timeout, label } = ready;
        if snapshot.debug {
            tollgate_observe::logs::print_raw(&tollgate_net::debug::as_curl(&outgoing));
        }
        let counted = if matches!(booking, Booking::Read) { outgoing.body.len() } else { 0 };
        meter.open_at(&Arc::from(label), &place, counted);
        let bounds = Bounds { first_byte: timeout, idle: timeout, total: None, max_body: usize::MAX };
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
        if is_answer {
            self.hand_on(response, &place, booking, meter)
        } else {
            hand_refusal(response, &place, meter).await
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
async fn hand_refusal(mut response: Response, place: &Arc<Place>, mut meter: Meter) -> Answer {
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
    let mut failure = Failure::new(kind, String::from_utf8_lossy(&whole).into_owned());
    meter.failed(&mut failure);
    let mut answered = answered_headers(&theirs, place, meter.call_id());
    answered.remove(header::CONTENT_LENGTH);
    meter.finish(status.as_u16(), Outcome::Failed(kind));
    Answer { status, headers: answered, body: AnswerBody::Whole(Bytes::from(failure.message)) }
}

/// A request that is ready to go, but for what is on its way in.
struct Ready {
    outgoing: Outgoing,
    content: Content,
    place: Arc<Place>,
    booking: Booking,
    timeout: Duration,
    label: &'static str,
}

/// Where the body of a request is.
enum Content {
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

impl Leads {
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
            call.query = passage::query_without(&call.query, &["key"]);
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

fn kept(path: &str) -> Option<(&'static str, String)> {
    let what = KEPT
        .iter()
        .find(|what| path.strip_prefix(**what).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))?;
    Some((what, path.to_owned()))
}

/// `/{provider}/v1/files` and its like.
fn kept_at(path: &str) -> Option<Leads> {
    let (provider, rest) = path.strip_prefix('/')?.split_once("/v1/")?;
    let (what, path) = kept(&format!("/{rest}"))?;
    tollgate_providers::table::find(provider)?;
    Some(Leads::Kept(Some(provider.to_owned()), what, path))
}

fn signs_bodies(place: &Place) -> bool {
    matches!(&place.target.credential, Credential::Account(account) if matches!(account.as_ref(), Account::Aws(_)))
}

fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn outgoing(method: &Method, url: String, body: Bytes) -> Outgoing {
    Outgoing { method: method.clone(), url, headers: HeaderMap::new(), body }
}

/// The body, if it is a document, and otherwise left where it is.
async fn document(call: &mut Passing) -> Result<Option<Bytes>, Failure> {
    if call.body.is_end_stream() {
        return Ok(Some(Bytes::new()));
    }
    if is_json(&call.headers) { upload::collect(&mut call.body, call.whole_limit).await.map(Some) } else { Ok(None) }
}

async fn to_provider(
    snapshot: &Snapshot,
    prefix: &Prefix,
    rest: &str,
    call: &mut Passing,
    meter: &mut Meter,
) -> Result<Ready, Failure> {
    let mut whole = document(call).await?;
    let parsed = whole.as_ref().and_then(|body| RawBody::parse(body).ok());
    let named = parsed.as_ref().and_then(|body| body.typed::<String>("model"));
    let model = named.clone().or_else(|| passage::model_in(rest));
    let streams = parsed.as_ref().is_some_and(|body| body.typed("stream") == Some(true)) || rest.contains(":stream");
    meter.asked_for(model.as_deref().unwrap_or_default(), streams);
    let Chosen { place, renames } = passing::choose(snapshot, prefix.providers, model.as_deref())?;
    if let (Some(mut body), true, true) = (parsed, renames, named.is_some()) {
        body.set_str("model", &place.target.model);
        whole = Some(body.to_bytes());
    }
    let url = passage::url(&place.target, rest, &call.query)?;
    let asks = call.method == Method::POST && prefix.path != "/langfuse";
    let content = if whole.is_some() { Content::Whole } else { Content::Stream };
    let outgoing = outgoing(&call.method, url, whole.unwrap_or_default());
    let booking = if asks { Booking::Read } else { Booking::Free };
    Ok(Ready { outgoing, content, place, booking, timeout: PATIENCE, label: "" })
}

fn to_endpoint(endpoint: &Arc<Endpoint>, rest: &str, call: &Passing) -> Result<Ready, Failure> {
    if !endpoint.methods.is_empty() && !endpoint.methods.contains(&call.method) {
        return Err(Failure::new(FailureKind::MethodNotAllowed, format!("Not allowed to {} here", call.method)));
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
    Ok(Ready { outgoing, content, place: Arc::clone(&endpoint.place), booking, timeout: endpoint.timeout, label: "" })
}

async fn to_kept(
    snapshot: &Snapshot,
    provider: Option<&str>,
    what: &str,
    path: &str,
    call: &mut Passing,
    meter: &mut Meter,
) -> Result<Ready, Failure> {
    let mut fields = Fields::of(call);
    let mut content = Content::Stream;
    let mut body: Option<RawBody> = None;
    if content_type(&call.headers).starts_with("multipart/form-data") {
        let mut begun = upload::begin(&mut call.body, content_type(&call.headers)).await?;
        fields.take(|name| begun.lead.text(name).map(str::to_owned))?;
        begun.lead.fields.retain(|part| !upload::OURS.contains(&part.name.as_str()));
        content = Content::Form(Box::new(begun));
    } else if let Some(bytes) = document(call).await? {
        content = Content::Whole;
        if !bytes.is_empty() {
            let no_object = |_| Failure::invalid("Invalid JSON payload: the body is no JSON object");
            let mut read = RawBody::parse(&bytes).map_err(no_object)?;
            fields.take(|name| read.typed::<String>(name))?;
            OURS.iter().for_each(|name| drop(read.remove(name)));
            body = Some(read);
        }
    }
    let model = fields.model.as_deref();
    meter.asked_for(model.unwrap_or_default(), false);
    let Chosen { place, renames } = fields.place(snapshot, provider)?;
    if let (Some(body), Some(_)) = (&mut body, model) {
        if what == "/batches" {
            // Only said where the batch goes; the calls within it name their own.
            body.remove("model");
        } else if renames && body.has("model") {
            body.set_str("model", &place.target.model);
        }
    }
    let query =
        passage::query_without(&call.query, &["custom_llm_provider", "target_model_names", "model", "provider"]);
    let url = passage::resource_url(&place.target, path, &query)?;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let outgoing = outgoing(&call.method, url, bytes);
    Ok(Ready { outgoing, content, place, booking: Booking::Free, timeout: PATIENCE, label: "" })
}

/// What a request says about where its thing is kept.
#[derive(Default)]
struct Fields {
    model: Option<String>,
    provider: Option<String>,
}

impl Fields {
    fn of(call: &Passing) -> Self {
        let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let query = |name: &str| passage::query_value(&call.query, name);
        let first = |names: String| names.split(',').next().map(|name| name.trim().to_owned());
        Self {
            model: header("x-litellm-model")
                .or_else(|| query("model"))
                .or_else(|| query("target_model_names").and_then(first)),
            provider: header("custom-llm-provider")
                .or_else(|| query("custom_llm_provider"))
                .or_else(|| query("provider")),
        }
    }

    /// Takes what a body or form says; what it does not say stays.
    fn take(&mut self, text: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
        for name in ["api_key", "api_base", "base_url"] {
            if text(name).is_some() {
                return Err(Failure::invalid(format!("`{name}` cannot be set by a request")).with_param(name));
            }
        }
        let names = text("target_model_names").and_then(|names| Some(names.split(',').next()?.trim().to_owned()));
        self.model = self.model.take().or(names).or_else(|| text("model")).filter(|model| !model.is_empty());
        self.provider = self.provider.take().or_else(|| text("custom_llm_provider"));
        Ok(())
    }

    /// The deployment of the model; else the provider that is named; else whoever keeps things in `OpenAI`'s words.
    fn place(&self, snapshot: &Snapshot, of_path: Option<&str>) -> Result<Chosen, Failure> {
        let model = self.model.as_deref();
        if let Some(provider) = of_path.or(self.provider.as_deref()) {
            let Some(known) = tollgate_providers::table::find(provider) else {
                let words = format!("'{provider}' is no provider of this version (docs/reference/providers.md)");
                return Err(Failure::invalid(words).with_param("custom_llm_provider"));
            };
            return passing::choose(snapshot, &[known.name], model);
        }
        let of_model = |model: &str| {
            let served = snapshot.served.iter().find(|served| served.group == model)?;
            let name = served.provider_name(&snapshot.catalog);
            passing::choose(snapshot, &[name], Some(model)).ok()
        };
        if let Some(chosen) = model.and_then(of_model) {
            return Ok(chosen);
        }
        let openai = passing::choose(snapshot, &["openai"], model);
        openai.or_else(|refused| passing::choose(snapshot, &["azure"], model).map_err(|_| refused))
    }
}

/// What of a client's headers says what its body is.
fn only_content(client: &HeaderMap) -> HeaderMap {
    let kept = [header::CONTENT_TYPE, header::ACCEPT];
    kept.into_iter().filter_map(|name| Some((name.clone(), client.get(&name)?.clone()))).collect()
}

/// The provider's headers as the client gets them, and ours.
fn answered_headers(theirs: &HeaderMap, place: &Place, call_id: &str) -> HeaderMap {
    let options = connection_options(theirs);
    let mut answered = HeaderMap::with_capacity(theirs.len() + 4);
    for (name, value) in theirs {
        // What binds a browser to a host is the provider's to say of its own.
        let binds = ["access-control-", "strict-transport-", "alt-svc", "server"];
        let stays = is_credential(name)
            || is_hop_by_hop(name)
            || options.is_some_and(|options| names_option(options, name))
            || binds.iter().any(|binding| name.as_str().starts_with(binding));
        if !stays {
            answered.append(name.clone(), value.clone());
        }
    }
    if let Ok(address) = HeaderValue::from_str(&place.address) {
        answered.insert("x-litellm-model-api-base", address);
    }
    headers::common(&mut answered, call_id);
    answered
}
