use std::{ffi::OsString, time::Duration};

use serde_json::json;
use tollgate_kit::TempFolder;

use super::*;
use crate::args;

const FILE: &str =
    "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, api_key: k, temperature: 1, timeout: 5}\n";

fn environment_of(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn try_load(arguments: &[&str], pairs: &[(&str, &str)]) -> anyhow::Result<Loaded> {
    let environment = environment_of(pairs);
    let arguments = std::iter::once("tollgate").chain(arguments.iter().copied()).map(OsString::from).collect();
    load(&args::parse(arguments, &environment)?, environment)
}

fn loaded(arguments: &[&str], pairs: &[(&str, &str)]) -> Loaded {
    match try_load(arguments, pairs) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{arguments:?}: {error:#}"),
    }
}

fn loaded_with(file: &str, arguments: &[&str], pairs: &[(&str, &str)]) -> Loaded {
    let folder = TempFolder::new();
    let path = folder.write("config.yaml", file).display().to_string();
    loaded(&[&["--config", &path], arguments].concat(), pairs)
}

fn refused(arguments: &[&str], pairs: &[(&str, &str)]) -> String {
    match try_load(arguments, pairs) {
        Ok(_) => panic!("{arguments:?} was taken"),
        Err(error) => format!("{error:#}"),
    }
}

fn found(loaded: &Loaded) -> Vec<String> {
    loaded.findings.iter().map(|finding| format!("{}: {}", finding.severity.word(), finding.message)).collect()
}

#[test]
fn one_model_answers_everything() {
    let arguments = ["--model", "azure/gpt-deployment", "--api_version", "2023-08-01", "--api_base", "https://x.test/"];
    let loaded = loaded(&arguments, &[("AZURE_API_KEY", "k")]);
    assert!(loaded.answers_everything && loaded.source_path.is_none());
    let model = &loaded.config.models[0];
    assert_eq!(model.model_name, "azure/gpt-deployment");
    assert_eq!(model.params.model, "azure/gpt-deployment");
    assert_eq!(model.params.api_base.as_deref(), Some("https://x.test"));
    assert_eq!(model.params.api_version.as_deref(), Some("2023-08-01"));
    assert_eq!(loaded.environment["AZURE_API_VERSION"], "2023-08-01");
    assert_eq!(found(&loaded), Vec::<String>::new());
    assert!(model.unservable.is_none() && !model.id.is_empty());
}

#[test]
fn an_alias_is_the_name_of_the_one_model() {
    let loaded = loaded(&["--model", "openai/yes", "--alias", "no"], &[("OPENAI_API_KEY", "k")]);
    assert_eq!(loaded.config.models[0].model_name, "no");
    assert_eq!(loaded.config.models[0].params.model, "openai/yes");
}

#[test]
fn a_model_of_an_unknown_provider_is_refused_in_one_line() {
    let error = refused(&["--model", "nosuch/thing"], &[]);
    assert!(error.starts_with("--model: LLM Provider NOT provided") && error.contains("nosuch/thing"), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn a_model_without_its_key_starts_and_says_what_is_missing() {
    let loaded = loaded(&["--model", "gpt-3.5-turbo"], &[]);
    let found: Vec<_> = loaded.findings.iter().map(ToString::to_string).collect();
    let expected =
        "--model: unservable: provider 'openai' needs a key; set api_key or the environment variable OPENAI_API_KEY";
    assert_eq!(found, [expected]);
}

#[test]
fn without_file_and_model_there_are_no_models() {
    let loaded = loaded(&[], &[]);
    assert!(loaded.config.models.is_empty() && !loaded.answers_everything);
}

#[test]
fn flags_go_before_the_file() {
    let arguments = [
        "--temperature",
        "0.3",
        "--max_tokens",
        "2048",
        "--request_timeout",
        "300",
        "--drop_params",
        "--add_function_to_prompt",
        "--api_base",
        "http://x/",
        "--headers",
        r#"{"X-A": "1", "x-b": 2}"#,
    ];
    let file = format!("{FILE}litellm_settings: {{headers: {{x-a: old, x-c: kept}}}}\n");
    let loaded = loaded_with(&file, &arguments, &[]);
    let (model, litellm) = (&loaded.config.models[0], &loaded.config.litellm);
    assert_eq!(model.params.rest["temperature"], json!(0.3));
    assert_eq!(model.params.rest["max_tokens"], json!(2048));
    assert_eq!(model.params.given["max_tokens"], json!(2048));
    assert_eq!(model.params.timeout, Some(Duration::from_secs(300)));
    assert_eq!(model.params.api_base.as_deref(), Some("http://x"));
    assert_eq!(litellm.request_timeout, Some(Duration::from_secs(300)));
    assert_eq!((litellm.drop_params, litellm.add_function_to_prompt), (Some(true), Some(true)));
    let headers: Vec<_> = litellm.headers.iter().collect();
    assert_eq!(headers, [("x-c", "kept"), ("X-A", "1"), ("x-b", "2")]);
}

#[test]
fn without_flags_the_file_stays_as_it_is() {
    let loaded = loaded_with(FILE, &[], &[]);
    let model = &loaded.config.models[0];
    assert_eq!(model.params.rest["temperature"], json!(1));
    assert_eq!(model.params.timeout, Some(Duration::from_secs(5)));
    assert_eq!((loaded.config.litellm.drop_params, loaded.config.litellm.request_timeout), (None, None));
}

#[test]
fn headers_that_are_no_json_are_refused_without_being_shown() {
    for headers in ["{x: sk-hush}", "[\"sk-hush\"]", r#"{"x": ["sk-hush"]}"#] {
        let error = refused(&["--headers", headers], &[]);
        assert!(error.starts_with("--headers") && !error.contains("hush"), "{error}");
    }
}

#[test]
fn a_model_beside_a_file_with_models_serves_nothing() {
    let loaded = loaded_with(FILE, &["--model", "nosuch/x"], &[]);
    assert_eq!(loaded.config.models.len(), 1);
    assert!(!loaded.answers_everything);
}

#[test]
fn a_model_beside_a_file_without_models_is_added() {
    let file = "general_settings: {master_key: sk-1}\nenvironment_variables: {OPENAI_API_KEY: k}\n";
    let loaded = loaded_with(file, &["--model", "gpt-4"], &[]);
    assert_eq!(loaded.config.models[0].model_name, "gpt-4");
    assert_eq!(loaded.config.general.master_key.as_ref().map(|key| key.expose()), Some("sk-1"));
    assert_eq!(found(&loaded), Vec::<String>::new());
}

#[test]
fn variables_of_the_file_win_and_serve_its_deployments() {
    let file = "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a}\nenvironment_variables: {OPENAI_API_KEY: file, REDIS_PORT: 1}\n";
    let loaded = loaded_with(file, &[], &[("REDIS_PORT", "2"), ("OTHER", "3")]);
    assert_eq!(loaded.environment["REDIS_PORT"], "1");
    assert_eq!(loaded.environment["OPENAI_API_KEY"], "file");
    assert_eq!(loaded.environment["OTHER"], "3");
    assert_eq!(found(&loaded), Vec::<String>::new());
}

#[test]
fn the_environment_stands_in_for_what_the_file_leaves_open() {
    let pairs = [("LITELLM_MASTER_KEY", "sk-env"), ("JSON_LOGS", "True"), ("REQUEST_TIMEOUT", "7.5")];
    let open = loaded_with(FILE, &[], &pairs);
    assert_eq!(open.config.general.master_key.as_ref().map(|key| key.expose()), Some("sk-env"));
    assert_eq!(open.config.litellm.json_logs, Some(true));
    assert_eq!(open.config.litellm.request_timeout, Some(Duration::from_millis(7500)));
    let file = "general_settings: {master_key: sk-file}\nlitellm_settings: {json_logs: false, request_timeout: 9}\n";
    let said = loaded_with(file, &[], &pairs);
    assert_eq!(said.config.general.master_key.as_ref().map(|key| key.expose()), Some("sk-file"));
    assert_eq!(said.config.litellm.json_logs, Some(false));
    assert_eq!(said.config.litellm.request_timeout, Some(Duration::from_secs(9)));
}

#[test]
fn what_cannot_be_served_is_found_with_its_line_and_the_rest_starts() {
    let file = "model_list:\n  - model_name: a\n    litellm_params: {model: nosuch/a}\n  - model_name: b\n    litellm_params: {model: openai/b}\n  - model_name: c\n    litellm_params: {model: openai/c, api_key: k}\n";
    let loaded = loaded_with(file, &[], &[]);
    let places: Vec<_> = loaded.findings.iter().map(|finding| (finding.at.line, finding.path.as_str())).collect();
    assert_eq!(places, [(3, "model_list[0].litellm_params.model"), (5, "model_list[1].litellm_params.model")]);
    assert!(loaded.findings.iter().all(|finding| finding.severity == Severity::Deployment));
    let servable: Vec<_> = loaded.config.models.iter().map(|model| model.unservable.is_none()).collect();
    assert_eq!(servable, [false, false, true]);
}

#[test]
fn a_deployment_is_servable_by_any_way_that_a_call_can_take() {
    let lines = [
        "{model: nosuch/a, mock_response: hello}",
        "{model: '*'}",
        "{model: 'openai/*', configurable_clientside_auth_params: [api_key]}",
        "{model: openai/a, litellm_credential_name: c}",
        "{model: a, custom_llm_provider: openai, api_key: k}",
    ];
    let mut file = "credential_list: [{credential_name: c, credential_values: {api_key: k}}]\nmodel_list:\n".to_owned();
    for line in lines {
        file.push_str(&format!("  - model_name: m\n    litellm_params: {line}\n"));
    }
    assert_eq!(found(&loaded_with(&file, &[], &[])), Vec::<String>::new());
    let shared =
        "model_list:\n  - model_name: m\n    litellm_params: {model: openai/a}\nlitellm_settings: {openai_key: k}\n";
    assert_eq!(found(&loaded_with(shared, &[], &[])), Vec::<String>::new());
}

#[test]
fn strict_refuses_what_cannot_be_served() {
    let folder = TempFolder::new();
    let file = "model_list:\n  - model_name: a\n    litellm_params: {model: nosuch/a}\n";
    let path = folder.write("config.yaml", file).display().to_string();
    let error = refused(&["--config", &path, "--strict"], &[]);
    assert!(
        error.contains("config.yaml:3:29: unservable: model_list[0].litellm_params.model: LLM Provider NOT"),
        "{error}"
    );
}

#[test]
fn includes_are_read_once_each_from_beside_the_file_that_names_them() {
    let folder = TempFolder::new();
    let model = |name: &str| {
        format!("model_list:\n  - model_name: {name}\n    litellm_params: {{model: openai/{name}, api_key: k}}\n")
    };
    let main = folder.write("config.yaml", format!("include: [parts/one.yaml, parts/two.yaml]\n{}", model("main")));
    folder.write("parts/one.yaml", format!("include: two.yaml\n{}", model("one")));
    folder.write("parts/two.yaml", format!("include: [one.yaml, ../config.yaml]\n{}", model("two")));
    let loaded = loaded(&[&main.display().to_string()], &[]);
    let names: Vec<_> = loaded.config.models.iter().map(|model| model.model_name.as_str()).collect();
    assert_eq!(names, ["main", "one", "two"]);
    assert_eq!(loaded.source_path, Some(main));
    let found = &loaded.config.models[2].at;
    assert!(found.file.ends_with("parts/two.yaml") && found.line == 3, "{found}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_in_one_line() {
    let folder = TempFolder::new();
    let here = folder.path().display().to_string();
    let binary = folder.write("binary.yaml", b"a: 1\nb: \xff\n").display().to_string();
    let lacking = folder.write("lacking.yaml", "include: gone.yaml\n").display().to_string();
    let large = folder.write("large.yaml", vec![b'#'; tollgate_config::MAX_FILE_BYTES + 1]).display().to_string();
    let cases = [
        (format!("{here}/no.yaml"), "no.yaml; name the configuration with --config <file>"),
        (here.clone(), "is a folder"),
        (binary, "binary.yaml:2: error: this line is not UTF-8"),
        (lacking, "lacking.yaml includes "),
        (large, "a configuration is smaller"),
    ];
    for (path, expected) in cases {
        let error = refused(&["--config", &path], &[]);
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn the_variable_names_the_file_where_no_flag_does() {
    let folder = TempFolder::new();
    let path = folder.write("other.yaml", FILE).display().to_string();
    let loaded = loaded(&[], &[("CONFIG_FILE_PATH", &path)]);
    assert_eq!(loaded.config.models.len(), 1);
    assert!(refused(&["--config", "no.yaml"], &[("CONFIG_FILE_PATH", &path)]).contains("no.yaml"));
}

#[test]
fn a_configuration_in_a_bucket_is_refused_rather_than_forgotten() {
    let error = refused(&[], &[("LITELLM_CONFIG_BUCKET_NAME", "b"), ("LITELLM_CONFIG_BUCKET_TYPE", "gcs")]);
    assert!(error.starts_with("LITELLM_CONFIG_BUCKET_NAME is set") && error.contains("--config"), "{error}");
    assert!(loaded(&[], &[("LITELLM_CONFIG_BUCKET_NAME", "")]).config.models.is_empty());
}
