//! `litellm_settings`.

use std::time::Duration;

use serde_json::{Map, Value as Json};
use tollgate_wire::Secret;

use super::{Budget, Failover};
use crate::{
    fields::{Fields, TextMap},
    yaml::Node,
};

/// Settings for all calls, as far as this version uses them.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "LiteLLM's own names; docs/reference/config.md says what each means")]
pub struct LitellmSettings {
    pub drop_params: Option<bool>,
    pub modify_params: Option<bool>,
    pub set_verbose: Option<bool>,
    /// Without a trailing slash.
    pub api_base: Option<String>,
    pub api_key: Option<Secret>,
    pub api_version: Option<String>,
    pub headers: TextMap,
    pub organization: Option<String>,
    /// `openai_key`, `anthropic_key`, …: the provider's name with its key.
    pub provider_keys: Vec<(String, Secret)>,
    pub num_retries: Option<u64>,
    pub request_timeout: Option<Duration>,
    /// Where `router_settings` says nothing.
    pub failover: Failover,
    pub tag_budget_config: Vec<(String, Budget)>,
    pub json_logs: Option<bool>,
    /// False: any certificate is trusted.
    pub ssl_verify: Option<bool>,
    /// `ssl_verify` as a path: the CA bundle.
    pub ssl_ca_bundle: Option<String>,
    pub ssl_certificate: Option<String>,
    pub add_function_to_prompt: Option<bool>,
    pub enable_azure_ad_token_refresh: Option<bool>,
    pub model_alias_map: TextMap,
    pub user_url_allowed_hosts: Vec<String>,
    pub forward_traceparent_to_llm_provider: Option<bool>,
    /// `model_group_settings.forward_client_headers_to_llm_api`.
    pub forward_client_headers_groups: Vec<String>,
    pub max_end_user_budget: Option<f64>,
    pub max_end_user_budget_id: Option<String>,
    pub default_key_generate_params: Map<String, Json>,
    /// USD.
    pub max_budget: Option<f64>,
    pub budget_duration: Option<String>,
    /// A name of the time zone database.
    pub timezone: Option<String>,
    pub budget_exceeded_status_code: Option<u64>,
    pub upperbound_key_generate_params: Map<String, Json>,
    pub store_audit_logs: bool,
    pub cost_discount_config: Map<String, Json>,
    pub cost_margin_config: Map<String, Json>,
    pub block_requests_for_models_without_pricing: bool,
}

impl LitellmSettings {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let groups = fields.within("model_group_settings");
        // A path is a CA bundle; anything that reads as a flag is one.
        let ssl_verify = fields.flag("ssl_verify");
        let bundle = fields.node("ssl_verify").filter(|_| ssl_verify.is_none());
        Self {
            drop_params: fields.flag("drop_params"),
            modify_params: fields.flag("modify_params"),
            set_verbose: fields.flag("set_verbose"),
            api_base: fields.address("api_base"),
            api_key: fields.secret("api_key"),
            api_version: fields.text("api_version"),
            headers: fields.text_map("headers"),
            organization: fields.text("organization"),
            provider_keys: provider_keys(fields),
            num_retries: fields.whole("num_retries"),
            request_timeout: fields.duration("request_timeout"),
            failover: Failover::read(fields),
            tag_budget_config: Budget::all(fields, "tag_budget_config"),
            json_logs: fields.flag("json_logs"),
            ssl_verify,
            ssl_ca_bundle: bundle.and_then(Node::as_text).map(str::to_owned),
            ssl_certificate: fields.text("ssl_certificate"),
            add_function_to_prompt: fields.flag("add_function_to_prompt"),
            enable_azure_ad_token_refresh: fields.flag("enable_azure_ad_token_refresh"),
            model_alias_map: fields.text_map("model_alias_map"),
            user_url_allowed_hosts: fields.texts("user_url_allowed_hosts"),
            forward_traceparent_to_llm_provider: fields.flag("forward_traceparent_to_llm_provider"),
            forward_client_headers_groups: groups.texts("forward_client_headers_to_llm_api"),
            max_end_user_budget: fields.number("max_end_user_budget"),
            max_end_user_budget_id: fields.text("max_end_user_budget_id"),
            max_budget: fields.number("max_budget"),
            budget_duration: fields.text("budget_duration"),
            timezone: fields.text("timezone"),
            budget_exceeded_status_code: fields.whole("budget_exceeded_status_code"),
            default_key_generate_params: fields.map("default_key_generate_params"),
            upperbound_key_generate_params: fields.map("upperbound_key_generate_params"),
            store_audit_logs: fields.is_on("store_audit_logs"),
            cost_discount_config: fields.map("cost_discount_config"),
            cost_margin_config: fields.map("cost_margin_config"),
            block_requests_for_models_without_pricing: fields
                .flag("block_requests_for_models_without_pricing")
                .unwrap_or_default(),
        }
    }
}

fn provider_keys(fields: &Fields<'_>) -> Vec<(String, Secret)> {
    let named = fields.collect(|name| name.ends_with("_key") && name != "api_key");
    named
        .into_iter()
        .filter_map(|(name, value)| match value {
            Json::String(key) if !key.is_empty() => {
                let provider = name.strip_suffix("_key")?.trim_end_matches("_api").to_owned();
                Some((provider, Secret::new(key)))
            }
            _ => None,
        })
        .collect()
}
