//! A stream that breaks off after content goes on at another deployment, which is given what was said so far (ADR 0010). Off
//! unless the configuration asks for it. It is one attempt more, opened and settled like any other; who it is, routing says.

use std::{future::Future, pin::Pin, sync::Arc};

use tollgate_config::ClientDisconnect;
use tollgate_providers::{
    continuation,
    translate::{AnswerStream, Call, Draft, draft, draft_to_go_on},
};
use tollgate_router::{Group, Plan};
use tollgate_wire::{Failure, FailureKind};

use crate::{
    dispatch::{Ask, Attempt, Missed},
    event_stream::Source,
    exchange::host,
    inbound::Route,
    meter::Meter,
    words::Prompt,
};

/// How streams are continued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContinuationRules {
    /// So often in one answer.
    pub(crate) most: u64,
    /// A longer answer is not continued: so many bytes of it are kept.
    pub(crate) max_kept: usize,
}

/// What a stream that breaks goes on with.
pub(crate) struct Continuation {
    ask: Arc<Ask>,
    /// The name of the group that answers.
    group: String,
    rules: ContinuationRules,
    /// Deployments that have had their turn.
    out: Vec<usize>,
    made: u64,
    /// The answer so far.
    said: String,
}

/// The attempt that goes on.
pub(crate) struct Onward {
    pub(crate) source: Source,
    pub(crate) translation: AnswerStream,
    pub(crate) meter: Meter,
    /// White space at the end of the answer, which the next one was not told.
    pub(crate) space: String,
    deployment: usize,
}

/// On its way to the next one.
pub(crate) type GoingOn = Pin<Box<dyn Future<Output = Result<Onward, Missed>> + Send>>;

impl Continuation {
    /// Hears more of the answer. Says whether it can still be gone on with: it is one text, within the bound.
    pub(crate) fn hears(&mut self, said: &str, is_text: bool) -> bool {
        self.said.push_str(said);
        is_text && self.said.len() <= self.rules.max_kept
    }

    /// Whether another deployment is to be asked after this failure. What the client caused would fail there as well.
    pub(crate) fn may_follow(&self, failure: &Failure) -> bool {
        self.made < self.rules.most && failure.kind.retryable() && !self.said.trim().is_empty()
    }

    /// Asks another deployment.
    pub(crate) fn follow(&mut self, kind: FailureKind, meter: Meter) -> GoingOn {
        self.made += 1;
        let said = self.said.trim_end();
        let next = Next {
            ask: Arc::clone(&self.ask),
            group: self.group.clone(),
            out: self.out.clone(),
            space: self.said.get(said.len()..).unwrap_or_default().to_owned(),
            said: said.to_owned(),
        };
        Box::pin(next.asked(kind, meter))
    }

    /// It was asked, and goes on.
    pub(crate) fn has_turned_to(&mut self, onward: &Onward) {
        self.out.push(onward.deployment);
    }
}

struct Next {
    ask: Arc<Ask>,
    group: String,
    out: Vec<usize>,
    said: String,
    space: String,
}

impl Next {
    async fn asked(self, kind: FailureKind, mut meter: Meter) -> Result<Onward, Missed> {
        let Self { ask, group, out, said, space } = self;
        let fleet = &ask.snapshot.fleet;
        let none = || Failure::new(FailureKind::NoDeployment, "nobody can go on with the answer");
        let found = fleet.find(&group).and_then(|group| {
            let plan = Plan::new(fleet, group.clone(), ask.asked(&group));
            let can = |index: usize, group: &Group<'_>| ask.can_go_on(index, group);
            let (deployment, group) = plan.onward(kind, &out, can, ask.now(), ask.gateway.random.u64())?;
            Some((deployment, ask.board(deployment, &plan)?, group))
        });
        let Some((deployment, flight, group)) = found else { return Err(Box::new((none(), meter))) };
        let Some(served) = ask.snapshot.served.get(deployment) else { return Err(Box::new((none(), meter))) };
        meter.boards(flight);
        let attempt = match ask.place(served, &group) {
            Ok(place) => {
                let (retries, max_retries, fallbacks) = (0, 0, 0);
                Attempt { served, place, group: group.name, label: group.label(), retries, max_retries, fallbacks }
            }
            Err(failure) => return Err(Box::new((failure, meter))),
        };
        let begun = ask.begin_onward(&attempt, &said, &mut meter).await;
        match begun {
            Ok((source, translation)) => Ok(Onward { source, translation, meter, space, deployment }),
            Err(mut failure) => {
                meter.failed(&mut failure);
                Err(Box::new((failure, meter)))
            }
        }
    }
}

impl Ask {
    /// The configuration wants streams of this call's kind continued.
    fn may_go_on(&self) -> Option<ContinuationRules> {
        let rules = self.snapshot.bounds.continuation?;
        let route = matches!(self.route, Route::ChatCompletions | Route::Messages | Route::Responses);
        let is_bound = self.form.is_some() || self.names.is_some() || !self.options.client_side.names.is_empty();
        let wanted = route && self.context.stream && !is_bound;
        // A stream that is read to its end for its usage, reader or not, is not worth another attempt.
        (wanted && self.disconnect() == ClientDisconnect::Cancel).then_some(rules)
    }

    /// The request of an attempt, so that its answer can be gone on with where that is wanted.
    pub(crate) fn draft(&self, call: &Call<'_>, attempt: &Attempt<'_>) -> Result<Draft, Failure> {
        let target = &attempt.place.target;
        if self.may_go_on().is_some() { draft_to_go_on(call, target) } else { draft(call, target) }
    }

    /// What goes on with this attempt's stream if it breaks.
    pub(crate) fn continuation(&self, attempt: &Attempt<'_>) -> Option<Box<Continuation>> {
        let rules = self.may_go_on()?;
        let own = self.snapshot.served.iter().position(|served| served.id == attempt.served.id)?;
        Some(Box::new(Continuation {
            ask: Arc::new(self.copy()),
            group: attempt.label.to_owned(),
            rules,
            out: vec![own],
            made: 0,
            said: String::new(),
        }))
    }

    fn can_go_on(&self, index: usize, group: &Group<'_>) -> bool {
        let served = self.snapshot.served.get(index).filter(|served| served.mock.is_none());
        let place = served.and_then(|served| self.place(served, group).ok());
        place.is_some_and(|place| continuation::takes(&place.target))
    }

    /// Asks for what is missing, up to the head of the answer.
    async fn begin_onward(
        &self,
        attempt: &Attempt<'_>,
        said: &str,
        meter: &mut Meter,
    ) -> Result<(Source, AnswerStream), Failure> {
        let place = &attempt.place;
        let cannot = || place.target.failure(FailureKind::InvalidResponse, "nobody can go on with the answer");
        // What is missing of an answer is never longer than all of it, so that it is not made shorter.
        self.stake(attempt, meter).await?;
        let mut prepared = self.prepare_onward(attempt, said).await?.ok_or_else(cannot)?;
        self.seal(&mut prepared.outgoing, place).await?;
        meter.open(attempt.served, place, Prompt::of(std::iter::once(&prepared.outgoing.body)))?;
        let response = self.exchange(&prepared.outgoing, attempt, meter).await?;
        if !self.streams(&response) {
            let reply = self.reply(response, attempt).await?;
            return Err(if reply.status.is_success() { cannot() } else { prepared.answers.failure(&reply) });
        }
        let translation = prepared.answers.stream(self.snapshot.bounds.max_event_bytes)?;
        let source = Source::new(response, place.target.provider.title, host(&place.address).to_owned());
        Ok((source, translation))
    }
}
