//! The only loop: the plan names a deployment, it is asked, and if it fails the plan is told, until one answers or the
//! plan gives up.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tollgate_config::ClientDisconnect;
use tollgate_net::{Bounds, Response};
use tollgate_observe::Outcome;
use tollgate_providers::{
    codec::{AnswerContext, Wanted},
    gauge::Reading,
    params::CallParams,
    provider::Auth,
    translate::{Answers, Call, Draft, Prepared, counts, draft},
};
use tollgate_router::{Event, Group, Plan, Step};
use tollgate_wire::{
    Blame, Failure, FailureKind, RawBody, Usage,
    form::Form,
    http::{Reply, connection_options, names_option, stays_here},
};

use crate::{
    answer::{Answer, AnswerBody},
    deployment::{Place, Served},
    event_stream::{EventStream, Source},
    exchange::{Polled, host},
    gateway::Gateway,
    headers::{self, AnswerFacts},
    inbound::Route,
    media,
    meter::Meter,
    mock,
    options::CallOptions,
    responses::ResponsesAsk,
    restream::retell,
    snapshot::Snapshot,
    words::Prompt,
};

/// One call, read and admitted.
pub(crate) struct Ask {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) route: Route,
    pub(crate) body: RawBody,
    /// The form that was sent instead of a document; `body` holds its fields.
    pub(crate) form: Option<Form>,
    pub(crate) options: CallOptions,
    /// Of calls of the Responses API.
    pub(crate) responses: Option<ResponsesAsk>,
    pub(crate) context: AnswerContext,
    /// The client's headers, for what is passed on.
    pub(crate) headers: HeaderMap,
    /// Remote media fetched so far: URL and content.
    pub(crate) fetched: Mutex<Vec<(String, Arc<media::Media>)>>,
}

/// A failure, and the meter to go on with.
pub(crate) type Missed = Box<(Failure, Meter)>;

/// The attempt at hand.
pub(crate) struct Attempt<'a> {
    pub(crate) served: &'a Served,
    pub(crate) place: Arc<Place>,
    group: &'a str,
    retries: u32,
    max_retries: u64,
}

impl Ask {
    /// Asks the group's deployments until one answers.
    ///
    /// # Errors
    /// The last deployment's failure.
    pub(crate) async fn dispatch(&self, group: &Group<'_>, mut meter: Meter) -> Result<Answer, Missed> {
        if let Some(failure) = self.options.mock_failure(group.name) {
            return Err(Box::new((failure, meter)));
        }
        let max_retries =
            self.options.num_retries.or(self.group_retries(group)).unwrap_or(self.snapshot.bounds.retries);
        let mut plan = Plan::new(&self.snapshot.fleet, group, max_retries);
        let mut last: Option<Failure> = None;
        loop {
            let event = last.as_ref().map_or(Event::Begin, Event::Failed);
            let step = plan.on(&event, &self.snapshot.fleet, self.gateway.random.u64());
            let Step::Start { deployment, after } = step else {
                return Err(Box::new((last.unwrap_or_else(|| self.nobody(group)), meter)));
            };
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            let Some(served) = self.snapshot.served.get(deployment) else {
                return Err(Box::new((Failure::bug("the fleet and the table of deployments differ"), meter)));
            };
            let attempt = self.place(served, group).map(|place| Attempt {
                served,
                place,
                group: group.name,
                retries: plan.retries(),
                max_retries,
            });
            let tried = match attempt {
                Ok(attempt) => self.attempt(&attempt, meter).await,
                Err(failure) => Err(Box::new((failure, meter))),
            };
            match tried {
                Ok(answer) => return Ok(answer),
                Err(missed) => {
                    let (failure, kept) = *missed;
                    tell(&failure, served);
                    (last, meter) = (Some(failure), kept);
                }
            }
        }
    }

    /// What happens to the call when its client leaves: as the model's deployments say, else the configuration.
    pub(crate) fn disconnect(&self) -> ClientDisconnect {
        let group = self.snapshot.fleet.find(&self.context.alias);
        let members = group.iter().flat_map(|group| group.members);
        let of_model = members.filter_map(|index| self.snapshot.served.get(*index)?.disconnect).next();
        let default = if self.context.stream { ClientDisconnect::Cancel } else { ClientDisconnect::Drain };
        of_model.or(self.snapshot.disconnect).unwrap_or(default)
    }

    /// A group of one deployment may set its own number.
    fn group_retries(&self, group: &Group<'_>) -> Option<u64> {
        let [only] = group.members else { return None };
        self.snapshot.served.get(*only)?.retries
    }

    /// Why none of a group's deployments can be asked.
    fn nobody(&self, group: &Group<'_>) -> Failure {
        let reasons = group.members.iter().filter_map(|index| {
            self.snapshot.fleet.deployments().get(*index).and_then(|deployment| deployment.unservable.as_deref())
        });
        let reasons: Vec<&str> = reasons.collect();
        match reasons.first() {
            Some(reason) => Failure::new(FailureKind::Misconfigured, format!("model '{}': {reason}", group.name)),
            None => Failure::new(FailureKind::NoDeployment, "No deployments available for selected model"),
        }
    }

    fn place(&self, served: &Served, group: &Group<'_>) -> Result<Arc<Place>, Failure> {
        let client = &self.options.client_side;
        let value =
            |name: &str| if matches!(name, "api_base" | "base_url") { client.api_base.as_deref() } else { None };
        let refused = client
            .names
            .iter()
            .find(|name| !self.snapshot.allow_client_side && !served.allows_client_side(name, value(name)));
        if let Some(name) = refused {
            let words = format!(
                "`{name}` cannot be set by a request; allow it with configurable_clientside_auth_params on the deployment"
            );
            return Err(Failure::invalid(words).with_param(*name));
        }
        if served.mock.is_some() || self.options.mock_response.is_some() {
            return Ok(mock_place(&self.snapshot, served));
        }
        let captured = group.captured.as_deref();
        served.place_for(captured, client, &self.snapshot.catalog, &self.snapshot.environment).map_err(|why| {
            let kind = match why {
                tollgate_providers::resolve::Unservable::UnknownProvider(_) => FailureKind::BadRequest,
                _ => FailureKind::Misconfigured,
            };
            Failure::new(kind, why.to_string())
        })
    }

    async fn attempt(&self, attempt: &Attempt<'_>, meter: Meter) -> Result<Answer, Missed> {
        if let Some(words) = self.options.mock_response.as_ref().or(attempt.served.mock.as_ref()) {
            return self.mocked(words, attempt, meter);
        }
        if self.route.counts() && counts(&attempt.place.target, self.route.client()).is_none() {
            return Box::pin(self.counted(attempt, meter)).await;
        }
        let prepared = match self.prepare(attempt).await {
            Ok(prepared) => prepared,
            Err(failure) => return Err(Box::new((failure, meter))),
        };
        if self.snapshot.debug {
            for outgoing in std::iter::once(&prepared.outgoing).chain(&prepared.more) {
                tollgate_observe::logs::print_raw(&tollgate_net::debug::as_curl(outgoing));
            }
        }
        self.send(prepared, attempt, meter).await
    }

    async fn prepare(&self, attempt: &Attempt<'_>) -> Result<Prepared, Failure> {
        let target = &attempt.place.target;
        let params = self.params_for(target.provider.auth);
        let context = self.context_for(attempt.served);
        if let Some(form) = &self.form {
            let operation = self.route.operation();
            let mut prepared = tollgate_providers::forms::prepare(form.clone(), operation, target, &params, &context)?;
            self.seal(&mut prepared.outgoing, &attempt.place).await?;
            return Ok(prepared);
        }
        let call = Call {
            operation: self.route.operation(),
            client: self.route.client(),
            body: &self.body,
            params: &params,
            context: &context,
        };
        let mut draft = draft(&call, target)?;
        let wants = draft.wants();
        if !wants.is_empty() {
            Box::pin(self.supply(wants, &mut draft)).await?;
        }
        let mut prepared = draft.finish()?;
        self.seal(&mut prepared.outgoing, &attempt.place).await?;
        Ok(prepared)
    }

    /// What of the client's headers goes upstream (surface chapters 5.2, 5.3).
    fn params_for(&self, auth: Auth) -> CallParams {
        let mut params = self.options.params.clone();
        if auth != Auth::Anthropic && !self.snapshot.forward_client_headers {
            return params;
        }
        let options = connection_options(&self.headers);
        for (name, value) in &self.headers {
            let text = name.as_str();
            let anthropic = auth == Auth::Anthropic && matches!(text, "anthropic-beta" | "anthropic-version");
            let forwarded = self.snapshot.forward_client_headers
                && (text == "anthropic-beta" || text.starts_with("x-"))
                && !text.starts_with("x-stainless")
                && !stays_here(name)
                && self.snapshot.key_header.as_ref() != Some(name)
                && !options.is_some_and(|options| names_option(options, name));
            if anthropic || forwarded {
                params.extra_headers.push((name.clone(), value.clone()));
            }
        }
        params
    }

    /// Puts remote media into the message. Fetched once per call, whatever the number of attempts, within bounds of
    /// number and size for all of them together.
    async fn supply(&self, wants: Vec<Wanted>, draft: &mut Draft) -> Result<(), Failure> {
        let (mut wanted, mut documents) = (Vec::new(), Vec::new());
        for one in wants {
            match one {
                Wanted::Media(url) => wanted.push(url),
                Wanted::Document(url) => documents.push(url),
            }
        }
        let most = self.snapshot.media.most;
        if wanted.len() > most {
            let words = format!("the messages name {} pictures or files to fetch; {most} are allowed", wanted.len());
            return Err(Failure::invalid(words).with_param("messages"));
        }
        for url in wanted {
            let media = self.media(&url).await?;
            draft.supply(&url, &media.media_type, &media.base64);
        }
        let now = self.gateway.clock.monotonic();
        for url in documents {
            if let Some(text) = self.gateway.documents.find(&url, &self.gateway.client, now).await {
                draft.supply_document(&url, text.as_ref().to_owned());
            }
        }
        Ok(())
    }

    async fn media(&self, url: &str) -> Result<Arc<media::Media>, Failure> {
        let known = |url: &str| {
            let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            let found = fetched.iter().find(|(known, _)| known == url).map(|(_, media)| Arc::clone(media));
            (found, fetched.iter().map(|(_, media)| media.bytes()).sum::<usize>())
        };
        let (found, held) = known(url);
        if let Some(media) = found {
            return Ok(media);
        }
        let media = Arc::new(media::fetch(&self.gateway.client, url, &self.snapshot.media, held).await?);
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.push((url.to_owned(), Arc::clone(&media)));
        Ok(media)
    }

    async fn send(&self, prepared: Prepared, attempt: &Attempt<'_>, mut meter: Meter) -> Result<Answer, Missed> {
        let Prepared { outgoing, more, answers } = prepared;
        // Sound and pictures are not counted by their bytes.
        let counts = self.form.is_none() && self.route != Route::Speech;
        let bodies = std::iter::once(&outgoing).chain(&more).map(|one| &one.body).filter(|_| counts);
        meter.open(attempt.served, &attempt.place, Prompt::of(bodies));
        let sent = match self.exchange(&outgoing, attempt, &mut meter).await {
            Ok(response) if self.passes(&response) => return Ok(self.pass(response, attempt, meter)),
            Ok(response) if self.streams(&response) => return self.stream(response, answers, attempt, meter).await,
            Ok(response) if more.is_empty() => self.poll(response, &answers, attempt, &mut meter).await,
            Ok(response) => {
                let all = Box::pin(self.collect_all(response, more, &answers, attempt, &mut meter));
                all.await.map(Polled::Replies)
            }
            Err(failure) => Err(failure),
        };
        let told = match sent {
            Ok(Polled::Stream(response)) => return self.stream(*response, answers, attempt, meter).await,
            Ok(Polled::Begun(response)) => {
                let told = self.stream(*response, answers, attempt, meter).await;
                return told.map_err(|missed| Box::new((missed.0.paid(), missed.1)));
            }
            Ok(Polled::Replies(replies)) => self.whole(&replies, answers, attempt, &mut meter).await,
            Err(failure) => Err(failure),
        };
        told.map_err(|mut failure| {
            meter.failed(&mut failure);
            Box::new((failure, meter))
        })
    }

    pub(crate) fn timeout(&self, served: &Served) -> Duration {
        let asked = if self.context.stream {
            self.options.stream_timeout.or(self.options.timeout)
        } else {
            self.options.timeout
        };
        asked.unwrap_or(if self.context.stream { served.stream_timeout } else { served.timeout })
    }

    pub(crate) fn bounds(&self, served: &Served) -> Bounds {
        let timeout = self.timeout(served);
        Bounds {
            first_byte: timeout,
            idle: timeout,
            total: (!self.context.stream).then_some(timeout),
            max_body: if self.context.stream { usize::MAX } else { self.snapshot.bounds.max_response_bytes },
        }
    }

    async fn whole(
        &self,
        replies: &[Reply],
        answers: Answers,
        attempt: &Attempt<'_>,
        meter: &mut Meter,
    ) -> Result<Answer, Failure> {
        let Some(reply) = replies.last() else { return Err(Failure::bug("an exchange without a reply")) };
        if !reply.status.is_success() {
            let failure = answers.failure(reply);
            // A gateway further on has found the circle: its words hold, and no attempt will open it.
            let is_circle = reply.status == StatusCode::LOOP_DETECTED;
            return Err(if is_circle { Failure::new(FailureKind::SelfCall, failure.message) } else { failure });
        }
        let (mut answer, cost) = if self.context.stream {
            let bounds = &self.snapshot.bounds;
            let (events, cost) =
                retell(answers, reply, self.context.include_usage, bounds.max_event_bytes, meter).await?;
            (Answer::events(AnswerBody::Whole(events)), cost)
        } else {
            let answered = answers.all(replies)?;
            let cost = if self.form.is_some() {
                meter.passed(&Reading { usage: answered.usage, ..Reading::default() })
            } else {
                meter.answered(answered.usage, &answered.body).await
            };
            (Answer::json(StatusCode::OK, answered.body), cost)
        };
        self.head(&mut answer, attempt, meter, &reply.headers, cost);
        meter.first_byte();
        meter.finish(200, Outcome::Answered);
        Ok(answer)
    }

    async fn stream(
        &self,
        mut response: Response,
        answers: Answers,
        attempt: &Attempt<'_>,
        meter: Meter,
    ) -> Result<Answer, Missed> {
        let place = &attempt.place;
        let provider_headers = headers::copied(&std::mem::take(&mut response.headers));
        let translation = match answers.stream(self.snapshot.bounds.max_event_bytes) {
            Ok(translation) => translation,
            Err(failure) => return Err(Box::new((failure, meter))),
        };
        let source = Source::new(response, place.target.provider.title, host(&place.address).to_owned());
        let mut stream = EventStream::new(source, translation, meter, self.gateway.closed());
        if let Err(mut failure) = stream.read_ahead().await {
            let mut meter = stream.into_meter();
            meter.failed(&mut failure);
            return Err(Box::new((failure, meter)));
        }
        let mut answer = Answer::events(AnswerBody::Whole(Bytes::new()));
        self.head(&mut answer, attempt, stream.meter(), &provider_headers, None);
        answer.body = AnswerBody::Stream(Box::new(stream));
        Ok(answer)
    }

    pub(crate) fn head(
        &self,
        answer: &mut Answer,
        attempt: &Attempt<'_>,
        meter: &Meter,
        provider_headers: &HeaderMap,
        cost: Option<tollgate_catalog::Cost>,
    ) {
        let facts = AnswerFacts {
            call_id: meter.call_id(),
            group: attempt.group,
            served: attempt.served,
            place: &attempt.place,
            retries: attempt.retries,
            max_retries: attempt.max_retries,
            timeout: self.timeout(attempt.served),
            elapsed: meter.elapsed(),
            upstream: meter.upstream(),
            cost,
        };
        headers::add(&mut answer.headers, &facts);
        headers::add_provider(&mut answer.headers, provider_headers);
    }

    fn mocked(&self, mock: &serde_json::Value, attempt: &Attempt<'_>, mut meter: Meter) -> Result<Answer, Missed> {
        if !self.route.speaks() {
            let words = "`mock_response` answers chat, text completion, messages and responses, nothing else";
            return Err(Box::new((Failure::invalid(words).with_param("mock_response"), meter)));
        }
        let words = match mock::words(mock) {
            Ok(words) => words,
            Err(failure) => return Err(Box::new((failure, meter))),
        };
        meter.open(attempt.served, &attempt.place, Prompt::of(std::iter::empty()));
        let (client, context) = (self.route.client(), self.context_for(attempt.served));
        let (answer, usage) = if self.context.stream {
            let (events, usage) = mock::streamed(&words, client, &context);
            (Answer::events(AnswerBody::Whole(Bytes::from(events))), usage)
        } else {
            let (body, usage) = mock::whole(&words, client, &context);
            (Answer::json(StatusCode::OK, body), usage)
        };
        Ok(self.our_own(answer, usage, attempt, meter))
    }

    /// A count of our own, where the provider has none.
    async fn counted(&self, attempt: &Attempt<'_>, mut meter: Meter) -> Result<Answer, Missed> {
        let client = self.route.client();
        let request = match client.read(&self.body) {
            Ok(request) => request,
            Err(failure) => return Err(Box::new((failure, meter))),
        };
        meter.open(attempt.served, &attempt.place, Prompt::of(std::iter::empty()));
        let model = attempt.place.target.model.clone();
        let computing = self.gateway.workers.compute(move || tollgate_catalog::tokens::count_chat(&request, &model));
        let Some(count) = computing.await else {
            return Err(Box::new((Failure::bug("counting tokens panicked"), meter)));
        };
        Ok(self.our_own(Answer::value(&client.count(count)), Usage::default(), attempt, meter))
    }

    /// The end of an answer for which nobody was asked.
    fn our_own(&self, mut answer: Answer, usage: Usage, attempt: &Attempt<'_>, mut meter: Meter) -> Answer {
        let cost = meter.settle_stated(usage);
        self.head(&mut answer, attempt, &meter, &HeaderMap::new(), cost);
        meter.first_byte();
        meter.finish(200, Outcome::Answered);
        answer
    }
}

/// A mock's place: what the deployment would be, or nothing at all.
fn mock_place(snapshot: &Snapshot, served: &Served) -> Arc<Place> {
    let client = crate::options::ClientSide::default();
    served.place_for(None, &client, &snapshot.catalog, &snapshot.environment).unwrap_or_else(|_| Place::nowhere(served))
}

/// A provider's failure is a fact for whoever runs the gateway; a client's mistake is not. What a provider says of its
/// own trouble may repeat the prompt, and is shown only where such lines were asked for.
fn tell(failure: &Failure, served: &Served) {
    let (kind, deployment, status) = (failure.kind, &served.id, failure.http_status());
    if kind.blame() == Blame::Client {
        return;
    }
    if may_repeat_the_prompt(kind) {
        tracing::warn!(target: "tollgate::attempt", %deployment, ?kind, status, "a deployment failed; LITELLM_LOG=DEBUG shows its words");
        tracing::debug!(target: "tollgate::attempt", %deployment, %failure, detail = failure.detail, "a deployment's words");
    } else {
        tracing::warn!(target: "tollgate::attempt", %deployment, ?kind, status, %failure, detail = failure.detail, "a deployment failed");
    }
}

fn may_repeat_the_prompt(kind: FailureKind) -> bool {
    use FailureKind::{Api, BadGateway, Internal, InvalidResponse, ServiceUnavailable, Unprocessable};
    matches!(kind, Api | BadGateway | Internal | InvalidResponse | ServiceUnavailable | Unprocessable)
}
