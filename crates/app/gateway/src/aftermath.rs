//! What an answer about things kept at a provider leads to: their ids are sealed, and a batch that has begun is followed.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use serde_json::Value;
use tollgate_net::Response;
use tollgate_observe::Outcome;
use tollgate_providers::{
    batches::{Standing, Words},
    gauge::Reading,
};
use tollgate_wire::RawBody;

use crate::{
    answer::{Answer, AnswerBody},
    batches::Started,
    deployment::Place,
    exchange::host,
    gateway::Gateway,
    journey::refuse,
    meter::{Booking, Meter},
    passage::answered_headers,
    snapshot::Snapshot,
    things::Ids,
};

/// What is to be done with an answer that is a document.
pub(crate) struct Aftermath {
    pub(crate) ids: Ids,
    /// The client gets sealed ids.
    pub(crate) seals: bool,
    /// Which things it is about, by their path.
    pub(crate) what: &'static str,
    /// Where they are; empty where the environment says it.
    pub(crate) deployment: Arc<str>,
    pub(crate) batches: Option<Sighting>,
}

/// The answer is a batch, or a list of such.
#[derive(Clone, Copy)]
pub(crate) struct Sighting {
    pub(crate) words: Words,
    /// It has just begun.
    pub(crate) starts: bool,
}

impl Gateway {
    /// Hands on a document, once it was seen to.
    pub(crate) async fn hand_document(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        mut response: Response,
        place: &Arc<Place>,
        after: &Aftermath,
        mut meter: Meter,
    ) -> Answer {
        let (status, theirs) = (response.status, std::mem::take(&mut response.headers));
        meter.passes(Booking::Free);
        let whole = match response.collect().await {
            Ok(whole) => whole,
            Err(error) => {
                let mut failure = error.into_failure(place.target.provider.title, host(&place.address));
                meter.failed(&mut failure);
                return refuse(&failure, meter);
            }
        };
        meter.passed(&Reading::default());
        let body = after.see_to(self, snapshot, place, whole, meter.call_id());
        let mut headers = answered_headers(&theirs, place, meter.call_id());
        headers.remove(header::CONTENT_LENGTH);
        meter.finish(status.as_u16(), Outcome::Answered);
        Answer { status, headers, body: AnswerBody::Whole(body) }
    }
}

impl Aftermath {
    fn see_to(
        &self,
        gateway: &Arc<Gateway>,
        snapshot: &Snapshot,
        place: &Arc<Place>,
        whole: Bytes,
        call_id: &str,
    ) -> Bytes {
        let Ok(mut document) = RawBody::parse(&whole) else { return whole };
        if let Some(sighting) = self.batches {
            self.sight(gateway, snapshot, place, &document, sighting, call_id);
        }
        if !self.seals {
            return whole;
        }
        self.ids.seal(&mut document, self.what, &self.deployment, place);
        document.to_bytes()
    }

    fn sight(
        &self,
        gateway: &Arc<Gateway>,
        snapshot: &Snapshot,
        place: &Arc<Place>,
        document: &RawBody,
        sighting: Sighting,
        call_id: &str,
    ) {
        let Some(id) = document.typed::<String>("id") else { return };
        let standing = sighting.words.standing(&Value::Object(document.to_map()));
        if sighting.starts {
            gateway.follow(
                snapshot,
                Started {
                    words: sighting.words,
                    id: id.clone(),
                    deployment: Arc::clone(&self.deployment),
                    place: Arc::clone(place),
                    caller: self.ids.caller().clone(),
                    call_id: call_id.to_owned(),
                },
            );
        }
        if let Some(Standing::Over(_)) = standing {
            // Whoever follows it looks now, not in an hour.
            gateway.followed.nudge(&self.deployment, &id);
        }
    }
}
