//! A call in the words of a fallback of the form `{model, messages, …}`: it passes whatever a new call passes.

use http::HeaderMap;
use serde_json::{Map, Value};
use tollgate_router::{Plan, Wants};
use tollgate_wire::{Failure, RawBody};

use crate::{
    dispatch::Ask,
    gateway::Gateway,
    journey::{check_members, may_mock},
    news::News,
    options::{self, is_ours},
    responses,
    snapshot::Snapshot,
    things,
};

/// The body as it came, if a fallback may put words of its own into it: what is opened in it is opened once.
pub(crate) fn unopened(snapshot: &Snapshot, options: &options::CallOptions, body: &RawBody) -> Option<Box<RawBody>> {
    let may_be_said = options.fallbacks.have_words() || snapshot.fleet.rules().fallbacks.have_words();
    may_be_said.then(|| Box::new(body.clone()))
}

impl Ask {
    /// The call in the words of the fallback that has its turn, and what it is like in them.
    ///
    /// # Errors
    /// As a new call of these words would be refused.
    pub(crate) fn reworded(&self, plan: &Plan<'_>) -> Result<(Self, Wants), Failure> {
        let (Some(words), Some(group)) = (plan.instead(), plan.group()) else {
            return Err(Failure::bug("a fallback without words"));
        };
        let ask = self.saying(words)?;
        ask.keeper(group)?;
        if ask.home(&self.snapshot, group.clone())?.name != group.name {
            let words = format!("the previous response is not kept where the model '{}' is", group.label());
            return Err(Failure::invalid(words).with_param("previous_response_id"));
        }
        let wants = ask.asked(group).wants;
        Ok((ask, wants))
    }

    /// [`Self::reworded`], put in its place for the attempts that follow, and what the plan is told of it.
    pub(crate) fn reword(&self, plan: &Plan<'_>, instead: &mut Option<Box<Self>>) -> News {
        match self.reworded(plan) {
            Ok((ask, wants)) => {
                *instead = Some(Box::new(ask));
                News::Reworded(wants)
            }
            Err(failure) => News::Refused(failure),
        }
    }

    fn saying(&self, words: &Map<String, Value>) -> Result<Self, Failure> {
        let mut body = self.unopened.as_deref().unwrap_or(&self.body).clone();
        // Whether the client reads a stream was settled before.
        let own = || words.iter().filter(|(name, _)| !matches!(name.as_str(), "stream" | "stream_options"));
        if let Some((name, _)) = own().find(|(name, _)| self.form.is_some() && !is_ours(name)) {
            return Err(Failure::invalid(format!("a fallback cannot put `{name}` into a form")).with_param("fallbacks"));
        }
        own().for_each(|(name, value)| body.set(name, value));
        let taken = options::take(&mut body, &HeaderMap::new(), self.route)?;
        check_members(self.route, &body)?;
        let is_clients = self.options.fallbacks.have_words();
        if is_clients && taken.mock_response.is_some() && !may_mock(&self.snapshot, &self.caller) {
            let words = "`mock_response` cannot be set by a request with this key";
            return Err(Failure::invalid(words).with_param("mock_response"));
        }
        let gateway: &Gateway = &self.gateway;
        let (responses, told) = responses::begin(gateway, &self.snapshot, &self.caller, self.route, &mut body)?;
        let names = things::in_prompt(gateway, &self.snapshot, &self.caller, &mut body)?;
        let mut options = self.options.clone();
        options.timeout = taken.timeout.or(options.timeout);
        options.stream_timeout = taken.stream_timeout.or(options.stream_timeout);
        options.client_side = taken.client_side;
        options.mock_response = taken.mock_response.or(options.mock_response);
        options.params.extra_headers.extend(taken.params.extra_headers);
        options.params.drop_params = taken.params.drop_params.or(options.params.drop_params);
        if ["tags", "metadata", "litellm_metadata"].iter().any(|name| words.contains_key(*name)) {
            options.tags = taken.tags;
            options.add_tags(self.caller.key().map_or(&[], |key| &key.tags));
        }
        let mut context = self.context.clone();
        context.responses = told;
        Ok(Self {
            gateway: self.gateway.clone(),
            snapshot: self.snapshot.clone(),
            route: self.route,
            caller: self.caller.clone(),
            body,
            unopened: None,
            form: self.form.clone(),
            options,
            customer: self.customer.clone(),
            responses,
            names,
            context,
            headers: self.headers.clone(),
            left: self.left.clone(),
            fetched: std::sync::Mutex::default(),
        })
    }
}
