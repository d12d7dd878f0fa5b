//! The only loop: the plan names a deployment, it is asked, and if it fails the plan is told, until one answers or the
//! plan gives up.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tollgate_config::ClientDisconnect;
use tollgate_net::{Bounds, Response};
use tollgate_observe::Outcome;
use tollgate_policy::Caller;
use tollgate_providers::{
    codec::AnswerContext,
    gauge::Reading,
    translate::{Answers, Prepared, counts},
};
use tollgate_router::{Fallbacks, Group, Plan, Step};
use tollgate_wire::{Blame, Failure, FailureKind, RawBody, form::Form, http::Reply};

use crate::{
    aboard::Aboard,
    answer::{Answer, AnswerBody},
    customers::Customer,
    decisions::Deliberation,
    deployment::{Place, Served},
    event_stream::{EventStream, Source},
    exchange::{Polled, host},
    gateway::{Closed, Gateway},
    headers::{self, AnswerFacts},
    hedge::Race,
    inbound::Route,
    media,
    meter::Meter,
    news::{News, left},
    options::CallOptions,
    responses::ResponsesAsk,
    restream::retell,
    sealed::Thing,
    snapshot::Snapshot,
    unpriced,
    words::Prompt,
};

/// One call, read and admitted.
pub(crate) struct Ask {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) route: Route,
    pub(crate) caller: Caller,
    pub(crate) body: RawBody,
    /// The body before ids of ours in it were opened, where a fallback may put other words into it.
    pub(crate) unopened: Option<Box<RawBody>>,
    /// The form that was sent instead of a document; `body` holds its fields.
    pub(crate) form: Option<Form>,
    pub(crate) options: CallOptions,
    /// For whom it is made, if anything holds for him.
    pub(crate) customer: Option<Box<Customer>>,
    /// Of calls of the Responses API.
    pub(crate) responses: Option<ResponsesAsk>,
    /// What is kept at a provider and named in the prompt, by the client's id.
    pub(crate) names: Option<Box<(String, Thing)>>,
    pub(crate) context: AnswerContext,
    /// The client's headers, for what is passed on.
    pub(crate) headers: HeaderMap,
    /// Its client has left: what is asked is read to its end, and nothing more is asked.
    pub(crate) left: Closed,
    /// Remote media fetched so far: URL and content.
    pub(crate) fetched: Mutex<Vec<(String, Arc<media::Media>)>>,
}

/// A failure, and the meter to go on with.
pub(crate) type Missed = Box<(Failure, Meter)>;

/// The attempt at hand.
pub(crate) struct Attempt<'a> {
    pub(crate) served: &'a Served,
    pub(crate) place: Arc<Place>,
    pub(crate) group: &'a str,
    /// The name under which the group was asked.
    pub(crate) label: &'a str,
    pub(crate) retries: u32,
    pub(crate) max_retries: u64,
    pub(crate) fallbacks: u32,
}

impl Ask {
    /// Asks deployments of the group, and of its fallbacks, until one answers.
    ///
    /// # Errors
    /// The first group's last failure, with the story of what was tried after it.
    pub(crate) async fn dispatch(&self, group: Group<'_>, mut meter: Meter) -> Result<Answer, Missed> {
        let fleet = &self.snapshot.fleet;
        let mut plan = Plan::new(fleet, group.clone(), self.asked(&group));
        let mut instead: Option<Box<Self>> = None;
        let mut news = News::Begin;
        let mut minutes = Deliberation::begin(self, &plan, meter.call_id());
        let mut spot = None;
        loop {
            let (deployment, after) = match plan.on(&news.event(), self.now(), self.gateway.random.u64()) {
                Step::Start { deployment, after } => (deployment, after),
                Step::Wait { until } => {
                    news = match Box::pin(self.wait_in_line(&plan, &mut spot, until)).await {
                        Ok(_) if self.left.is_set() => return Err(left(meter)),
                        Ok(news) => news,
                        Err(failure) => return Err(minutes.gives_up(failure, meter)),
                    };
                    continue;
                }
                Step::Reword => {
                    news = self.reword(&plan, &mut instead);
                    continue;
                }
                Step::GiveUp(failure) => return Err(minutes.gives_up(*failure, meter)),
            };
            if self.comes_after_others(&plan, spot.as_ref()) {
                news = News::Behind;
                continue;
            }
            minutes.chooses(self, &plan, deployment, after);
            if let Some(failure) = self.refused_there(&plan, &mut meter).await {
                minutes.fails(failure.kind);
                news = News::Refused(failure);
                continue;
            }
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            if self.left.is_set() {
                return Err(left(meter));
            }
            let Some(flight) = self.board(deployment, &plan) else {
                minutes.is_taken();
                news = News::Taken;
                continue;
            };
            // There may be room for the next in line.
            spot = None;
            let ask = instead.as_deref().filter(|_| plan.instead().is_some()).unwrap_or(self);
            match ask.once_or_twice(deployment, flight, &mut plan, &mut minutes, meter).await {
                Ok(answer) => {
                    minutes.ends(Ok(()));
                    return Ok(answer);
                }
                Err(missed) => {
                    minutes.fails(missed.0.kind);
                    (news, meter) = (News::Failed(missed.0), missed.1);
                }
            }
        }
    }

    /// One attempt, or one more beside it where it keeps its client waiting.
    async fn once_or_twice(
        &self,
        deployment: usize,
        flight: Aboard,
        plan: &mut Plan<'_>,
        minutes: &mut Deliberation<'_>,
        meter: Meter,
    ) -> Result<Answer, Missed> {
        match plan.patience(deployment, self.now()).filter(|_| self.twice().is_some()) {
            None => self.one(deployment, flight, plan, meter).await,
            Some(patience) => {
                let race = Race { first: deployment, patience, plan, minutes };
                Box::pin(self.race(race, flight, meter)).await
            }
        }
    }

    /// One attempt.
    pub(crate) async fn one(
        &self,
        deployment: usize,
        flight: Aboard,
        plan: &Plan<'_>,
        mut meter: Meter,
    ) -> Result<Answer, Missed> {
        let (Some(served), Some(group)) = (self.snapshot.served.get(deployment), plan.group()) else {
            return Err(Box::new((Failure::bug("the fleet and the table of deployments differ"), meter)));
        };
        meter.boards(flight);
        let attempt = self.place(served, group).map(|place| Attempt {
            served,
            place,
            group: group.name,
            label: group.label(),
            retries: plan.retries(),
            max_retries: plan.max_retries(),
            fallbacks: plan.fallbacks(),
        });
        let tried = match attempt {
            Ok(attempt) => self.attempt(&attempt, meter).await,
            Err(failure) => Err(Box::new((failure, meter))),
        };
        tried.map_err(|mut missed| {
            tell(&missed.0, served);
            hint(&mut missed.0, group.name, plan.rules());
            // Whatever did not come so far as to be opened says nothing of the deployment, and takes nothing of its limits.
            missed.1.leaves();
            missed
        })
    }

    /// What happens to the call when its client leaves: as the model's deployments say, else the configuration.
    pub(crate) fn disconnect(&self) -> ClientDisconnect {
        let asked = &self.context.alias;
        let group = self.snapshot.fleet.find(self.caller.key().map_or(asked, |key| key.meant(asked)));
        let members = group.iter().flat_map(|group| group.members);
        let of_model = members.filter_map(|index| self.snapshot.served.get(*index)?.disconnect).next();
        let default = if self.context.stream { ClientDisconnect::Cancel } else { ClientDisconnect::Drain };
        of_model.or(self.snapshot.disconnect).unwrap_or(default)
    }

    pub(crate) fn place(&self, served: &Served, group: &Group<'_>) -> Result<Arc<Place>, Failure> {
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
        let captured = group.captured.as_ref();
        let place = served.place_for(captured, client, &self.snapshot.catalog, &self.snapshot.environment);
        let place = place.map_err(|why| {
            let kind = match why {
                tollgate_providers::resolve::Unservable::UnknownProvider(_) => FailureKind::BadRequest,
                _ => FailureKind::Misconfigured,
            };
            Failure::new(kind, why.to_string())
        })?;
        unpriced::admitted(place, &self.snapshot)
    }

    async fn attempt(&self, attempt: &Attempt<'_>, mut meter: Meter) -> Result<Answer, Missed> {
        if self.options.mock_timeout {
            // Nobody is asked, and nobody's place is taken meanwhile.
            meter.stays();
            let after = self.timeout(attempt.served).min(attempt.served.timeout);
            tokio::time::sleep(after).await;
            let words = format!("This is a mock timeout error; {} s have passed", after.as_secs_f64());
            return Err(Box::new((Failure::new(FailureKind::Timeout, words), meter)));
        }
        if let Some(words) = self.options.mock_response.as_ref().or(attempt.served.mock.as_ref()) {
            meter.stays();
            tokio::time::sleep(self.options.mock_delay.min(attempt.served.timeout)).await;
            return self.mocked(words, attempt, meter);
        }
        if self.route.counts() && counts(&attempt.place.target, self.route.client()).is_none() {
            return Box::pin(self.counted(attempt, meter)).await;
        }
        let prepared = match self.stake(attempt, &mut meter).await {
            Ok(most) => self.prepare(attempt, most).await,
            Err(failure) => Err(failure),
        };
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Err(Box::new((failure, meter))),
        };
        if let Err(failure) = self.seal(&mut prepared.outgoing, &attempt.place).await {
            // Nothing was asked and nothing is owed, but who gets no grant gets no answer here either.
            meter.fails_unopened(&failure);
            return Err(Box::new((failure, meter)));
        }
        if self.snapshot.debug {
            for outgoing in std::iter::once(&prepared.outgoing).chain(&prepared.more) {
                tollgate_observe::logs::print_raw(&tollgate_net::debug::as_curl(outgoing));
            }
        }
        self.send(prepared, attempt, meter).await
    }

    async fn send(&self, prepared: Prepared, attempt: &Attempt<'_>, mut meter: Meter) -> Result<Answer, Missed> {
        let Prepared { outgoing, more, answers } = prepared;
        // Sound and pictures are not counted by their bytes.
        let counts = self.form.is_none() && self.route != Route::Speech;
        let bodies = std::iter::once(&outgoing).chain(&more).map(|one| &one.body).filter(|_| counts);
        if let Err(failure) = meter.open(attempt.served, &attempt.place, Prompt::of(bodies)) {
            return Err(Box::new((failure, meter)));
        }
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
        let (timeout, bounds) = (self.timeout(served), &self.snapshot.bounds);
        Bounds {
            first_byte: timeout,
            idle: bounds.stream_idle.filter(|_| self.context.stream).unwrap_or(timeout),
            total: if self.context.stream { bounds.max_stream } else { Some(timeout) },
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
            let mut answered = answers.all(replies)?;
            headers::take_cost(&mut answered.usage, &reply.headers, &attempt.place);
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
        let stream = EventStream::new(source, translation, meter, self.gateway.closed());
        let mut stream = stream.goes_on_with(self.continuation(attempt));
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
            fallbacks: attempt.fallbacks,
            timeout: self.timeout(attempt.served),
            elapsed: meter.elapsed(),
            upstream: meter.upstream(),
            cost,
        };
        headers::add(&mut answer.headers, &facts);
        headers::add_provider(&mut answer.headers, provider_headers);
        meter.tell_limits(&mut answer.headers);
        meter.tell_money(&mut answer.headers);
        meter.tell_cost(&mut answer.headers);
    }
}

/// `LiteLLM`'s hint at the setting that would have helped; clients see it in its words.
fn hint(failure: &mut Failure, group: &str, fallbacks: &Fallbacks) {
    if failure.kind == FailureKind::ContentPolicyViolation && fallbacks.is_empty() {
        failure.message.push_str(&format!(
            "\nmodel={group}. content_policy_fallback=None. fallbacks=None.\n\nSet 'content_policy_fallback' - \
             https://docs.litellm.ai/docs/routing#fallbacks"
        ));
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
    // Nor is it the deployment's fault that the gateway itself has no answer about a budget.
    if kind.blame() == Blame::Client || kind == FailureKind::Overloaded {
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
