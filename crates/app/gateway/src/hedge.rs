//! Two attempts at once (ADR 0010): beside one that has said nothing for too long another deployment is asked, and whoever
//! has an answer first is the call's. The other one is cancelled, and settled by what it may have cost.

use std::{sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use serde_json::Value;
use tollgate_observe::{Hedge, Outcome};
use tollgate_router::{Awaits, Plan};
use tollgate_wire::{Blame, RawBody};

use crate::{
    aboard::Aboard,
    answer::{Answer, AnswerBody},
    decisions::Deliberation,
    dispatch::{Ask, Missed},
    headers,
    inbound::Route,
    meter::{Meter, Turn},
};

/// An attempt that may get another one beside it.
pub(crate) struct Race<'r, 'f, 'g> {
    pub(crate) first: usize,
    /// How long it may say nothing.
    pub(crate) patience: Duration,
    pub(crate) plan: &'r mut Plan<'f>,
    pub(crate) minutes: &'r mut Deliberation<'g>,
}

impl Ask {
    /// What the call waits for, if asking two deployments at once does no harm. Pictures and sound cost as much as they take,
    /// files and jobs stay, and what a client names or chooses itself is in one place.
    pub(crate) fn twice(&self) -> Option<Awaits> {
        self.snapshot.fleet.rules().hedging.as_ref()?;
        let route = self.route.speaks() || matches!(self.route, Route::Embeddings | Route::Rerank | Route::Moderations);
        let options = &self.options;
        let is_mocked = options.mock_response.is_some() || options.mock_timeout;
        let is_bound = self.form.is_some() || self.names.is_some() || !options.client_side.names.is_empty();
        if !route || is_mocked || is_bound || does_something(&self.body) {
            return None;
        }
        Some(if self.context.stream { Awaits::Content } else { Awaits::Whole })
    }

    /// One attempt, and beside it a second one if the first says nothing for too long.
    pub(crate) async fn race(
        &self,
        race: Race<'_, '_, '_>,
        flight: Aboard,
        mut meter: Meter,
    ) -> Result<Answer, Missed> {
        let Race { first, patience, plan, minutes } = race;
        meter.splits();
        // Only looked at until both are over.
        let looked_at: &Plan<'_> = plan;
        let mut one = Box::pin(self.one(first, flight, looked_at, meter.beside(Turn::First, Duration::ZERO)));
        if let Ok(tried) = tokio::time::timeout(patience, &mut one).await {
            return alone(tried, meter);
        }
        let Some((second, flight)) = self.second(first, looked_at) else { return alone(one.await, meter) };
        let name =
            |index: usize| self.snapshot.served.get(index).map(|served| Arc::clone(&served.id)).unwrap_or_default();
        let (first_id, second_id) = (name(first), name(second));
        minutes.hedges(&second_id, patience);
        let two = Box::pin(self.one(second, flight, looked_at, meter.beside(Turn::Second, patience)));
        let (missed, also) = match select(one, two).await {
            Either::Left((Ok(answer), two)) => {
                meter.decide();
                drop(two);
                minutes.loses(&second_id, None);
                return Ok(won(answer, meter, Turn::First, Some(Hedge::Lost)));
            }
            Either::Right((Ok(answer), one)) => {
                meter.decide();
                drop(one);
                minutes.loses(&first_id, None);
                return Ok(won(answer, meter, Turn::Second, Some(Hedge::Won)));
            }
            // What the client caused is no better elsewhere.
            Either::Left((Err(missed), two)) if missed.0.kind.blame() == Blame::Client => {
                meter.decide();
                drop(two);
                minutes.loses(&second_id, None);
                (missed, None)
            }
            Either::Left((Err(missed), two)) => {
                minutes.loses(&first_id, Some(missed.0.kind));
                match two.await {
                    Ok(answer) => {
                        // What it has settled goes into the tray before that is emptied.
                        drop(missed);
                        return Ok(won(answer, meter, Turn::Second, Some(Hedge::Won)));
                    }
                    Err(also) => (missed, Some(also)),
                }
            }
            Either::Right((Err(missed), one)) => {
                minutes.loses(&second_id, Some(missed.0.kind));
                match one.await {
                    Ok(answer) => {
                        drop(missed);
                        return Ok(won(answer, meter, Turn::First, Some(Hedge::Lost)));
                    }
                    Err(also) => (also, Some(missed)),
                }
            }
        };
        // The call goes on as if the first one alone had failed; the second is not asked again before others.
        plan.also_failed(second);
        Err(lost(missed, also, meter))
    }

    /// Who is asked beside the first, and its place there.
    fn second(&self, first: usize, plan: &Plan<'_>) -> Option<(usize, Aboard)> {
        if self.left.is_set() {
            return None;
        }
        let other = plan.beside(first, self.now(), self.gateway.random.u64())?;
        let boarded = self.board(other, plan).map(|flight| (other, flight));
        if boarded.is_none() {
            plan.not_asked();
        }
        boarded
    }
}

/// Tools that the model's answer only asks the client to use.
const OF_CLIENTS: [&str; 2] = ["function", "custom"];
/// Members that go on with something, or make something that stays.
const STAYS: [&str; 5] = ["background", "previous_response_id", "conversation", "mcp_servers", "container"];

/// Whether what is asked for may do more than answer: twice of it is not once.
fn does_something(body: &RawBody) -> bool {
    let is_set = |name: &&str| body.get(name).is_some_and(|raw| !matches!(raw.as_ref(), b"null" | b"false"));
    if STAYS.iter().any(is_set) {
        return true;
    }
    let Some(tools) = body.get("tools").filter(|raw| raw.as_ref() != b"null") else { return false };
    let Ok(tools) = serde_json::from_slice::<Vec<Value>>(tools) else { return true };
    let is_of_client = |tool: &Value| match tool.get("type") {
        None => true,
        Some(kind) => kind.as_str().is_some_and(|kind| OF_CLIENTS.contains(&kind)),
    };
    !tools.iter().all(is_of_client)
}

/// The answer, with what both attempts have settled in the call's one record.
fn won(mut answer: Answer, mut call: Meter, by: Turn, hedge: Option<Hedge>) -> Answer {
    call.gather(by);
    if let Some(hedge) = hedge {
        headers::hedged(&mut answer.headers, hedge);
        call.hedged(hedge);
    }
    match &mut answer.body {
        AnswerBody::Stream(stream) => stream.meter_mut().becomes(call),
        _ => call.finish(answer.status.as_u16(), Outcome::Answered),
    }
    answer
}

/// The failure of the first attempt, which the call goes on with.
fn lost(missed: Missed, other: Option<Missed>, mut call: Meter) -> Missed {
    let (mut failure, own) = *missed;
    failure.is_paid |= other.is_some_and(|other| other.0.is_paid);
    // What it has settled goes into the tray.
    drop(own);
    call.gather(Turn::First);
    Box::new((failure, call))
}

/// The end of an attempt that had none beside it.
fn alone(tried: Result<Answer, Missed>, call: Meter) -> Result<Answer, Missed> {
    match tried {
        Ok(answer) => Ok(won(answer, call, Turn::First, None)),
        Err(missed) => Err(lost(missed, None, call)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_do_more_than_answer_is_not_asked_twice() {
        let does = |value: Value| does_something(&RawBody::parse(&value.to_string().into()).unwrap());
        for harmless in [
            json!({}),
            json!({"tools": null, "background": false, "previous_response_id": null}),
            json!({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "name": "c"}]}),
            json!({"tools": [{"name": "f", "input_schema": {}}]}),
        ] {
            assert!(!does(harmless.clone()), "{harmless}");
        }
        for harmful in [
            json!({"background": true}),
            json!({"previous_response_id": "resp_1"}),
            json!({"conversation": {"id": "conv_1"}}),
            json!({"mcp_servers": []}),
            json!({"tools": [{"type": "function"}, {"type": "mcp", "server_url": "https://x"}]}),
            json!({"tools": [{"type": "code_execution_20250522", "name": "code_execution"}]}),
            json!({"tools": "all"}),
        ] {
            assert!(does(harmful.clone()), "{harmful}");
        }
    }
}
