//! IBM watsonx.ai: chat in nearly `OpenAI`'s words, text generation, vectors and reranking in its own. Every request names
//! its project or space, but for those to a deployment, which belongs to one.

mod text;
mod vectors;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, RawBody, Secret,
    chat::{ChatRequest, ChatResponse},
    http::{Outgoing, Reply},
};

pub use text::TEXT;
pub use vectors::{RERANK, VECTORS};

use crate::{
    auth::{Account, TokenExchange},
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::openai,
    locate::{Located, Site},
    params::CallParams,
    resolve::Unservable,
    target::{Credential, Target},
};

/// The dialect of `/ml/v1/text/chat`.
pub static CHAT: Chat = Chat;

/// See [`CHAT`].
#[derive(Debug)]
pub struct Chat;

/// The version of the API that is asked for where nobody says; `LiteLLM`'s default.
const API_VERSION: &str = "2024-03-13";
/// Where IBM Cloud gives tokens for keys.
const IAM: &str = "https://iam.cloud.ibm.com/identity/token";
/// Environment variables that may hold the address.
const BASE_ENV: &[&str] = &["WATSONX_API_BASE", "WATSONX_URL", "WX_URL", "WML_URL"];
/// Environment variables that may hold the key.
pub const KEY_ENV: &[&str] = &["WATSONX_APIKEY", "WATSONX_API_KEY", "WX_API_KEY"];

/// `OpenAI`'s parameters that chat takes.
pub const CHAT_TAKES: &[&str] = &[
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "logprobs",
    "top_logprobs",
    "n",
    "response_format",
    "reasoning_effort",
];
/// `OpenAI`'s parameters that text generation has words for.
pub const TEXT_TAKES: &[&str] =
    &["temperature", "max_tokens", "max_completion_tokens", "top_p", "frequency_penalty", "stop", "seed"];

impl ProviderDialect for Chat {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut outgoing = openai::CHAT.request(request, target)?;
        outgoing.url = url(target, if request.stream { "text/chat_stream" } else { "text/chat" });
        Ok(outgoing)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        openai::CHAT.response(reply, request, target)
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(openai::OwnId(openai::CHAT.decoder(request, target)))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// What `OpenAI`'s body lacks, and what watsonx refuses in it.
///
/// # Errors
/// Never.
pub fn own_words(body: &mut RawBody, target: &Target, _call: &CallParams) -> Result<(), Failure> {
    // Said twice, as `LiteLLM` does, but not to a deployment, which has one.
    if deployment(target).is_some() {
        body.remove("model");
    }
    if !body.has("stream") {
        body.set_raw("stream", "false");
    }
    for (name, value) in place(target) {
        body.set(&name, &value);
    }
    if let Some(choice) = body.typed::<Value>("tool_choice").filter(Value::is_string) {
        body.remove("tool_choice");
        body.set("tool_choice_option", &choice);
    }
    if let Some(mut tools) = body.typed::<Value>("tools") {
        without_strictness(&mut tools);
        body.set("tools", &tools);
    }
    Ok(())
}

/// Its schemas know neither word.
fn without_strictness(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_strictness),
        Value::Object(members) => {
            members.retain(|name, value| {
                !(name == "additionalProperties" && value.is_boolean() || name == "strict" && value.is_boolean())
            });
            members.values_mut().for_each(without_strictness);
        }
        _ => {}
    }
}

/// The address of an operation, at a deployment where the model is one.
fn url(target: &Target, operation: &str) -> String {
    let version = target.api_version.as_deref().unwrap_or(API_VERSION);
    let base = target.base_url.strip_suffix("/ml/v1").unwrap_or(&target.base_url);
    match deployment(target) {
        Some(id) => format!("{base}/ml/v1/deployments/{id}/{operation}?version={version}"),
        None => format!("{base}/ml/v1/{operation}?version={version}"),
    }
}

fn deployment(target: &Target) -> Option<&str> {
    target.model.strip_prefix("deployment/")
}

/// The model, and whose it is; nothing for a deployment.
fn place(target: &Target) -> Map<String, Value> {
    let mut out = Map::new();
    if deployment(target).is_some() {
        return out;
    }
    out.insert("model_id".to_owned(), target.model.as_str().into());
    if let Some(name) = ["project_id", "space_id"].into_iter().find(|name| target.fact(name).is_some()) {
        out.insert(name.to_owned(), target.fact(name).into());
    }
    out
}

/// Address, account and project of a deployment.
///
/// # Errors
/// When there is no key, or neither project nor space.
pub fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    let mut facts = BTreeMap::new();
    let project = site.text("project_id", &[]).or_else(|| site.text("watsonx_project", PROJECT_ENV));
    let space = site.text("space_id", SPACE_ENV);
    if project.is_none() && space.is_none() && !site.model.starts_with("deployment/") {
        let words = "provider 'watsonx' needs to know whose call it is; set project_id or space_id, or WATSONX_PROJECT_ID in the environment";
        return Err(Unservable::Missing(words.to_owned()));
    }
    facts.extend(project.map(|id| ("project_id", id)));
    facts.extend(space.map(|id| ("space_id", id)));
    let region = site
        .text("watsonx_region_name", &[])
        .or_else(|| site.text("region_name", &["WATSONX_REGION", "WX_REGION"]))
        .map(|region| format!("https://{region}.ml.cloud.ibm.com"));
    let base_url = site.env(BASE_ENV).or(region);
    if base_url.is_none() && site.settings.api_base.is_none() {
        return Err(Unservable::NoAddress("watsonx", &["WATSONX_URL"]));
    }
    Ok(Located { model: site.model.to_owned(), base_url, credential: Some(credential(site)?), facts })
}

const PROJECT_ENV: &[&str] = &["WATSONX_PROJECT_ID", "WX_PROJECT_ID", "PROJECT_ID"];
const SPACE_ENV: &[&str] = &["WATSONX_DEPLOYMENT_SPACE_ID", "WATSONX_SPACE_ID", "WX_SPACE_ID", "SPACE_ID"];

/// A token that is there, a key of an own installation, or a key of IBM Cloud, which buys tokens.
fn credential(site: &Site<'_>) -> Result<Credential, Unservable> {
    let own_key = site.settings.api_key.clone();
    if let Some(token) = site.secret("token", &[]).or_else(|| site.settings.token.clone()) {
        return Ok(Credential::Token(token));
    }
    if let Some(key) = site.secret("zen_api_key", &[]) {
        return Ok(Credential::Key(key));
    }
    if own_key.is_none() {
        if let Some(token) = site.env(&["WATSONX_TOKEN"]) {
            return Ok(Credential::Token(Secret::new(token)));
        }
        if let Some(key) = site.env(&["WATSONX_ZENAPIKEY"]) {
            return Ok(Credential::Key(Secret::new(key)));
        }
    }
    let Some(key) = own_key.or_else(|| site.env(KEY_ENV).map(Secret::new)) else {
        return Err(Unservable::NoKey("watsonx", KEY_ENV));
    };
    let exchange = TokenExchange {
        url: site.env(&["WATSONX_IAM_URL"]).unwrap_or_else(|| IAM.to_owned()),
        form: vec![("grant_type", Secret::new("urn:ibm:params:oauth:grant-type:apikey")), ("apikey", key)],
        basic: None,
    };
    Ok(Credential::Account(Account::Exchange(exchange).into()))
}
