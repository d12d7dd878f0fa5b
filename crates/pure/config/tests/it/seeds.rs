//! The example configurations that the project was created from.

use std::time::Duration;

use serde_json::json;
use tollgate_config::ClientDisconnect;

use crate::world::{check_with, config_of, findings_of};

macro_rules! seed {
    ($name:literal) => {
        include_str!(concat!("../../fixtures/seeds/", $name, ".yaml"))
    };
}

#[test]
fn the_example_config_is_read_in_full() {
    let config = config_of(seed!("example"));
    let rpm: Vec<_> = config.models.iter().map(|model| model.rpm).collect();
    assert_eq!(rpm, [Some(6), Some(6), Some(1440)]);
    let first = &config.models[0];
    assert_eq!(first.model_name, "gpt-3.5-turbo");
    assert_eq!(first.params.model, "azure/gpt-turbo-small-eu");
    assert_eq!(config.litellm.drop_params, Some(true));
    assert_eq!(config.litellm.set_verbose, Some(true));
    assert_eq!(config.general.master_key.as_ref().map(|key| key.expose()), Some("sk-1234"));
    assert_eq!(first.at.to_string(), "config.yaml:2:5");
}

#[test]
fn an_empty_api_key_is_not_set() {
    let config = config_of(seed!("example"));
    assert!(config.models.iter().all(|model| model.params.api_key.is_none()));
}

#[test]
fn a_trailing_slash_of_an_address_does_not_matter() {
    let config = config_of(seed!("embeddings"));
    let addresses: Vec<_> = config.models.iter().filter_map(|model| model.params.api_base.as_deref()).collect();
    assert_eq!(addresses, ["http://0.0.0.0:8000", "http://0.0.0.0:8001"]);
}

#[test]
fn environment_variables_are_texts_and_empty_ones_are_left_out() {
    let config = config_of(seed!("example"));
    let names: Vec<_> = config.environment.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["OPENAI_API_KEY", "REPLICATE_API_KEY", "REDIS_HOST", "REDIS_PORT"]);
    assert_eq!(config.environment[3].1, "16337");
}

#[test]
fn the_first_model_is_the_default() {
    let config = config_of(seed!("multiple_models"));
    let names: Vec<_> = config.models.iter().map(|model| model.model_name.as_str()).collect();
    assert_eq!(names, ["zephyr-alpha", "gpt-4", "claude-2"]);
    assert_eq!(config.models[2].params.api_key.as_ref().map(|key| key.expose()), Some("sk-claude"));
}

#[test]
fn several_entries_of_one_name_are_kept_apart() {
    let config = config_of(seed!("load_balancing"));
    let mut ids: Vec<_> = config.models.iter().map(|model| model.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn retries_timeouts_and_fallbacks_are_read() {
    let checked = check_with(seed!("fallbacks"), &[]);
    let config = checked.config.as_ref().expect("no fatal finding");
    assert_eq!(config.litellm.num_retries, Some(3));
    assert_eq!(config.litellm.request_timeout, Some(Duration::from_secs(10)));
    let failover = &config.litellm.failover;
    assert_eq!(failover.allowed_fails, Some(3));
    assert_eq!(failover.fallbacks, Some(json!([{"zephyr-beta": ["gpt-3.5-turbo"]}])));
    assert_eq!(failover.context_window_fallbacks.as_ref().and_then(|list| list.as_array()).map(Vec::len), Some(2));
    assert!(checked.findings.is_empty(), "{:#?}", checked.findings);
}

#[test]
fn model_specific_parameters_are_read() {
    let config = config_of(seed!("model_params"));
    assert_eq!(config.models[0].params.api_version.as_deref(), Some("2023-05-15"));
    assert_eq!(config.models[0].params.azure_ad_token.as_ref().map(|token| token.expose()), Some("eyJ0eXAiOiJ"));
    assert_eq!(config.models[2].params.headers.get("HTTP-Referer"), Some("litellm.ai"));
    assert_eq!(config.models[2].params.headers.get("X-Title"), Some("LiteLLM Server"));
}

#[test]
fn a_key_comes_from_the_environment() {
    let text = seed!("environment");
    let checked = check_with(text, &[("AZURE_NORTH_AMERICA_API_KEY", "from-outside")]);
    assert!(checked.findings.is_empty(), "{:#?}", checked.findings);
    let config = checked.config.expect("no fatal finding");
    assert_eq!(config.models[0].params.api_key.as_ref().map(|key| key.expose()), Some("from-outside"));
    assert_eq!(config.models[0].params.api_version.as_deref(), Some("2023-05-15"));
}

#[test]
fn names_may_stand_for_other_models() {
    let config = config_of(seed!("aliases"));
    let models: Vec<_> =
        config.models.iter().map(|entry| (entry.model_name.as_str(), entry.params.model.as_str())).collect();
    let expected =
        [("text-davinci-003", "ollama/zephyr"), ("gpt-4", "ollama/llama2"), ("gpt-3.5-turbo", "ollama/llama2")];
    assert_eq!(models, expected);
}

#[test]
fn a_mapping_under_cache_is_accepted() {
    let findings = findings_of(seed!("caching"));
    assert_eq!(
        findings,
        [
            "config.yaml:7:3: note: litellm_settings.set_verbose: known; not yet used by this version",
            "config.yaml:8:3: note: litellm_settings.cache: known; not yet used by this version",
        ]
    );
}

#[test]
fn prompt_templates_are_read_and_the_rest_is_passed_on() {
    let config = config_of(seed!("prompt_template"));
    let params = &config.models[0].params;
    assert_eq!(params.initial_prompt_value.as_deref(), Some("\n"));
    assert_eq!(params.final_prompt_value.as_deref(), Some("\n"));
    assert_eq!(params.bos_token.as_deref(), Some("<s>"));
    assert_eq!(params.eos_token.as_deref(), Some("</s>"));
    assert_eq!(params.roles["system"]["pre_message"], json!("<|im_start|>system\n"));
    assert_eq!(params.roles.len(), 3);
    assert_eq!(serde_json::Value::Object(params.rest.clone()), json!({ "max_tokens": 4096 }));
}

#[test]
fn virtual_keys_and_otel_settings_are_known() {
    let database = findings_of(seed!("virtual_keys"));
    assert!(database.is_empty(), "{database:?}");
    let otel = findings_of(seed!("otel"));
    assert_eq!(otel, ["config.yaml:10:3: note: general_settings.otel: known; not yet used by this version"]);
}

#[test]
fn bedrock_deployments_keep_their_region_and_credentials() {
    let config = config_of(seed!("bedrock_regions"));
    let regions: Vec<_> = config.models.iter().map(|model| model.params.cloud["aws_region_name"].clone()).collect();
    assert_eq!(regions, ["us-west-2", "us-east-1"]);
    assert_eq!(config.models[0].params.cloud["aws_secret_access_key"], json!("xxxxxxx"));
    assert_eq!(config.models[0].rpm, Some(30));
    assert_ne!(config.models[0].id, config.models[1].id);
    let config = config_of(seed!("bedrock_sagemaker"));
    assert_eq!(config.models[1].params.cloud["aws_access_key_id"], json!("<>"));
    assert_eq!(config.models[0].params.client_disconnect, None::<ClientDisconnect>);
}

#[test]
fn a_tab_in_front_of_an_entry_is_shown_with_the_corrected_line() {
    let findings = findings_of(seed!("tiers_tab"));
    assert_eq!(findings.len(), 1);
    let expected = "a tab indents this line, and YAML is indented with spaces only; \
                    corrected, line 14 reads:\n  - model_name: my-paid-tier";
    assert!(findings[0].ends_with(expected), "{}", findings[0]);
    assert!(findings[0].starts_with("config.yaml:14:"), "{}", findings[0]);
}

#[test]
fn a_mapping_that_is_not_under_its_first_key_is_shown_with_the_corrected_line() {
    let findings = findings_of(seed!("langfuse_indent"));
    assert_eq!(findings.len(), 1);
    assert!(findings[0].ends_with("corrected, line 3 reads:\n   litellm_params:"), "{}", findings[0]);
    assert!(findings[0].starts_with("config.yaml:3:"), "{}", findings[0]);
}

#[test]
fn both_bad_samples_are_good_once_the_shown_line_is_taken() {
    let tab = seed!("tiers_tab").replace("\t- model_name", "  - model_name");
    assert_eq!(config_of(&tab).models.len(), 4);
    let indent = seed!("langfuse_indent").replace("    litellm_params:", "   litellm_params:");
    assert_eq!(config_of(&indent).models.len(), 1);
}
