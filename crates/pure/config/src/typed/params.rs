//! `litellm_params`.

use std::{fmt, time::Duration};

use serde_json::{Map, Value as Json};
use tollgate_wire::Secret;

use super::{Budget, ClientDisconnect};
use crate::{
    deployment_id::public_part,
    fields::{Fields, TextMap},
    keys::{CLOUD_NAMES, PRICE_NAMES},
    yaml::{Node, Value},
};

/// Something a request may bring itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientsideParam {
    /// Any value of this parameter.
    Any(String),
    /// A value of the parameter that the pattern (a regular expression) takes.
    Matching {
        /// The parameter.
        param: String,
        /// The pattern.
        pattern: String,
    },
}

/// Where the calls of a deployment go and with what. `Debug` shows nothing that may be a secret.
#[derive(Clone, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct LitellmParams {
    pub model: String,
    pub custom_llm_provider: Option<String>,
    /// Without a trailing slash; `base_url` is the same.
    pub api_base: Option<String>,
    pub api_key: Option<Secret>,
    pub api_version: Option<String>,
    pub organization: Option<String>,
    pub region_name: Option<String>,
    pub headers: TextMap,
    pub extra_headers: TextMap,
    pub extra_body: Map<String, Json>,
    pub rpm: Option<u64>,
    pub tpm: Option<u64>,
    pub weight: Option<f64>,
    /// `max_budget` in `budget_duration`.
    pub budget: Option<Budget>,
    pub order: Option<u64>,
    pub max_parallel_requests: Option<u64>,
    pub timeout: Option<Duration>,
    pub stream_timeout: Option<Duration>,
    pub request_timeout: Option<Duration>,
    pub num_retries: Option<u64>,
    pub max_retries: Option<u64>,
    pub cooldown_time: Option<Duration>,
    pub drop_params: Option<bool>,
    pub additional_drop_params: Vec<String>,
    pub allowed_openai_params: Vec<String>,
    /// A text, or the whole answer.
    pub mock_response: Option<Json>,
    pub tags: Vec<String>,
    pub merge_reasoning_content_in_choices: bool,
    pub litellm_credential_name: Option<String>,
    pub configurable_clientside_auth_params: Vec<ClientsideParam>,
    pub client_disconnect: Option<ClientDisconnect>,
    pub initial_prompt_value: Option<String>,
    pub roles: Map<String, Json>,
    pub final_prompt_value: Option<String>,
    pub bos_token: Option<String>,
    pub eos_token: Option<String>,
    pub hf_model_name: Option<String>,
    pub azure_ad_token: Option<Secret>,
    pub tenant_id: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub azure_username: Option<String>,
    pub azure_password: Option<Secret>,
    pub azure_scope: Option<String>,
    /// AWS, Vertex and watsonx settings by their own names; secrets among them.
    pub cloud: Map<String, Json>,
    /// Price overrides by their own names, USD.
    pub prices: Map<String, Json>,
    /// Everything else, in order: default parameters of the provider call (`temperature`, `max_tokens`, …).
    pub rest: Map<String, Json>,
    /// All that was given, without secrets and without the values of headers: for `/model/info` and the id.
    pub given: Map<String, Json>,
}

impl LitellmParams {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let mut params = Self {
            model: fields.text("model").unwrap_or_default(),
            custom_llm_provider: fields.text("custom_llm_provider"),
            api_base: fields.address("api_base").or_else(|| fields.address("base_url")),
            api_key: fields.secret("api_key"),
            api_version: fields.text("api_version"),
            organization: fields.text("organization"),
            region_name: fields.text("region_name"),
            headers: fields.text_map("headers"),
            extra_headers: fields.text_map("extra_headers"),
            extra_body: fields.map("extra_body"),
            mock_response: fields.json("mock_response"),
            cloud: fields.collect(|name| CLOUD_NAMES.iter().any(|names| names.hold(name))),
            prices: fields.collect(|name| PRICE_NAMES.iter().any(|names| names.hold(name))),
            rest: fields.collect(|name| fields.knows(name).is_none()),
            given: public_part(fields),
            ..Self::default()
        };
        params.read_limits(fields);
        params.read_behaviour(fields);
        params.read_template(fields);
        params.read_azure(fields);
        params
    }

    fn read_limits(&mut self, fields: &Fields<'_>) {
        self.rpm = fields.whole("rpm");
        self.tpm = fields.whole("tpm");
        self.weight = fields.number("weight");
        let window = fields.duration("budget_duration");
        self.budget = fields.number("max_budget").map(|usd| Budget { usd, window });
        self.order = fields.whole("order");
        self.max_parallel_requests = fields.whole("max_parallel_requests");
        self.timeout = fields.duration("timeout");
        self.stream_timeout = fields.duration("stream_timeout");
        self.request_timeout = fields.duration("request_timeout");
        self.num_retries = fields.whole("num_retries");
        self.max_retries = fields.whole("max_retries");
        self.cooldown_time = fields.duration("cooldown_time");
    }

    fn read_behaviour(&mut self, fields: &Fields<'_>) {
        self.drop_params = fields.flag("drop_params");
        self.additional_drop_params = fields.texts("additional_drop_params");
        self.allowed_openai_params = fields.texts("allowed_openai_params");
        self.tags = fields.texts("tags");
        self.merge_reasoning_content_in_choices = fields.flag("merge_reasoning_content_in_choices").unwrap_or_default();
        self.litellm_credential_name = fields.text("litellm_credential_name");
        self.client_disconnect = fields.text("client_disconnect").and_then(|text| ClientDisconnect::of(&text));
        let items = fields.node("configurable_clientside_auth_params").and_then(Node::items).unwrap_or_default();
        self.configurable_clientside_auth_params = items.iter().flat_map(clientside).collect();
    }

    fn read_template(&mut self, fields: &Fields<'_>) {
        self.initial_prompt_value = fields.text("initial_prompt_value");
        self.roles = fields.map("roles");
        self.final_prompt_value = fields.text("final_prompt_value");
        self.bos_token = fields.text("bos_token");
        self.eos_token = fields.text("eos_token");
        self.hf_model_name = fields.text("hf_model_name");
    }

    fn read_azure(&mut self, fields: &Fields<'_>) {
        self.azure_ad_token = fields.secret("azure_ad_token");
        self.tenant_id = fields.text("tenant_id");
        self.client_id = fields.text("client_id");
        self.client_secret = fields.secret("client_secret");
        self.azure_username = fields.text("azure_username");
        self.azure_password = fields.secret("azure_password");
        self.azure_scope = fields.text("azure_scope");
    }
}

fn clientside(item: &Node) -> Vec<ClientsideParam> {
    match &item.value {
        Value::Text(param) => vec![ClientsideParam::Any(param.clone())],
        Value::Map(entries) => entries
            .iter()
            .filter_map(|entry| {
                let pattern = entry.value.as_text()?.to_owned();
                Some(ClientsideParam::Matching { param: entry.key.clone(), pattern })
            })
            .collect(),
        _ => Vec::new(),
    }
}

impl fmt::Debug for LitellmParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LitellmParams").field("given", &self.given).finish_non_exhaustive()
    }
}
