//! What people ask before they call: how many tokens a request has, which parameters a model takes, what its provider
//! would be sent. Nothing here calls a provider or costs money.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tollgate_catalog::tokens::{Encoding, Tokenizer};
use tollgate_net::debug;
use tollgate_policy::Caller;
use tollgate_providers::{
    codec::{AnswerContext, ClientDialect as _},
    dialects::openai::CHAT_CLIENT,
    params,
    translate::{Call, draft},
};
use tollgate_wire::{Failure, FailureKind, RawBody, http::Outgoing, secret::sounds_secret};

use crate::{
    deployment::Place,
    gateway::Gateway,
    inbound::Route,
    options::{self, ClientSide},
    snapshot::Snapshot,
};

/// Which call of the SDK is meant, in its words (`acompletion` as well as `completion`), and our route for it.
const CALL_TYPES: &[(&str, Route)] = &[
    ("completion", Route::ChatCompletions),
    ("text_completion", Route::Completions),
    ("embedding", Route::Embeddings),
    ("rerank", Route::Rerank),
    ("moderation", Route::Moderations),
    ("image_generation", Route::Images),
];

impl Gateway {
    /// `POST /utils/token_counter`: a text (`prompt`), a conversation (`messages`, with `tools` and Anthropic's `system`)
    /// or Gemini's `contents`, counted by ourselves.
    ///
    /// # Errors
    /// 400 when there is nothing to count or it cannot be read.
    pub async fn count_tokens(&self, body: &Bytes) -> Result<Value, Failure> {
        let body = RawBody::parse(body).map_err(|error| Failure::invalid(format!("Invalid JSON payload: {error}")))?;
        let asked = model_of(&body)?;
        let used = self.snapshot().place_of(&asked).map_or(asked.clone(), |place| place.target.model.clone());
        let counted = Counted::read(&body)?;
        let encoding = Encoding::of(&used);
        let computing = self.workers.compute(move || counted.tokens(Tokenizer::get(encoding)));
        let total = computing.await.ok_or_else(|| Failure::bug("counting tokens panicked"))?;
        Ok(json!({
            "total_tokens": total,
            "request_model": asked,
            "model_used": used,
            "tokenizer_type": "openai_tokenizer",
            "count_source": "local_estimate",
            "original_response": null,
            "error": false,
            "error_message": null,
            "status_code": null,
            "rejected_before_provider_call": false,
        }))
    }

    /// `POST /utils/transform_request`: what the provider of a model would be sent, credentials masked. What the
    /// configuration sets is hidden where it sounds secret, and the values of its headers from all but the admin. Nothing
    /// is fetched for it: pictures by URL stay URLs.
    ///
    /// # Errors
    /// 400 when the request is none, or names no model of ours. That the provider's dialect refuses it is an answer.
    pub fn transform_request(&self, caller: &Caller, body: &Bytes) -> Result<Value, Failure> {
        let body = RawBody::parse(body).map_err(|error| Failure::invalid(format!("Invalid JSON payload: {error}")))?;
        let call_type: String = body
            .typed("call_type")
            .ok_or_else(|| Failure::invalid("`call_type` must be text").with_param("call_type"))?;
        let bare = call_type.strip_prefix('a').filter(|bare| CALL_TYPES.iter().any(|(name, _)| name == bare));
        let found = CALL_TYPES.iter().find(|(name, _)| *name == bare.unwrap_or(&call_type));
        let Some((_, route)) = found else {
            let words = format!("`call_type` '{call_type}' has no request that can be shown");
            return Err(Failure::invalid(words).with_param("call_type"));
        };
        let members: Map<String, Value> = body
            .typed("request_body")
            .ok_or_else(|| Failure::invalid("`request_body` must be an object").with_param("request_body"))?;
        let mut request = RawBody::from_map(&members);
        let asked = model_of(&request)?;
        let place = self.snapshot().place_of(&asked).ok_or_else(|| {
            Failure::new(FailureKind::UnknownModel, format!("Invalid model name passed in model={asked}"))
        })?;
        let options = options::take(&mut request, &http::HeaderMap::new(), *route)?;
        let stream = request.typed("stream").unwrap_or_default();
        let context = AnswerContext { alias: asked, now: self.now_unix(), stream, ..AnswerContext::default() };
        let call = Call {
            operation: route.operation(),
            client: route.client(),
            body: &request,
            params: &options.params,
            context: &context,
        };
        Ok(match draft(&call, &place.target).and_then(|draft| draft.finish()) {
            Ok(prepared) => shown(&prepared.outgoing, &place, caller),
            Err(mut failure) => {
                place.hide_secrets(&mut failure);
                json!({"error": failure.message})
            }
        })
    }
}

impl Snapshot {
    /// `GET /utils/supported_openai_params`.
    ///
    /// # Errors
    /// 400 for a name that means nothing here.
    pub fn supported_params(&self, model: &str) -> Result<Value, Failure> {
        let place = self.place_of(model).ok_or_else(|| {
            Failure::new(FailureKind::BadRequest, format!("Could not map model={model}")).with_param("model")
        })?;
        Ok(json!({"supported_openai_params": params::taken(&place.target)}))
    }

    /// Where the first deployment of a name that can be served goes.
    pub(crate) fn place_of(&self, name: &str) -> Option<Arc<Place>> {
        let group = self.fleet.find(name)?;
        let (captured, client) = (group.captured.as_ref(), ClientSide::default());
        let mut members = group.members.iter().filter_map(|index| self.served.get(*index));
        members.find_map(|served| served.place_for(captured, &client, &self.catalog, &self.environment).ok())
    }
}

fn model_of(body: &RawBody) -> Result<String, Failure> {
    let model: Option<String> = body.typed("model");
    model.filter(|model| !model.is_empty()).ok_or_else(|| Failure::invalid("`model` must be text").with_param("model"))
}

/// What is to be counted.
pub(crate) enum Counted {
    Text(String),
    Chat(Box<tollgate_wire::chat::ChatRequest>),
    Contents(Value),
}

impl Counted {
    pub(crate) fn read(body: &RawBody) -> Result<Self, Failure> {
        let has = |name: &str| body.get(name).is_some_and(|raw| raw.as_ref() != b"null");
        if has("prompt") {
            let prompt = body.typed("prompt").ok_or_else(|| Failure::invalid("`prompt` must be text"))?;
            return Ok(Self::Text(prompt));
        }
        if has("messages") {
            return chat(body).map(|request| Self::Chat(Box::new(request)));
        }
        match body.typed::<Value>("contents").filter(Value::is_array) {
            Some(contents) => Ok(Self::Contents(json!({ "contents": contents }))),
            None => Err(Failure::invalid("prompt or messages or contents must be provided")),
        }
    }

    pub(crate) fn tokens(&self, tokenizer: &Tokenizer) -> u64 {
        match self {
            Self::Text(text) => tokenizer.text(text),
            Self::Chat(request) => tokenizer.chat(request),
            Self::Contents(body) => tokenizer.request(body),
        }
    }
}

/// The conversation; Anthropic's `system` stands before it.
fn chat(body: &RawBody) -> Result<tollgate_wire::chat::ChatRequest, Failure> {
    let wrong = || Failure::invalid("`messages` must be a list").with_param("messages");
    let mut messages: Vec<Value> = body.typed("messages").ok_or_else(wrong)?;
    if let Some(system) = body.typed::<Value>("system").filter(|system| !system.is_null()) {
        messages.insert(0, json!({"role": "system", "content": system}));
    }
    let mut request = Map::new();
    request.insert("messages".to_owned(), messages.into());
    if let Some(Value::Array(tools)) = body.typed("tools") {
        request.insert("tools".to_owned(), tools.into_iter().map(openai_tool).collect());
    }
    CHAT_CLIENT.read(&RawBody::from_map(&request))
}

/// A tool of Anthropic's in `OpenAI`'s shape.
fn openai_tool(tool: Value) -> Value {
    match tool.get("input_schema") {
        Some(schema) => json!({"type": "function", "function": {
            "name": tool.get("name"), "description": tool.get("description"), "parameters": schema,
        }}),
        None => tool,
    }
}

/// What is shown in place of a secret.
const HIDDEN: &str = "[hidden]";
/// What is shorter is hidden only where it stands alone, bytes.
const SHORT: usize = 6;

fn shown(outgoing: &Outgoing, place: &Place, caller: &Caller) -> Value {
    let is_plain = |name: &str| matches!(name, "accept" | "content-type" | "user-agent");
    let is_hidden = |name: &str| !caller.is_admin() && !is_plain(name) && place.target.headers.contains_key(name);
    let headers: Map<String, Value> = debug::masked_headers(outgoing)
        .map(|(name, value)| (name.to_owned(), if is_hidden(name) { HIDDEN.into() } else { value.into() }))
        .collect();
    let mut shown = json!({
        "raw_request_api_base": debug::masked_url(&outgoing.url),
        "raw_request_body": serde_json::from_slice::<Value>(&outgoing.body).unwrap_or_default(),
        "raw_request_headers": headers,
        "error": null,
    });
    let mut secrets: Vec<&str> = place.secrets().collect();
    for (name, value) in place.target.extra_body.iter().chain(&place.target.defaults) {
        gather(value, sounds_secret(name), &mut secrets);
    }
    hide(&mut shown, &secrets);
    shown
}

/// The texts of a document under names that sound secret.
fn gather<'v>(value: &'v Value, is_secret: bool, secrets: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if is_secret && !text.is_empty() => secrets.push(text),
        Value::Array(items) => items.iter().for_each(|item| gather(item, is_secret, secrets)),
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| gather(value, is_secret || sounds_secret(name), secrets));
        }
        _ => {}
    }
}

/// Takes these secrets out, wherever they stand.
fn hide(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::String(text) => {
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                // What is short may be part of any word.
                if text == secret {
                    HIDDEN.clone_into(text);
                } else if secret.len() >= SHORT && text.contains(secret) {
                    *text = text.replace(secret, HIDDEN);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        Value::Object(members) => members.values_mut().for_each(|member| hide(member, secrets)),
        _ => {}
    }
}
