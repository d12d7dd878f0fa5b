//! What can be done with an answer that was made: look at it, at what it answered, stop it, delete it. The sealed id says
//! which deployment made it, whose it is, and whether its provider or our memory keeps it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tollgate_net::Bounds;
use tollgate_observe::Outcome;
use tollgate_policy::{RouteClass, admit};
use tollgate_providers::{
    auth,
    dialects::{openai, openai_responses::splice},
    target::Credential,
};
use tollgate_router::Captured;
use tollgate_wire::{
    Failure, RawBody,
    http::{Outgoing, Reply},
};

use crate::{
    answer::Answer,
    deployment::{Place, Served},
    exchange::host,
    gateway::Gateway,
    headers, hops,
    inbound::Route,
    journey::refuse,
    meter::Meter,
    options::ClientSide,
    responses::unknown,
    sealed::Origin,
    snapshot::Snapshot,
};

/// What is to be done with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Show it.
    Show,
    /// Delete it.
    Delete,
    /// Stop making it.
    Cancel,
    /// Show what it answered.
    Items,
}

impl Deed {
    const fn method(self) -> Method {
        match self {
            Self::Show | Self::Items => Method::GET,
            Self::Delete => Method::DELETE,
            Self::Cancel => Method::POST,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Show | Self::Delete => "",
            Self::Cancel => "/cancel",
            Self::Items => "/input_items",
        }
    }
}

/// A request about an answer.
#[derive(Clone, Debug)]
pub struct StoredAsk {
    /// What is to be done.
    pub deed: Deed,
    /// The answer's id, as we gave it.
    pub id: String,
    /// The request's query, as it was written.
    pub query: String,
    /// The request's headers.
    pub headers: HeaderMap,
}

/// Members of a query that are the provider's to read.
const PASSED: &[&str] = &["include", "include[]", "include%5B%5D", "limit", "order", "after", "before"];

impl Gateway {
    /// Does something with an answer that was made before.
    pub async fn stored(self: &Arc<Self>, ask: StoredAsk) -> Answer {
        let snapshot = self.snapshot();
        let mut meter = Meter::start(self, Route::Responses);
        match self.do_stored(&snapshot, &ask, &mut meter).await {
            Ok(mut answer) => {
                headers::common(&mut answer.headers, meter.call_id());
                meter.finish(answer.status.as_u16(), Outcome::Answered);
                answer
            }
            Err(failure) => refuse(&failure, meter),
        }
    }

    async fn do_stored(&self, snapshot: &Snapshot, ask: &StoredAsk, meter: &mut Meter) -> Result<Answer, Failure> {
        let caller = self.identify(snapshot, &ask.headers).await?;
        meter.asked_by(&caller);
        admit(&caller, RouteClass::Call, Route::Responses.path())?;
        let origin = self.seal_key(snapshot).open(&ask.id).filter(|origin| origin.owner == caller.owner());
        let origin = origin.ok_or_else(|| unknown(&ask.id))?;
        if origin.ours { self.remembered(ask, &origin) } else { self.asked_again(snapshot, ask, &origin).await }
    }

    fn remembered(&self, ask: &StoredAsk, origin: &Origin) -> Result<Answer, Failure> {
        let now = self.clock.monotonic();
        if ask.deed == Deed::Delete {
            let was_there = self.kept.remove(&origin.answer, now);
            let deleted = json!({"id": ask.id, "object": "response", "deleted": true});
            return if was_there { Ok(Answer::value(&deleted)) } else { Err(unknown(&ask.id)) };
        }
        let kept = self.kept.get(&origin.answer, now).ok_or_else(|| unknown(&ask.id))?;
        match ask.deed {
            Deed::Cancel => Err(Failure::invalid("Cannot cancel a synchronous response.").with_param("response_id")),
            Deed::Items => Ok(Answer::value(&listed(&kept.input, &ask.query))),
            _ => Ok(Answer::json(StatusCode::OK, kept.response.as_bytes().to_vec())),
        }
    }

    async fn asked_again(&self, snapshot: &Snapshot, ask: &StoredAsk, origin: &Origin) -> Result<Answer, Failure> {
        if parameters(&ask.query).any(|(name, value)| name == "stream" && value.eq_ignore_ascii_case("true")) {
            return Err(Failure::invalid("a response can be asked for again as a whole only").with_param("stream"));
        }
        let served = snapshot.served.iter().find(|served| *served.id == *origin.deployment);
        let served = served.ok_or_else(|| unknown(&ask.id))?;
        // The model plays no part in these addresses.
        let place = served.place_for(
            Some(&Captured::of("any")),
            &ClientSide::default(),
            &snapshot.catalog,
            &snapshot.environment,
        );
        let place = place.map_err(|_| unknown(&ask.id))?;
        let mut outgoing = outgoing(ask, origin, &place).ok_or_else(|| unknown(&ask.id))??;
        hops::mark(&self.instance, &ask.headers, &place, &mut outgoing)?;
        if let Credential::Account(account) = &place.target.credential {
            let grant = self.credentials.grant(account, &self.client, self.clock.as_ref()).await?;
            auth::sign(&mut outgoing, &place.target, &grant, self.clock.unix())?;
        }
        let reply = self.ask_provider(snapshot, served, &place, &outgoing).await.map_err(|mut failure| {
            place.hide_secrets(&mut failure);
            failure
        })?;
        let body = self.renamed(snapshot, ask, origin, served, reply.body);
        let mut answer = Answer::json(reply.status, body);
        headers::add_provider(&mut answer.headers, &reply.headers);
        Ok(answer)
    }

    async fn ask_provider(
        &self,
        snapshot: &Snapshot,
        served: &Served,
        place: &Place,
        outgoing: &Outgoing,
    ) -> Result<Reply, Failure> {
        let bounds = Bounds {
            first_byte: served.timeout,
            idle: served.timeout,
            total: Some(served.timeout),
            max_body: snapshot.bounds.max_response_bytes,
        };
        let failed =
            |error: tollgate_net::NetError| error.into_failure(place.target.provider.title, host(&place.address));
        let mut response = self.client.send(outgoing, &bounds).await.map_err(failed)?;
        let (status, headers) = (response.status, std::mem::take(&mut response.headers));
        let body = response.collect().await.map_err(failed)?;
        let reply = Reply { status, headers, body };
        if status.is_success() { Ok(reply) } else { Err(openai::failure(&reply, &place.target)) }
    }

    /// The provider's answer under the client's names.
    fn renamed(&self, snapshot: &Snapshot, ask: &StoredAsk, origin: &Origin, served: &Served, body: Bytes) -> Bytes {
        let Ok(mut answer) = RawBody::parse(&body) else { return body };
        if ask.deed == Deed::Items {
            return body;
        }
        answer.set_str("id", &ask.id);
        if answer.has("model") && !served.group.contains('*') {
            answer.set_str("model", &served.group);
        }
        if let Some(previous) = answer.typed::<String>("previous_response_id") {
            let before = Origin { answer: previous, ..origin.clone() };
            let id = self.seal_key(snapshot).seal(&before);
            answer.set("previous_response_id", &id.map_or(Value::Null, Value::from));
        }
        answer.to_bytes()
    }
}

/// The request to the provider; `None` where there is nobody to ask, or nothing that could stand in an address.
fn outgoing(ask: &StoredAsk, origin: &Origin, place: &Place) -> Option<Result<Outgoing, Failure>> {
    let id = &origin.answer;
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let target = &place.target;
    let path = splice::path(target).filter(|_| is_plain)?;
    let address = (target.provider.address)(target, path);
    let (base, own) = address.split_once('?').unwrap_or((&address, ""));
    let asked = ask.query.split('&').filter(|pair| PASSED.contains(&pair.split('=').next().unwrap_or_default()));
    let query: Vec<&str> = Some(own).filter(|own| !own.is_empty()).into_iter().chain(asked).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("{base}/{id}{}{mark}{}", ask.deed.suffix(), query.join("&"));
    let finished = target.request_headers().map(|mut headers| {
        if let Some(organization) = target.organization.as_ref().and_then(|text| text.parse().ok()) {
            headers.insert("openai-organization", organization);
        }
        Outgoing { method: ask.deed.method(), url, headers, body: Bytes::new() }
    });
    Some(finished)
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// What an answer of ours answered, as a list; the newest first unless asked otherwise.
fn listed(input: &str, query: &str) -> Value {
    let mut items: Vec<Value> = serde_json::from_str(input).unwrap_or_default();
    let asked = |wanted: &str| parameters(query).find(|(name, _)| *name == wanted).map(|(_, value)| value);
    for (place, item) in items.iter_mut().enumerate() {
        if let Value::Object(members) = item {
            members.entry("id").or_insert_with(|| format!("item_{place}").into());
            members.entry("type").or_insert_with(|| "message".into());
        }
    }
    if asked("order") != Some("asc") {
        items.reverse();
    }
    let id = |item: &Value| item.get("id").cloned().unwrap_or_default();
    if let Some(after) = asked("after")
        && let Some(at) = items.iter().position(|item| id(item) == after)
    {
        items.drain(..=at);
    }
    let limit = asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20usize).clamp(1, 100);
    let has_more = items.len() > limit;
    items.truncate(limit);
    json!({"object": "list", "first_id": items.first().map(id), "last_id": items.last().map(id), "has_more": has_more,
        "data": items})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_listed_page_by_page() {
        let input =
            json!([{"role": "user", "content": "a"}, {"id": "x", "type": "reasoning"}, {"role": "user"}]).to_string();
        let ids = |query: &str| -> Vec<String> {
            let list = listed(&input, query);
            list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(""), ["item_2", "x", "item_0"]);
        assert_eq!(ids("order=asc&limit=1"), ["item_0"]);
        assert_eq!(ids("order=asc&after=x"), ["item_2"]);
        assert_eq!(listed(&input, "limit=2")["has_more"], true);
        assert_eq!(listed(&input, "")["data"][2]["type"], "message");
    }
}
