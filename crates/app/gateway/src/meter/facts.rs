//! What is written down of an attempt when it goes out: whose it is, and where it goes.

use std::sync::Arc;

use tollgate_ledger::{Scope, Slot, records::Facts};
use tollgate_policy::{Caller, HolderKind, Key};

use super::Meter;
use crate::{budgets::Payers, deployment::Place};

/// What rows have in place of the master key's hash (surface chapter 14.25).
const MASTER: &str = "litellm_proxy_master_key";

impl Meter {
    /// The facts of the attempt that goes out now.
    pub(super) fn facts(&self, deployment: &Arc<str>, group: &str, place: &Place, payers: &Payers) -> Facts {
        let unix = self.gateway.clock.unix();
        let mut facts = Facts {
            slots: slots(&self.caller, deployment, place.target.provider.name, payers, self.slots_of_whom()),
            customer: Arc::clone(&self.whom.customer),
            requester: Arc::clone(&self.whom.requester),
            call: self.record.call_id.as_str().into(),
            call_type: call_type(self.record.route).into(),
            asked: self.record.asked.as_str().into(),
            group: group.into(),
            model: Arc::clone(&place.model),
            provider: place.target.provider.name.into(),
            deployment: Arc::clone(deployment),
            api_base: place.address.as_str().into(),
            is_streamed: self.record.streamed,
            ordinal: u32::try_from(self.record.attempts.len()).unwrap_or(u32::MAX),
            started: unix.saturating_sub(self.elapsed()),
            tags: self.tags.iter().map(|tag| tag.as_str().into()).collect(),
            ..Facts::default()
        };
        match &self.caller {
            Caller::Admin => facts.key = MASTER.into(),
            Caller::Anyone => {}
            Caller::Key(key) => of_key(&mut facts, key),
        }
        facts
    }
}

fn of_key(facts: &mut Facts, key: &Key) {
    facts.key = key.digest.to_hex().into();
    let text = |text: &Option<String>| -> Arc<str> { text.as_deref().unwrap_or_default().into() };
    facts.key_alias = text(&key.alias);
    facts.user = text(&key.user);
    facts.team = text(&key.team);
    let of = |kind| key.holders.iter().find(|holder| holder.kind == kind).map(|holder| holder.id.as_str().into());
    facts.organization = of(HolderKind::Organization).unwrap_or_default();
    facts.project = of(HolderKind::Project).unwrap_or_default();
}

/// Whom it is booked to: all of them for all time, and each budget in its window.
fn slots(caller: &Caller, deployment: &Arc<str>, provider: &str, payers: &Payers, whom: Vec<Scope>) -> Arc<[Slot]> {
    let mut scopes = Vec::with_capacity(8);
    if let Caller::Key(key) = caller {
        scopes.push(Scope::Key(key.origin.as_str().into()));
        for holder in &key.holders {
            let id: Arc<str> = holder.id.as_str().into();
            scopes.push(match holder.kind {
                HolderKind::Team => Scope::Team(id),
                HolderKind::User => Scope::User(id),
                HolderKind::Organization => Scope::Organization(id),
                HolderKind::Project => Scope::Project(id),
            });
        }
        if let (Some(team), Some(user)) = (&key.team, &key.user) {
            scopes.push(Scope::Member { team: team.as_str().into(), user: user.as_str().into() });
        }
    }
    scopes.extend(whom);
    if !deployment.is_empty() {
        scopes.push(Scope::Deployment(Arc::clone(deployment)));
    }
    scopes.push(Scope::Provider(provider.into()));
    scopes.push(Scope::Proxy);
    // A budget of a scope that is not among them, such as a tag or a model of the key, is counted for all time as well.
    for slot in payers.slots().iter().filter(|slot| slot.period.is_some()) {
        if !scopes.contains(&slot.scope) {
            scopes.push(slot.scope.clone());
        }
    }
    let mut slots: Vec<Slot> = scopes.into_iter().map(Slot::forever).collect();
    for slot in payers.slots().iter() {
        if !slots.contains(slot) {
            slots.push(slot.clone());
        }
    }
    slots.into()
}

/// `LiteLLM`'s name for what a route does (surface chapter 8.3).
fn call_type(route: &str) -> &'static str {
    match route {
        "/chat/completions" => "acompletion",
        "/completions" => "atext_completion",
        "/embeddings" => "aembedding",
        "/images/generations" => "aimage_generation",
        "/images/edits" => "aimage_edit",
        "/images/variations" => "aimage_variation",
        "/audio/transcriptions" | "/audio/translations" => "atranscription",
        "/audio/speech" => "aspeech",
        "/moderations" => "amoderation",
        "/rerank" => "arerank",
        "/messages" | "/v1/messages" => "anthropic_messages",
        "/responses" | "/responses/compact" => "aresponses",
        "/realtime" | "/v1/realtime" => "_arealtime",
        route if route.contains("generateContent") || route.contains("GenerateContent") => "agenerate_content",
        _ => "pass_through_endpoint",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::Route;

    #[test]
    fn calls_have_the_names_that_dashboards_know() {
        assert_eq!(call_type(Route::ChatCompletions.path()), "acompletion");
        assert_eq!(call_type(Route::Messages.path()), "anthropic_messages");
        assert_eq!(call_type(Route::Embeddings.path()), "aembedding");
        assert_eq!(call_type(Route::Responses.path()), "aresponses");
        assert_eq!(call_type("/openai"), "pass_through_endpoint");
    }

    #[test]
    fn whoever_calls_everything_is_booked_to_the_proxy_too() {
        let texts = |caller: &Caller, deployment: &str| -> Vec<String> {
            slots(caller, &deployment.into(), "openai", &Payers::default(), Vec::new())
                .iter()
                .map(|slot| slot.scope.to_string())
                .collect()
        };
        assert_eq!(texts(&Caller::Admin, "d"), ["deployment:d", "provider:openai", "proxy"]);
        assert_eq!(texts(&Caller::Anyone, ""), ["provider:openai", "proxy"]);
    }
}
