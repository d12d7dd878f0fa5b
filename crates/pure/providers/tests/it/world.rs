//! Builds what a call needs out of JSON, as a configuration file and a client would say it.

use std::{sync::Arc, time::Duration};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use tollgate_providers::{
    Target,
    auth::{self, Grant},
    codec::{AnswerContext, ClientDialect, ResponsesContext},
    dialects::{
        anthropic, gemini, openai, openai_responses,
        prompt::{OwnTemplate, PromptTemplate},
    },
    params::CallParams,
    resolve::{self, CloudSettings, Surroundings, TargetSettings, Unservable},
    target::{Credential, ParamPolicy},
    translate::{Call, Draft, Operation, draft},
};
use tollgate_wire::{Failure, RawBody, Secret, facts::ModelFacts, http::Outgoing};

/// The second in which every fixture is answered.
pub(crate) const NOW: u64 = 1_700_000_000;
/// The id of every answer whose provider gives none.
pub(crate) const ID: &str = "fixture";
/// The client's name for the model where a fixture says none.
const ALIAS: &str = "my-model";

/// One call as a client makes it.
pub(crate) struct Ask {
    pub(crate) operation: Operation,
    pub(crate) client: &'static dyn ClientDialect,
    pub(crate) body: RawBody,
    pub(crate) params: CallParams,
    pub(crate) context: AnswerContext,
}

impl Ask {
    /// From `{"operation", "body", "params"}`.
    pub(crate) fn read(ask: &Value) -> Self {
        let (operation, client): (_, &'static dyn ClientDialect) = match ask["operation"].as_str() {
            Some("chat") => (Operation::Chat, &openai::CHAT_CLIENT),
            Some("gemini") => (Operation::Chat, &gemini::CONTENT_CLIENT),
            Some("gemini_count") => (Operation::CountTokens, &gemini::CONTENT_CLIENT),
            Some("messages") => (Operation::Chat, &anthropic::MESSAGES_CLIENT),
            Some("count_tokens") => (Operation::CountTokens, &anthropic::MESSAGES_CLIENT),
            Some("completions") => (Operation::Completions, &openai::COMPLETIONS_CLIENT),
            Some("responses") => (Operation::Chat, &openai_responses::RESPONSES_CLIENT),
            Some("embeddings") => (Operation::Embeddings, &openai::CHAT_CLIENT),
            Some("rerank") => (Operation::Rerank, &openai::CHAT_CLIENT),
            Some("images") => (Operation::Images, &openai::CHAT_CLIENT),
            Some("moderations") => (Operation::Moderations, &openai::CHAT_CLIENT),
            Some("speech") => (Operation::Speech, &openai::CHAT_CLIENT),
            Some("response_tokens") => (Operation::ResponseTokens, &openai_responses::RESPONSES_CLIENT),
            Some("compact") => (Operation::Compact, &openai_responses::RESPONSES_CLIENT),
            other => panic!("no such operation: {other:?}"),
        };
        let body = ask["body"].as_object().expect("`body` is an object");
        let context = AnswerContext {
            alias: body.get("model").and_then(Value::as_str).unwrap_or(ALIAS).to_owned(),
            now: NOW,
            id: ID.to_owned(),
            include_usage: ask["body"]["stream_options"]["include_usage"] == true,
            stream: ask["body"]["stream"] == true,
            responses: ResponsesContext::of(body),
        };
        Self { operation, client, body: RawBody::from_map(body), params: params(&ask["params"]), context }
    }

    /// The call, begun for a target.
    pub(crate) fn draft(&self, target: &Arc<Target>) -> Result<Draft, Failure> {
        let call = Call {
            operation: self.operation,
            client: self.client,
            body: &self.body,
            params: &self.params,
            context: &self.context,
        };
        draft(&call, target)
    }
}

fn params(given: &Value) -> CallParams {
    CallParams {
        metadata: given["metadata"].as_object().cloned().unwrap_or_default(),
        drop_params: given["drop_params"].as_bool(),
        additional_drop_params: texts(&given["additional_drop_params"]),
        allowed_openai_params: texts(&given["allowed_openai_params"]),
        extra_headers: headers(&given["extra_headers"])
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// Headers out of an object.
pub(crate) fn headers(value: &Value) -> HeaderMap {
    let members = value.as_object().into_iter().flatten();
    members
        .map(|(name, value)| {
            let value = http::HeaderValue::from_str(value.as_str().expect("a text")).expect("a header's value");
            (name.parse::<HeaderName>().expect("a header's name"), value)
        })
        .collect()
}

/// The target that `litellm_params` describe, in an environment of their own (`env`), with the catalog's `facts`.
pub(crate) fn target(given: &Value) -> Result<Arc<Target>, Unservable> {
    let mut rest = given.as_object().expect("a target is an object").clone();
    let env = rest.remove("env").unwrap_or_default();
    let facts = facts(rest.remove("facts"));
    let around = Surroundings {
        env: &|name| env[name].as_str().map(str::to_owned),
        provider_of: &|_| None,
        facts: &|_, _| facts.clone(),
    };
    resolve::resolve(settings(rest), &around).map(Arc::new)
}

/// How the settings of the clouds begin.
const CLOUD: &[&str] =
    &["aws_", "vertex_", "watsonx_", "region_name", "sap_", "project_id", "space_id", "zen_api_key", "token"];

fn settings(mut rest: Map<String, Value>) -> TargetSettings {
    let is_cloud = |name: &str| CLOUD.iter().any(|prefix| name.starts_with(prefix));
    let cloud =
        rest.iter().filter(|(name, _)| is_cloud(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    rest.retain(|name, _| !is_cloud(name));
    let mut take = |name: &str| rest.remove(name).unwrap_or_default();
    let text = |value: Value| value.as_str().map(str::to_owned);
    let model = text(take("model")).expect("a target names its model");
    let plain = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let own = OwnTemplate {
        initial: plain(take("initial_prompt_value")),
        last: plain(take("final_prompt_value")),
        bos: plain(take("bos_token")),
        eos: plain(take("eos_token")),
        roles: take("roles").as_object().cloned().unwrap_or_default(),
    };
    let template = PromptTemplate::of(&model, take("hf_model_name").as_str(), own);
    let params = ParamPolicy {
        drop_params: take("drop_params") == true,
        additional_drop_params: texts(&take("additional_drop_params")),
        allowed_openai_params: texts(&take("allowed_openai_params")),
        modify_params: take("modify_params") == true,
        add_function_to_prompt: take("add_function_to_prompt") == true,
        merge_reasoning: take("merge_reasoning_content_in_choices") == true,
    };
    let extra_body = match take("extra_body") {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    TargetSettings {
        model,
        custom_llm_provider: text(take("custom_llm_provider")),
        api_base: text(take("api_base")),
        api_key: text(take("api_key")).map(Secret::new),
        token: text(take("azure_ad_token")).map(Secret::new),
        entra: None,
        cloud: CloudSettings(cloud),
        api_version: text(take("api_version")),
        organization: text(take("organization")),
        headers: headers(&take("extra_headers")),
        extra_body,
        params,
        template: Some(Arc::new(template)),
        defaults: rest,
    }
}

fn facts(given: Option<Value>) -> ModelFacts {
    let mut facts = ModelFacts::default();
    let Some(given) = given else { return facts };
    facts.known = true;
    for (name, value) in given.as_object().expect("facts are an object") {
        match name.as_str() {
            "known" => facts.known = value == true,
            "max_input_tokens" => facts.max_input_tokens = value.as_u64(),
            "max_output_tokens" => facts.max_output_tokens = value.as_u64(),
            "reasoning" => facts.reasoning = value == true,
            "tools" => facts.tools = value == true,
            "tool_choice" => facts.tool_choice = value == true,
            "response_schema" => facts.response_schema = value == true,
            "vision" => facts.vision = value == true,
            "prompt_caching" => facts.prompt_caching = value == true,
            "schema_parameter" => facts.schema_parameter = value == true,
            "adaptive_thinking" => facts.adaptive_thinking = value == true,
            "xhigh_effort" => facts.xhigh_effort = value == true,
            "rests_by_default" => facts.rests_by_default = value == true,
            "max_effort" => facts.max_effort = value == true,
            "fixed_sampling" => facts.fixed_sampling = value == true,
            "free_tool_choice" => facts.free_tool_choice = value == true,
            "mode" => facts.mode = value.as_str().unwrap_or_default().to_owned(),
            other => panic!("no such fact: {other}"),
        }
    }
    facts
}

/// Signs a request as the gateway does, with an account that is stated; others get a token that says so.
pub(crate) fn sign(target: &Target, outgoing: &mut Outgoing) -> Result<(), Failure> {
    let Credential::Account(account) = &target.credential else { return Ok(()) };
    let grant = account.stated().unwrap_or_else(|| Grant::Token(Secret::new("token-of-the-account")));
    auth::sign(outgoing, target, &grant, Duration::from_secs(NOW))
}

/// AWS's messages out of `[{"event"|"exception": name, "data": payload}]`.
pub(crate) fn aws_events(events: &Value) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for event in events.as_array()? {
        let header = |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
        let payload = match &event["data"] {
            Value::String(text) => text.clone(),
            data => data.to_string(),
        };
        let (kind, name, word) = match event["exception"].as_str() {
            Some(name) => ("exception", ":exception-type", name),
            None => ("event", ":event-type", event["event"].as_str().expect("an event has a name")),
        };
        let message = Message::new(Bytes::from(payload))
            .add_header(header(":message-type", kind))
            .add_header(header(name, word))
            .add_header(header(":content-type", "application/json"));
        write_message_to(&message, &mut bytes).expect("a message can be written");
    }
    Some(bytes)
}
