//! Requests and their answers, one attempt's worth: sent, waited for, asked again as long as a provider says that its
//! answer is still being made.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tollgate_net::{NetError, Response, Wait};
use tollgate_providers::{auth, codec::Next, target::Credential, translate::Answers};
use tollgate_wire::{
    Failure, FailureKind,
    http::{Outgoing, Reply},
};

use crate::{
    deployment::Place,
    dispatch::{Ask, Attempt},
    gateway::Gateway,
    hops,
    meter::Meter,
    restream::is_document,
};

/// How often a look at what is being made is repeated where the provider fails it.
const LOOKS_AGAIN: u32 = 8;
/// Between such looks, at first and at last.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// What says only that this was no time to look.
const NOT_NOW: [StatusCode; 2] = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];

/// What came of a request whose answer was not there at once.
pub(crate) enum Polled {
    Stream(Box<Response>),
    /// A stream of what was begun before, and is paid.
    Begun(Box<Response>),
    Replies(Vec<Reply>),
}

/// What came of a look at what is being made.
enum Looked {
    Stream(Box<Response>),
    Reply(Reply),
}

impl Gateway {
    /// The last of a request: who we are, and what an account signs it with. `inbound` are the client's headers.
    pub(crate) async fn seal(
        &self,
        inbound: &HeaderMap,
        outgoing: &mut Outgoing,
        place: &Place,
    ) -> Result<(), Failure> {
        hops::mark(&self.instance, inbound, place, outgoing)?;
        let Credential::Account(account) = &place.target.credential else { return Ok(()) };
        // Boxed: what fetches a grant is large, and would make every call's task as large. So are the others below.
        let grant = Box::pin(self.credentials.grant(account, &self.client, self.clock.as_ref())).await?;
        auth::sign(outgoing, &place.target, &grant, self.clock.unix())
    }
}

impl Ask {
    /// As [`Gateway::seal`].
    pub(crate) async fn seal(&self, outgoing: &mut Outgoing, place: &Place) -> Result<(), Failure> {
        self.gateway.seal(&self.headers, outgoing, place).await
    }

    /// One request, and the head of its answer.
    pub(crate) async fn exchange(
        &self,
        outgoing: &Outgoing,
        attempt: &Attempt<'_>,
        meter: &mut Meter,
    ) -> Result<Response, Failure> {
        let place = &attempt.place;
        let sent = self.gateway.client.send(outgoing, &self.bounds(attempt.served)).await;
        let response = sent.map_err(|error| {
            if was_never_sent(&error) {
                meter.unsent();
            }
            error.into_failure(place.target.provider.title, host(&place.address))
        })?;
        let is_answer = response.status.is_success();
        if outgoing.method == Method::GET {
            meter.looked(is_answer);
        } else {
            meter.heard(is_answer);
        }
        Ok(response)
    }

    pub(crate) fn streams(&self, response: &Response) -> bool {
        self.context.stream && response.status.is_success() && !is_document(&response.headers)
    }

    /// The whole answer, asked for in older words where the server knows no others, and again as long as the provider
    /// says that it is still being made.
    pub(crate) async fn poll(
        &self,
        response: Response,
        answers: &Answers,
        attempt: &Attempt<'_>,
        meter: &mut Meter,
    ) -> Result<Polled, Failure> {
        let until = self.gateway.clock.monotonic() + self.timeout(attempt.served);
        let mut reply = self.reply(response, attempt).await?;
        if !reply.status.is_success()
            && let Some(mut otherwise) = answers.otherwise(&reply)?
        {
            self.seal(&mut otherwise, &attempt.place).await?;
            let response = Box::pin(self.exchange(&otherwise, attempt, meter)).await?;
            if self.streams(&response) {
                return Ok(Polled::Stream(Box::new(response)));
            }
            reply = self.reply(response, attempt).await?;
        }
        while reply.status.is_success()
            && let Some(next) = answers.next(&reply)?
        {
            match Box::pin(self.ask_next(&next, until, attempt, meter)).await.map_err(Failure::paid)? {
                Looked::Stream(response) => return Ok(Polled::Begun(response)),
                Looked::Reply(found) => reply = found,
            }
            // Lost from sight is not failed: it is still being made.
            if !reply.status.is_success() {
                return Err(answers.failure(&reply).paid());
            }
        }
        Ok(Polled::Replies(vec![reply]))
    }

    /// The next request of the attempt. What is already being made is paid for, so a look at it that fails is repeated, at
    /// longer and longer intervals, as long as there is time.
    async fn ask_next(
        &self,
        next: &Next,
        until: Duration,
        attempt: &Attempt<'_>,
        meter: &mut Meter,
    ) -> Result<Looked, Failure> {
        let mut again = if next.outgoing.method == Method::GET { LOOKS_AGAIN } else { 0 };
        let (mut pause, mut last) = (next.after, None);
        loop {
            let left = until.saturating_sub(self.gateway.clock.monotonic());
            if pause >= left {
                let words = "the prediction was not ready in time";
                let late = || attempt.place.target.failure(FailureKind::Timeout, words);
                return last.unwrap_or_else(|| Err(late()));
            }
            tokio::time::sleep(pause).await;
            let looking = tokio::time::timeout(left - pause, self.look(&next.outgoing, attempt, meter));
            let Ok(looked) = looking.await else { continue };
            let has_failed = match &looked {
                Ok(Looked::Stream(_)) => false,
                Ok(Looked::Reply(reply)) => reply.status.is_server_error() || NOT_NOW.contains(&reply.status),
                Err(_) => true,
            };
            if !has_failed || again == 0 {
                return looked;
            }
            again -= 1;
            pause = (pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            last = Some(looked);
        }
    }

    async fn look(&self, asked: &Outgoing, attempt: &Attempt<'_>, meter: &mut Meter) -> Result<Looked, Failure> {
        let mut outgoing = asked.clone();
        self.seal(&mut outgoing, &attempt.place).await?;
        let response = self.exchange(&outgoing, attempt, meter).await?;
        if self.streams(&response) {
            return Ok(Looked::Stream(Box::new(response)));
        }
        self.reply(response, attempt).await.map(Looked::Reply)
    }

    /// The answers to several requests of one call, one after the other; the first refusal is the last.
    pub(crate) async fn collect_all(
        &self,
        first: Response,
        more: Vec<Outgoing>,
        answers: &Answers,
        attempt: &Attempt<'_>,
        meter: &mut Meter,
    ) -> Result<Vec<Reply>, Failure> {
        let mut replies = vec![self.reply(first, attempt).await?];
        for mut outgoing in more {
            let Some(last) = replies.last().filter(|reply| reply.status.is_success()) else { break };
            meter.owes(answers.all(std::slice::from_ref(last)).ok().and_then(|answered| answered.usage));
            // A signature of AWS's holds for five minutes, and those before may have taken longer.
            self.seal(&mut outgoing, &attempt.place).await?;
            let response = self.exchange(&outgoing, attempt, meter).await?;
            replies.push(self.reply(response, attempt).await?);
        }
        Ok(replies)
    }

    pub(crate) async fn reply(&self, mut response: Response, attempt: &Attempt<'_>) -> Result<Reply, Failure> {
        let place = &attempt.place;
        let (status, headers) = (response.status, std::mem::take(&mut response.headers));
        let collected = self.collect(response).await;
        let body = collected.map_err(|error| error.into_failure(place.target.provider.title, host(&place.address)))?;
        Ok(Reply { status, headers, body })
    }

    /// The whole body. A stream has no bound of its own as a stream; as a document it has.
    async fn collect(&self, mut response: Response) -> Result<Bytes, NetError> {
        if !self.context.stream {
            return response.collect().await;
        }
        let limit = self.snapshot.bounds.max_response_bytes;
        let mut whole = Vec::new();
        while let Some(data) = response.next().await {
            whole.extend_from_slice(&data?);
            if whole.len() > limit {
                return Err(NetError::TooLarge { limit });
            }
        }
        Ok(whole.into())
    }
}

/// Whether the provider cannot have seen anything of the request.
pub(crate) fn was_never_sent(error: &NetError) -> bool {
    match error {
        NetError::Connect { .. } | NetError::Dns { .. } | NetError::Tls { .. } | NetError::Setting(_) => true,
        NetError::Timeout { which, .. } => *which == Wait::Connect,
        _ => false,
    }
}

pub(crate) fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
