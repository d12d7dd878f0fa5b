//! What calls of the Responses API need beside the journey: the answer before them, and ids for theirs.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde_json::Value;
use tollgate_policy::Caller;
use tollgate_providers::{
    codec::{AnswerContext, Desk, ResponsesContext},
    dialects::openai_responses::front_items::as_items,
};
use tollgate_router::Group;
use tollgate_wire::{Failure, RawBody};

use crate::{
    dispatch::{Ask, Attempt},
    gateway::Gateway,
    inbound::Route,
    kept::{KeptAnswer, KeptBounds},
    sealed::{Origin, SealKey},
    snapshot::Snapshot,
};

/// What a call of the Responses API brings along.
#[derive(Clone)]
pub(crate) struct ResponsesAsk {
    /// Whose answers these are. Every key has answers of its own.
    owner: Cow<'static, str>,
    /// The deployment that made the answer before, where its provider keeps it.
    made_by: Option<String>,
    /// The answer may be kept.
    keeps: bool,
}

/// Reads what the request says of the answer before it, and puts that into the request: the provider's own id where the
/// provider keeps it, its words where we do.
///
/// # Errors
/// 404 for an answer of somebody else, 400 for one that is gone.
pub(crate) fn begin(
    gateway: &Gateway,
    snapshot: &Snapshot,
    caller: &Caller,
    route: Route,
    body: &mut RawBody,
) -> Result<(Option<ResponsesAsk>, ResponsesContext), Failure> {
    if !route.is_of_responses() {
        return Ok((None, ResponsesContext::default()));
    }
    let context = ResponsesContext::of(&body.to_map());
    let keeps = body.typed::<bool>("store") != Some(false);
    let mut ask = ResponsesAsk { owner: caller.owner(), made_by: None, keeps };
    let Some(previous) = body.typed::<String>("previous_response_id") else {
        return Ok((Some(ask), context));
    };
    let Some(origin) = gateway.seal_key(snapshot).open(&previous) else {
        // An id that we did not give may be the provider's: the provider knows.
        return if caller.owns_accounts() { Ok((Some(ask), context)) } else { Err(unknown(&previous)) };
    };
    if origin.owner != ask.owner {
        return Err(unknown(&previous).with_param("previous_response_id"));
    }
    if origin.ours {
        let kept = gateway.kept.get(&origin.answer, gateway.clock.monotonic()).ok_or_else(|| gone(&previous))?;
        continue_from(&kept, body)?;
    } else {
        body.set_str("previous_response_id", &origin.answer);
        ask.made_by = Some(origin.deployment);
    }
    Ok((Some(ask), context))
}

/// An answer that is not there, or somebody else's: nobody learns which.
pub(crate) fn unknown(id: &str) -> Failure {
    let shown: String = id.chars().take(64).collect();
    let mut failure = Failure::invalid(format!("Response with id '{shown}' not found."));
    failure.status = Some(404);
    failure
}

fn gone(id: &str) -> Failure {
    let shown: String = id.chars().take(64).collect();
    let words = format!(
        "Previous response with id '{shown}' is gone: its provider keeps no answers, and this gateway keeps them in \
         memory, within bounds and for a limited time (kept_responses_ttl). Send the whole conversation as `input`."
    );
    Failure::invalid(words).with_param("previous_response_id")
}

/// Puts the conversation so far before what the client says now.
fn continue_from(kept: &KeptAnswer, body: &mut RawBody) -> Result<(), Failure> {
    let mut items: Vec<Value> =
        serde_json::from_str(&kept.input).map_err(|error| Failure::bug(format!("a kept conversation: {error}")))?;
    let response: Value = serde_json::from_str(&kept.response).unwrap_or_default();
    items.extend(response.get("output").and_then(Value::as_array).cloned().unwrap_or_default());
    items.extend(as_items(body.typed("input").unwrap_or_default()));
    body.set("input", &items.into());
    body.remove("previous_response_id");
    Ok(())
}

impl Ask {
    /// What a client must know of this attempt's answer. One of a fallback says which model it is of (SEED-85).
    pub(crate) fn context_for(&self, attempt: &Attempt<'_>) -> Cow<'_, AnswerContext> {
        let is_fallback = attempt.fallbacks > 0;
        if self.responses.is_none() && !is_fallback {
            return Cow::Borrowed(&self.context);
        }
        let mut context = self.context.clone();
        if is_fallback {
            context.alias.clone_from(&attempt.place.target.model);
        }
        let Some(asked) = &self.responses else { return Cow::Owned(context) };
        context.responses.desk = Some(Arc::new(Counter {
            gateway: Arc::clone(&self.gateway),
            key: self.gateway.seal_key(&self.snapshot).clone(),
            owner: asked.owner.clone(),
            deployment: attempt.served.id.as_ref().to_owned(),
            own: self.gateway.uuid_v4().simple().to_string(),
            input: asked.keeps.then(|| self.body.get("input").cloned().unwrap_or_default()),
            bounds: self.snapshot.bounds.kept,
        }));
        Cow::Owned(context)
    }

    /// The group's one deployment that knows the answer before, where there is one: that which made it, else one of the same
    /// account at the same provider.
    pub(crate) fn pinned(&self, group: &Group<'_>) -> Option<usize> {
        let made_by = self.responses.as_ref()?.made_by.as_deref()?;
        let maker = self.snapshot.served.iter().find(|served| *served.id == *made_by);
        let account = maker.and_then(|served| self.account_of(served, group));
        self.holder(group, made_by, account.as_ref())
    }

    /// Where a call goes that asks for this group: elsewhere if it goes on with an answer that is kept elsewhere, as nobody
    /// else knows that.
    ///
    /// # Errors
    /// 400 when the deployment that made it is no more, or needs the model's name; 403 when the key may not use it any more.
    pub(crate) fn home<'s>(&self, snapshot: &'s Snapshot, group: Group<'s>) -> Result<Group<'s>, Failure> {
        let Some(made_by) = self.responses.as_ref().and_then(|asked| asked.made_by.as_deref()) else {
            return Ok(group);
        };
        if self.pinned(&group).is_some() {
            return Ok(group);
        }
        let wrong = |what: &str| {
            let words = format!("The previous response {what}. Send the whole conversation as `input`.");
            Failure::invalid(words).with_param("previous_response_id")
        };
        let Some(maker) = snapshot.fleet.of_id(made_by) else {
            return Err(wrong("was made by a deployment that is configured no longer"));
        };
        if maker.name.contains('*') {
            return Err(wrong(&format!(
                "is not kept where the model '{}' is; ask the model that made it",
                group.label()
            )));
        }
        if let Some(key) = self.caller.key() {
            snapshot.admit(key, maker.name, &maker)?;
        }
        Ok(maker)
    }
}

/// Gives the ids of one answer, and keeps it.
struct Counter {
    gateway: Arc<Gateway>,
    key: SealKey,
    /// Whose answers these are. Every key has answers of its own.
    owner: Cow<'static, str>,
    deployment: String,
    /// Our id for it, where the provider has none.
    own: String,
    /// What it answers; nothing where it must not be kept.
    input: Option<Bytes>,
    bounds: KeptBounds,
}

impl Desk for Counter {
    fn id(&self, provider: &str) -> String {
        let ours = provider.is_empty();
        let origin = Origin {
            owner: self.owner.clone().into_owned(),
            deployment: self.deployment.clone(),
            answer: if ours { self.own.clone() } else { provider.to_owned() },
            ours,
        };
        self.key.seal(&origin).unwrap_or_else(|| format!("resp_{}", self.own))
    }

    fn keep(&self, response: &Value) {
        let Some(input) = &self.input else { return };
        let items = as_items(serde_json::from_slice(input).unwrap_or_default());
        let answer = KeptAnswer { input: Value::from(items).to_string().into(), response: response.to_string().into() };
        self.gateway.kept.put(self.own.clone(), answer, self.gateway.clock.monotonic(), self.bounds);
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counter")
    }
}
