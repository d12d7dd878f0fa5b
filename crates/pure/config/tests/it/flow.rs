//! Includes, variables, YAML's ways of saying things, and what ends up where.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_config::{
    ClientDisconnect, ClientsideParam, GroupAlias, Severity, Strategy, check, parse, resolve, schema,
};

use crate::world::{check_with, config_of, knows};

const MODEL: &str = "model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/gpt-4\n";

fn with_params(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("      {line}\n")).collect();
    format!("{MODEL}{lines}")
}

#[test]
fn included_lists_are_appended_and_other_keys_overwrite() {
    let mut file = parse(
        "config.yaml",
        "include: [models.yaml, more/settings.yaml]\nmodel_list:\n  - model_name: a\n    litellm_params: {model: \
         openai/a}\nlitellm_settings: {drop_params: true, num_retries: 1}\n",
    )
    .expect("good YAML");
    assert_eq!(file.includes(), ["models.yaml", "more/settings.yaml"]);
    let models = "model_list:\n  - model_name: b\n    litellm_params: {model: openai/b, api_bsae: x}\n";
    file.merge(parse("models.yaml", models).expect("good YAML"));
    file.merge(parse("more/settings.yaml", "litellm_settings: {num_retries: 5}\n").expect("good YAML"));
    let checked = check(resolve(file, &|_| None), &knows);
    let config = checked.config.expect("no fatal finding");
    let names: Vec<_> = config.models.iter().map(|model| model.model_name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.litellm.num_retries, Some(5));
    assert_eq!(config.litellm.drop_params, None, "the whole key is overwritten");
    let places: Vec<_> = checked.findings.iter().map(|finding| finding.at.to_string()).collect();
    assert_eq!(places, ["models.yaml:3:39"], "a finding names the file that it is in");
}

#[test]
fn variables_are_wanted_wherever_they_stand() {
    let text = with_params(
        "api_key: os.environ/A\nextra_body: {deep: [{er: os.environ/B}, os.environ/C]}\ntags: [os.environ/A]",
    );
    let file = parse("config.yaml", &text).expect("good YAML");
    assert_eq!(file.wanted_secrets(), ["A", "B", "C"]);
    let checked = check_with(&text, &[("A", "a"), ("B", "b"), ("C", "c")]);
    let params = &checked.config.expect("no fatal finding").models[0].params;
    assert_eq!(params.extra_body["deep"], json!([{ "er": "b" }, "c"]));
    assert_eq!(params.tags, ["a"]);
}

#[test]
fn the_files_own_environment_comes_first() {
    let text = format!(
        "{}environment_variables:\n  KEY: own\n  LIMIT: os.environ/OUTSIDE\n  DEBUG: true\n  PATH: /tmp\n",
        with_params("api_key: os.environ/KEY")
    );
    let checked = check_with(&text, &[("KEY", "outer"), ("OUTSIDE", "7")]);
    let found: Vec<_> = checked.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["config.yaml:10:3: warning: environment_variables.PATH: may not be set here; left as it is"]);
    let config = checked.config.expect("no fatal finding");
    assert_eq!(config.models[0].params.api_key.as_ref().map(|key| key.expose()), Some("own"));
    let expected = [("KEY", "own"), ("LIMIT", "7"), ("DEBUG", "True")];
    let environment: Vec<_> = config.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(environment, expected);
}

#[test]
fn booleans_of_yaml_1_1_and_quoted_values_are_taken() {
    for (written, expected) in [
        ("True", true),
        ("yes", true),
        ("On", true),
        ("\"true\"", true),
        ("'False'", false),
        ("off", false),
        ("no", false),
    ] {
        let config = config_of(&format!("{MODEL}litellm_settings:\n  drop_params: {written}\n"));
        assert_eq!(config.litellm.drop_params, Some(expected), "{written}");
    }
    let config = config_of(&with_params(
        "rpm: \"6\"\ntpm: 12_000\nweight: \"0.5\"\ntimeout: \"30\"\nstream_timeout: 1.5\nrequest_timeout: 2min\nmax_parallel_requests: 4.0",
    ));
    let model = &config.models[0];
    assert_eq!((model.rpm, model.tpm, model.params.weight), (Some(6), Some(12_000), Some(0.5)));
    assert_eq!(model.params.timeout, Some(Duration::from_secs(30)));
    assert_eq!(model.params.stream_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(model.params.request_timeout, Some(Duration::from_secs(120)));
    assert_eq!(model.params.max_parallel_requests, Some(4));
}

#[test]
fn other_parameters_are_passed_on_in_order_with_their_types() {
    let config = config_of(&with_params(
        "temperature: 0.20\nmax_tokens: 9007199254740993\nstop: [\"a\", 7]\nlogit_bias: {\"50256\": -100}\nseed: null\nstream: no\nsome_new: {x: [1]}",
    ));
    let rest = &config.models[0].params.rest;
    let keys: Vec<_> = rest.keys().map(String::as_str).collect();
    assert_eq!(keys, ["temperature", "max_tokens", "stop", "logit_bias", "stream", "some_new"]);
    assert_eq!(rest["max_tokens"].to_string(), "9007199254740993");
    assert_eq!(rest["stop"], json!(["a", 7]));
    assert_eq!(rest["logit_bias"], json!({ "50256": -100 }));
    assert_eq!(rest["stream"], json!(false));
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let text = "x-defaults: &d {api_base: http://x/, rpm: 1}\nmodel_list:\n  - model_name: a\n    litellm_params: {<<: *d, model: openai/a, rpm: 9}\n  - model_name: b\n    litellm_params:\n      <<: [*d]\n      model: openai/b\n";
    let checked = check_with(text, &[]);
    assert!(checked.findings.is_empty(), "{:#?}", checked.findings);
    let config = checked.config.expect("no fatal finding");
    assert_eq!(config.models[0].params.api_base.as_deref(), Some("http://x"));
    assert_eq!((config.models[0].rpm, config.models[1].rpm), (Some(9), Some(1)));
}

#[test]
fn credentials_and_defaults_are_taken_over_where_nothing_is_said() {
    let text = format!(
        "{}credential_list:\n  - credential_name: shared\n    credential_values: {{api_key: sk-shared, api_base: http://no}}\nrouter_settings:\n  default_litellm_params: {{timeout: 7, temperature: 0}}\n",
        with_params("litellm_credential_name: shared\napi_base: http://own\napi_key:"),
    );
    let config = config_of(&text);
    let params = &config.models[0].params;
    assert_eq!(params.api_key.as_ref().map(|key| key.expose()), Some("sk-shared"));
    assert_eq!(params.api_base.as_deref(), Some("http://own"));
    assert_eq!(params.timeout, Some(Duration::from_secs(7)));
    assert_eq!(params.rest["temperature"], json!(0));
    assert_eq!(config.router.default_litellm_params, ["timeout", "temperature"]);
}

#[test]
fn router_and_general_settings_are_typed() {
    let config = config_of(&format!(
        "{MODEL}router_settings:\n  routing_strategy: least-busy\n  retry_after: 2s\n  model_group_alias: {{x: a, y: {{model: a, hidden: true}}}}\ngeneral_settings:\n  shutdown_grace: 1m\n  client_disconnect: drain\n  max_request_size_mb: 0.5\n  public_routes: /health\n  allowed_ips: []\n"
    ));
    assert_eq!(config.router.routing_strategy, Strategy::LeastBusy);
    assert_eq!(config.router.retry_after, Some(Duration::from_secs(2)));
    let alias = |alias: &str, hidden| GroupAlias { alias: alias.to_owned(), model: "a".to_owned(), hidden };
    assert_eq!(config.router.model_group_alias, [alias("x", false), alias("y", true)]);
    assert_eq!(config.general.shutdown_grace, Some(Duration::from_secs(60)));
    assert_eq!(config.general.client_disconnect, Some(ClientDisconnect::Drain));
    assert_eq!(config.general.max_request_size_mb, Some(0.5));
    assert_eq!(config.general.public_routes, ["/health"]);
    assert!(config.general.allowed_ips.is_empty());
}

#[test]
fn model_info_prices_and_client_side_parameters_are_typed() {
    let text = format!(
        "{}    model_info:\n      id: mine\n      base_model: azure/gpt-4\n      supports_vision: True\n      output_cost_per_token: 0.00002\n      colour: blue\n",
        with_params(
            "input_cost_per_token: 1e-7\nconfigurable_clientside_auth_params: [api_key, {api_base: '^https://.*$'}]"
        ),
    );
    let config = config_of(&text);
    let model = &config.models[0];
    assert_eq!(model.id, "mine");
    assert_eq!(model.info.base_model.as_deref(), Some("azure/gpt-4"));
    assert_eq!(model.info.supports, [("supports_vision".to_owned(), true)]);
    assert_eq!(Value::Object(model.info.prices.clone()), json!({ "output_cost_per_token": 0.00002 }));
    assert_eq!(Value::Object(model.info.rest.clone()), json!({ "colour": "blue" }));
    assert_eq!(Value::Object(model.params.prices.clone()), json!({ "input_cost_per_token": 1e-7 }));
    let expected = [
        ClientsideParam::Any("api_key".to_owned()),
        ClientsideParam::Matching { param: "api_base".to_owned(), pattern: "^https://.*$".to_owned() },
    ];
    assert_eq!(model.params.configurable_clientside_auth_params, expected);
}

#[test]
fn provider_keys_and_tls_settings_are_typed() {
    let config = config_of(&format!(
        "{MODEL}litellm_settings:\n  anthropic_key: sk-a\n  togetherai_api_key: sk-t\n  ssl_verify: /etc/ca.pem\n  headers: {{x-a: 1}}\n"
    ));
    let keys: Vec<_> = config.litellm.provider_keys.iter().map(|(name, key)| (name.as_str(), key.expose())).collect();
    assert_eq!(keys, [("anthropic", "sk-a"), ("togetherai", "sk-t")]);
    assert_eq!(config.litellm.ssl_ca_bundle.as_deref(), Some("/etc/ca.pem"));
    assert_eq!(config.litellm.ssl_verify, None);
    assert_eq!(config.litellm.headers.get("x-a"), Some("1"));
    let off = config_of(&format!("{MODEL}litellm_settings: {{ssl_verify: false}}\n"));
    assert_eq!(off.litellm.ssl_verify, Some(false));
}

#[test]
fn json_is_a_configuration_too() {
    let text =
        json!({ "model_list": [{ "model_name": "*", "litellm_params": { "model": "openai/*", "temperature": 0.3 } }] });
    let config = config_of(&text.to_string());
    assert_eq!(config.models[0].model_name, "*");
    assert_eq!(config.models[0].params.rest["temperature"], json!(0.3));
}

#[test]
fn nothing_at_all_is_a_configuration_without_models() {
    for text in ["", "# only a comment\n", "---\n", "model_list:\n"] {
        let checked = check_with(text, &[]);
        assert!(!checked.has(Severity::Note), "{text:?}: {:#?}", checked.findings);
        assert!(checked.config.expect("no fatal finding").models.is_empty());
    }
}

#[test]
fn debug_shows_no_secret() {
    let text = format!(
        "{}environment_variables: {{OPENAI_API_KEY: hush}}\ngeneral_settings: {{master_key: hush}}\nlitellm_settings: {{openai_key: hush, headers: {{authorization: hush}}}}\ncredential_list: [{{credential_name: c, credential_values: {{api_key: hush}}}}]\n",
        with_params(
            "api_key: hush\nheaders: {x-odd: hush}\nextra_body: {api-key: hush}\naws_secret_access_key: hush\nvertex_credentials: hush\nsome_token: hush\napi_base: https://me:hush@host/path/?sig=hush&v=1"
        ),
    );
    let config = config_of(&text);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("https://host/path?v=1"), "{shown}");
    let file = parse("config.yaml", &text).expect("good YAML");
    assert!(!format!("{file:?}{:?}", resolve(file.clone(), &|_| None)).contains("hush"));
}

#[test]
fn the_schema_is_json_schema_2020_12() {
    assert_eq!(schema()["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
}
