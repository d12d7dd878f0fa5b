//! Why a call would go where it goes: the real plan is rehearsed as if every attempt failed, and its filters say what they
//! say in a call. Nobody is asked, and nothing is counted.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use tollgate_catalog::cost;
use tollgate_policy::{RouteClass, admit};
use tollgate_router::{Group, Plan, Step, Wants, Why};
use tollgate_wire::{Failure, FailureKind, Usage};

use crate::{
    access::group_for,
    dispatch::Ask,
    gateway::Gateway,
    inbound::{Inbound, Route},
    meter::Meter,
    news::News,
};

/// Steps of a rehearsal; who waits for a place that stays taken would wait forever.
const MOST_STEPS: usize = 256;

impl Gateway {
    /// `POST /router/explain`: what would become of this chat request, as its sender.
    ///
    /// # Errors
    /// As the call itself would be refused.
    pub async fn explain(self: &Arc<Self>, headers: HeaderMap, body: Bytes) -> Result<Value, Failure> {
        let snapshot = self.snapshot();
        let route = Route::ChatCompletions;
        let mut meter = Meter::silent(self, route);
        let caller = self.identify(&snapshot, &headers).await?;
        let ask = self.read(&snapshot, caller, Inbound { route, path_model: None, headers, body }, &mut meter)?;
        let group = group_for(&snapshot, &ask.caller, route.path(), &ask.context.alias)?;
        Ok(Explanation { ask: &ask, now: ask.now() }.of(&group))
    }

    /// `GET /router/explain/{call_id}`: the way of one of the last calls.
    ///
    /// # Errors
    /// 401 as for a call; 404 for a call that is not kept, or that another key made.
    pub async fn explain_call(&self, headers: &HeaderMap, call_id: &str) -> Result<Value, Failure> {
        let caller = self.identify(&self.snapshot(), headers).await?;
        admit(&caller, RouteClass::Call, "/router/explain")?;
        self.decisions.find(call_id, &caller).ok_or_else(|| {
            let words = format!(
                "no decision of the call '{}' is kept; router_settings.kept_decisions says how many are",
                call_id.chars().take(128).collect::<String>()
            );
            Failure::new(FailureKind::RouteNotFound, words)
        })
    }
}

struct Explanation<'a> {
    ask: &'a Ask,
    now: Duration,
}

/// The call in the words of one of its fallbacks.
struct Reworded {
    /// The name of the fallback's group.
    label: String,
    ask: Ask,
    wants: Wants,
}

impl<'a> Explanation<'a> {
    fn of(&self, group: &Group<'a>) -> Value {
        let snapshot = &*self.ask.snapshot;
        let (fleet, asked) = (&snapshot.fleet, self.ask.asked(group));
        let wants = asked.wants.clone();
        let mut plan = Plan::rehearsal(fleet, group.clone(), asked);
        let most_retries = plan.max_retries();
        let mut groups = vec![group.clone()];
        let mut reworded = Vec::new();
        let (steps, end) = self.rehearse(&mut plan, &mut groups, &mut reworded);
        for tried in plan.groups() {
            if groups.iter().all(|group| group.label() != tried.label()) {
                groups.push(tried.clone());
            }
        }
        let said = |group: &Group<'a>| reworded.iter().find(|one| one.label == group.label());
        let candidates: Vec<Value> =
            groups.iter().flat_map(|group| self.candidates(&plan, group, said(group))).collect();
        json!({
            "model": self.ask.context.alias,
            "group": group.name,
            "strategy": fleet.rules().strategy.name(),
            "input_tokens": wants.tokens,
            "tags": wants.tags,
            "retries": most_retries,
            "price_ceiling": ceiling(&candidates),
            "candidates": candidates,
            // As if every attempt failed with 503.
            "plan": steps,
            "end": end,
        })
    }

    /// What is tried, in order, when everybody answers 503; and what the client is told then.
    fn rehearse(
        &self,
        plan: &mut Plan<'a>,
        groups: &mut Vec<Group<'a>>,
        reworded: &mut Vec<Reworded>,
    ) -> (Vec<Value>, Value) {
        let down = Failure::new(FailureKind::ServiceUnavailable, "the service is unavailable");
        let (mut steps, mut news, mut now) = (Vec::new(), News::Begin, self.now);
        while steps.len() < MOST_STEPS {
            let since = |time: Duration| time.saturating_sub(self.now).as_secs_f64();
            match plan.on(&news.event(), now, self.ask.gateway.random.u64()) {
                Step::Start { deployment, after } => {
                    now += after;
                    if let Some(group) = plan.group().filter(|one| groups.iter().all(|known| known.name != one.name)) {
                        groups.push(group.clone());
                    }
                    let mut step = json!({
                        "at_seconds": since(now),
                        "group": plan.group().map(|group| group.name),
                        "deployment": self.ask.snapshot.served.get(deployment).map(|served| &*served.id),
                        "wait_seconds": after.as_secs_f64(),
                        "retries": plan.retries(),
                        "fallbacks": plan.fallbacks(),
                    });
                    if let (Some(hedge), Some(step)) = (self.hedge(plan, deployment, now), step.as_object_mut()) {
                        step.insert("hedge".to_owned(), hedge);
                    }
                    steps.push(step);
                    news = News::Failed(down.clone());
                }
                Step::Wait { until } => {
                    let waits = until.map(|until| until.saturating_sub(now));
                    let group = plan.group().map(|group| group.name);
                    now = until.unwrap_or(now).max(now);
                    steps.push(json!({
                        "at_seconds": since(now),
                        "group": group,
                        "deployment": null,
                        "wait_seconds": waits.map(|waits| waits.as_secs_f64()),
                    }));
                    if waits.is_none() {
                        // What comes then depends on other calls.
                        return (steps, Value::Null);
                    }
                    news = News::Woken;
                }
                Step::Reword => {
                    news = match self.ask.reworded(plan) {
                        Ok((ask, wants)) => {
                            let label = plan.group().map(|group| group.label().to_owned()).unwrap_or_default();
                            reworded.push(Reworded { label, ask, wants: wants.clone() });
                            News::Reworded(wants)
                        }
                        Err(failure) => News::Refused(failure),
                    };
                }
                Step::GiveUp(failure) => {
                    let end = json!({"status": failure.http_status(), "message": failure.client_message()});
                    return (steps, end);
                }
            }
        }
        (steps, Value::Null)
    }

    /// Who would be asked beside this deployment, and after how long.
    fn hedge(&self, plan: &Plan<'a>, deployment: usize, now: Duration) -> Option<Value> {
        let patience = plan.patience(deployment, now)?;
        let other = plan.beside(deployment, now, self.ask.gateway.random.u64())?;
        let other = self.ask.snapshot.served.get(other)?;
        Some(json!({"after_seconds": patience.as_secs_f64(), "deployment": &*other.id}))
    }

    fn candidates(&self, plan: &Plan<'a>, group: &Group<'a>, said: Option<&Reworded>) -> Vec<Value> {
        let shares: Vec<(usize, usize, f64)> = group.shares().collect();
        let candidate = |(index, why): (usize, Option<Why>)| {
            let share = shares.iter().find(|(at, ..)| *at == index);
            let share = share.map(|(_, place, share)| (*place, *share));
            Explanation { ask: said.map_or(self.ask, |said| &said.ask), now: self.now }.candidate(
                group,
                index,
                why.as_ref(),
                share,
            )
        };
        plan.look_at(group, said.map(|said| &said.wants), self.now).filter_map(candidate).collect()
    }

    /// One deployment: no address, no header, nothing that could hold a secret.
    fn candidate(
        &self,
        group: &Group<'_>,
        index: usize,
        why: Option<&Why>,
        share: Option<(usize, f64)>,
    ) -> Option<Value> {
        let snapshot = &self.ask.snapshot;
        let (served, one) = (snapshot.served.get(index)?, snapshot.fleet.deployments().get(index)?);
        let minute = one.vitals.last_minute(self.now);
        let seconds_until = |until: Duration| until.saturating_sub(self.now).as_secs_f64();
        let place = self.ask.place(served, group).ok();
        let output = self.output_tokens().or_else(|| place.as_ref()?.target.facts.max_output_tokens);
        let answers: u64 = self.ask.body.typed("n").unwrap_or(1);
        let usage = output.map(|output| Usage {
            input: tokens_of(self.ask),
            output: output.saturating_mul(answers),
            ..Usage::default()
        });
        let price = place.as_ref().map(|place| &place.price).filter(|price| price.is_stated());
        Some(json!({
            "deployment": &*served.id,
            "group": group.name,
            "provider": place.as_ref().map(|place| place.target.provider.name),
            "model": place.as_ref().map(|place| &*place.model),
            "place": share.map(|(place, _)| place),
            "share": share.map(|(_, share)| share),
            "takes_it": why.is_none(),
            "filter": why.map(Why::filter),
            "reason": why.map(ToString::to_string),
            "passes": why.is_some_and(Why::passes),
            "again_in_seconds": why.and_then(Why::until).map(seconds_until),
            "in_flight": one.vitals.in_flight(),
            "last_minute": {
                "requests": minute.requests,
                "successes": minute.successes,
                "failures": minute.failures,
                "tokens": minute.tokens,
            },
            "latency_seconds": one.vitals.latency(self.ask.pace(), self.now),
            "output_tokens": usage.map(|usage| usage.output),
            "ceiling_usd": usage.zip(price).map(|(usage, price)| cost(&usage, price).usd_f64()),
        }))
    }

    /// How long an answer the request allows.
    fn output_tokens(&self) -> Option<u64> {
        let names = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
        names.into_iter().find_map(|name| self.ask.body.typed(name))
    }
}

fn tokens_of(ask: &Ask) -> u64 {
    crate::routing::wants(&ask.body, Vec::new(), None, None).tokens
}

/// The most that an answer may cost, at the dearest deployment that may give it; by the guess of the input.
fn ceiling(candidates: &[Value]) -> Value {
    let may_answer = |one: &&Value| one["takes_it"] == json!(true) || one["passes"] == json!(true);
    let usd = |one: &Value| one["ceiling_usd"].as_f64();
    let open: Vec<&Value> = candidates.iter().filter(may_answer).collect();
    let unknown: Vec<&Value> = open.iter().filter(|one| usd(one).is_none()).map(|one| &one["deployment"]).collect();
    let dearest = open.iter().filter_map(|one| Some((usd(one)?, *one))).max_by(|one, other| one.0.total_cmp(&other.0));
    json!({
        "usd": dearest.map(|(usd, _)| usd),
        "deployment": dearest.map(|(_, one)| &one["deployment"]),
        "without_a_price": unknown,
    })
}
