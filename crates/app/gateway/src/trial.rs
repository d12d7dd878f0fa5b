//! A real call to one deployment, to see whether it answers: the smallest of its mode. It costs what it costs, and is an
//! attempt like any other, in the name of the gateway itself.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tollgate_config::ModelHealth;
use tollgate_observe::Outcome;
use tollgate_policy::Caller;
use tollgate_providers::codec::AnswerContext;
use tollgate_router::{Captured, Group};
use tollgate_wire::{Failure, FailureKind, RawBody};

use crate::{
    dispatch::Ask,
    gateway::{Closed, Gateway},
    inbound::Route,
    meter::Meter,
    options::CallOptions,
    responses,
    routing::OwnFallbacks,
    snapshot::Snapshot,
};

/// What calls of the gateway itself are recorded as.
const OURSELVES: &str = "health-check";
/// `LiteLLM`'s words (`DEFAULT_HEALTH_CHECK_PROMPT`).
const PROMPT: &str = "test from litellm";
/// As many tokens as `LiteLLM` asks for (`BACKGROUND_HEALTH_CHECK_MAX_TOKENS`).
const MAX_TOKENS: u64 = 5;
/// `LiteLLM`'s `HEALTH_CHECK_TIMEOUT_SECONDS`.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is said to a deployment.
pub(crate) struct Trial {
    route: Route,
    body: Value,
    patience: Duration,
}

impl Trial {
    /// The smallest call of a mode. `None`: for what there is no small one, such as sound to be written down.
    pub(crate) fn of(mode: Option<&str>, settings: &ModelHealth) -> Option<Self> {
        let tokens = settings.max_tokens.unwrap_or(MAX_TOKENS);
        let (route, mut body, limit) = match mode.unwrap_or("chat") {
            "chat" => {
                let messages = json!([{"role": "user", "content": PROMPT}]);
                (Route::ChatCompletions, json!({"messages": messages}), Some("max_tokens"))
            }
            "completion" => (Route::Completions, json!({"prompt": PROMPT}), Some("max_tokens")),
            // The API takes no fewer than 16.
            "responses" => (Route::Responses, json!({"input": PROMPT, "store": false}), None),
            "embedding" => (Route::Embeddings, json!({"input": [PROMPT]}), None),
            "moderation" => (Route::Moderations, json!({"input": PROMPT}), None),
            "rerank" => (Route::Rerank, json!({"query": PROMPT, "documents": ["my sample text"]}), None),
            "image_generation" => (Route::Images, json!({"prompt": PROMPT}), None),
            "audio_speech" => {
                let voice = settings.voice.as_deref().unwrap_or("alloy");
                (Route::Speech, json!({"input": "test", "voice": voice}), None)
            }
            _ => return None,
        };
        let limit = limit.filter(|_| settings.says_max_tokens != Some(false));
        if let (Some(limit), Some(members)) = (limit, body.as_object_mut()) {
            members.insert(limit.to_owned(), tokens.into());
        }
        Some(Self { route, body, patience: settings.timeout.unwrap_or(PATIENCE) })
    }
}

impl Gateway {
    /// Calls one deployment, and nobody else. `model` stands for the `*` of its name.
    ///
    /// # Errors
    /// Why it does not answer, without a secret.
    pub(crate) async fn try_out(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        deployment: &str,
        trial: Trial,
        model: Option<String>,
    ) -> Result<(), Failure> {
        let mut group =
            snapshot.fleet.find(deployment).ok_or_else(|| Failure::bug("a deployment that is not there"))?;
        group.captured = model.map(Captured::of);
        let mut meter = Meter::start(self, trial.route);
        meter.asked_in_the_name_of(OURSELVES);
        meter.asked_for(group.name, false);
        let ask = self.ask_of(snapshot, &trial, &group, &meter)?;
        // Its type is named nowhere: whoever looks at deployments would carry all of a call's.
        match ask.dispatch(group, meter).boxed().await {
            Ok(answer) if answer.status == StatusCode::OK => Ok(()),
            Ok(answer) => Err(Failure::new(FailureKind::InvalidResponse, format!("it answers {}", answer.status))),
            Err(missed) => {
                let (failure, mut meter) = *missed;
                meter.finish(failure.http_status(), Outcome::Failed(failure.kind));
                Err(failure)
            }
        }
    }

    fn ask_of(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        trial: &Trial,
        group: &Group<'_>,
        meter: &Meter,
    ) -> Result<Box<Ask>, Failure> {
        let body = RawBody::parse(&trial.body.to_string().into());
        let mut body = body.map_err(|_| Failure::bug("a check that is no document"))?;
        let (responses, told) = responses::begin(self, snapshot, &Caller::Admin, trial.route, &mut body)?;
        Ok(Box::new(Ask {
            gateway: Arc::clone(self),
            snapshot: Arc::clone(snapshot),
            route: trial.route,
            caller: Caller::Admin,
            body,
            unopened: None,
            form: None,
            options: CallOptions {
                num_retries: Some(0),
                timeout: Some(trial.patience),
                fallbacks: OwnFallbacks::none(),
                is_check: true,
                ..CallOptions::default()
            },
            customer: None,
            responses,
            names: None,
            context: AnswerContext {
                alias: group.name.to_owned(),
                now: self.now_unix(),
                id: meter.call_id().to_owned(),
                include_usage: false,
                stream: false,
                responses: told,
            },
            headers: HeaderMap::new(),
            left: Closed::default(),
            fetched: std::sync::Mutex::default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_the_smallest_call_of_its_mode() {
        let settings = ModelHealth { max_tokens: Some(2), ..ModelHealth::default() };
        let body = |mode, settings: &ModelHealth| Trial::of(mode, settings).map(|trial| trial.body);
        let chat = body(None, &settings).unwrap();
        assert_eq!((&chat["max_tokens"], &chat["messages"][0]["content"]), (&json!(2), &json!(PROMPT)));
        assert_eq!(body(Some("embedding"), &settings), Some(json!({"input": [PROMPT]})));
        assert_eq!(body(Some("audio_transcription"), &settings), None, "there is no small sound");
        let silent = ModelHealth { says_max_tokens: Some(false), ..settings };
        assert!(body(Some("completion"), &silent).unwrap().get("max_tokens").is_none());
        assert_eq!(Trial::of(None, &ModelHealth::default()).unwrap().body["max_tokens"], 5);
    }
}
