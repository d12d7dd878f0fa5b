//! Answers for which nobody is asked: mocks, and counts of tokens where the provider has none.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tollgate_observe::Outcome;
use tollgate_wire::{Failure, Usage};

use crate::{
    answer::{Answer, AnswerBody},
    dispatch::{Ask, Attempt, Missed},
    meter::Meter,
    mock,
};

impl Ask {
    /// The mocked answer that the request or the configuration wants.
    pub(crate) fn mocked(
        &self,
        mock: &serde_json::Value,
        attempt: &Attempt<'_>,
        mut meter: Meter,
    ) -> Result<Answer, Missed> {
        if !self.route.speaks() {
            let words = "`mock_response` answers chat, text completion, messages and responses, nothing else";
            return Err(Box::new((Failure::invalid(words).with_param("mock_response"), meter)));
        }
        let words = match mock::words(mock) {
            Ok(words) => words,
            Err(failure) => return Err(Box::new((failure, meter))),
        };
        meter.open_made(&attempt.served.id, &attempt.served.group, &attempt.place);
        let (client, context) = (self.route.client(), self.context_for(attempt));
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
    pub(crate) async fn counted(&self, attempt: &Attempt<'_>, mut meter: Meter) -> Result<Answer, Missed> {
        // What we count ourselves says nothing of the deployment, and asks nothing of it.
        meter.leaves();
        let client = self.route.client();
        let request = match client.read(&self.body) {
            Ok(request) => request,
            Err(failure) => return Err(Box::new((failure, meter))),
        };
        meter.open_made(&attempt.served.id, &attempt.served.group, &attempt.place);
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
